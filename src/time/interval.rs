//! Periodic ticks.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use super::{Instant, Sleep, saturating_add};

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
/// use runtime::time::{Duration, Instant};
///
/// # runtime::block_on(async {
/// let start = Instant::now() + Duration::from_millis(2);
/// let mut interval = runtime::time::interval_at(start, Duration::from_millis(1));
/// assert_eq!(interval.tick().await, start);
/// # });
/// ```
#[track_caller]
pub fn interval_at(start: impl Into<Instant>, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "interval_at was called with a period of zero"
    );
    let missed = MissedTickBehavior::default();
    Interval {
        sleep: Sleep::new(start.into(), "interval", Location::caller()),
        period,
        missed,
        tolerance: TOLERANCE,
    }
}

/// The policy of an [`Interval`] for ticks that complete late, because the task did not await them
/// in time.
///
/// A tick is late if it completes more than 5 milliseconds after it was due, or after the next one
/// was due. The clock is read when it completes. For a period of 100 milliseconds and work that
/// takes 150 once, after the tick at 100, ticks return these instants:
///
/// | behavior | ticks |
/// |---|---|
/// | `Burst` | 100, 200, 300, 400 |
/// | `Delay` | 100, 200 (completes at 250), 350, 450 |
/// | `Skip` | 100, 200 (completes at 250), 300, 400 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTickBehavior {
    /// Missed ticks complete immediately, one after the other, until the interval has caught up.
    /// Of these, one poll of a task may complete 128.
    #[default]
    Burst,
    /// The next tick is due a period after the late one, and later ticks follow from that.
    Delay,
    /// Missed ticks are skipped; the next tick is due at the next multiple of the period after the
    /// one that was late.
    Skip,
}

/// A timer may fire this much later than its deadline without being treated as late.
const TOLERANCE: Duration = Duration::from_millis(5);

impl MissedTickBehavior {
    /// Returns when the next tick is due after one that was due at `due` and completed at `now`.
    fn next(self, due: Instant, now: Instant, period: Duration, tolerance: Duration) -> Instant {
        let next = saturating_add(due, period);
        if now < next && now.saturating_duration_since(due) <= tolerance {
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
    /// The delay up to which a tick is not late.
    tolerance: Duration,
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
        let next = match self.missed {
            // The same whatever the time is.
            MissedTickBehavior::Burst => saturating_add(due, self.period),
            // The time of the last turn would hide what the task has done since.
            late => late.next(due, Instant::now(), self.period, self.tolerance),
        };
        self.sleep.reset(next);
        Poll::Ready(due)
    }

    /// Postpones the next tick until a period from now. Later ticks follow from that.
    ///
    /// # Examples
    /// ```
    /// use runtime::time::{Duration, Instant};
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

    /// Makes the next tick due now. Later ticks follow from that.
    ///
    /// # Examples
    /// ```
    /// use runtime::time::{Duration, Instant};
    ///
    /// # runtime::block_on(async {
    /// let mut interval = runtime::time::interval(Duration::from_secs(3600));
    /// interval.tick().await;
    /// interval.reset_immediately(); // otherwise the second tick would take an hour
    /// assert!(interval.tick().await <= Instant::now());
    /// # });
    /// ```
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// Postpones the next tick until `after` from now. Later ticks follow from that.
    ///
    /// # Examples
    /// ```
    /// use runtime::time::{Duration, Instant};
    ///
    /// # runtime::block_on(async {
    /// let mut interval = runtime::time::interval(Duration::from_secs(3600));
    /// let before = Instant::now();
    /// interval.reset_after(Duration::from_millis(2));
    /// assert!(interval.tick().await >= before + Duration::from_millis(2));
    /// # });
    /// ```
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(saturating_add(Instant::now(), after));
    }

    /// Moves the next tick to `deadline`. Later ticks follow from that.
    pub fn reset_at(&mut self, deadline: impl Into<Instant>) {
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

    /// Sets how much later than it is due a tick may complete, as [`Sleep::slack`] does. A tick
    /// that completes within its slack is not late.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::time::interval;
    ///
    /// # runtime::block_on(async {
    /// // Completes together with other timers that have slack.
    /// let mut interval = interval(Duration::from_millis(3)).slack(Duration::from_millis(1));
    /// let first = interval.tick().await;
    /// assert_eq!(interval.tick().await - first, Duration::from_millis(3));
    /// # });
    /// ```
    pub fn slack(mut self, slack: Duration) -> Interval {
        self.sleep.set_slack(slack);
        self.tolerance = TOLERANCE.saturating_add(slack);
        self
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
    use super::MissedTickBehavior::{Burst, Delay, Skip};
    use super::*;

    /// Period, lateness, and when the next tick is due under each behavior. All in milliseconds,
    /// counted from the instant at which the late tick was due.
    const TABLE: &[(u64, u64, u64, u64, u64)] = &[
        // period, lateness, Burst, Delay, Skip
        (100, 0, 100, 100, 100),
        // Up to 5 milliseconds are not a delay.
        (100, 4, 100, 100, 100),
        (100, 5, 100, 100, 100),
        // Late, but no tick is missed.
        (100, 6, 100, 106, 100),
        (100, 50, 100, 150, 100),
        (100, 99, 100, 199, 100),
        // Ticks are missed.
        (100, 100, 100, 200, 200),
        (100, 101, 100, 201, 200),
        (100, 159, 100, 259, 200),
        (100, 250, 100, 350, 300),
        (100, 1_000, 100, 1_100, 1_100),
        // A period below 5 milliseconds: a missed tick is one, however short the delay.
        (2, 1, 2, 2, 2),
        (2, 2, 2, 4, 4),
        (2, 3, 2, 5, 4),
        (2, 7, 2, 9, 8),
    ];

    #[test]
    fn the_next_tick_is_due_as_the_table_says() {
        let due = Instant::now();
        let after = |ms| due + Duration::from_millis(ms);
        for &(period, lateness, burst, delay, skip) in TABLE {
            let next = |behavior: MissedTickBehavior| {
                behavior.next(
                    due,
                    after(lateness),
                    Duration::from_millis(period),
                    TOLERANCE,
                )
            };
            let context = format!("period {period}, lateness {lateness}");
            assert_eq!(next(Burst), after(burst), "Burst, {context}");
            assert_eq!(next(Delay), after(delay), "Delay, {context}");
            assert_eq!(next(Skip), after(skip), "Skip, {context}");
        }
    }

    #[test]
    fn a_skipped_tick_is_due_at_a_multiple_of_the_period_and_later_than_now() {
        let due = Instant::now();
        for period in [1, 3, 7, 1_000, 999_999_937] {
            for lateness in [0, 1, 2, 6, 7, 8, 5_000_001, 999_999_937, 3_600_000_000_001] {
                let (now, period) = (
                    due + Duration::from_nanos(lateness),
                    Duration::from_nanos(period),
                );
                let next = Skip.next(due, now, period, TOLERANCE);
                assert!(
                    next > now && next - now <= period,
                    "{lateness} of {period:?}"
                );
                assert_eq!((next - due).as_nanos() % period.as_nanos(), 0);
            }
        }
    }

    #[test]
    fn the_longest_period_ends_in_no_lifetime_of_a_process() {
        let due = Instant::now();
        let decades = Duration::from_secs(60 * 60 * 24 * 365 * 20);
        for behavior in [Burst, Delay, Skip] {
            for lateness in [0, 1, 6_000_000_000] {
                let now = due + Duration::from_nanos(lateness);
                assert!(behavior.next(due, now, Duration::MAX, TOLERANCE) > now + decades);
            }
        }
    }
}
