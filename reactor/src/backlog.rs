//! The number of connections that may be accepted before a listener is asked again.
//!
//! An attempt to accept that finds nothing is a system call, and one for which Linux allocates a
//! socket first. A listener whose selector reports levels needs no such attempt: after a connection
//! was accepted, the next wait reports whether there is another one. That alone would allow one
//! connection in each turn, so the number grows when one turn after the other finds a connection.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering::Relaxed};

/// The number of turns in a row that have to find a connection before two are accepted in one. It
/// doubles each time the second one is not there.
const MIN_PATIENCE: u8 = 4;
const MAX_PATIENCE: u8 = 64;

/// Batches that are this many turns apart follow each other.
const MAX_TURNS_APART: u32 = 2;

/// The largest number of connections that are accepted for one report.
const MAX_BATCH: u8 = 64;

/// The number of attempts that find nothing before a listener is first watched by level. The limit
/// is larger each time: changing the trigger is a system call too, and it is changed back when no
/// task waits for a connection that came.
const FIRST_LIMIT: u16 = 2;
const MAX_LIMIT: u16 = 512;

/// A guess of how many connections wait in the queue of a listener.
///
/// It consists of plain loads and stores. Threads that accept from one listener may disturb the
/// guess, which costs an attempt or a turn.
#[derive(Debug)]
pub struct Backlog {
    /// The turn in which the last batch ended.
    last: AtomicU32,
    /// The number of connections that may still be accepted before the next report.
    left: AtomicU8,
    batch: AtomicU8,
    /// The number of batches of one connection that were used up one after the other.
    streak: AtomicU8,
    patience: AtomicU8,
    /// The number of attempts that found nothing on a listener that is watched by edge.
    vain: AtomicU16,
    limit: AtomicU16,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog {
            last: AtomicU32::new(0),
            left: AtomicU8::new(0),
            batch: AtomicU8::new(1),
            streak: AtomicU8::new(0),
            patience: AtomicU8::new(MIN_PATIENCE),
            vain: AtomicU16::new(0),
            limit: AtomicU16::new(FIRST_LIMIT),
        }
    }
}

impl Backlog {
    /// Counts a connection that was accepted in turn `turn`. Returns true if the next attempt has
    /// to wait for a report.
    pub(crate) fn take(&self, turn: u32) -> bool {
        let left = match self.left.load(Relaxed) {
            0 => self.begin_batch(turn),
            left => left,
        };
        self.left.store(left - 1, Relaxed);
        if left == 1 {
            self.last.store(turn, Relaxed);
        }
        left == 1
    }

    /// Returns the size of a batch that begins in turn `turn`.
    fn begin_batch(&self, turn: u32) -> u8 {
        let is_next = turn.wrapping_sub(self.last.load(Relaxed)) <= MAX_TURNS_APART;
        let (batch, streak) = (self.batch.load(Relaxed), self.streak.load(Relaxed));
        let patience = self.patience.load(Relaxed);
        let (batch, streak) = if !is_next {
            (1, 0)
        } else if streak < patience {
            (1, streak + 1)
        } else {
            if batch == 2 {
                self.patience.store(MIN_PATIENCE, Relaxed);
            }
            ((batch * 2).min(MAX_BATCH), streak)
        };
        self.batch.store(batch, Relaxed);
        self.streak.store(streak, Relaxed);
        batch
    }

    /// Notes that an attempt found nothing, although the batch was not used up. The next batch is
    /// as large as this one turned out to be.
    pub(crate) fn end_batch(&self, turn: u32) {
        self.last.store(turn, Relaxed);
        let accepted = self.batch.load(Relaxed) - self.left.load(Relaxed);
        self.left.store(0, Relaxed);
        self.batch.store((accepted / 2).max(1), Relaxed);
        if accepted < 2 {
            let patience = self.patience.load(Relaxed).saturating_mul(2);
            self.patience.store(patience.min(MAX_PATIENCE), Relaxed);
            self.streak.store(0, Relaxed);
        }
    }

    /// Counts an attempt that found nothing on a listener that is watched by edge. Returns true if
    /// it is worth a system call to watch it by level.
    pub(crate) fn wants_level(&self) -> bool {
        let (vain, limit) = (self.vain.load(Relaxed) + 1, self.limit.load(Relaxed));
        if vain < limit {
            self.vain.store(vain, Relaxed);
            return false;
        }
        self.vain.store(0, Relaxed);
        self.limit.store((limit * 4).min(MAX_LIMIT), Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves a queue to which `arriving` connections come in each of the `turns`. Returns the
    /// number of accepted connections and of attempts that found nothing.
    fn serve(
        backlog: &Backlog,
        mut queue: u32,
        arriving: u32,
        turns: std::ops::Range<u32>,
    ) -> (u32, u32) {
        let (mut accepted, mut vain) = (0, 0);
        for turn in turns {
            queue += arriving;
            while queue > 0 {
                queue -= 1;
                accepted += 1;
                if backlog.take(turn) {
                    break;
                }
                if queue == 0 {
                    backlog.end_batch(turn);
                    vain += 1;
                }
            }
        }
        (accepted, vain)
    }

    #[test]
    fn one_connection_in_each_turn_costs_few_attempts_that_find_nothing() {
        let (accepted, vain) = serve(&Backlog::default(), 0, 1, 0..10_000);
        assert_eq!(accepted, 10_000);
        assert!(vain <= 160, "{vain}");
    }

    #[test]
    fn a_connection_now_and_then_costs_no_attempt_that_finds_nothing() {
        let backlog = Backlog::default();
        for turn in (0..10_000).step_by(3) {
            assert!(backlog.take(turn));
        }
    }

    #[test]
    fn a_burst_takes_few_turns() {
        let backlog = Backlog::default();
        // Its patience has grown.
        serve(&backlog, 0, 1, 0..10_000);
        let mut turns = 0..1;
        let mut left = 10_000;
        while left > 0 {
            left -= serve(&backlog, left, 0, turns.clone()).0;
            turns = turns.end..turns.end + 1;
        }
        assert!(turns.end <= 310, "{turns:?}");
    }

    #[test]
    fn several_connections_in_each_turn_are_accepted_as_fast_as_they_come() {
        for arriving in 2..50 {
            let (accepted, vain) = serve(&Backlog::default(), 0, arriving, 0..10_000);
            assert!(
                accepted + 2_000 >= arriving * 10_000,
                "{arriving}: {accepted}"
            );
            assert!(vain <= accepted / 4, "{arriving}: {vain} of {accepted}");
        }
    }

    #[test]
    fn the_trigger_is_changed_rarely() {
        let backlog = Backlog::default();
        let changes = (0..10_000).filter(|_| backlog.wants_level()).count();
        assert!(!Backlog::default().wants_level());
        assert!(changes <= 25, "{changes}");
    }
}
