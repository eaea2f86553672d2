//! A queue of deadlines. It never reads the clock: the time is always an argument.
//!
//! Timers are in a slab, and small entries point to them. The entries that are due next are in a
//! heap. The others are in a list, where an entry costs no more than a push until its time comes
//! near, which for most timeouts is never. So the heap stays small: a heap of 100,000 entries does
//! not fit the cache, and takes most of the time in which they fire.
//!
//! Canceling and postponing leave the entry where it is, and so cost O(1). Such an entry is stale:
//! it is dropped or moved on when it comes to the top, and once stale entries are the majority they
//! are swept out in one pass.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::task::Waker;

use slab::Slab;

use crate::wake_list::WakeList;

/// Nanoseconds since the reactor was made.
pub(crate) type Nanos = u64;

/// Names an armed timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    generation: u32,
}

/// Names an armed timer and its reactor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Armed {
    pub(crate) reactor: u32,
    pub(crate) key: TimerKey,
}

/// The armed timers. Each has one current entry; the other entries are stale and not yet swept.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// The entries that are due next.
    near: BinaryHeap<Reverse<Entry>>,
    /// The other entries, in no order.
    far: Vec<Entry>,
    /// No entry of `near` is later, and every entry of `far` is.
    near_limit: Entry,
    slab: Slab<Timer>,
    /// Counts timers: a generation that no two occupants of a slot share.
    generation: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Entry {
    deadline: Nanos,
    generation: u32,
    index: u32,
}

impl Entry {
    /// Returns the order: by deadline, and among timers of one deadline by the time of arming.
    fn rank(self) -> u128 {
        let arming = u64::from(self.generation) << 32 | u64::from(self.index);
        u128::from(self.deadline) << 64 | u128::from(arming)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug)]
struct Timer {
    generation: u32,
    deadline: Nanos,
    /// The deadline of its current entry: `deadline`, or earlier if it was postponed since.
    entered: Nanos,
    waker: Waker,
}

/// Stale entries are swept when there are more of them than this, and more than current ones.
const MAX_STALE: usize = 64;

/// How many far entries are sampled to choose the next near limit, and how many of these samples
/// come near.
const SAMPLES: usize = 64;
const NEAR_SAMPLES: usize = 4;

impl Timers {
    /// Arms a timer. O(1), or O(log n) if it is among the earliest.
    #[inline]
    pub(crate) fn insert(&mut self, deadline: Nanos, waker: Waker) -> TimerKey {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.slab.insert(Timer {
            generation,
            deadline,
            entered: deadline,
            waker,
        });
        let index = index as u32;
        self.enter(Entry {
            deadline,
            generation,
            index,
        });
        TimerKey { index, generation }
    }

    #[inline]
    fn enter(&mut self, entry: Entry) {
        // For most the deadline decides.
        if entry.deadline > self.near_limit.deadline {
            self.far.push(entry);
        } else {
            self.enter_near(entry);
        }
    }

    #[inline(never)]
    fn enter_near(&mut self, entry: Entry) {
        if entry > self.near_limit {
            self.far.push(entry);
        } else {
            self.near.push(Reverse(entry));
        }
    }

    #[inline]
    fn get(&mut self, key: TimerKey) -> Option<&mut Timer> {
        let timer = self.slab.get_mut(key.index as usize)?;
        (timer.generation == key.generation).then_some(timer)
    }

    /// Returns the waker of a timer that has not fired.
    pub(crate) fn waker(&mut self, key: TimerKey) -> Option<&mut Waker> {
        self.get(key).map(|timer| &mut timer.waker)
    }

    /// Moves a timer that has not fired. Returns false if it has. O(1) for a later deadline, O(log
    /// n) for an earlier one.
    pub(crate) fn reset(&mut self, key: TimerKey, deadline: Nanos) -> bool {
        let Some(timer) = self.get(key) else {
            return false;
        };
        timer.deadline = deadline;
        if deadline < timer.entered {
            timer.entered = deadline;
            let TimerKey { index, generation } = key;
            self.enter(Entry {
                deadline,
                generation,
                index,
            });
            self.sweep_if_stale();
        }
        true
    }

    /// Disarms a timer, in amortized O(1). The waker is the caller's to drop, after its borrow.
    #[inline]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        self.get(key)?;
        let timer = self.slab.remove(key.index as usize);
        let entry = Entry {
            deadline: timer.entered,
            generation: key.generation,
            index: key.index,
        };
        // Often it is the last one that was armed, and leaves no stale entry.
        if self.far.last() == Some(&entry) {
            self.far.pop();
        } else {
            self.sweep_if_stale();
        }
        Some(timer.waker)
    }

    /// Returns the deadline of the earliest timer.
    pub(crate) fn next_deadline(&mut self) -> Option<Nanos> {
        loop {
            let entry = self.first()?;
            if self.is_current(entry) {
                return Some(entry.deadline);
            }
        }
    }

    /// Hands over the wakers of all timers that are due, in the order of their deadlines, and
    /// returns their number.
    pub(crate) fn fire(&mut self, now: Nanos, woken: &mut WakeList) -> u64 {
        let mut fired = 0;
        while let Some(entry) = self.first() {
            if entry.deadline > now {
                break;
            }
            if self.is_current(entry) {
                self.near.pop();
                woken.push(self.slab.remove(entry.index as usize).waker);
                fired += 1;
            }
        }
        fired
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Removes all timers and hands over their wakers.
    pub(crate) fn clear(&mut self, woken: &mut WakeList) {
        self.slab.drain().for_each(|timer| woken.push(timer.waker));
        self.sweep();
    }

    /// Returns the earliest entry, current or stale.
    #[inline]
    fn first(&mut self) -> Option<Entry> {
        if self.near.is_empty() {
            self.move_near_limit();
        }
        self.near.peek().map(|&Reverse(first)| first)
    }

    /// Moves the earliest of the far entries near, about a sixteenth of them: the fewer, the
    /// smaller the heap, and the more often all of them are scanned.
    fn move_near_limit(&mut self) {
        let step = self.far.len() / SAMPLES;
        if step == 0 {
            self.near_limit = self.far.iter().copied().max().unwrap_or_default();
            self.far
                .drain(..)
                .for_each(|entry| self.near.push(Reverse(entry)));
            return;
        }
        let samples = self.far.iter().step_by(step);
        samples.for_each(|&sample| self.near.push(Reverse(sample)));
        for _ in 1..NEAR_SAMPLES {
            self.near.pop();
        }
        if let Some(&Reverse(near_limit)) = self.near.peek() {
            self.near_limit = near_limit;
        }
        self.near.clear();
        let (near, near_limit) = (&mut self.near, self.near_limit);
        self.far.retain(|&entry| {
            let is_far = entry > near_limit;
            if !is_far {
                near.push(Reverse(entry));
            }
            is_far
        });
    }

    /// Returns true if `entry`, which is the earliest, is the current one of a timer that is due at
    /// its deadline. A stale entry is dropped, or moved on if its timer was postponed.
    #[inline]
    fn is_current(&mut self, entry: Entry) -> bool {
        let timer = self.slab.get_mut(entry.index as usize);
        let timer = timer.filter(|timer| {
            timer.generation == entry.generation && timer.entered == entry.deadline
        });
        let Some(timer) = timer else {
            self.near.pop();
            return false;
        };
        let deadline = timer.deadline;
        if deadline == entry.deadline {
            return true;
        }
        timer.entered = deadline;
        self.near.pop();
        self.enter(Entry { deadline, ..entry });
        false
    }

    #[inline]
    fn sweep_if_stale(&mut self) {
        let stale = self.entries() - self.slab.len();
        if stale > MAX_STALE && stale > self.slab.len() {
            self.sweep();
        }
    }

    fn entries(&self) -> usize {
        self.near.len() + self.far.len()
    }

    /// Makes the entries anew, from the timers and not from the entries: a timer that was moved
    /// away and back has two that both look current. The capacity is kept.
    #[cold]
    fn sweep(&mut self) {
        self.near.clear();
        self.far.clear();
        self.near_limit = Entry::default();
        self.far
            .extend(self.slab.iter().map(|(index, timer)| Entry {
                deadline: timer.entered,
                generation: timer.generation,
                index: index as u32,
            }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake_list::tests::CountingWaker;

    fn fired(timers: &mut Timers, now: Nanos) -> u64 {
        let mut woken = WakeList::default();
        let n = timers.fire(now, &mut woken);
        woken.wake_all();
        n
    }

    #[test]
    fn timers_fire_at_their_deadline_and_not_before() {
        let mut timers = Timers::default();
        let waker = CountingWaker::new();
        timers.insert(100, waker.waker());
        assert_eq!(timers.next_deadline(), Some(100));
        assert_eq!(fired(&mut timers, 99), 0);
        assert_eq!(fired(&mut timers, 100), 1);
        assert_eq!(waker.count(), 1);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_postponed_timer_fires_once_at_its_new_deadline() {
        let mut timers = Timers::default();
        let key = timers.insert(10, Waker::noop().clone());
        assert!(timers.reset(key, 30));
        assert_eq!(timers.next_deadline(), Some(30));
        assert_eq!(fired(&mut timers, 29), 0);
        assert_eq!(fired(&mut timers, 30), 1);
        assert!(!timers.reset(key, 40), "it has fired");
    }

    #[test]
    fn a_postponed_timer_fires_after_those_it_was_moved_behind() {
        let mut timers = Timers::default();
        let (postponed, other) = (CountingWaker::new(), CountingWaker::new());
        let key = timers.insert(10, postponed.waker());
        timers.insert(30, other.waker());
        timers.reset(key, 50);
        let mut woken = WakeList::default();
        assert_eq!(timers.fire(100, &mut woken), 2);
        assert!(woken.iter().next().unwrap().will_wake(&other.waker()));
    }

    #[test]
    fn a_timer_moved_forth_and_back_fires_once() {
        let mut timers = Timers::default();
        let key = timers.insert(10, Waker::noop().clone());
        for deadline in [5, 10, 20, 10, 7, 10] {
            timers.reset(key, deadline);
        }
        assert_eq!(timers.next_deadline(), Some(10));
        assert_eq!(fired(&mut timers, 100), 1);
        assert_eq!(timers.next_deadline(), None);
        assert_eq!(timers.entries(), 0);
    }

    #[test]
    fn a_sweep_leaves_one_entry_of_a_timer_that_was_moved_away_and_back() {
        let mut timers = Timers::default();
        let keys: Vec<_> = (0..100)
            .map(|n| timers.insert(1000 + n, Waker::noop().clone()))
            .collect();
        for _ in 0..10 {
            for (n, &key) in (0..).zip(&keys) {
                timers.reset(key, 10 + n);
                timers.next_deadline();
                timers.reset(key, 1000 + n);
                timers.next_deadline();
            }
        }
        let most = 2 * keys.len();
        assert!(timers.entries() <= most + 1, "{}", timers.entries());
        while timers.entries() <= most {
            let duplicate = timers.first().unwrap();
            timers.near.push(Reverse(duplicate));
        }
        timers.sweep_if_stale();
        assert_eq!(timers.entries(), keys.len());
        let mut woken = WakeList::default();
        assert_eq!(timers.fire(5000, &mut woken), 100);
    }

    #[test]
    fn canceled_timers_do_not_pile_up() {
        let mut timers = Timers::default();
        for deadline in 0..100_000 {
            let key = timers.insert(deadline, Waker::noop().clone());
            assert!(timers.remove(key).is_some());
            assert!(timers.remove(key).is_none());
        }
        assert!(timers.entries() <= MAX_STALE + 1);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_recycled_slot_does_not_answer_to_its_old_key() {
        let mut timers = Timers::default();
        let old = timers.insert(1, Waker::noop().clone());
        timers.remove(old);
        let new = timers.insert(2, Waker::noop().clone());
        assert_eq!(old.index, new.index);
        assert!(timers.remove(old).is_none());
        assert_eq!(timers.next_deadline(), Some(2));
    }

    /// Returns a generator of pseudo-random numbers below the one it is given.
    fn random() -> impl FnMut(u64) -> u64 {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        move |below| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        }
    }

    #[test]
    fn entries_come_in_the_order_of_deadline_and_arming_however_many_there_are() {
        let mut next = random();
        let mut timers = Timers::default();
        let mut arm = |timers: &mut Timers, now| {
            timers.insert(now + next(1000), Waker::noop().clone());
        };
        for _ in 0..5_000 {
            arm(&mut timers, 0);
        }
        let mut last = Entry::default();
        for at in 0..10_000 {
            let entry = timers.first().unwrap();
            assert!(last < entry);
            last = entry;
            timers.near.pop();
            if at < 5_000 {
                arm(&mut timers, entry.deadline);
            }
        }
        assert_eq!((timers.first(), timers.entries()), (None, 0));
    }

    /// Compares the timers, with their stale entries, to a list that is searched, over random
    /// histories.
    #[test]
    fn the_timers_agree_with_a_plain_list() {
        let mut next = random();
        let mut timers = Timers::default();
        let mut list: Vec<(Nanos, TimerKey)> = Vec::new();
        let mut now = 0;
        for _ in 0..50_000 {
            match next(10) {
                0..=3 => {
                    let deadline = now + next(10_000);
                    list.push((deadline, timers.insert(deadline, Waker::noop().clone())));
                }
                4..=5 if !list.is_empty() => {
                    let (_, key) = list.swap_remove(next(list.len() as u64) as usize);
                    assert!(timers.remove(key).is_some());
                }
                6..=7 if !list.is_empty() => {
                    let at = next(list.len() as u64) as usize;
                    list[at].0 = now + next(10_000);
                    assert!(timers.reset(list[at].1, list[at].0));
                }
                _ => {
                    now += next(50);
                    let before = list.len();
                    list.retain(|(deadline, _)| *deadline > now);
                    assert_eq!(fired(&mut timers, now), (before - list.len()) as u64);
                }
            }
            if next(4) == 0 {
                assert_eq!(timers.next_deadline(), list.iter().map(|(d, _)| *d).min());
            }
            assert_eq!(timers.len(), list.len());
        }
    }
}
