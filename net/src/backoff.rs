//! Delays before another attempt, where no event reports that it would succeed.
//!
//! When a process has no descriptor left, accepting fails at once and for as long as that lasts. A
//! task that simply tries again spins, and one that waits for the listener to become readable waits
//! forever on an edge-triggered backend if no other client connects, since the queued connection
//! was reported already. So accepting is retried after a delay, as in Go's net/http. Rejected:
//! closing a reserve descriptor to accept and drop the connection, as libuv does; a delay keeps it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use runtime_reactor::Timer;

/// The first delay. Each later one is twice as long, up to `MIN_DELAY << MAX_DOUBLINGS`, 160 ms:
/// seldom enough to cost nothing, soon enough for a client that waits.
const MIN_DELAY: Duration = Duration::from_millis(5);
const MAX_DOUBLINGS: u32 = 5;

/// The delays between attempts that may fail for a while.
pub(crate) trait Retry {
    /// Completes when another attempt may be made.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Records a failure: the next `poll_ready` waits.
    fn begin_delay(&mut self);
    /// Records a success: the next delay is short again.
    fn reset(&mut self);
}

/// The delays of one task.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// Set while an attempt has to wait.
    timer: Option<Timer>,
    /// Failures since the last success.
    failures: u32,
}

impl Backoff {
    fn backoff_delay(&self) -> Duration {
        MIN_DELAY * 2_u32.pow(self.failures.min(MAX_DOUBLINGS))
    }
}

impl Retry for Backoff {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(timer) = &mut self.timer else {
            return Poll::Ready(Ok(()));
        };
        let result = Pin::new(timer).poll(cx);
        if result.is_ready() {
            self.timer = None;
        }
        result
    }

    fn begin_delay(&mut self) {
        self.timer = Some(Timer::after(self.backoff_delay()));
        self.failures = self.failures.saturating_add(1);
    }

    fn reset(&mut self) {
        *self = Backoff::default();
    }
}

/// One retry deadline for all tasks that have no place to keep a [`Backoff`] in, since they call a
/// `poll_` method. It takes memory, and a lock, only once there was a failure.
#[derive(Debug, Default)]
pub(crate) struct SharedBackoff(OnceLock<Arc<Shared>>);

/// Is the waker of its own timer, and wakes all tasks that wait for the deadline.
#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    backoff: Backoff,
    waiting: Vec<Waker>,
}

impl Retry for &SharedBackoff {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.get() {
            Some(shared) => shared.poll_ready(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn begin_delay(&mut self) {
        let backoff = &mut self.0.get_or_init(Arc::default).lock().backoff;
        // Another thread may have failed at the same time.
        if backoff.timer.is_none() {
            backoff.begin_delay();
        }
    }

    fn reset(&mut self) {
        if let Some(shared) = self.0.get() {
            shared.lock().backoff.reset();
            // No timer wakes the other tasks any more.
            shared.wake_by_ref();
        }
    }
}

impl Shared {
    fn poll_ready(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Cloned and dropped while nothing is locked: wakers are foreign code.
        let mut waker = Some(cx.waker().clone());
        let result = {
            let mut state = self.lock();
            // The timer sees the waker of this crate alone, so it may be polled under the lock.
            let own_waker = Waker::from(self.clone());
            let result = state
                .backoff
                .poll_ready_anywhere(&mut Context::from_waker(&own_waker));
            if result.is_pending() && !state.waiting.iter().any(|w| w.will_wake(cx.waker())) {
                state.waiting.extend(waker.take());
            }
            result
        };
        if result.is_ready() {
            // The timer may be that of a thread that is busy, so the others are woken from here.
            self.wake_by_ref();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held, and a panic would leave the state consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backoff {
    /// `poll_ready` for a timer that another thread's reactor may hold: if that reactor was closed,
    /// the one of this thread takes over.
    fn poll_ready_anywhere(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = self.timer.as_ref().map(Timer::deadline);
        match (self.poll_ready(cx), deadline) {
            (Poll::Ready(Err(_)), Some(deadline)) => {
                self.timer = Some(Timer::at(deadline));
                self.poll_ready(cx)
            }
            (result, _) => result,
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use runtime_reactor::Reactor;
    use runtime_reactor::internal::clock::{self, Clock};

    use super::*;

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn flag() -> (Arc<Flag>, Waker) {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        (flag, waker)
    }

    /// A backoff whose deadline is `timer`'s.
    fn shared_with(timer: Timer) -> SharedBackoff {
        let shared = SharedBackoff::default();
        (&shared).begin_delay();
        shared.0.get().unwrap().lock().backoff.timer = Some(timer);
        shared
    }

    #[test]
    fn delays_double_up_to_a_bound_and_a_success_resets_them() {
        let mut backoff = Backoff::default();
        let mut delays = Vec::new();
        let now = Instant::now();
        let system = clock::replace(Clock::At(now));
        for _ in 0..8 {
            backoff.begin_delay();
            let deadline = backoff.timer.as_ref().unwrap().deadline();
            delays.push((deadline - now).as_millis());
        }
        clock::replace(system);
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 160, 160]);
        backoff.reset();
        assert!(backoff.timer.is_none() && backoff.failures == 0);
    }

    /// The timer may belong to a thread that is busy.
    #[test]
    fn a_task_that_finds_the_shared_deadline_passed_wakes_the_others() {
        let passed = Instant::now();
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let (woken, waker) = flag();
        let mut shared = &shared_with(Timer::after(Duration::from_secs(3600)));
        assert!(
            shared
                .poll_ready(&mut Context::from_waker(&waker))
                .is_pending()
        );
        shared.0.get().unwrap().lock().backoff.timer = Some(Timer::at(passed));
        assert!(!woken.0.load(Ordering::SeqCst));
        let polled = shared.poll_ready(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?}");
        assert!(woken.0.load(Ordering::SeqCst));
    }

    #[test]
    fn the_shared_deadline_wakes_every_task_once_it_has_passed() {
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let ((one, first), (two, second)) = (flag(), flag());
        let now = Instant::now();
        let system = clock::replace(Clock::At(now));
        let hour = Duration::from_secs(3600);
        let mut shared = &shared_with(Timer::after(hour));
        for waker in [&first, &second, &first] {
            assert!(
                shared
                    .poll_ready(&mut Context::from_waker(waker))
                    .is_pending()
            );
        }
        assert_eq!(shared.0.get().unwrap().lock().waiting.len(), 2);
        let woken = || [&one, &two].map(|flag| flag.0.load(Ordering::SeqCst));
        clock::replace(Clock::At(now + hour - Duration::from_nanos(1)));
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(woken(), [false, false]);
        clock::replace(Clock::At(now + hour));
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(woken(), [true, true]);
        assert!(
            shared
                .poll_ready(&mut Context::from_waker(&first))
                .is_ready()
        );
        clock::replace(system);
    }

    #[test]
    fn failures_are_counted_until_a_success_which_ends_the_delay_of_all() {
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let mut shared = &shared_with(Timer::after(Duration::from_secs(3600)));
        let failures = || shared.0.get().unwrap().lock().backoff.failures;
        shared.0.get().unwrap().lock().backoff.timer = None;
        shared.begin_delay();
        shared.begin_delay();
        assert_eq!(
            failures(),
            2,
            "the second failure falls into the delay of the first"
        );
        let (woken, waker) = flag();
        assert!(
            shared
                .poll_ready(&mut Context::from_waker(&waker))
                .is_pending()
        );
        shared.reset();
        assert_eq!(shared.0.get().unwrap().lock().backoff.failures, 0);
        assert!(woken.0.load(Ordering::SeqCst));
        assert!(
            shared
                .poll_ready(&mut Context::from_waker(&waker))
                .is_ready()
        );
    }

    #[test]
    fn a_deadline_of_a_dropped_reactor_continues_in_another_one() {
        // The deadline does not pass before the first poll.
        let system = clock::replace(Clock::At(Instant::now()));
        let mut shared = &shared_with(Timer::after(Duration::from_millis(1)));
        let (woken, waker) = flag();
        let mut cx = Context::from_waker(&waker);
        {
            let gone = Reactor::new().unwrap();
            let _entered = gone.enter();
            assert!(shared.poll_ready(&mut cx).is_pending());
            gone.close();
        }
        assert!(woken.0.load(Ordering::SeqCst));
        clock::replace(system);
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let mut polled = shared.poll_ready(&mut cx);
        while polled.is_pending() {
            reactor.turn(None).unwrap();
            polled = shared.poll_ready(&mut cx);
        }
        assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?}");
    }
}
