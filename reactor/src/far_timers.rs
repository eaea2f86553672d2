//! Timers that are not due soon, in no exact order.
//!
//! Each timer is in a bucket: the level is the position of the highest six-bit digit in which its
//! deadline differs from a common base, the slot is that digit. So all timers of a bucket are due
//! before those of the next one. The earliest bucket is split when its time comes near, and at last
//! handed over.
//!
//! A canceled timer leaves its entry of eight bytes behind. Looking for the entry would take one
//! more access to memory that is not in the cache, and the next operation would have to wait for
//! it. There are never many more such entries than timers.

/// Nanoseconds, as in [`Timers`](crate::timers::Timers).
type Nanos = u64;

const BITS: u32 = 6;
const SLOTS: u32 = 1 << BITS;
const LEVELS: u32 = u64::BITS.div_ceil(BITS);

/// A bucket of this many timers is handed over, a larger one is split first. It is smaller in
/// tests, so that they split more.
const BATCH: usize = if cfg!(test) { 10 } else { 512 };

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

/// The timers that are not due soon. What belongs to an entry is passed as a function, which
/// returns the deadline of the timer, or `None` if the entry is stale.
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

    /// Adds a timer, and returns the stamp of its entry.
    #[inline]
    pub(crate) fn add(&mut self, index: u32, deadline: Nanos) -> u32 {
        self.stamp = self.stamp.wrapping_add(1);
        self.len += 1;
        let stamp = self.stamp;
        self.insert(Entry { index, stamp }, deadline);
        stamp
    }

    #[inline]
    fn insert(&mut self, entry: Entry, deadline: Nanos) {
        let level = (63 - ((deadline ^ self.base) | 1).leading_zeros()) / BITS;
        let slot = (deadline >> (level * BITS)) as u32 % SLOTS;
        let bucket = (level * SLOTS + slot) as usize;
        if bucket >= self.buckets.len() {
            self.create_buckets();
        }
        let entries = &mut self.buckets[bucket];
        if entries.is_empty() {
            self.levels |= 1 << level;
            self.slots[level as usize] |= 1 << slot;
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
    pub(crate) fn remove(&mut self, current: impl Fn(Entry) -> Option<Nanos>) {
        self.len -= 1;
        self.stale += 1;
        if self.stale > self.len + MAX_STALE && self.stale % CANCELED_PER_SEARCH == 0 {
            self.remove_stale(current);
        }
    }

    #[inline(never)]
    fn remove_stale(&mut self, current: impl Fn(Entry) -> Option<Nanos>) {
        let (mut bucket, mut position) = self.search;
        for _ in 0..ENTRIES_PER_SEARCH {
            let entries = &mut self.buckets[bucket];
            match entries.get(position) {
                Some(&entry) if current(entry).is_none() => {
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
    /// have: all others are due later. There must be a timer. O(log n) for each timer, amortized.
    pub(crate) fn take_first(
        &mut self,
        batch: &mut Vec<Entry>,
        current: impl Fn(Entry) -> Option<Nanos>,
    ) -> Nanos {
        let mut until = self.base;
        while self.levels != 0 {
            let level = self.levels.trailing_zeros();
            let slot = self.slots[level as usize].trailing_zeros();
            let bucket = level * SLOTS + slot;
            let entries = &mut self.buckets[bucket as usize];
            let before = entries.len();
            entries.retain(|&entry| current(entry).is_some());
            let count = entries.len();
            self.stale -= before - count;
            if !batch.is_empty() && batch.len() + count > BATCH {
                break;
            }
            let mut entries = std::mem::take(entries);
            self.set_empty(bucket);
            if count <= BATCH || level == 0 {
                self.len -= count;
                batch.append(&mut entries);
                (self.base, until) = self.range(level, slot);
            } else {
                self.split(&mut entries, &current);
            }
            if self.spare.len() < MAX_SPARE {
                self.spare.push(entries);
            }
        }
        until
    }

    /// Distributes the entries of the earliest bucket to lower levels.
    fn split(&mut self, entries: &mut Vec<Entry>, current: &impl Fn(Entry) -> Option<Nanos>) {
        let deadlines = || entries.iter().filter_map(|&entry| current(entry));
        // Not earlier than the base, and not later than any timer.
        self.base = deadlines().min().unwrap_or(self.base);
        for entry in entries.drain(..) {
            if let Some(deadline) = current(entry) {
                self.insert(entry, deadline);
            }
        }
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

    /// Adds timers of the given deadlines, whose index is their position.
    fn add_all(far: &mut FarTimers, deadlines: &[Nanos]) -> Vec<u32> {
        let timers = (0..).zip(deadlines);
        timers.map(|(index, &at)| far.add(index, at)).collect()
    }

    /// Takes all timers in batches, and checks that each batch is due before the next.
    fn take_all(far: &mut FarTimers, deadlines: &[Nanos], stamps: &[Option<u32>]) -> Vec<u32> {
        let current = |entry: Entry| {
            let is_current = stamps[entry.index as usize] == Some(entry.stamp);
            is_current.then(|| deadlines[entry.index as usize])
        };
        let (mut taken, mut last) = (Vec::new(), None);
        while far.len() > 0 {
            let mut batch = Vec::new();
            let until = far.take_first(&mut batch, current);
            for entry in batch {
                let deadline = deadlines[entry.index as usize];
                assert!(deadline <= until && last.is_none_or(|last| deadline > last));
                taken.push(entry.index);
            }
            last = Some(until);
        }
        taken
    }

    #[test]
    fn timers_are_handed_over_in_the_order_of_their_batches() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for bits in [1, 7, 20, 31, 40, 64] {
            let mut random = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed >> (64 - bits)
            };
            let mut deadlines: Vec<Nanos> = (0..10_000).map(|_| random()).collect();
            deadlines.extend([0, Nanos::MAX, Nanos::MAX - 1]);
            let mut far = FarTimers::new(0);
            let stamps = add_all(&mut far, &deadlines).into_iter().map(Some);
            let stamps: Vec<_> = stamps.collect();
            let taken: BTreeSet<_> = take_all(&mut far, &deadlines, &stamps)
                .into_iter()
                .collect();
            assert_eq!(taken.len(), deadlines.len());
            assert_eq!((far.levels, far.stale), (0, 0));
        }
    }

    #[test]
    fn a_canceled_timer_is_not_handed_over() {
        let deadlines: Vec<Nanos> = (1_000..11_000).collect();
        let mut far = FarTimers::new(0);
        let mut stamps: Vec<_> = add_all(&mut far, &deadlines)
            .into_iter()
            .map(Some)
            .collect();
        for index in (0..deadlines.len()).filter(|index| index % 10 != 0) {
            stamps[index] = None;
            far.remove(|entry| stamps[entry.index as usize].map(|_| 0));
            assert!(far.stale <= 2 * far.len + 2 * MAX_STALE);
        }
        let taken = take_all(&mut far, &deadlines, &stamps);
        assert_eq!(taken.len(), 1_000);
        assert!(taken.iter().all(|index| index % 10 == 0));
    }

    #[test]
    fn entries_of_canceled_timers_do_not_pile_up() {
        let mut far = FarTimers::new(0);
        let mut stamps = vec![0; 100];
        for round in 0..100_000 {
            let index = round % 100;
            if round >= 100 {
                stamps[index] = 0;
                far.remove(|entry| (stamps[entry.index as usize] == entry.stamp).then_some(0));
            }
            stamps[index] = far.add(index as u32, 30_000_000_000 + round as u64 * 1_000);
            let entries: usize = far.buckets.iter().map(Vec::len).sum();
            assert_eq!(entries, far.len + far.stale);
            assert!(entries <= 100 + 2 * MAX_STALE, "{entries}");
        }
    }
}
