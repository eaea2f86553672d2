//! Timers that are not due soon, in no exact order.
//!
//! Each timer is in a bucket: the level is the position of the highest six-bit digit in which its
//! deadline differs from a common base, the slot is that digit. So all timers of a bucket are due
//! before those of the next one. The earliest bucket is split when its time comes near, and at last
//! handed over.
//!
//! A timer that is moved to a later bucket stays where it is until its bucket is the earliest. Most
//! timers that are moved are limits that activity postpones, so this is the common case: it takes
//! one access to memory, and however often a timer is moved, it is filed again once a bucket.
//!
//! A canceled timer leaves its entry of eight bytes behind. Looking for the entry would take one
//! more access to memory that is not in the cache, and the next operation would have to wait for
//! it. There are never many more such entries than timers, and a timer that takes the node of a
//! canceled one, and is due no earlier, takes its entry as well.

use std::mem;

/// Nanoseconds, as in [`Timers`](crate::timers::Timers).
type Nanos = u64;

const BITS: u32 = 6;
const SLOTS: u32 = 1 << BITS;
const LEVELS: u32 = u64::BITS.div_ceil(BITS);

/// A bucket of this many timers is handed over, a larger one is split first. It is smaller in
/// tests, so that they split more.
const BATCH: usize = if cfg!(test) { 10 } else { 128 };

/// Stale entries are looked for when there are this many more of them than timers.
const MAX_STALE: usize = 1024;

/// The search looks at four entries for each timer that is canceled, which is enough to keep up,
/// and at several together, so that the accesses to memory overlap.
const CANCELED_PER_SEARCH: usize = 64;
const ENTRIES_PER_SEARCH: usize = 4 * CANCELED_PER_SEARCH;

/// The number of empty lists that are kept for reuse.
const MAX_SPARE: usize = 16;

/// A timer in a bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// The node of the timer.
    pub(crate) index: u32,
    /// The number that [`FarTimers::add`] returned. The entry is stale if its node has another one.
    pub(crate) stamp: u32,
}

/// The timers to which the entries belong.
pub(crate) trait Filed {
    /// Returns the deadline of a timer, or `None` if the entry is stale.
    fn deadline(&self, entry: Entry) -> Option<Nanos>;

    /// Notes that the entry of a timer is in this bucket.
    fn note(&mut self, entry: Entry, bucket: u32);

    /// Notes that a canceled timer no longer has an entry.
    fn forget(&mut self, entry: Entry);
}

/// The timers that are not due soon.
#[derive(Debug, Default)]
pub(crate) struct FarTimers {
    /// No timer is due before.
    base: Nanos,
    /// The number of timers.
    len: usize,
    /// The number of entries of canceled timers.
    stale: usize,
    stamp: u32,
    /// The levels that have entries, one bit for each.
    levels: u32,
    /// The slots that have entries, one bit for each, by level.
    slots: [u64; LEVELS as usize],
    /// By level and slot. Empty until the first timer is added.
    buckets: Vec<Vec<Entry>>,
    /// Where the search for stale entries continues: bucket and position.
    search: (usize, usize),
    spare: Vec<Vec<Entry>>,
}

impl FarTimers {
    /// Creates an empty queue of timers that are due at `base` or later.
    pub(crate) fn new(base: Nanos) -> FarTimers {
        FarTimers {
            base,
            ..FarTimers::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a timer.
    #[inline]
    pub(crate) fn add(&mut self, index: u32, deadline: Nanos, timers: &mut (impl Filed + ?Sized)) {
        self.stamp = self.stamp.wrapping_add(1);
        self.len += 1;
        let stamp = self.stamp;
        self.insert(Entry { index, stamp }, deadline, timers);
    }

    /// Adds a timer which has the entry of a canceled one.
    #[inline]
    pub(crate) fn add_again(&mut self) {
        self.len += 1;
        self.stale -= 1;
    }

    /// Returns true if a timer may stay in this bucket although it is due at `deadline` now.
    #[inline]
    pub(crate) fn may_stay(&self, bucket: u32, deadline: Nanos) -> bool {
        bucket <= self.bucket(deadline)
    }

    /// Returns the bucket of timers that are due at `deadline`. Later ones have larger numbers.
    #[inline]
    fn bucket(&self, deadline: Nanos) -> u32 {
        let level = (63 - ((deadline ^ self.base) | 1).leading_zeros()) / BITS;
        level * SLOTS + (deadline >> (level * BITS)) as u32 % SLOTS
    }

    #[inline]
    fn insert(&mut self, entry: Entry, deadline: Nanos, timers: &mut (impl Filed + ?Sized)) {
        let bucket = self.bucket(deadline);
        timers.note(entry, bucket);
        if bucket as usize >= self.buckets.len() {
            self.create_buckets();
        }
        let entries = &mut self.buckets[bucket as usize];
        if entries.is_empty() {
            let level = bucket / SLOTS;
            self.levels |= 1 << level;
            self.slots[level as usize] |= 1 << (bucket % SLOTS);
            if entries.capacity() == 0 {
                *entries = self.spare.pop().unwrap_or_default();
            }
        }
        entries.push(entry);
    }

    #[cold]
    fn create_buckets(&mut self) {
        let buckets = (LEVELS * SLOTS) as usize;
        self.buckets.resize_with(buckets, Vec::new);
    }

    /// Notes that a timer was canceled: its entry is stale. Amortized O(1).
    #[inline]
    pub(crate) fn remove(&mut self, timers: &mut (impl Filed + ?Sized)) {
        self.len -= 1;
        self.stale += 1;
        if self.stale > self.len + MAX_STALE && self.stale % CANCELED_PER_SEARCH == 0 {
            self.remove_stale(timers);
        }
    }

    #[inline(never)]
    fn remove_stale(&mut self, timers: &mut (impl Filed + ?Sized)) {
        let (mut bucket, mut position) = self.search;
        for _ in 0..ENTRIES_PER_SEARCH {
            let entries = &mut self.buckets[bucket];
            match entries.get(position) {
                Some(&entry) if timers.deadline(entry).is_none() => {
                    timers.forget(entry);
                    entries.swap_remove(position);
                    self.stale -= 1;
                    if entries.is_empty() {
                        self.set_empty(bucket as u32);
                    }
                }
                Some(_) => position += 1,
                None => (bucket, position) = ((bucket + 1) % self.buckets.len(), 0),
            }
        }
        self.search = (bucket, position);
    }

    fn set_empty(&mut self, bucket: u32) {
        let (level, slot) = (bucket / SLOTS, bucket % SLOTS);
        let slots = &mut self.slots[level as usize];
        *slots &= !(1 << slot);
        if *slots == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// Moves the earliest timers to `batch`, and returns the last deadline that any of these may
    /// have: all others are due later. If there is no timer, no entry is left. O(log n) for each
    /// timer, amortized.
    pub(crate) fn take_first(
        &mut self,
        batch: &mut Vec<Entry>,
        timers: &mut (impl Filed + ?Sized),
    ) -> Nanos {
        let mut until = self.base;
        while self.levels != 0 {
            let level = self.levels.trailing_zeros();
            let slot = self.slots[level as usize].trailing_zeros();
            let bucket = level * SLOTS + slot;
            let entries = &mut self.buckets[bucket as usize];
            if !batch.is_empty() && batch.len() + entries.len() > BATCH {
                break;
            }
            let mut entries = mem::take(entries);
            self.set_empty(bucket);
            let (first, last) = self.range(level, slot);
            entries.retain(|&entry| match timers.deadline(entry) {
                Some(deadline) if deadline <= last => true,
                Some(moved) => {
                    self.insert(entry, moved, timers);
                    false
                }
                None => {
                    timers.forget(entry);
                    self.stale -= 1;
                    false
                }
            });
            if entries.len() <= BATCH || level == 0 {
                self.len -= entries.len();
                batch.append(&mut entries);
                (self.base, until) = (first, last);
            } else {
                self.split(&mut entries, timers);
            }
            if self.spare.len() < MAX_SPARE {
                self.spare.push(entries);
            }
        }
        until
    }

    /// Distributes the entries of the earliest bucket, which are not stale, to lower levels.
    fn split(&mut self, entries: &mut Vec<Entry>, timers: &mut (impl Filed + ?Sized)) {
        let deadlines = entries.iter().filter_map(|&entry| timers.deadline(entry));
        // Not earlier than the base, and not later than any timer.
        self.base = deadlines.min().unwrap_or(self.base);
        for entry in entries.drain(..) {
            if let Some(deadline) = timers.deadline(entry) {
                self.insert(entry, deadline, timers);
            }
        }
    }

    /// Returns the number of entries, those of canceled timers included.
    #[cfg(test)]
    pub(crate) fn entry_count(&self) -> usize {
        let count = self.buckets.iter().map(Vec::len).sum();
        assert_eq!(count, self.len + self.stale);
        count
    }

    /// Returns true if a bucket has the entry of a timer.
    #[cfg(test)]
    pub(crate) fn has_entry(&self, bucket: u32, index: u32, stamp: u32) -> bool {
        let is_it = |entry: &Entry| (entry.index, entry.stamp) == (index, stamp);
        self.buckets[bucket as usize].iter().any(is_it)
    }

    /// Returns the first and the last deadline that a timer in a bucket may have.
    fn range(&self, level: u32, slot: u32) -> (Nanos, Nanos) {
        let shift = level * BITS;
        let digits_above = match u64::MAX.checked_shl(shift + BITS) {
            Some(mask) => self.base & mask,
            None => 0,
        };
        let first = digits_above | u64::from(slot) << shift;
        (first, first | ((1 << shift) - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The timers of a test: deadline, stamp and bucket of each. Stamp 0 is that of no entry.
    #[derive(Default)]
    struct Model(Vec<(Nanos, u32, u32)>);

    impl Filed for Model {
        fn deadline(&self, entry: Entry) -> Option<Nanos> {
            let (deadline, stamp, _) = self.0[entry.index as usize];
            (stamp == entry.stamp).then_some(deadline)
        }

        fn note(&mut self, entry: Entry, bucket: u32) {
            let timer = &mut self.0[entry.index as usize];
            (timer.1, timer.2) = (entry.stamp, bucket);
        }

        fn forget(&mut self, _: Entry) {}
    }

    impl Model {
        /// Adds timers of the given deadlines, whose index is their position.
        fn add_all(far: &mut FarTimers, deadlines: &[Nanos]) -> Model {
            let mut model = Model(deadlines.iter().map(|&at| (at, 0, 0)).collect());
            for (index, &at) in (0..).zip(deadlines) {
                far.add(index, at, &mut model);
            }
            model
        }

        fn cancel(&mut self, far: &mut FarTimers, index: usize) {
            self.0[index].1 = 0;
            far.remove(self);
        }

        /// Moves a timer. Returns true if its entry stays where it is.
        fn move_to(&mut self, far: &mut FarTimers, index: usize, deadline: Nanos) -> bool {
            self.0[index].0 = deadline;
            let stays = far.may_stay(self.0[index].2, deadline);
            if !stays {
                self.cancel(far, index);
                far.add(index as u32, deadline, self);
            }
            stays
        }

        /// Takes all timers in batches, and checks that each batch is due before the next.
        fn take_all(&mut self, far: &mut FarTimers) -> Vec<u32> {
            let (mut taken, mut last) = (Vec::new(), None);
            while far.len() > 0 {
                let mut batch = Vec::new();
                let until = far.take_first(&mut batch, self);
                for entry in batch {
                    let deadline = self.deadline(entry).unwrap();
                    assert!(deadline <= until && last.is_none_or(|last| deadline > last));
                    taken.push(entry.index);
                }
                last = Some(until);
            }
            taken
        }
    }

    /// Returns a generator of pseudo-random numbers of so many bits.
    fn random(bits: u32) -> impl FnMut() -> u64 {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> (64 - bits)
        }
    }

    #[test]
    fn timers_are_handed_over_in_the_order_of_their_batches() {
        for bits in [1, 7, 20, 31, 40, 64] {
            let mut random = random(bits);
            let mut deadlines: Vec<Nanos> = (0..10_000).map(|_| random()).collect();
            deadlines.extend([0, Nanos::MAX, Nanos::MAX - 1]);
            let mut far = FarTimers::new(0);
            let mut timers = Model::add_all(&mut far, &deadlines);
            let taken: BTreeSet<_> = timers.take_all(&mut far).into_iter().collect();
            assert_eq!(taken.len(), deadlines.len());
            assert_eq!((far.levels, far.stale), (0, 0));
        }
    }

    #[test]
    fn moved_timers_are_handed_over_in_the_order_of_their_batches() {
        for bits in [7, 20, 31, 40, 60] {
            let mut random = random(bits);
            let deadlines: Vec<Nanos> = (0..2_000).map(|_| random()).collect();
            let mut far = FarTimers::new(0);
            let mut timers = Model::add_all(&mut far, &deadlines);
            let (mut taken, mut from) = (BTreeSet::new(), 0);
            while far.len() > 0 {
                for _ in 0..200 {
                    let index = random() as usize % deadlines.len();
                    if !taken.contains(&(index as u32)) {
                        timers.move_to(&mut far, index, from + random() / 2);
                    }
                }
                let mut batch = Vec::new();
                let until = far.take_first(&mut batch, &mut timers);
                for entry in batch {
                    assert!((from..=until).contains(&timers.deadline(entry).unwrap()));
                    assert!(taken.insert(entry.index));
                }
                from = until + 1;
            }
            assert_eq!(taken.len(), deadlines.len());
            assert_eq!((far.levels, far.stale), (0, 0));
        }
    }

    #[test]
    fn a_timer_that_is_postponed_has_one_entry() {
        let mut far = FarTimers::new(0);
        let mut timers = Model::add_all(&mut far, &[30_000_000_000; 100]);
        for at in 0..10_000 {
            assert!(timers.move_to(&mut far, at % 100, 30_000_000_000 + at as u64));
        }
        assert_eq!(far.entry_count(), 100);
        assert!(!timers.move_to(&mut far, 0, 1_000_000_000));
        assert_eq!(timers.take_all(&mut far)[0], 0);
    }

    #[test]
    fn a_canceled_timer_is_not_handed_over() {
        let deadlines: Vec<Nanos> = (1_000..11_000).collect();
        let mut far = FarTimers::new(0);
        let mut timers = Model::add_all(&mut far, &deadlines);
        for index in (0..deadlines.len()).filter(|index| index % 10 != 0) {
            timers.cancel(&mut far, index);
            assert!(far.stale <= 2 * far.len + 2 * MAX_STALE);
        }
        let taken = timers.take_all(&mut far);
        assert_eq!(taken.len(), 1_000);
        assert!(taken.iter().all(|index| index % 10 == 0));
    }

    #[test]
    fn entries_of_canceled_timers_do_not_pile_up() {
        let mut far = FarTimers::new(0);
        let mut timers = Model(vec![(0, 0, 0); 100]);
        for round in 0..100_000 {
            let index = round % 100;
            if round >= 100 {
                timers.cancel(&mut far, index);
            }
            timers.0[index].0 = 30_000_000_000 + round as u64 * 1_000;
            far.add(index as u32, timers.0[index].0, &mut timers);
            let entries = far.entry_count();
            assert!(entries <= 100 + 2 * MAX_STALE, "{entries}");
        }
    }
}
