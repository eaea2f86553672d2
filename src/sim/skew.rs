//! The clock of a host, which may be ahead and may run at another rate.

use std::time::{Duration, Instant};

/// The relation of a host's clock to the virtual time of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Skew {
    pub(super) ahead: Duration,
    /// The number of microseconds that the clock gains in a second.
    pub(super) drift: i32,
}

const MILLION: i128 = 1_000_000;

impl Skew {
    fn rate(self) -> i128 {
        // A clock that stands still would never reach a deadline.
        (MILLION + i128::from(self.drift)).max(1)
    }

    /// Returns the host's clock at a virtual time. `start` is that of a clock without skew at zero.
    pub(super) fn local(self, start: Instant, time: Duration) -> Instant {
        start + self.ahead + duration(nanos(time) * self.rate() / MILLION)
    }

    /// Returns the earliest virtual time at which the host's clock has reached `local`.
    pub(super) fn virtual_time(self, start: Instant, local: Instant) -> Duration {
        let since = local.saturating_duration_since(start + self.ahead);
        let rate = self.rate();
        // The inverse of the rounding down above.
        duration((nanos(since) * MILLION + rate - 1) / rate)
    }
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / (2 * MILLION))
}

fn duration(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_is_the_first_time_at_which_the_clock_has_the_value() {
        let start = Instant::now();
        let ahead = Duration::from_secs(3);
        for drift in [0, 1, -1, 200, -200, 500_000, -500_000] {
            let skew = Skew { ahead, drift };
            for local in [0, 1, 2, 999, 1_000_000, 1_000_000_007, 86_400_000_000_001] {
                let local = start + ahead + Duration::from_nanos(local);
                let time = skew.virtual_time(start, local);
                assert!(skew.local(start, time) >= local, "{drift}");
                if let Some(before) = time.checked_sub(Duration::from_nanos(1)) {
                    assert!(skew.local(start, before) < local, "{drift}");
                }
            }
        }
    }

    #[test]
    fn a_fast_clock_gains_and_a_slow_one_loses() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let at = |drift| {
            Skew {
                ahead: Duration::ZERO,
                drift,
            }
            .local(start, second)
                - start
        };
        assert_eq!(at(0), second);
        assert_eq!(at(100), second + Duration::from_micros(100));
        assert_eq!(at(-100), second - Duration::from_micros(100));
        assert!(at(i32::MIN) < second);
    }

    #[test]
    fn a_deadline_in_the_past_is_due_at_once() {
        let start = Instant::now();
        let skew = Skew {
            ahead: Duration::from_secs(5),
            drift: 0,
        };
        assert_eq!(skew.virtual_time(start, start), Duration::ZERO);
    }
}
