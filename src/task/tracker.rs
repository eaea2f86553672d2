//! Waiting for the end of a group of tasks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use runtime_executor::{JoinHandle, spawn};

use super::wait_list::{Place, WaitList, wake_all};

/// A group of futures whose end can be waited for, without their outputs.
///
/// Unlike a [`JoinSet`](super::JoinSet), it neither stores outputs nor aborts tasks when it is
/// dropped. Clones share the group, on any thread. See
/// [`CancellationToken`](super::CancellationToken) for an example.
#[derive(Clone, Default)]
pub struct Tracker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    count: usize,
    is_closed: bool,
    waiters: WaitList,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // No foreign code runs while it is locked.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tracker {
    /// Creates a group without futures, which is not closed.
    pub fn new() -> Tracker {
        Tracker::default()
    }

    /// Spawns a task in the group, as [`spawn`](crate::spawn) does.
    ///
    /// # Panics
    /// Panics if no runtime runs on this thread.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn(self.track(future))
    }

    /// Adds a future to the group, until it is dropped or complete.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let tracker = runtime::task::Tracker::new();
    /// let task = runtime::Handle::current().spawn(tracker.track(async { 7 }));
    /// assert_eq!(tracker.len(), 1);
    /// assert_eq!(task.await.unwrap(), 7);
    /// assert!(tracker.is_empty());
    /// # });
    /// ```
    pub fn track<F: Future>(&self, future: F) -> Tracked<F> {
        lock(&self.0).count += 1;
        Tracked {
            future,
            member: Some(Member(self.clone())),
        }
    }

    /// Returns the number of futures in the group.
    pub fn len(&self) -> usize {
        lock(&self.0).count
    }

    /// Returns true if there is no future in the group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets [`wait`](Tracker::wait) complete once the group is empty. Futures can still be added.
    pub fn close(&self) {
        let mut state = lock(&self.0);
        state.is_closed = true;
        wake_if_done(state);
    }

    /// Returns true if the group was closed.
    pub fn is_closed(&self) -> bool {
        lock(&self.0).is_closed
    }

    /// Waits until the group is [closed](Tracker::close) and empty.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping the future has no effect.
    pub fn wait(&self) -> Empty {
        Empty {
            tracker: self.clone(),
            place: None,
        }
    }
}

impl State {
    fn is_done(&self) -> bool {
        self.is_closed && self.count == 0
    }
}

fn wake_if_done(mut state: MutexGuard<'_, State>) {
    if state.is_done() {
        let waiters = state.waiters.take();
        drop(state);
        // Foreign code, called without the lock.
        wake_all(waiters);
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

pin_project! {
    /// The future returned by [`Tracker::track`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Tracked<F> {
        #[pin]
        future: F,
        // Dropped after the future. `None` once that is complete.
        member: Option<Member>,
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.future.poll(cx);
        if polled.is_ready() {
            *this.member = None;
        }
        polled
    }
}

/// A future's place in a group.
#[derive(Debug)]
struct Member(Tracker);

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0);
        state.count -= 1;
        wake_if_done(state);
    }
}

/// The future returned by [`Tracker::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Empty {
    tracker: Tracker,
    place: Option<Place>,
}

impl Future for Empty {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if lock(&self.tracker.0).is_done() {
            return Poll::Ready(());
        }
        // Cloned and dropped without a lock, because both are foreign code.
        let waker = cx.waker().clone();
        let Empty { tracker, place } = &mut *self;
        let mut state = lock(&tracker.0);
        if state.is_done() {
            return Poll::Ready(());
        }
        let previous = state.waiters.set(place, waker);
        drop(state);
        drop(previous);
        Poll::Pending
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        if self.place.is_some() {
            let waker = lock(&self.tracker.0).waiters.remove(self.place);
            drop(waker);
        }
    }
}
