//! The looks of the watching thread at the poll that is running: when they are due, and what they
//! find. The time is an argument, so that tests choose it.

use std::time::{Duration, Instant};

/// The shortest time between two looks, and the shortest threshold.
const MIN_PERIOD: Duration = Duration::from_millis(1);

/// A threshold that no poll reaches, and that can be added to any time.
const MAX_THRESHOLD: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The state between two looks.
pub(super) struct Looks {
    threshold: Duration,
    next: Instant,
    seen: Option<Seen>,
}

/// The poll that the last look found.
struct Seen {
    poll: u64,
    /// The time of the first look that found it.
    since: Instant,
    is_reported: bool,
}

/// The finding of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    Nothing,
    /// A poll has lasted for the threshold since it was first seen. It is found again until
    /// [`set_reported`](Looks::set_reported).
    TooLong {
        since: Instant,
    },
    /// The poll that was reported has ended.
    Ended {
        poll: u64,
        since: Instant,
    },
}

impl Looks {
    pub(super) fn new(threshold: Duration, now: Instant) -> Looks {
        Looks {
            threshold: threshold.clamp(MIN_PERIOD, MAX_THRESHOLD),
            next: now,
            seen: None,
        }
    }

    /// Returns the time at which the next look is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Looks at the number of the poll that is running, or 0.
    pub(super) fn look(&mut self, poll: u64, now: Instant) -> Finding {
        let finding = match &self.seen {
            Some(seen) if seen.poll == poll => {
                let is_too_long = now.saturating_duration_since(seen.since) >= self.threshold;
                let since = seen.since;
                if is_too_long && !seen.is_reported {
                    Finding::TooLong { since }
                } else {
                    Finding::Nothing
                }
            }
            seen => {
                let ended = seen.as_ref().filter(|seen| seen.is_reported);
                let finding = ended.map_or(Finding::Nothing, |seen| Finding::Ended {
                    poll: seen.poll,
                    since: seen.since,
                });
                self.seen = (poll != 0).then_some(Seen {
                    poll,
                    since: now,
                    is_reported: false,
                });
                finding
            }
        };
        self.next = self.next_after(now);
        finding
    }

    /// Returns the time of the look after one at `now`: a quarter of the threshold later, or when a
    /// poll has lasted for the threshold.
    fn next_after(&self, now: Instant) -> Instant {
        let regular = now + (self.threshold / 4).max(MIN_PERIOD);
        match &self.seen {
            Some(seen) if !seen.is_reported && seen.since + self.threshold > now => {
                regular.min(seen.since + self.threshold)
            }
            _ => regular,
        }
    }

    /// Notes that the poll that was found to last too long was reported.
    pub(super) fn set_reported(&mut self) {
        if let Some(seen) = &mut self.seen {
            seen.is_reported = true;
        }
    }

    /// Returns the time at which a poll was first seen, if the last look found it.
    pub(super) fn since(&self, poll: u64) -> Option<Instant> {
        let seen = self.seen.as_ref().filter(|seen| seen.poll == poll);
        seen.map(|seen| seen.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the time from the beginning of a poll to its report, if each look is made when it is
    /// due. The poll begins `phase` after the first look.
    fn time_to_report(threshold: Duration, phase: Duration) -> Duration {
        let first = Instant::now();
        let mut looks = Looks::new(threshold, first);
        let begin = first + phase;
        loop {
            let now = looks.next();
            let poll = if now < begin { 1 } else { 2 };
            match looks.look(poll, now) {
                Finding::Nothing => assert!(looks.next() > now, "time goes forward"),
                Finding::TooLong { since } => {
                    // Another poll was running before this one, for less than the threshold.
                    assert!(begin <= since && threshold <= now - since);
                    return now - begin;
                }
                Finding::Ended { .. } => panic!("nothing was reported"),
            }
        }
    }

    #[test]
    fn a_poll_that_lasts_is_found_within_twice_the_threshold_whenever_it_begins() {
        for nanos in [
            1_000_000, 1_000_001, 1_999_999, 3_999_999, 4_000_003, 20_000_000,
        ] {
            let threshold = Duration::from_nanos(nanos);
            let mut latest = Duration::ZERO;
            for step in 0..1_000 {
                let phase = threshold * step / 1_001;
                let after = time_to_report(threshold, phase);
                assert!(after >= threshold, "{threshold:?} {phase:?}: {after:?}");
                latest = latest.max(after);
            }
            assert!(latest <= 2 * threshold, "{threshold:?}: {latest:?}");
            if threshold >= Duration::from_millis(4) {
                assert!(latest <= threshold * 5 / 4, "{threshold:?}: {latest:?}");
            }
        }
    }

    #[test]
    fn a_look_that_is_late_finds_the_poll_at_once() {
        let (threshold, first) = (Duration::from_millis(20), Instant::now());
        let mut looks = Looks::new(threshold, first);
        assert_eq!(looks.look(7, first), Finding::Nothing);
        let late = first + Duration::from_secs(3);
        assert_eq!(looks.look(7, late), Finding::TooLong { since: first });
        // Until it is reported it is found again.
        assert_eq!(looks.look(7, late), Finding::TooLong { since: first });
        looks.set_reported();
        assert_eq!(looks.look(7, late), Finding::Nothing);
        assert_eq!(looks.since(7), Some(first));
        let expected = Finding::Ended {
            poll: 7,
            since: first,
        };
        assert_eq!(looks.look(0, late), expected);
        assert_eq!(looks.look(0, late), Finding::Nothing);
        assert_eq!((looks.since(7), looks.since(0)), (None, None));
    }

    #[test]
    fn any_threshold_has_a_next_look() {
        for threshold in [Duration::ZERO, Duration::MAX] {
            let now = Instant::now();
            let mut looks = Looks::new(threshold, now);
            assert_eq!(looks.look(1, now), Finding::Nothing);
            assert!(looks.next() > now);
        }
    }

    #[test]
    fn short_polls_one_after_the_other_are_not_found() {
        let mut looks = Looks::new(Duration::from_millis(4), Instant::now());
        for poll in 1..1_000 {
            let now = looks.next();
            assert_eq!(looks.look(poll, now), Finding::Nothing);
        }
    }
}
