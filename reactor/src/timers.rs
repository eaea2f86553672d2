//! Deadlines, the earliest first. Pure: the time is always an argument.
//!
//! A binary heap of small entries, and a slab of timers that the entries point to. Cancelling and
//! postponing leave the entry where it is, so they cost O(1): an entry that no longer says what its
//! timer says is dropped or moved on when it comes to the top, and once such entries are the
//! majority they are swept out in one pass.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem;
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

#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// One entry for each timer that tells the truth, and those that lie, not yet swept.
    heap: BinaryHeap<Reverse<Entry>>,
    slab: Slab<Timer>,
    /// Counts timers, and is so a generation that no two tenants of a place share.
    generation: u32,
}

/// Orders by deadline, and timers of one deadline by who was armed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    deadline: Nanos,
    generation: u32,
    index: u32,
}

#[derive(Debug)]
struct Timer {
    generation: u32,
    deadline: Nanos,
    /// The deadline of its entry in the heap: `deadline`, or earlier if it was postponed since.
    entered: Nanos,
    waker: Waker,
}

/// Entries that lie are swept when there are more of them than this and than of the others.
const MOST_STALE: usize = 64;

impl Timers {
    /// Arms a timer. O(log n), and O(1) where deadlines come in order.
    pub(crate) fn insert(&mut self, deadline: Nanos, waker: Waker) -> TimerKey {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.slab.insert(Timer {
            generation,
            deadline,
            entered: deadline,
            waker,
        });
        let key = TimerKey {
            index: index as u32,
            generation,
        };
        self.heap.push(Reverse(Entry {
            deadline,
            generation,
            index: key.index,
        }));
        key
    }

    fn get(&mut self, key: TimerKey) -> Option<&mut Timer> {
        let timer = self.slab.get_mut(key.index as usize)?;
        (timer.generation == key.generation).then_some(timer)
    }

    /// The waker of a timer that has not fired.
    pub(crate) fn waker(&mut self, key: TimerKey) -> Option<&mut Waker> {
        self.get(key).map(|timer| &mut timer.waker)
    }

    /// Moves a timer that has not fired; says whether there was one. O(1) for a later deadline,
    /// O(log n) for an earlier one.
    pub(crate) fn reset(&mut self, key: TimerKey, deadline: Nanos) -> bool {
        let Some(timer) = self.get(key) else {
            return false;
        };
        timer.deadline = deadline;
        if deadline < timer.entered {
            timer.entered = deadline;
            let TimerKey { index, generation } = key;
            self.heap.push(Reverse(Entry {
                deadline,
                generation,
                index,
            }));
            self.sweep();
        }
        true
    }

    /// Disarms a timer, in O(1) over time. The waker is the caller's to drop, after its borrow.
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        self.get(key)?;
        let timer = self.slab.remove(key.index as usize);
        self.sweep();
        Some(timer.waker)
    }

    /// When the earliest timer is due.
    pub(crate) fn next_deadline(&mut self) -> Option<Nanos> {
        loop {
            let Reverse(entry) = *self.heap.peek()?;
            match truth(&self.slab, entry) {
                Some(deadline) if deadline == entry.deadline => return Some(deadline),
                _ => self.replace_top(entry),
            }
        }
    }

    /// Hands over the wakers of all timers that are due, in the order of their deadlines.
    pub(crate) fn fire(&mut self, now: Nanos, woken: &mut WakeList) -> u64 {
        let mut fired = 0;
        while let Some(&Reverse(entry)) = self.heap.peek() {
            if entry.deadline > now {
                break;
            }
            match truth(&self.slab, entry) {
                Some(deadline) if deadline == entry.deadline => {
                    self.heap.pop();
                    woken.push(self.slab.remove(entry.index as usize).waker);
                    fired += 1;
                }
                _ => self.replace_top(entry),
            }
        }
        fired
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Takes everything out; the wakers are handed over.
    pub(crate) fn clear(&mut self, woken: &mut WakeList) {
        self.heap.clear();
        woken.extend(self.slab.drain().map(|timer| timer.waker));
    }

    /// Drops a top that stands for nothing, moves one on that was postponed.
    fn replace_top(&mut self, top: Entry) {
        self.heap.pop();
        if let Some(deadline) = truth(&self.slab, top) {
            self.slab[top.index as usize].entered = deadline;
            self.heap.push(Reverse(Entry { deadline, ..top }));
        }
    }

    fn sweep(&mut self) {
        let stale = self.heap.len() - self.slab.len();
        if stale > MOST_STALE && stale > self.slab.len() {
            // From the timers, not from the entries: a timer that was moved away and back has two
            // that both look true. The heap's room is kept.
            let mut entries = mem::take(&mut self.heap).into_vec();
            entries.clear();
            entries.extend(self.slab.iter().map(|(index, timer)| {
                Reverse(Entry {
                    deadline: timer.entered,
                    generation: timer.generation,
                    index: index as u32,
                })
            }));
            self.heap = entries.into();
        }
    }
}

/// The real deadline of the timer that `entry` stands for, if it stands for one.
fn truth(slab: &Slab<Timer>, entry: Entry) -> Option<Nanos> {
    let timer = slab.get(entry.index as usize)?;
    let same = timer.generation == entry.generation && timer.entered == entry.deadline;
    same.then_some(timer.deadline)
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
        assert!(timers.heap.is_empty());
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
        assert!(
            timers.heap.len() <= 2 * keys.len() + 1,
            "{}",
            timers.heap.len()
        );
        timers.heap.reserve(1000);
        while timers.heap.len() <= 2 * keys.len() {
            let top = *timers.heap.peek().unwrap();
            timers.heap.push(top);
        }
        timers.sweep();
        assert_eq!(timers.heap.len(), keys.len());
        let mut woken = WakeList::default();
        assert_eq!(timers.fire(5000, &mut woken), 100);
    }

    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let mut timers = Timers::default();
        for deadline in 0..100_000 {
            let key = timers.insert(deadline, Waker::noop().clone());
            assert!(timers.remove(key).is_some());
            assert!(timers.remove(key).is_none());
        }
        assert!(timers.heap.len() <= MOST_STALE + 1);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_recycled_place_does_not_answer_to_its_old_key() {
        let mut timers = Timers::default();
        let old = timers.insert(1, Waker::noop().clone());
        timers.remove(old);
        let new = timers.insert(2, Waker::noop().clone());
        assert_eq!(old.index, new.index);
        assert!(timers.remove(old).is_none());
        assert_eq!(timers.next_deadline(), Some(2));
    }

    /// The heap with its lies against a list that is searched, over random histories.
    #[test]
    fn the_heap_agrees_with_a_plain_list() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut timers = Timers::default();
        let mut list: Vec<(Nanos, TimerKey)> = Vec::new();
        let mut now = 0;
        for _ in 0..50_000 {
            match next(10) {
                0..=3 => {
                    let deadline = now + next(1000);
                    list.push((deadline, timers.insert(deadline, Waker::noop().clone())));
                }
                4..=5 if !list.is_empty() => {
                    let (_, key) = list.swap_remove(next(list.len() as u64) as usize);
                    assert!(timers.remove(key).is_some());
                }
                6..=7 if !list.is_empty() => {
                    let at = next(list.len() as u64) as usize;
                    list[at].0 = now + next(1000);
                    assert!(timers.reset(list[at].1, list[at].0));
                }
                _ => {
                    now += next(50);
                    let before = list.len();
                    list.retain(|(deadline, _)| *deadline > now);
                    assert_eq!(fired(&mut timers, now), (before - list.len()) as u64);
                }
            }
            assert_eq!(timers.next_deadline(), list.iter().map(|(d, _)| *d).min());
            assert_eq!(timers.len(), list.len());
        }
    }
}
