//! Points in time that come again and again.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::{Sleep, saturating_add};

/// Ticks every `period`, for the first time at once.
///
/// # Panics
/// If `period` is zero.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let mut interval = runtime::time::interval(Duration::from_millis(1));
/// let first = interval.tick().await;
/// let second = interval.tick().await;
/// assert_eq!(second - first, Duration::from_millis(1));
/// # });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks every `period`, for the first time at `start`.
///
/// # Panics
/// If `period` is zero.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
///
/// # runtime::block_on(async {
/// let start = Instant::now() + Duration::from_millis(2);
/// let mut interval = runtime::time::interval_at(start, Duration::from_millis(1));
/// assert_eq!(interval.tick().await, start);
/// # });
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "interval_at was called with a period of zero"
    );
    let missed = MissedTickBehavior::default();
    Interval {
        sleep: Sleep::new(start, "interval", Location::caller()),
        period,
        missed,
    }
}

/// What an [`Interval`] does when a tick is awaited so late that the next one is due already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTickBehavior {
    /// The missed ticks come at once, one after the other, until the interval has caught up.
    #[default]
    Burst,
    /// The next tick comes a period after the late one; the following ones go by that.
    Delay,
    /// The missed ticks are left out; the next one comes when it always would have.
    Skip,
}

impl MissedTickBehavior {
    /// When the tick after the one that was due at `due` and came at `now` is due.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        let next = saturating_add(due, period);
        if now < next {
            return next;
        }
        match self {
            MissedTickBehavior::Burst => next,
            MissedTickBehavior::Delay => saturating_add(now, period),
            MissedTickBehavior::Skip => {
                let into_period = now.saturating_duration_since(due).as_nanos() % period.as_nanos();
                let into_period = Duration::from_nanos(into_period as u64);
                saturating_add(now, period.saturating_sub(into_period))
            }
        }
    }
}

/// Made by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and gives the instant it was due at.
    ///
    /// # Panics
    /// As [`sleep`](super::sleep).
    ///
    /// # Cancel safety
    /// Dropping the future loses no tick.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Interval::tick), for those who poll.
    ///
    /// # Panics
    /// As [`sleep`](super::sleep).
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let due = self.sleep.deadline();
        let next = self
            .missed
            .next(due, runtime_reactor::internal::now(), self.period);
        self.sleep.reset(next);
        Poll::Ready(due)
    }

    /// Lets the next tick come a period from now.
    ///
    /// # Examples
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// # runtime::block_on(async {
    /// let mut interval = runtime::time::interval(Duration::from_millis(1));
    /// let before = Instant::now();
    /// interval.reset(); // not at once, as it would be
    /// assert!(interval.tick().await >= before + interval.period());
    /// # });
    /// ```
    pub fn reset(&mut self) {
        self.reset_at(saturating_add(Instant::now(), self.period));
    }

    /// Lets the next tick come at `deadline`, and the following ones by that.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.sleep.reset(deadline);
    }

    /// The time between ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What is done about missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Chooses what is done about missed ticks.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::time::{MissedTickBehavior, interval};
    ///
    /// let mut interval = interval(Duration::from_secs(1));
    /// interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    /// assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Skip);
    /// ```
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks_come_at_once_or_are_delayed_or_skipped() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let period = Duration::from_millis(10);
        let next = |behavior: MissedTickBehavior, now| behavior.next(at(100), at(now), period);
        for behavior in [
            MissedTickBehavior::Burst,
            MissedTickBehavior::Delay,
            MissedTickBehavior::Skip,
        ] {
            assert_eq!(next(behavior, 100), at(110), "{behavior:?}, in time");
            assert_eq!(
                next(behavior, 109),
                at(110),
                "{behavior:?}, late but nothing missed"
            );
        }
        assert_eq!(next(MissedTickBehavior::Burst, 134), at(110));
        assert_eq!(next(MissedTickBehavior::Delay, 134), at(144));
        assert_eq!(next(MissedTickBehavior::Skip, 134), at(140));
        assert_eq!(next(MissedTickBehavior::Skip, 130), at(140));
    }
}
