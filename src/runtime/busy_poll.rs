//! Polling the kernel for a while before the thread sleeps.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

/// The time for which the thread polls, and when that ends.
#[derive(Clone, Default)]
pub(super) struct BusyPoll {
    /// Zero if the thread sleeps at once.
    limit: Duration,
    /// Set while the thread polls and has found nothing.
    until: Cell<Option<Instant>>,
}

impl BusyPoll {
    pub(super) fn new(limit: Duration) -> BusyPoll {
        BusyPoll {
            limit,
            until: Cell::new(None),
        }
    }

    /// Returns true if the thread polls once more, and false if it sleeps.
    pub(super) fn goes_on(&self) -> bool {
        !self.limit.is_zero() && self.goes_on_at(Instant::now())
    }

    /// After a sleep, as after an event, the time begins again.
    fn goes_on_at(&self, now: Instant) -> bool {
        match self.until.get() {
            // A time without end is a time that begins again and again.
            None => self.until.set(now.checked_add(self.limit)),
            Some(until) if now >= until => {
                self.until.set(None);
                return false;
            }
            Some(_) => {}
        }
        true
    }

    /// Notes that there was an event.
    pub(super) fn begin_again(&self) {
        self.until.set(None);
    }
}

impl fmt::Debug for BusyPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_begins_again_after_an_event_and_after_a_sleep() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let busy = BusyPoll::new(Duration::from_millis(10));
        assert!(busy.goes_on_at(at(0)) && busy.goes_on_at(at(9)));
        busy.begin_again();
        assert!(busy.goes_on_at(at(12)) && busy.goes_on_at(at(21)));
        assert!(!busy.goes_on_at(at(22)));
        assert!(busy.goes_on_at(at(50)) && busy.goes_on_at(at(59)) && !busy.goes_on_at(at(60)));
    }

    #[test]
    fn a_time_without_end_does_not_end() {
        let busy = BusyPoll::new(Duration::MAX);
        let start = Instant::now();
        assert!((0..10).all(|s| busy.goes_on_at(start + Duration::from_secs(s << 20))));
    }
}
