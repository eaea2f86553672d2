//! A small generator of pseudo-random numbers, for order and faults that a seed decides.

/// A generator whose numbers depend on its seed alone, on every machine. Not for secrets.
///
/// It is a Weyl sequence whose elements are mixed (splitmix64). A [fork](Rng::fork) is a generator
/// of its own: draws from one never shift the numbers of another.
///
/// # Examples
/// ```
/// use runtime_reactor::internal::Rng;
///
/// let mut rng = Rng::new(7);
/// let delays = rng.fork(1);
/// rng.next_u64();
/// assert_eq!(rng.fork(1), delays); // what was drawn in between does not matter
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng {
    /// The seed from which forks derive theirs.
    seed: u64,
    state: u64,
}

/// The step of the sequence: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    /// Creates a generator from a seed.
    pub fn new(seed: u64) -> Rng {
        Rng {
            seed,
            state: mix(seed),
        }
    }

    /// Creates a generator for one purpose, such as a host. It depends on the seed and the label,
    /// and not on the numbers drawn so far.
    pub fn fork(&self, label: u64) -> Rng {
        Rng::new(mix(self.seed ^ STEP).wrapping_add(mix(label.wrapping_mul(STEP) ^ label)))
    }

    /// Returns the seed from which the generator was created.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// Returns a number below `bound`, each equally likely. Returns zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product with the bound, unless the low half is among the few that
        // would make some results more likely than others.
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg().checked_rem(bound).unwrap_or(0) {
                return (product >> 64) as u64;
            }
        }
    }

    /// Returns a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.saturating_sub(low).checked_add(1) {
            Some(count) => low + self.below(count),
            None => self.next_u64(),
        }
    }

    /// Returns true with a probability of `parts` in a million.
    pub fn chance(&mut self, parts: u32) -> bool {
        // Nothing is drawn where nothing is open.
        parts > 0 && self.below(1_000_000) < u64::from(parts)
    }

    /// Brings a slice into a random order.
    pub fn shuffle<T>(&mut self, slice: &mut [T]) {
        for last in (1..slice.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            slice.swap(last, other);
        }
    }
}

/// A permutation of the 64-bit numbers in which each bit of the input changes half of the output.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        let mut rng = Rng::new(42);
        let drawn: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        // Written down so that recorded seeds stay valid.
        let expected = [
            0x989b_3f13_0a06_3869,
            0x290d_b4bf_2570_ded7,
            0x2a99_0be6_3a01_b2d5,
        ];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn draws_from_one_generator_do_not_shift_its_forks() {
        let untouched = Rng::new(1);
        let mut drawn = untouched.clone();
        drawn.next_u64();
        assert_eq!(drawn.fork(3), untouched.fork(3));
        assert_ne!(drawn.fork(3), drawn.fork(4));
        assert_ne!(Rng::new(2).fork(3), untouched.fork(3));
        assert_ne!(untouched.fork(0), untouched);
    }

    #[test]
    fn numbers_below_a_bound_are_spread_evenly() {
        let mut rng = Rng::new(5);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[rng.below(7) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        assert!(rng.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn a_range_includes_both_of_its_ends() {
        let mut rng = Rng::new(9);
        let drawn: Vec<u64> = (0..200).map(|_| rng.between(3, 5)).collect();
        assert!((3..=5).all(|number| drawn.contains(&number)));
        assert!(drawn.iter().all(|number| (3..=5).contains(number)));
        assert_eq!(rng.between(8, 8), 8);
        rng.between(0, u64::MAX);
    }

    #[test]
    fn a_chance_of_zero_never_happens_and_a_million_always() {
        let mut rng = Rng::new(11);
        assert!((0..1_000).all(|_| !rng.chance(0) && rng.chance(1_000_000)));
        let hits = (0..10_000).filter(|_| rng.chance(250_000)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
    }

    #[test]
    fn a_shuffle_keeps_the_elements_and_reaches_every_order() {
        let mut rng = Rng::new(13);
        let mut orders = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut elements = [1, 2, 3];
            rng.shuffle(&mut elements);
            orders.insert(elements);
        }
        assert_eq!(orders.len(), 6, "{orders:?}");
    }
}
