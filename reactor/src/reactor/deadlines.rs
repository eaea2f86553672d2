//! The timers and the clock of a reactor.

use std::io;
use std::mem;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Reactor;
use crate::clock;
use crate::error::shut_down;
use crate::timers::{Armed, Nanos, TimerKey, with_slack};
use crate::wake_list::WakeList;

/// The longest wait, whatever the deadlines: some kernels reject longer ones.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(3600);

impl Reactor {
    /// Returns the deadline of the earliest timer. O(1).
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.timers.borrow().next_deadline()?;
        self.epoch.checked_add(Duration::from_nanos(deadline))
    }

    /// Shortens `limit` to the time until the earliest deadline.
    pub(super) fn until_next_deadline(&self, limit: Option<Duration>) -> Option<Duration> {
        let limit = limit.map(|limit| limit.min(MAX_WAIT));
        let timers = self.timers.borrow();
        if limit == Some(Duration::ZERO) || timers.len() == 0 {
            return limit;
        }
        self.read_clock();
        let deadline = timers.next_deadline()?;
        let due = Duration::from_nanos(deadline.saturating_sub(self.now.get()));
        Some(due.min(limit.unwrap_or(MAX_WAIT)))
    }

    pub(super) fn fire_timers(&self, woken: &mut WakeList) {
        let mut timers = self.timers.borrow_mut();
        if timers.len() > 0 {
            self.read_clock();
            let fired = timers.fire(self.now.get(), woken);
            self.inbox.counters.timers_fired.add(fired);
        }
    }

    /// Returns the time at which the clock was last read.
    pub(crate) fn now(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.now.get())
    }

    pub(super) fn read_clock(&self) {
        self.set_now(clock::now());
    }

    pub(super) fn set_now(&self, now: Instant) {
        self.now.set(self.nanos(now));
    }

    /// Converts an instant to the reactor's time: one before its start becomes 0, and one five
    /// hundred years ahead the largest number.
    fn nanos(&self, instant: Instant) -> Nanos {
        let since = instant.saturating_duration_since(self.epoch);
        Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
    }

    /// Returns true if `deadline` had passed when the clock was last read.
    pub(crate) fn is_past(&self, deadline: Instant) -> bool {
        self.nanos(deadline) <= self.now.get()
    }

    /// Arms a timer, which takes `waker`, unless its deadline is known to be past.
    #[inline]
    pub(crate) fn insert_timer(
        &self,
        deadline: Instant,
        slack: Nanos,
        waker: &mut Option<Waker>,
    ) -> io::Result<Option<Armed>> {
        let deadline = self.nanos(deadline);
        if deadline <= self.now.get() {
            return Ok(None);
        }
        if self.closed.get() {
            return Err(shut_down("this timer"));
        }
        self.notify_host();
        let mut timers = self.timers.borrow_mut();
        let deadline = match slack {
            0 => deadline,
            slack => with_slack(deadline, slack),
        };
        let number = self.number();
        Ok(waker
            .take()
            .map(|waker| Armed::new(number, timers.insert(deadline, waker))))
    }

    /// Polls an armed timer. Returns `None` if it has not fired and has a waker other than `waker`.
    /// Runs no foreign code.
    #[inline]
    pub(crate) fn try_poll_timer(
        &self,
        key: TimerKey,
        waker: &Waker,
    ) -> Option<Poll<io::Result<()>>> {
        match self.timers.borrow_mut().waker(key) {
            Some(stored) => stored.will_wake(waker).then_some(Poll::Pending),
            None if self.closed.get() => Some(Poll::Ready(Err(shut_down("this timer")))),
            None => Some(Poll::Ready(Ok(()))),
        }
    }

    /// Polls an armed timer. If it has not fired, arranges for the task of `cx` to be woken once it
    /// does.
    pub(crate) fn poll_timer(&self, key: TimerKey, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if let Some(polled) = self.try_poll_timer(key, cx.waker()) {
            return polled;
        }
        // Cloning and dropping wakers is foreign code, so nothing is borrowed.
        let waker = cx.waker().clone();
        let (unneeded, has_fired) = match self.timers.borrow_mut().waker(key) {
            Some(stored) => (mem::replace(stored, waker), false),
            None => (waker, true),
        };
        if has_fired {
            // Cloning the waker was foreign code, and turned or closed the reactor.
            unneeded.wake();
        }
        Poll::Pending
    }

    /// Moves an armed timer. Returns false if it has fired.
    pub(crate) fn reset_timer(&self, key: TimerKey, deadline: Instant, slack: Nanos) -> bool {
        self.notify_host();
        let deadline = with_slack(self.nanos(deadline), slack);
        self.timers.borrow_mut().reset(key, deadline)
    }

    /// Disarms a timer. The caller drops the waker once its borrow has ended.
    #[inline(always)]
    pub(crate) fn remove_timer(&self, key: TimerKey) -> Option<Waker> {
        self.timers.borrow_mut().remove(key)
    }
}
