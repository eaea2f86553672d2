//! A point in time, by the clock of the runtime.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use runtime_reactor::internal::clock;

/// A point in time, by the clock of the runtime.
///
/// Everything of this crate that takes a deadline takes those of [`std::time::Instant`] as well.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime::time::{Instant, sleep};
///
/// # runtime::block_on(async {
/// let start = Instant::now();
/// sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(std::time::Instant);

impl Instant {
    /// Returns the present time.
    pub fn now() -> Instant {
        Instant(clock::now())
    }

    /// Creates an instant from one of the standard library. `From` does the same.
    pub const fn from_std(std: std::time::Instant) -> Instant {
        Instant(std)
    }

    /// Returns the instant of the standard library. `Into` does the same.
    pub const fn into_std(self) -> std::time::Instant {
        self.0
    }

    /// Returns the time from `earlier` to this instant, or zero if `earlier` is later.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// Returns the time from `earlier` to this instant, or `None` if `earlier` is later.
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// Returns the time from `earlier` to this instant, or zero if `earlier` is later.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// Returns the time that has passed since this instant, or zero if it is in the future.
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }

    /// Returns the instant after `duration`, or `None` if the clock cannot represent it.
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(duration).map(Instant)
    }

    /// Returns the instant before `duration`, or `None` if the clock cannot represent it.
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(duration).map(Instant)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<std::time::Instant> for Instant {
    fn from(std: std::time::Instant) -> Instant {
        Instant(std)
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> std::time::Instant {
        instant.0
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    /// Panics if the clock cannot represent the result; see [`Instant::checked_add`].
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    /// Panics if the clock cannot represent the result; see [`Instant::checked_sub`].
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    /// Returns the time between the two, or zero if `earlier` is later.
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_computes_as_the_instant_of_the_standard_library_does() {
        let std = std::time::Instant::now();
        let instant = Instant::from(std);
        assert_eq!(std::time::Instant::from(instant + SECOND), std + SECOND);
        assert_eq!((instant + SECOND) - instant, SECOND);
        assert_eq!(instant - (instant + SECOND), Duration::ZERO);
        assert_eq!(
            instant.saturating_duration_since(instant + SECOND),
            Duration::ZERO
        );
        assert_eq!(instant.checked_duration_since(instant + SECOND), None);
        assert_eq!(instant.checked_add(Duration::MAX), None);
        assert_eq!(instant.checked_sub(Duration::MAX), None);
        let mut moved = instant;
        moved += SECOND;
        assert!(moved > instant && moved.checked_sub(SECOND) == Some(instant));
        moved -= SECOND;
        assert_eq!(moved, instant);
        assert_eq!(format!("{instant:?}"), format!("{std:?}"));
    }

    #[test]
    fn it_is_read_from_the_clock_of_the_thread() {
        let at = std::time::Instant::now() + 1_000 * SECOND;
        let before = clock::replace(clock::Clock::At(at));
        let (now, elapsed) = (Instant::now(), Instant::from(at - SECOND).elapsed());
        clock::replace(before);
        assert_eq!((now, elapsed), (Instant::from_std(at), SECOND));
    }
}
