//! A future that is ready at a point in time.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use runtime_reactor::Timer;

/// Waits for `duration`, at least. A duration too long for the clock is one of thirty years.
///
/// Polled once, a duration of zero lets the runtime look at its sockets once.
///
/// # Panics
/// When it is polled outside a runtime, or after the runtime in which it waits is gone.
///
/// # Cancel safety
/// Dropping it loses nothing.
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

/// Waits until `deadline`; not at all if that has passed. See [`sleep`].
///
/// # Panics
/// As [`sleep`].
///
/// # Cancel safety
/// Dropping it loses nothing.
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

/// The future of [`sleep`] and [`sleep_until`]. Polled after it was ready it is ready again.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    timer: Timer,
    /// Who made it, and where: for the panic outside a runtime.
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

    /// When it is ready.
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// Whether its deadline has passed, as of the last time the runtime looked at the clock.
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// Moves the deadline, whether it has passed or not. Whoever awaits it goes on waiting.
    ///
    /// # Complexity
    /// O(1) for a later deadline, O(log n) of all timers for an earlier one; no system call.
    ///
    /// # Examples
    /// An idle timeout that every piece of work postpones:
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
