//! How long `accept` rests when it cannot accept, and others who wait for what no event tells.
//!
//! When a process has no descriptor left, accepting fails at once and for as long as that lasts:
//! whoever simply tries again spins, and whoever waits for the listener to become readable, on a
//! backend with edges, waits for ever if no other client comes, since the connection in the queue
//! was reported already. So it is tried again after a while, as Go's net/http does. libuv closes a
//! reserve descriptor instead, to accept and drop the connection; a rest keeps it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use runtime_reactor::Timer;

/// The first rest; each one after it is twice as long, up to `MIN_DELAY << MAX_DOUBLINGS`, 160 ms:
/// seldom enough to cost nothing, soon enough for a client that waits.
const MIN_DELAY: Duration = Duration::from_millis(5);
const MAX_DOUBLINGS: u32 = 5;

/// Where one accepting task stands. A new one has not failed yet.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    rest: Option<Timer>,
    /// Failures since the last success.
    failures: u32,
}

impl Backoff {
    /// Notes a failure: the next `poll_ready` waits.
    pub(crate) fn begin(&mut self) {
        let length = MIN_DELAY * 2_u32.pow(self.failures.min(MAX_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        self.rest = Some(Timer::after(length));
    }

    /// Notes a success.
    pub(crate) fn reset(&mut self) {
        *self = Backoff::default();
    }

    /// Waits for the end of the rest, if there is one.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(timer) = &mut self.rest else {
            return Poll::Ready(Ok(()));
        };
        let rested = Pin::new(timer).poll(cx);
        if rested.is_ready() {
            self.rest = None;
        }
        rested
    }
}

/// What all tasks that accept on one listener share of it.
#[derive(Debug, Default)]
pub(crate) struct Backoffs {
    /// How many rests there were.
    pub(crate) total: AtomicU64,
    /// The rests of those who have no place of their own to keep them in, since they call
    /// `poll_accept`; found again by their wakers.
    kept: Mutex<Vec<(Waker, Backoff)>>,
    /// Whether `kept` has anything in it, so that it is seldom locked.
    any: AtomicBool,
}

impl Backoffs {
    /// Takes out what was kept for the task of `cx`. The rests of others that are over go too: they
    /// are woken, since their timers, which may be another thread's, may not have done it yet.
    pub(crate) fn take(&self, cx: &Context<'_>) -> Backoff {
        if !self.any.load(Ordering::Acquire) {
            return Backoff::default();
        }
        let (mut ours, mut over) = (None, Vec::new());
        {
            let mut kept = self.lock();
            let mut at = 0;
            while at < kept.len() {
                let (waker, backoff) = &kept[at];
                if waker.will_wake(cx.waker()) {
                    ours = Some(kept.swap_remove(at));
                } else if backoff.rest.as_ref().is_none_or(Timer::is_elapsed) {
                    over.push(kept.swap_remove(at));
                } else {
                    at += 1;
                }
            }
            self.any.store(!kept.is_empty(), Ordering::Release);
        }
        // Wakers are other people's code: none is called under the lock.
        for (waker, rest) in over {
            drop(rest);
            waker.wake();
        }
        ours.map(|(_, backoff)| backoff).unwrap_or_default()
    }

    /// Keeps the rest of the task of `cx` until it comes back.
    pub(crate) fn keep(&self, cx: &Context<'_>, backoff: Backoff) {
        if backoff.rest.is_some() {
            let waker = cx.waker().clone();
            let mut kept = self.lock();
            kept.push((waker, backoff));
            self.any.store(true, Ordering::Release);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Waker, Backoff)>> {
        // Nothing panics under it, and if it did the list would still be a list.
        self.kept.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn rests_double_up_to_a_bound_and_a_success_forgets_them() {
        let mut backoff = Backoff::default();
        let mut lengths = Vec::new();
        for _ in 0..8 {
            let before = Instant::now();
            backoff.begin();
            let deadline = backoff.rest.as_ref().unwrap().deadline();
            // At least: the clock was read after `before`.
            lengths.push((deadline - before).as_millis());
        }
        let expected = [5, 10, 20, 40, 80, 160, 160, 160];
        assert!(lengths.iter().zip(expected).all(|(&l, e)| l >= e));
        backoff.reset();
        assert!(backoff.rest.is_none() && backoff.failures == 0);
    }

    /// Whose timer belongs to a thread that is busy, say.
    #[test]
    fn a_task_whose_rest_another_one_finds_over_is_woken() {
        struct Woken(AtomicBool);
        impl std::task::Wake for Woken {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let woken = std::sync::Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let over = Backoff {
            rest: Some(Timer::at(Instant::now())),
            failures: 1,
        };
        let shared = Backoffs::default();
        shared.keep(&Context::from_waker(&waker), over);
        assert_eq!(shared.take(&Context::from_waker(Waker::noop())).failures, 0);
        assert!(woken.0.load(Ordering::SeqCst));
    }

    #[test]
    fn a_task_finds_its_own_rest_again() {
        struct Quiet;
        impl std::task::Wake for Quiet {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        let wakers = [(); 2].map(|()| Waker::from(std::sync::Arc::new(Quiet)));
        let [one, two] = wakers.each_ref().map(Context::from_waker);
        let shared = Backoffs::default();
        let mut backoff = Backoff::default();
        (0..3).for_each(|_| backoff.begin());
        shared.keep(&one, backoff);
        assert_eq!(shared.take(&two).failures, 0);
        assert_eq!(shared.take(&one).failures, 3);
        assert!(!shared.any.load(Ordering::Relaxed), "nothing is left");
    }
}
