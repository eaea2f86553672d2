//! The clock of a thread, which can be exchanged.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The clock that a thread reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The clock of the system.
    System,
    /// A clock that showed `from` when that of the system showed `since`, and runs as fast.
    Running {
        /// The time of the system.
        since: Instant,
        /// The time of this clock.
        from: Instant,
    },
    /// A clock that stands at this instant until it is set again.
    At(Instant),
}

thread_local! {
    /// True if the clock is not that of the system. Has no destructor, so reading it is a load: a
    /// thread-local with one checks at each access whether it is registered.
    static IS_EXCHANGED: Cell<bool> = const { Cell::new(false) };
    static CLOCK: Cell<Clock> = const { Cell::new(Clock::System) };
}

/// Returns the present time by the clock of this thread.
#[inline]
pub fn now() -> Instant {
    if IS_EXCHANGED.get() {
        return read_exchanged();
    }
    Instant::now()
}

#[cold]
#[inline(never)]
fn read_exchanged() -> Instant {
    match CLOCK.get() {
        Clock::At(now) => now,
        Clock::Running { since, from } => from + since.elapsed(),
        Clock::System => Instant::now(),
    }
}

/// Returns the present time by the clock of the system.
#[cold]
pub(crate) fn system() -> Instant {
    Instant::now()
}

/// Returns `start + duration`, or thirty years after `start` if the clock cannot represent that.
pub fn saturating_add(start: Instant, duration: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    start.checked_add(duration).unwrap_or_else(|| start + NEVER)
}

/// Returns the clock of this thread.
pub fn get() -> Clock {
    CLOCK.get()
}

/// Exchanges the clock of this thread, and returns the one before. Reactors, timers and
/// [`now`] read it from then on.
pub fn replace(clock: Clock) -> Clock {
    IS_EXCHANGED.set(clock != Clock::System);
    CLOCK.replace(clock)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_exchanged_clock_is_that_of_its_thread_alone() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1_000);
        assert_eq!(replace(Clock::At(later)), Clock::System);
        assert_eq!((now(), now()), (later, later));
        let elsewhere = std::thread::spawn(|| (get(), now())).join().unwrap();
        assert_eq!(elsewhere.0, Clock::System);
        assert!(elsewhere.1 < later);
        assert_eq!(replace(Clock::System), Clock::At(later));
        assert!(now() < later);
    }

    #[test]
    fn a_running_clock_moves_with_that_of_the_system() {
        let ahead = Duration::from_secs(1_000);
        let since = Instant::now();
        replace(Clock::Running {
            since,
            from: since + ahead,
        });
        let (before, read, after) = (Instant::now(), now(), Instant::now());
        replace(Clock::System);
        assert!(before + ahead <= read && read <= after + ahead);
    }
}
