//! The number of operations that a source may complete in one turn of the reactor.

use std::sync::atomic::{AtomicU32, Ordering};

/// A source completes at most this many operations in one turn; then its task yields to others. It
/// keeps a peer that sends without end from starving its neighbors.
const LIMIT: u32 = 128;

/// The lower bits of a counter hold the operations, the upper ones the turn in which they were
/// completed.
const OPERATION_BITS: u32 = 8;
const OPERATIONS: u32 = (1 << OPERATION_BITS) - 1;

/// Returns the counter of a source that has completed nothing in `turn`.
pub(crate) const fn unused(turn: u32) -> u32 {
    turn << OPERATION_BITS
}

/// Returns the lower bits of the number of the turn in which nothing was completed.
pub(crate) const fn turn(unused: u32) -> u32 {
    unused >> OPERATION_BITS
}

/// The operations that a source completed in one turn. Plain loads and stores: threads that share a
/// source may count too few, which is harmless.
#[derive(Debug, Default)]
pub(crate) struct Quota(AtomicU32);

impl Quota {
    /// Counts an operation of the turn whose unused counter is `unused`. Returns false, and counts
    /// nothing, if the quota of the turn is used up.
    #[inline]
    pub(crate) fn take(&self, unused: u32) -> bool {
        let mut used = self.0.load(Ordering::Relaxed);
        let in_this_turn = used.wrapping_sub(unused);
        if in_this_turn >= LIMIT {
            if in_this_turn <= OPERATIONS {
                return false;
            }
            // It was another turn.
            used = unused;
        }
        self.0.store(used + 1, Ordering::Relaxed);
        true
    }

    /// Takes back the last operation, which found nothing.
    pub(crate) fn refund(&self) {
        let used = self.0.load(Ordering::Relaxed);
        if used & OPERATIONS != 0 {
            self.0.store(used - 1, Ordering::Relaxed);
        }
    }
}
