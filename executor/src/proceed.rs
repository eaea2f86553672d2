//! Operations that are counted in the [budget](crate::budget) of the poll.

use std::future::poll_fn;
use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::context;
use crate::scheduler::Scheduler;

/// Counts an operation that completes without waiting. Returns `Pending` if the budget of this poll
/// is used up. The task is then woken, and the operation must complete at its next poll without
/// another call.
///
/// Outside a runtime this is always ready.
#[inline]
pub fn poll_proceed(cx: &Context<'_>) -> Poll<()> {
    if context::with(|scheduler| scheduler.take_budget()).unwrap_or(true) {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// The state of operations that may complete without waiting.
#[derive(Debug, Clone, Default)]
pub struct Proceed {
    /// True if the last poll returned `Pending`, for any reason.
    waited: bool,
}

impl Proceed {
    /// Counts an operation that is about to complete, unless it was pending before. Returns
    /// `Pending` at most once, if the budget of this poll is used up.
    #[inline]
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !mem::take(&mut self.waited) && poll_proceed(cx).is_pending() {
            self.waited = true;
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Counts like [`poll`](Proceed::poll), for an operation that takes as long as `weight` others.
    pub fn poll_weighted(&mut self, cx: &Context<'_>, weight: u32) -> Poll<()> {
        let take = |scheduler: &Rc<Scheduler>| scheduler.take_weighted_budget(weight);
        if mem::take(&mut self.waited) || context::with(take).unwrap_or(true) {
            return Poll::Ready(());
        }
        self.waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Counts like [`poll`](Proceed::poll), for an operation that stays ready until
    /// [`consume`](Proceed::consume), which counts it.
    pub fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<()> {
        let is_used_up = |scheduler: &Rc<Scheduler>| scheduler.is_budget_used_up();
        if self.waited || !context::with(is_used_up).unwrap_or(false) {
            return Poll::Ready(());
        }
        self.waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Counts an operation that [`poll_fill`](Proceed::poll_fill) let pass.
    pub fn consume(&mut self) {
        self.waited = false;
        context::with(|scheduler| scheduler.take_budget());
    }

    /// Notes that the operation is pending for another reason.
    #[inline]
    pub fn set_waited(&mut self) {
        self.waited = true;
    }
}

/// Uses up the budget of this poll and wakes the task, for an operation that limits by other means
/// how much it does in one poll.
pub fn yield_budget(cx: &Context<'_>) {
    context::with(|scheduler| scheduler.budget().use_up(scheduler.poll_count()));
    cx.waker().wake_by_ref();
}

/// Calls a closure in which operations are not counted, if the executor is entered on this thread.
pub fn without_budget<R>(f: impl FnOnce() -> R) -> R {
    let Some(scheduler) = context::get_entered() else {
        return f();
    };
    let _restore = scheduler.budget().suspend();
    f()
}

/// Counts an operation that completes without waiting, and yields to the other tasks if this poll
/// has completed 128 of them.
///
/// Sleeps, intervals, join handles, copies and the other operations of this crate are counted
/// automatically. Call this function in a loop over a source of another crate that may always be
/// ready, such as the receiver of a channel. Outside a runtime the call has no effect.
///
/// # Cancel safety
/// Cancel safe: dropping the future has no effect.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let mut sum = 0_u64;
/// for n in 0..1_000 {
///     sum += n; // work that never waits
///     runtime::task::consume_budget().await;
/// }
/// assert_eq!(sum, 499_500);
/// # });
/// ```
pub async fn consume_budget() {
    let mut proceed = Proceed::default();
    poll_fn(|cx| proceed.poll(cx)).await;
}
