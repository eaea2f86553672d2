//! The timers of a connection: the measured round trip, and probes.

use std::time::Duration;

/// The shortest time after which anything is sent again.
const MIN_TIMEOUT: Duration = Duration::from_millis(200);
/// The longest.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);
/// The time before the first measurement.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);

/// The most keepalive probes, as on Linux.
pub(super) const KEEPALIVE_RETRIES: u32 = 127;

/// The smoothed round trip and its variation, as in RFC 6298.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Option<(Duration, Duration)>,
    /// The position whose acknowledgment ends the measurement, and when it was sent.
    measuring: Option<(u64, Duration)>,
}

impl RoundTrip {
    /// Begins a measurement, unless there is one.
    pub(super) fn begin(&mut self, position: u64, now: Duration) {
        self.measuring.get_or_insert((position, now));
    }

    /// Ends the measurement if `position` was acknowledged.
    pub(super) fn end(&mut self, position: u64, now: Duration) {
        let Some((measured, since)) = self.measuring.filter(|(it, _)| *it <= position) else {
            return;
        };
        let _ = measured;
        self.measuring = None;
        let sample = now.saturating_sub(since);
        self.smoothed = Some(match self.smoothed {
            None => (sample, sample / 2),
            Some((smoothed, variation)) => (
                (smoothed * 7 + sample) / 8,
                (variation * 3 + smoothed.abs_diff(sample)) / 4,
            ),
        });
    }

    /// Drops the measurement: what is sent again measures nothing (Karn's algorithm).
    pub(super) fn forget(&mut self) {
        self.measuring = None;
    }

    /// Returns the time after which unacknowledged data is sent again, doubled with each retry.
    pub(super) fn timeout(&self, retries: u32) -> Duration {
        let base = match self.smoothed {
            None => FIRST_TIMEOUT,
            Some((smoothed, variation)) => (smoothed + variation * 4).max(MIN_TIMEOUT),
        };
        base.saturating_mul(1 << retries.min(10)).min(MAX_TIMEOUT)
    }
}

/// The schedule of keepalive probes.
#[derive(Debug, Clone)]
pub(in super::super) struct Keepalive {
    pub(in super::super) time: Duration,
    pub(in super::super) interval: Duration,
    pub(in super::super) retries: u32,
    /// When the next probe is due.
    pub(in super::super) due: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_round_trips_and_doubles_with_each_retry() {
        let mut trip = RoundTrip::default();
        assert_eq!(trip.timeout(0), FIRST_TIMEOUT);
        let ms = Duration::from_millis;
        trip.begin(5, ms(0));
        trip.begin(9, ms(50));
        trip.end(4, ms(60));
        assert_eq!(trip.timeout(0), FIRST_TIMEOUT, "it was not acknowledged");
        trip.end(5, ms(100));
        assert_eq!(trip.timeout(0), ms(300));
        assert_eq!(trip.timeout(2), ms(1200));
        assert_eq!(trip.timeout(99), MAX_TIMEOUT);
        for _ in 0..50 {
            trip.begin(0, ms(0));
            trip.end(0, ms(1));
        }
        assert_eq!(trip.timeout(0), MIN_TIMEOUT);
    }
}
