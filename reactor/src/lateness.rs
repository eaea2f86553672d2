//! The lateness of timers, counted on request.

/// The number of timers by their lateness: the one at `n` counts those that were at least 2^(n-1)
/// and less than 2^n nanoseconds late. The last one counts all later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// The counts.
    pub counts: [u64; Lateness::BUCKETS],
    /// The sum in nanoseconds.
    pub sum: u64,
}

impl Lateness {
    /// The number of counts: the last one begins at nine minutes.
    pub const BUCKETS: usize = 40;

    pub(crate) fn record(&mut self, nanos: u64) {
        let bits = (u64::BITS - nanos.leading_zeros()) as usize;
        self.counts[bits.min(Lateness::BUCKETS - 1)] += 1;
        self.sum = self.sum.saturating_add(nanos);
    }
}

impl Default for Lateness {
    fn default() -> Lateness {
        Lateness {
            counts: [0; Lateness::BUCKETS],
            sum: 0,
        }
    }
}
