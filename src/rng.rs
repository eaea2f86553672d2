//! Numbers from the seed of the runtime.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::ops::{Bound, RangeBounds};

use runtime_reactor::internal::Rng as Generator;

use crate::insight::attached_seed;

/// A generator of pseudo-random numbers, created by [`rng`].
///
/// Its numbers are the same on every machine. They are not for secrets: who knows some of them can
/// compute the others.
///
/// # Examples
/// ```
/// use runtime::Rng;
///
/// let mut rng = Rng::from_seed(7);
/// let mut cards: Vec<u32> = (0..52).collect();
/// rng.shuffle(&mut cards);
/// assert!(rng.range(1..=6) <= 6);
/// assert!(rng.f64() < 1.0);
/// assert_eq!(Rng::from_seed(7).next_u64(), Rng::from_seed(7).next_u64());
/// ```
#[derive(Clone)]
pub struct Rng(Generator);

/// Returns a new generator of pseudo-random numbers.
///
/// In a runtime with a [seed](crate::Builder::seed) each call returns the next generator of a
/// sequence that the seed decides. Elsewhere the system seeds the generator, and each run of the
/// program has other numbers.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let number = |seed| {
///     let runtime = runtime::Runtime::builder().seed(seed).build()?;
///     std::io::Result::Ok(runtime.block_on(async { runtime::rng().next_u64() }))
/// };
/// # if std::env::var_os("RUNTIME_SEED").is_some() {
/// #     return Ok(());
/// # }
/// assert_eq!(number(1)?, number(1)?);
/// assert_ne!(number(1)?, number(2)?);
/// # Ok(())
/// # }
/// ```
pub fn rng() -> Rng {
    Rng::from_seed(attached_seed().unwrap_or_else(system_seed))
}

/// Returns a number that differs from call to call and from run to run: the hash of nothing, whose
/// key is the system's.
fn system_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Rng {
    /// Creates a generator from a seed.
    pub fn from_seed(seed: u64) -> Rng {
        Rng(Generator::new(seed))
    }

    /// Returns the next number, each equally likely.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns a number of `range`, each equally likely.
    ///
    /// # Panics
    /// Panics if the range is empty.
    #[track_caller]
    pub fn range(&mut self, range: impl RangeBounds<u64>) -> u64 {
        let low = match range.start_bound() {
            Bound::Included(low) => Some(*low),
            Bound::Excluded(low) => low.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let high = match range.end_bound() {
            Bound::Included(high) => Some(*high),
            Bound::Excluded(high) => high.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        match (low, high) {
            (Some(low), Some(high)) if low <= high => self.0.between(low, high),
            _ => panic!("Rng::range was called with an empty range"),
        }
    }

    /// Returns a number from 0, included, to 1, excluded.
    pub fn f64(&mut self) -> f64 {
        // The 53 bits that the type can represent.
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns true with a probability from 0 to 1.
    pub fn bool(&mut self, probability: f64) -> bool {
        self.f64() < probability
    }

    /// Shuffles a slice, each order equally likely.
    pub fn shuffle<T>(&mut self, slice: &mut [T]) {
        self.0.shuffle(slice);
    }

    /// Fills a buffer with bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rng").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_own_ends_and_no_others() {
        let mut rng = Rng::from_seed(1);
        let mut drawn = [false; 8];
        for _ in 0..500 {
            drawn[rng.range(2..5) as usize] = true;
            assert_eq!(rng.range(7..=7), 7);
        }
        assert_eq!(drawn, [false, false, true, true, true, false, false, false]);
        rng.range(..);
        assert_eq!(
            rng.range((Bound::Excluded(u64::MAX - 1), Bound::Unbounded)),
            u64::MAX
        );
    }

    #[test]
    #[should_panic(expected = "empty range")]
    fn an_empty_range_is_a_panic() {
        Rng::from_seed(1).range(0..0);
    }

    #[test]
    fn numbers_between_zero_and_one_are_spread_evenly() {
        let mut rng = Rng::from_seed(2);
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            tenths[(rng.f64() * 10.0) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|n| (850..1_150).contains(n)),
            "{tenths:?}"
        );
        let hits = (0..10_000).filter(|_| rng.bool(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..100).all(|_| rng.bool(1.0) && !rng.bool(0.0)));
    }

    #[test]
    fn a_buffer_of_any_length_is_filled_with_the_numbers_in_order() {
        let (mut rng, mut same) = (Rng::from_seed(3), Rng::from_seed(3));
        let mut bytes = [0; 11];
        rng.fill(&mut bytes);
        assert_eq!(bytes[..8], same.next_u64().to_le_bytes());
        assert_eq!(bytes[8..], same.next_u64().to_le_bytes()[..3]);
    }

    #[test]
    fn without_a_seed_two_generators_differ() {
        assert_ne!(rng().next_u64(), rng().next_u64());
    }
}
