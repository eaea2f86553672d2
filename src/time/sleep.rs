//! Waiting until a deadline.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use runtime_reactor::Timer;

/// Waits for at least `duration`.
///
/// The duration begins with this call. One that the clock cannot represent counts as thirty years.
/// A duration of zero completes in the next turn of the reactor, so that sockets are served
/// meanwhile.
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
/// use std::time::{Duration, Instant};
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
/// A deadline that passed before the last turn of the reactor completes immediately.
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
/// use std::time::{Duration, Instant};
///
/// # runtime::block_on(async {
/// let deadline = Instant::now() + Duration::from_millis(2);
/// runtime::time::sleep_until(deadline).await;
/// assert!(Instant::now() >= deadline);
/// # });
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(deadline, "sleep_until", Location::caller())
}

/// The future returned by [`sleep`] and [`sleep_until`].
///
/// Polled after completion, it completes again.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    timer: Timer,
    /// The function that created it and the caller, for the text of a panic.
    constructor: &'static str,
    location: &'static Location<'static>,
}

impl Sleep {
    pub(super) fn new(
        deadline: Instant,
        constructor: &'static str,
        location: &'static Location<'static>,
    ) -> Sleep {
        Sleep {
            timer: Timer::at(deadline),
            constructor,
            location,
        }
    }

    /// Returns the deadline.
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// Returns true if the deadline has passed, by the time at which the reactor last read the
    /// clock.
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
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
    /// use std::time::{Duration, Instant};
    /// use runtime::time::sleep;
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
    pub fn reset(&mut self, deadline: Instant) {
        self.timer.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let result = ready!(Pin::new(&mut self.timer).poll(cx));
        match result {
            Ok(()) => Poll::Ready(()),
            Err(e) => panic!(
                "time::{} called at {}: {e}",
                self.constructor, self.location
            ),
        }
    }
}
