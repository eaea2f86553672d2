//! Periodic ticks.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::{Sleep, saturating_add};

/// Creates an interval that ticks every `period`, beginning immediately.
///
/// # Panics
/// Panics if `period` is zero.
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

/// Creates an interval that ticks every `period`, beginning at `start`.
///
/// # Panics
/// Panics if `period` is zero.
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

/// The policy of an [`Interval`] for ticks that were missed, because a tick was awaited only after
/// the next one was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTickBehavior {
    /// Missed ticks complete immediately, one after the other, until the interval has caught up.
    #[default]
    Burst,
    /// The next tick is due a period after the late one, and later ticks follow from that.
    Delay,
    /// Missed ticks are skipped; the next tick is due at the next multiple of the period.
    Skip,
}

impl MissedTickBehavior {
    /// Returns when the next tick is due after one that was due at `due` and completed at `now`.
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

/// A sequence of ticks at a fixed period, created by [`interval`] and [`interval_at`].
#[derive(Debug)]
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and returns the instant at which it was due.
    ///
    /// # Panics
    /// Panics if it is polled outside a runtime, or after the runtime in which it waits was
    /// dropped.
    ///
    /// # Cancel safety
    /// Dropping the future loses no tick.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Poll-based version of [`tick`](Interval::tick).
    ///
    /// # Panics
    /// Panics if it is called outside a runtime, or after the runtime in which it waits was
    /// dropped.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let due = self.sleep.deadline();
        let next = self
            .missed
            .next(due, runtime_reactor::internal::now(), self.period);
        self.sleep.reset(next);
        Poll::Ready(due)
    }

    /// Postpones the next tick until a period from now. Later ticks follow from that.
    ///
    /// # Examples
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// # runtime::block_on(async {
    /// let mut interval = runtime::time::interval(Duration::from_millis(1));
    /// let before = Instant::now();
    /// interval.reset(); // otherwise the first tick would be immediate
    /// assert!(interval.tick().await >= before + interval.period());
    /// # });
    /// ```
    pub fn reset(&mut self) {
        self.reset_at(saturating_add(Instant::now(), self.period));
    }

    /// Moves the next tick to `deadline`. Later ticks follow from that.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.sleep.reset(deadline);
    }

    /// Returns the time between ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Returns the policy for missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Sets the policy for missed ticks. Default [`MissedTickBehavior::Burst`].
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

/// Yields the instants at which the ticks were due, without end.
impl Stream for Interval {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_tick(cx).map(Some)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks_burst_or_are_delayed_or_skipped() {
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
