//! Waiting until a deadline.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_executor::internal::poll_proceed;
use runtime_reactor::Timer;

use super::Instant;

/// Waits for at least `duration`.
///
/// The duration begins with this call. A duration that the clock cannot represent counts as thirty
/// years. A duration of zero completes in the next turn of the reactor, so that other events are
/// handled first.
///
/// # Panics
/// The future panics if it is polled outside a runtime, or after the runtime in which it waits was
/// dropped.
///
/// # Cancel safety
/// Dropping the future loses nothing.
///
/// # Examples
/// ```
/// use runtime::time::{Duration, Instant};
///
/// # runtime::block_on(async {
/// let start = Instant::now();
/// runtime::time::sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # });
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(
        super::saturating_add(Instant::now(), duration),
        "sleep",
        Location::caller(),
    )
}

/// Waits until `deadline`.
///
/// A deadline that passed before the last turn of the reactor completes immediately. Of these, one
/// poll of a task may complete 128; then the task yields to the others.
///
/// # Panics
/// The future panics if it is polled outside a runtime, or after the runtime in which it waits was
/// dropped.
///
/// # Cancel safety
/// Dropping the future loses nothing.
///
/// # Examples
/// ```
/// use runtime::time::{Duration, Instant};
///
/// # runtime::block_on(async {
/// let deadline = Instant::now() + Duration::from_millis(2);
/// runtime::time::sleep_until(deadline).await;
/// assert!(Instant::now() >= deadline);
/// # });
/// ```
#[track_caller]
pub fn sleep_until(deadline: impl Into<Instant>) -> Sleep {
    Sleep::new(deadline.into(), "sleep_until", Location::caller())
}

/// The future returned by [`sleep`] and [`sleep_until`].
///
/// The future completes again if it is polled after completion.
///
/// A timer fires in a turn of the reactor, which wakes the task. A task that polls the future
/// without returning to the runtime also sees that the deadline has passed, but late: every 32nd
/// poll that would be pending reads the clock.
///
/// # Examples
/// A task that does not yield:
/// ```
/// use std::future::Future;
/// use std::pin::pin;
/// use std::task::{Context, Waker};
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let mut limit = pin!(runtime::time::sleep(Duration::from_millis(1)));
/// let mut cx = Context::from_waker(Waker::noop());
/// while limit.as_mut().poll(&mut cx).is_pending() {
///     // ... work ...
/// }
/// # });
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    timer: Timer,
    progress: Progress,
    /// The function that created it and the caller, for the text of a panic.
    constructor: &'static str,
    location: &'static Location<'static>,
}

/// The results of the polls of a [`Sleep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It was not polled since it was created, reset or completed.
    New,
    /// It was pending. Counts the polls since the clock was read, from 1.
    Pending(u8),
    /// The clock has shown in one of those polls that the deadline has passed.
    Elapsed,
}

/// The clock is read in one of this many pending polls.
const POLLS_PER_CLOCK_READ: u8 = 32;

impl Sleep {
    pub(super) fn new(
        deadline: Instant,
        constructor: &'static str,
        location: &'static Location<'static>,
    ) -> Sleep {
        Sleep {
            timer: Timer::at(deadline.into()),
            progress: Progress::New,
            constructor,
            location,
        }
    }

    /// Sets how much later than its deadline the future may complete, in whole microseconds up to
    /// an hour. Default zero.
    ///
    /// It never completes before its deadline. Timers with slack complete together, as far as their
    /// windows from deadline to deadline plus slack allow. That takes fewer wake-ups: give slack to
    /// timers of which there are many, and to those of a program that should let the processor
    /// sleep. Each is moved to the roundest time in its window, counted from the creation of the
    /// runtime, so a slack of 1 ms leads to at most two wake-ups in a millisecond.
    ///
    /// # Examples
    /// ```
    /// use std::time::{Duration, Instant};
    /// use runtime::time::sleep;
    ///
    /// # runtime::block_on(async {
    /// let deadline = Instant::now() + Duration::from_millis(5);
    /// let sleeps = (0..100).map(|n| {
    ///     let sleep = sleep(Duration::from_micros(5_000 + n));
    ///     runtime::spawn(sleep.slack(Duration::from_millis(1)))
    /// });
    /// for sleep in sleeps.collect::<Vec<_>>() {
    ///     sleep.await.unwrap();
    /// }
    /// assert!(Instant::now() >= deadline);
    /// # });
    /// ```
    pub fn slack(mut self, slack: Duration) -> Sleep {
        self.set_slack(slack);
        self
    }

    pub(super) fn set_slack(&mut self, slack: Duration) {
        self.timer.set_slack(slack);
    }

    /// Returns the deadline.
    pub fn deadline(&self) -> Instant {
        self.timer.deadline().into()
    }

    /// Returns true if the deadline has passed, by the time at which the reactor, or a poll of this
    /// future, last read the clock.
    pub fn is_elapsed(&self) -> bool {
        self.progress == Progress::Elapsed || self.timer.is_elapsed()
    }

    /// Changes the deadline, also after the previous one has passed. A task that awaits the future
    /// continues to wait.
    ///
    /// # Complexity
    /// O(1), or amortized O(log n) in the number of timers for one of the earliest, without a
    /// system call.
    ///
    /// # Examples
    /// An idle timeout that activity postpones:
    /// ```
    /// use runtime::time::{Duration, Instant, sleep};
    ///
    /// # runtime::block_on(async {
    /// let mut idle = sleep(Duration::from_millis(1));
    /// for _ in 0..3 {
    ///     // ... work ...
    ///     idle.reset(Instant::now() + Duration::from_millis(1));
    /// }
    /// idle.await;
    /// # });
    /// ```
    pub fn reset(&mut self, deadline: impl Into<Instant>) {
        self.progress = Progress::New;
        self.timer.reset(deadline.into().into());
    }

    /// Notes a poll that found the timer pending. Returns true if the deadline has passed all the
    /// same.
    fn has_passed_unseen(&mut self) -> bool {
        let polls = match self.progress {
            Progress::Pending(polls) => polls,
            _ => 0,
        };
        self.progress = Progress::Pending(polls % POLLS_PER_CLOCK_READ + 1);
        polls == POLLS_PER_CLOCK_READ && self.read_clock()
    }

    #[cold]
    fn read_clock(&mut self) -> bool {
        let deadline = self.deadline();
        let has_passed = runtime_reactor::internal::has_passed(&self.timer);
        if has_passed {
            // Disarmed. The reactor would arm another timer until its next turn.
            let slack = self.timer.slack();
            self.timer = Timer::at(deadline.into());
            self.timer.set_slack(slack);
            self.progress = Progress::Elapsed;
        }
        has_passed
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.progress == Progress::Elapsed {
            // If it yields, the timer is armed again.
            let polled = poll_proceed(cx);
            if polled.is_pending() {
                self.progress = Progress::Pending(1);
            }
            return polled;
        }
        match Pin::new(&mut self.timer).poll(cx) {
            Poll::Pending if self.has_passed_unseen() => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                // A timer that has waited, or yielded, is not counted.
                if self.progress == Progress::New && poll_proceed(cx).is_pending() {
                    self.progress = Progress::Pending(1);
                    return Poll::Pending;
                }
                self.progress = Progress::New;
                Poll::Ready(())
            }
            Poll::Ready(Err(e)) => panic!(
                "time::{} called at {}: {e}",
                self.constructor, self.location
            ),
        }
    }
}
