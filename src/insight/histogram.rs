//! Counts of values by their magnitude.

use std::ops::Sub;
use std::time::Duration;

/// A count of values for each power of two.
///
/// The count at `n` is that of the values of at least 2^(n-1) and less than 2^n. The first one is
/// that of zeroes, and the last one has all larger values. Durations are counted in nanoseconds.
///
/// # Examples
/// ```
/// use runtime::insight::Histogram;
///
/// let empty = Histogram::default();
/// assert_eq!(empty.count(), 0);
/// assert_eq!(Histogram::upper_bound(3), Some(7)); // 4, 5, 6 and 7
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Histogram {
    /// The counts by magnitude.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    const BUCKETS: usize = 40;

    /// Returns the largest value that the count at `index` includes; `None` for the last one.
    pub fn upper_bound(index: usize) -> Option<u64> {
        (index < Histogram::BUCKETS - 1).then(|| (1 << index) - 1)
    }

    /// Returns the number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns a bound of the quantile `q`, between 0 and 1: at least that part of the values are
    /// not larger. `None` if there are no values, or if the bound is not known.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let wanted = (self.count() as f64 * q).ceil().max(1.0) as u64;
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= wanted {
                return Histogram::upper_bound(index);
            }
        }
        None
    }

    pub(super) fn from_counts(counts: &[u64; Histogram::BUCKETS], sum: u64) -> Histogram {
        let counts = counts.to_vec();
        Histogram { counts, sum }
    }

    pub(super) fn record(&mut self, value: u64) {
        let bits = (u64::BITS - value.leading_zeros()) as usize;
        self.counts[bits.min(Histogram::BUCKETS - 1)] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    pub(super) fn record_duration(&mut self, duration: Duration) {
        self.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            counts: vec![0; Histogram::BUCKETS],
            sum: 0,
        }
    }
}

impl Sub<&Histogram> for &Histogram {
    type Output = Histogram;

    fn sub(self, before: &Histogram) -> Histogram {
        let pairs = self.counts.iter().zip(&before.counts);
        Histogram {
            counts: pairs
                .map(|(after, before)| after.saturating_sub(*before))
                .collect(),
            sum: self.sum.saturating_sub(before.sum),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_below_its_upper_bound() {
        let mut histogram = Histogram::default();
        for value in [0, 1, 2, 3, 4, 1_000, u64::MAX] {
            histogram.record(value);
        }
        assert_eq!(&histogram.counts[..4], [1, 1, 2, 1]);
        assert_eq!(histogram.counts[10], 1, "1000 is at most 1023");
        assert_eq!(histogram.counts[Histogram::BUCKETS - 1], 1);
        assert_eq!(Histogram::upper_bound(10), Some(1023));
        assert_eq!(Histogram::upper_bound(Histogram::BUCKETS - 1), None);
        assert_eq!(histogram.quantile(0.5), Some(3));
        assert_eq!(histogram.quantile(1.0), None);
        assert_eq!((&histogram - &histogram).count(), 0);
    }
}
