//! A queue of deadlines. It never reads the clock: the time is always an argument.
//!
//! The timers are a pairing heap: a tree in which no timer precedes its parent, without any order
//! among siblings. Its nodes are also the slab that a [`TimerKey`] indexes, so a timer is removed
//! where it is, and nothing of it stays behind.
//!
//! A timer is linked below the one that was armed before it, if it is due no earlier. Timeouts of
//! one duration therefore form a chain, at the end of which they are armed and from anywhere in
//! which they are removed in O(1), without a comparison with any other timer. That is the common
//! case: a server arms a timeout for each request and drops it when the request arrives.
//!
//! A heap of many timers is slow, because each of its nodes is another access to memory that is not
//! in the cache. So once there are more than [`MIN_LIMIT`], timers that are not due soon are kept
//! apart ([`FarTimers`]), and enter the heap in batches.

use std::mem;
use std::num::NonZero;
use std::task::Waker;

use crate::far_timers::{Entry, FarTimers, Filed};
use crate::lateness::Lateness;
use crate::wake_list::WakeList;

/// Nanoseconds since the reactor was made.
pub(crate) type Nanos = u64;

/// Names an armed timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    generation: u32,
}

impl TimerKey {
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.index) << 32 | u64::from(self.generation)
    }
}

/// Names an armed timer and its reactor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Armed {
    /// The number of the reactor and one, so that an `Option` takes no more memory.
    reactor_and_one: NonZero<u32>,
    pub(crate) key: TimerKey,
}

impl Armed {
    pub(crate) fn new(reactor: u32, key: TimerKey) -> Armed {
        Armed {
            // No reactor has the largest number.
            reactor_and_one: NonZero::new(reactor.wrapping_add(1)).unwrap_or(NonZero::<u32>::MAX),
            key,
        }
    }

    /// Returns the number of the reactor.
    pub(crate) fn reactor(self) -> u32 {
        self.reactor_and_one.get() - 1
    }
}

/// Returns the roundest time that is not before `deadline`, and not more than `slack` after it: the
/// one with the most zeros at the end. Timers whose windows overlap mostly share it.
pub(crate) fn with_slack(deadline: Nanos, slack: Nanos) -> Nanos {
    let latest = deadline.saturating_add(slack);
    // The highest bit in which they differ is set in `latest` alone.
    let shift = (deadline.saturating_sub(1) ^ latest).checked_ilog2();
    let shift = shift.unwrap_or(0);
    latest >> shift << shift
}

/// The index of the node above the earliest timer. It also ends every list of nodes. A link that a
/// list without an end would need is written there, and never read.
const ROOT: u32 = 0;

/// The bit of `prev` that marks a parent. With it, removing a node does not read its neighbors: it
/// only writes to them, and does not wait until they are in the cache.
const PARENT: u32 = 1 << 31;

/// The value of `child` in the node of a far timer.
const FAR: u32 = u32::MAX;

/// The value of `prev` in a free node without an entry among the far timers. It is later than all
/// buckets.
const NO_BUCKET: u32 = u32::MAX;

/// The number of timers in the heap above which further ones are kept apart. It is about what fits
/// into the second-level cache. It is smaller in tests, so that they have far timers too.
const MIN_LIMIT: usize = if cfg!(test) { 70 } else { 2048 };

/// The number of timers in the heap of which one is due before the far ones.
const TIMERS_PER_NEAR: usize = 16;

/// The number of timers whose deadlines are compared to find that one.
const SAMPLES: usize = 64;

/// The armed timers. Each is one node of 40 bytes, of which the waker is 16.
#[derive(Debug)]
pub(crate) struct Timers {
    nodes: Vec<Node>,
    /// The node that was linked last, or one near it if that was removed. `ROOT` only if no timer
    /// is armed.
    last: u32,
    /// The first of the free nodes, which their `child` links.
    free: u32,
    len: usize,
    /// The number of timers above which the far ones are kept apart. The largest number while they
    /// are.
    limit: usize,
    /// A timer that is due later is a far one, unless it was in the heap before. The earliest one
    /// is not due later. The largest number if there are no far timers.
    near_until: Nanos,
    far: FarTimers,
    /// The timers that are about to enter the heap. Only the memory is kept.
    batch: Vec<Entry>,
    /// Counts timers. Its low half is a generation that no two occupants of a node share.
    armed: u64,
    /// Counted if it is requested.
    lateness: Option<Box<Lateness>>,
}

#[derive(Debug, Default)]
struct Node {
    deadline: Nanos,
    generation: u32,
    /// The first child, or `FAR`.
    child: u32,
    /// The next sibling, or the stamp of a far timer.
    next: u32,
    /// The previous sibling, or the parent of a first child, with the bit `PARENT`. The bucket of a
    /// far timer, also in a free node that still has its entry there.
    prev: u32,
    /// `None` in a free node.
    waker: Option<Waker>,
}

impl Node {
    /// Returns true if this timer is due before `other`: by deadline, then in the order of arming.
    /// The counter may have wrapped between the two.
    #[inline]
    fn precedes(&self, other: &Node) -> bool {
        if self.deadline != other.deadline {
            return self.deadline < other.deadline;
        }
        (self.generation.wrapping_sub(other.generation) as i32) < 0
    }
}

impl Default for Timers {
    fn default() -> Timers {
        // The latest deadline, so an empty heap seems to be due after every far timer.
        let root = Node {
            deadline: Nanos::MAX,
            ..Node::default()
        };
        Timers {
            nodes: vec![root],
            last: ROOT,
            free: ROOT,
            len: 0,
            limit: MIN_LIMIT,
            near_until: Nanos::MAX,
            far: FarTimers::default(),
            batch: Vec::new(),
            armed: 0,
            lateness: None,
        }
    }
}

impl Timers {
    /// Arms a timer. O(1).
    #[inline]
    pub(crate) fn insert(&mut self, deadline: Nanos, waker: Waker) -> TimerKey {
        self.armed += 1;
        let generation = self.armed as u32;
        let index = if self.free == ROOT {
            self.grow()
        } else {
            self.free
        };
        let node = at(&mut self.nodes, index);
        self.free = node.child;
        node.deadline = deadline;
        node.generation = generation;
        node.child = ROOT;
        node.waker = Some(waker);
        self.len += 1;
        if self.len > self.limit {
            self.begin_far();
        }
        self.place(index, deadline);
        TimerKey { index, generation }
    }

    /// Adds a node without children to the heap or to the far timers. Its `prev` is a bucket.
    #[inline]
    fn place(&mut self, index: u32, deadline: Nanos) {
        if deadline > self.near_until {
            return self.add_far(index, deadline);
        }
        self.link(index);
    }

    #[inline(never)]
    fn add_far(&mut self, index: u32, deadline: Nanos) {
        let node = at(&mut self.nodes, index);
        if self.far.may_stay(node.prev, deadline) {
            node.child = FAR;
            self.far.add_again();
        } else {
            self.far.add(index, deadline, &mut self.nodes[..]);
        }
    }

    /// Keeps further timers apart from now on if they are not due soon. Those in the heap stay.
    #[cold]
    fn begin_far(&mut self) {
        self.limit = usize::MAX;
        let armed = self.nodes.iter().filter(|node| node.waker.is_some());
        let sample = armed.step_by(1 + self.len / SAMPLES);
        let mut sample: Vec<Nanos> = sample.map(|node| node.deadline).collect();
        // Selected one by one, because a sort is much code for such a rare path.
        for _ in 0..=sample.len() / TIMERS_PER_NEAR {
            let earliest = (0..sample.len()).min_by_key(|&at| sample[at]);
            self.near_until = earliest.map_or(0, |at| sample.swap_remove(at));
        }
        self.far = FarTimers::new(self.near_until);
    }

    /// Moves the earliest of the far timers to the heap.
    fn take_first_far(&mut self) {
        let mut batch = mem::take(&mut self.batch);
        self.near_until = self.far.take_first(&mut batch, &mut self.nodes[..]);
        for Entry { index, .. } in batch.drain(..) {
            at(&mut self.nodes, index).child = ROOT;
            self.link(index);
        }
        self.batch = batch;
    }

    /// Moves the earliest timer to the heap, if it is a far one: the top of the heap has changed.
    #[inline]
    fn find_first(&mut self) {
        // Without far timers, no memory is accessed.
        let may_be_far = self.near_until != Nanos::MAX;
        if may_be_far && self.nodes[self.top() as usize].deadline > self.near_until {
            self.find_first_far();
        }
    }

    #[cold]
    fn find_first_far(&mut self) {
        while self.nodes[self.top() as usize].deadline > self.near_until {
            if self.far.len() == 0 {
                // The free nodes no longer have entries then.
                self.far.take_first(&mut self.batch, &mut self.nodes[..]);
                self.near_until = Nanos::MAX;
                self.limit = MIN_LIMIT.max(2 * self.len);
                self.far = FarTimers::default();
            } else {
                self.take_first_far();
            }
        }
    }

    /// Notes that a far timer is canceled or moved. It is marked as such.
    #[inline(never)]
    fn remove_far(&mut self) {
        self.far.remove(&mut self.nodes[..]);
    }

    /// Adds a node that is free, but not in the list of those.
    #[cold]
    fn grow(&mut self) -> u32 {
        let index = self.nodes.len() as u32;
        assert!(self.nodes.len() < PARENT as usize, "2^31 timers are armed");
        self.nodes.push(Node {
            prev: NO_BUCKET,
            ..Node::default()
        });
        index
    }

    #[inline]
    fn get(&mut self, key: TimerKey) -> Option<&mut Node> {
        let node = self.nodes.get_mut(key.index as usize)?;
        (node.generation == key.generation && node.waker.is_some()).then_some(node)
    }

    /// Returns the waker of a timer that has not fired.
    pub(crate) fn waker(&mut self, key: TimerKey) -> Option<&mut Waker> {
        self.get(key)?.waker.as_mut()
    }

    /// Moves a timer that has not fired. Returns false if there is none. O(1), or amortized
    /// O(log n) if timers are linked below it.
    pub(crate) fn reset(&mut self, key: TimerKey, deadline: Nanos) -> bool {
        let Some(node) = self.get(key) else {
            return false;
        };
        let before = mem::replace(&mut node.deadline, deadline);
        let &mut Node {
            child, next, prev, ..
        } = node;
        if child == FAR {
            if deadline <= self.near_until || !self.far.may_stay(prev, deadline) {
                at(&mut self.nodes, key.index).child = ROOT;
                self.remove_far();
                self.place(key.index, deadline);
            }
        } else if deadline < before {
            // Still earlier than what is below it, and so is the earliest timer.
            if key.index != self.top() {
                self.unlink(key.index, ROOT, next, prev);
                self.link_to_top(key.index);
            }
        } else if child != ROOT {
            (node.child, node.prev) = (ROOT, NO_BUCKET);
            self.unlink(key.index, child, next, prev);
            self.place(key.index, deadline);
        }
        self.find_first();
        true
    }

    /// Disarms a timer. O(1), or amortized O(log n) if several timers are linked below it. The
    /// caller drops the waker once its borrow has ended.
    #[inline(always)]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        let node = self.nodes.get_mut(key.index as usize)?;
        if node.generation != key.generation {
            return None;
        }
        let waker = node.waker.take()?;
        let &mut Node {
            child, next, prev, ..
        } = node;
        node.child = self.free;
        self.free = key.index;
        self.len -= 1;
        if child == FAR {
            self.remove_far();
        } else {
            node.prev = NO_BUCKET;
            self.unlink(key.index, child, next, prev);
            if prev == ROOT | PARENT {
                self.find_first();
            }
        }
        Some(waker)
    }

    /// Returns the deadline of the earliest timer. O(1).
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        let top = self.top();
        (top != ROOT).then(|| self.nodes[top as usize].deadline)
    }

    /// Hands over the wakers of all timers that are due, in the order of their deadlines, and
    /// returns their number. Amortized O(log n) for each.
    #[inline]
    pub(crate) fn fire(&mut self, now: Nanos, woken: &mut WakeList) -> u64 {
        match self.next_deadline() {
            Some(deadline) if deadline <= now => self.fire_due(now, woken),
            _ => 0,
        }
    }

    #[inline(never)]
    fn fire_due(&mut self, now: Nanos, woken: &mut WakeList) -> u64 {
        let mut fired = 0;
        loop {
            let index = self.top();
            let node = &self.nodes[index as usize];
            if index == ROOT || node.deadline > now {
                return fired;
            }
            let (generation, deadline) = (node.generation, node.deadline);
            if let Some(waker) = self.remove(TimerKey { index, generation }) {
                woken.push(waker);
                fired += 1;
            }
            if let Some(lateness) = &mut self.lateness {
                lateness.record(now - deadline);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of timers that were ever armed.
    pub(crate) fn armed(&self) -> u64 {
        self.armed
    }

    /// Counts the lateness of timers from now on.
    pub(crate) fn count_lateness(&mut self) {
        self.lateness.get_or_insert_default();
    }

    pub(crate) fn lateness(&self) -> Option<&Lateness> {
        self.lateness.as_deref()
    }

    /// Returns the deadlines and wakers of all timers, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Nanos, &Waker)> {
        let nodes = self.nodes.iter();
        nodes.filter_map(|node| Some((node.deadline, node.waker.as_ref()?)))
    }

    /// Removes all timers and hands over their wakers.
    pub(crate) fn clear(&mut self, woken: &mut WakeList) {
        let wakers = self.nodes.drain(..).filter_map(|node| node.waker);
        wakers.for_each(|waker| woken.push(waker));
        *self = Timers {
            // Keys stay valid for one timer only.
            armed: self.armed,
            lateness: self.lateness.take(),
            ..Timers::default()
        };
    }

    /// Returns the earliest timer.
    #[inline]
    fn top(&self) -> u32 {
        self.nodes[ROOT as usize].child
    }

    /// Links a node that has no children.
    #[inline(always)]
    fn link(&mut self, index: u32) {
        let last = mem::replace(&mut self.last, index);
        if last == ROOT {
            return add_child(&mut self.nodes, ROOT, index);
        }
        let nodes = &mut self.nodes[..];
        let (node, before) = (&nodes[index as usize], &nodes[last as usize]);
        if !node.precedes(before) {
            return add_child(nodes, last, index);
        }
        // Where two durations alternate, it is due no earlier than the last one of its own.
        let prev = before.prev & !PARENT;
        if prev != ROOT && !node.precedes(&nodes[prev as usize]) {
            return add_child(nodes, prev, index);
        }
        self.link_to_top(index);
    }

    /// Links a node to the earliest timer, above or below it.
    #[inline]
    fn link_to_top(&mut self, index: u32) {
        let top = self.top();
        let top = meld(&mut self.nodes, top, index);
        self.set_top(top);
    }

    #[inline]
    fn set_top(&mut self, top: u32) {
        at(&mut self.nodes, ROOT).child = top;
        let node = at(&mut self.nodes, top);
        (node.next, node.prev) = (ROOT, ROOT | PARENT);
    }

    /// Takes a node out of the tree; what is below it takes its place.
    #[inline(always)]
    fn unlink(&mut self, index: u32, child: u32, next: u32, prev: u32) {
        let nodes = &mut self.nodes[..];
        let heir = if child == ROOT {
            at(nodes, next).prev = prev;
            next
        } else {
            let heir = match at(nodes, child).next {
                ROOT => child,
                second => merge(nodes, child, second),
            };
            let node = at(nodes, heir);
            (node.next, node.prev) = (next, prev);
            at(nodes, next).prev = heir;
            heir
        };
        let is_first = prev & PARENT != 0;
        let prev = prev & !PARENT;
        let before = at(nodes, prev);
        if is_first {
            before.child = heir;
        } else {
            before.next = heir;
        }
        if self.last == index {
            self.last = if child == ROOT { prev } else { heir };
        }
    }
}

impl Filed for [Node] {
    #[inline]
    fn deadline(&self, entry: Entry) -> Option<Nanos> {
        let node = &self[entry.index as usize];
        (node.next == entry.stamp && node.child == FAR).then_some(node.deadline)
    }

    #[inline]
    fn note(&mut self, entry: Entry, bucket: u32) {
        let node = at(self, entry.index);
        (node.child, node.next, node.prev) = (FAR, entry.stamp, bucket);
    }

    #[inline]
    fn forget(&mut self, entry: Entry) {
        let node = at(self, entry.index);
        if node.next == entry.stamp && node.waker.is_none() {
            node.prev = NO_BUCKET;
        }
    }
}

// These three are inlined into `merge` too, which saves it a quarter of its instructions.
#[inline(always)]
fn at(nodes: &mut [Node], index: u32) -> &mut Node {
    &mut nodes[index as usize]
}

#[inline(always)]
fn add_child(nodes: &mut [Node], parent: u32, child: u32) {
    let second = mem::replace(&mut at(nodes, parent).child, child);
    let node = at(nodes, child);
    (node.next, node.prev) = (second, parent | PARENT);
    at(nodes, second).prev = child;
}

/// Links the later of two trees below the earlier, which it returns. The caller places that one.
#[inline(always)]
fn meld(nodes: &mut [Node], a: u32, b: u32) -> u32 {
    let b_is_first = nodes[b as usize].precedes(&nodes[a as usize]);
    let (parent, child) = if b_is_first { (b, a) } else { (a, b) };
    add_child(nodes, parent, child);
    parent
}

/// Makes one tree of siblings, of which `a` and `b` are the first: melds them in pairs from the
/// first to the last, then the pairs from the last to the first. This order is what makes it
/// O(log n) amortized.
#[inline(never)]
fn merge(nodes: &mut [Node], mut a: u32, mut b: u32) -> u32 {
    let mut pairs = ROOT;
    loop {
        let rest = at(nodes, b).next;
        let pair = meld(nodes, a, b);
        if rest == ROOT {
            a = pair;
            break;
        }
        at(nodes, pair).next = pairs;
        pairs = pair;
        a = rest;
        b = at(nodes, a).next;
        if b == ROOT {
            break;
        }
    }
    while pairs != ROOT {
        let rest = at(nodes, pairs).next;
        a = meld(nodes, a, pairs);
        pairs = rest;
    }
    a
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
            assert_eq!(check(&timers), 1);
        }
        assert_eq!(timers.next_deadline(), Some(10));
        assert_eq!(fired(&mut timers, 100), 1);
        assert_eq!(timers.next_deadline(), None);
        assert_eq!(check(&timers), 0);
    }

    #[test]
    fn a_timer_that_was_moved_away_and_back_is_there_once() {
        let mut timers = Timers::default();
        let keys: Vec<_> = (0..100)
            .map(|n| timers.insert(1000 + n, Waker::noop().clone()))
            .collect();
        for _ in 0..10 {
            for (n, &key) in (0..).zip(&keys) {
                timers.reset(key, 10 + n);
                assert_eq!(timers.next_deadline(), Some(10 + n));
                timers.reset(key, 1000 + n);
                assert_eq!(timers.next_deadline(), Some(1000));
            }
        }
        assert_eq!(check(&timers), keys.len());
        assert_eq!(timers.nodes.len(), keys.len() + 1);
        let mut woken = WakeList::default();
        assert_eq!(timers.fire(5000, &mut woken), 100);
    }

    #[test]
    fn far_timers_that_activity_postpones_fire_at_their_last_deadlines_in_the_order_of_arming() {
        let mut timers = Timers::default();
        let mut arm = |deadline| timers.insert(deadline, Waker::noop().clone());
        // Most are far, and one of them is due alone.
        let alone = arm(40_000);
        let keys: Vec<_> = (0..500).map(|n| arm(30_000 + n)).collect();
        let mut now = 0;
        for _ in 0..1_000 {
            now += 20_000;
            for (n, &key) in (0..).zip(&keys) {
                assert_eq!(fired(&mut timers, now + 20 * n), 0);
                assert!(timers.reset(key, now + 30_000 + 25 * n));
            }
            assert!(timers.reset(alone, now + 35_000));
            let first = timers.iter().map(|(deadline, _)| deadline).min();
            assert_eq!(timers.next_deadline(), first);
            assert_eq!(check(&timers), 501);
        }
        // Moved to an earlier deadline after a later one, and to one that others have.
        assert!(timers.reset(keys[499], now + 11_000));
        assert!(timers.reset(keys[498], now + 30_000));
        assert_eq!(timers.next_deadline(), Some(now + 11_000));
        assert_eq!(fired(&mut timers, now + 10_999), 0);
        assert_eq!(fired(&mut timers, now + 11_000), 1);
        assert_eq!(timers.next_deadline(), Some(now + 30_000));
        assert_eq!(timers.top(), keys[0].index);
        assert_eq!(fired(&mut timers, now + 29_999), 0);
        assert_eq!(fired(&mut timers, now + 30_000), 2);
        assert_eq!(fired(&mut timers, now + 30_024), 0);
        assert_eq!(fired(&mut timers, now + 50_000), 498);
        assert_eq!((timers.next_deadline(), check(&timers)), (None, 0));
    }

    #[test]
    fn far_timers_that_replace_canceled_ones_take_their_entries() {
        let mut timers = Timers::default();
        let arm = |timers: &mut Timers, deadline| timers.insert(deadline, Waker::noop().clone());
        let mut keys: Vec<_> = (0..500).map(|n| arm(&mut timers, 30_000 + n)).collect();
        let far = timers.far.len();
        assert!(far > 300);
        for now in 1..10_000 {
            let key = &mut keys[now as usize % 500];
            assert!(timers.remove(*key).is_some());
            *key = arm(&mut timers, 30_000 + 500 + now);
        }
        assert_eq!(timers.far.entry_count(), timers.far.len());
        assert!(timers.far.len() >= far);
        // An earlier one does not, and an entry that was removed is not taken.
        let late = arm(&mut timers, 10_000_000);
        assert!(timers.remove(late).is_some());
        let earlier = timers.near_until + 1;
        keys.push(arm(&mut timers, earlier));
        assert_eq!(timers.far.entry_count(), timers.far.len() + 1);
        assert_eq!(check(&timers), 501);
        keys.drain(..).for_each(|key| drop(timers.remove(key)));
        assert_eq!(check(&timers), 0);
        keys.extend((0..500).map(|n| arm(&mut timers, 90_000 + n)));
        assert_eq!(check(&timers), 500);
        assert_eq!(fired(&mut timers, 100_000), 500);
    }

    #[test]
    fn canceled_timers_leave_nothing_behind() {
        for others in [0, 1, 64] {
            let mut timers = Timers::default();
            for n in 0..others {
                timers.insert(1_000_000 + n, Waker::noop().clone());
            }
            for deadline in 0..100_000 {
                let key = timers.insert(deadline, Waker::noop().clone());
                assert!(timers.remove(key).is_some());
                assert!(timers.remove(key).is_none());
            }
            assert_eq!(check(&timers), others as usize);
            assert_eq!(timers.nodes.len(), others as usize + 2);
            let first = (others > 0).then_some(1_000_000);
            assert_eq!(timers.next_deadline(), first);
        }
    }

    /// The timers of connections, each of which drops its own and arms another with every message.
    #[test]
    fn canceled_timers_leave_nothing_behind_whatever_the_order() {
        for (live, longest) in [(1, 1), (64, 1), (64, 3), (64, 1_000)] {
            let mut next = random();
            let mut timers = Timers::default();
            let mut deadline = |now| now + 10_000 * (1 + next(longest));
            let keys = (0..live).map(|now| timers.insert(deadline(now), Waker::noop().clone()));
            let mut keys: Vec<_> = keys.collect();
            let mut pick = random();
            for now in 64..100_064 {
                let key = &mut keys[pick(live) as usize];
                assert!(timers.remove(*key).is_some());
                *key = timers.insert(deadline(now), Waker::noop().clone());
            }
            assert_eq!(check(&timers), keys.len());
            // One node is at the root.
            assert_eq!(timers.nodes.len(), keys.len() + 1);
        }
    }

    #[test]
    fn timeouts_of_one_duration_form_a_chain() {
        let mut timers = Timers::default();
        let arm =
            |timers: &mut Timers, now: Nanos| timers.insert(now + 30_000, Waker::noop().clone());
        let mut keys: Vec<_> = (0..64).map(|now| arm(&mut timers, now)).collect();
        let mut next = random();
        for now in 64..1_000 {
            let key = &mut keys[next(64) as usize];
            timers.remove(*key);
            *key = arm(&mut timers, now);
            let has_sibling = |node: &&Node| node.waker.is_some() && node.next != ROOT;
            assert_eq!(timers.nodes.iter().filter(has_sibling).count(), 0);
        }
        assert_eq!(check(&timers), keys.len());
    }

    #[test]
    fn a_key_does_not_outlive_clear() {
        let mut timers = Timers::default();
        let old = timers.insert(1, Waker::noop().clone());
        let mut woken = WakeList::default();
        timers.clear(&mut woken);
        assert_eq!(
            (woken.iter().count(), timers.len(), check(&timers)),
            (1, 0, 0)
        );
        assert!(timers.waker(old).is_none());
        let new = timers.insert(2, Waker::noop().clone());
        assert_eq!(old.index, new.index);
        assert!(timers.remove(old).is_none());
        assert!(timers.remove(new).is_some());
    }

    #[test]
    fn timers_of_one_deadline_fire_in_the_order_of_arming_while_the_generation_wraps() {
        let mut timers = Timers {
            armed: u64::from(u32::MAX - 2),
            ..Timers::default()
        };
        let wakers: Vec<_> = (0..6).map(|_| CountingWaker::new()).collect();
        for waker in &wakers {
            timers.insert(7, waker.waker());
        }
        let mut woken = WakeList::default();
        assert_eq!(timers.fire(7, &mut woken), 6);
        let in_order = woken.iter().zip(&wakers);
        assert!(in_order.into_iter().all(|(a, b)| a.will_wake(&b.waker())));
    }

    #[test]
    fn a_recycled_slot_does_not_answer_to_its_old_key() {
        let mut timers = Timers::default();
        let old = timers.insert(1, Waker::noop().clone());
        timers.remove(old);
        let new = timers.insert(2, Waker::noop().clone());
        assert_eq!(old.index, new.index);
        assert!(timers.waker(old).is_none() && timers.waker(new).is_some());
        assert!(!timers.reset(old, 9));
        assert!(timers.remove(old).is_none());
        assert_eq!(timers.next_deadline(), Some(2));
    }

    #[test]
    fn slack_moves_a_deadline_to_a_round_time_and_never_forth() {
        assert_eq!(with_slack(1_000_001, 0), 1_000_001);
        assert_eq!(with_slack(0, 0), 0);
        assert_eq!(with_slack(0, 5), 4);
        assert_eq!(with_slack(1, 0), 1);
        assert_eq!(with_slack(5, 2), 6);
        assert_eq!(with_slack(5, 4), 8);
        assert_eq!(with_slack(Nanos::MAX - 1, 7), Nanos::MAX - 1);
        let mut next = random();
        for _ in 0..100_000 {
            let (deadline, slack) = (next(1 << 40), next(1 << 30));
            let fires = with_slack(deadline, slack);
            assert!((deadline..=deadline + slack).contains(&fires));
        }
    }

    #[test]
    fn deadlines_with_slack_share_few_times() {
        let mut next = random();
        let times = (0..100_000).map(|_| with_slack(next(1_000_000_000), 1_000_000));
        let times: std::collections::BTreeSet<_> = times.collect();
        assert!(times.len() <= 1_910, "{}", times.len());
    }

    /// Looks at every node: each is in the tree once, far or free, and no child precedes its
    /// parent. Returns the number of timers.
    fn check(timers: &Timers) -> usize {
        let nodes = &timers.nodes;
        let node = |index: u32| &nodes[index as usize];
        let mut seen = vec![false; nodes.len()];
        let mut parents = vec![ROOT];
        let mut armed = 0;
        while let Some(parent) = parents.pop() {
            let (mut prev, mut at) = (parent | PARENT, node(parent).child);
            while at != ROOT {
                assert!(!mem::replace(&mut seen[at as usize], true));
                assert!(node(at).waker.is_some());
                assert_eq!(node(at).prev, prev);
                assert!(parent == ROOT || node(parent).precedes(node(at)));
                armed += 1;
                parents.push(at);
                (prev, at) = (at, node(at).next);
            }
        }
        assert_eq!(node(timers.top()).next, ROOT, "one node is the earliest");
        assert_eq!(armed, timers.len() - timers.far.len());
        let far = |node: &Node| node.waker.is_some() && node.child == FAR;
        for (seen, node) in seen.iter_mut().zip(nodes).filter(|(_, node)| far(node)) {
            assert!(!mem::replace(seen, true));
            assert!(node.deadline > timers.near_until);
            armed += 1;
        }
        let entry_count = timers.far.entry_count();
        let filed = |node: &Node| far(node) || node.waker.is_none() && node.prev != NO_BUCKET;
        let filed = (0..).zip(nodes).skip(1).filter(|(_, node)| filed(node));
        let filed: Vec<_> = filed.collect();
        assert!(filed.len() <= entry_count);
        for (index, node) in filed {
            assert!(timers.far.has_entry(node.prev, index, node.next));
        }
        assert_eq!(armed, timers.len());
        let seen = &mut seen;
        assert!(
            timers.last == ROOT && timers.len() == timers.far.len() || seen[timers.last as usize]
        );
        let mut at = timers.free;
        while at != ROOT {
            assert!(!mem::replace(&mut seen[at as usize], true));
            assert!(node(at).waker.is_none());
            at = node(at).child;
        }
        assert!(seen[1..].iter().all(|&seen| seen));
        armed
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
    fn timers_come_in_the_order_of_deadline_and_arming_however_many_there_are() {
        let mut next = random();
        let mut timers = Timers::default();
        let mut arm = |timers: &mut Timers, now| {
            timers.insert(now + next(1000), Waker::noop().clone());
        };
        for _ in 0..5_000 {
            arm(&mut timers, 0);
        }
        let mut last = (0, 0);
        for at in 0..10_000 {
            let index = timers.top();
            let Node {
                deadline,
                generation,
                ..
            } = timers.nodes[index as usize];
            assert!(last < (deadline, generation));
            last = (deadline, generation);
            assert!(timers.remove(TimerKey { index, generation }).is_some());
            if at < 5_000 {
                arm(&mut timers, deadline);
            }
        }
        assert_eq!((timers.next_deadline(), check(&timers)), (None, 0));
    }

    /// A timer of the model: deadline, number in the order of arming, key, waker.
    type Modeled = (Nanos, u64, TimerKey, CountingWaker);

    /// Compares the timers with a sorted list, over random histories in which each operation moves
    /// deadlines by `span` at most.
    fn agree_with_a_sorted_list(span: u64, most: usize) {
        let mut next = random();
        let mut timers = Timers::default();
        let mut list: Vec<Modeled> = Vec::new();
        let mut now = 0;
        for serial in 0..50_000 {
            let chosen = next(list.len().max(1) as u64) as usize;
            let deadline = now + 1 + next(span);
            match next(10) {
                0..=3 if list.len() < most => {
                    let waker = CountingWaker::new();
                    let key = timers.insert(deadline, waker.waker());
                    list.push((deadline, serial, key, waker));
                }
                4..=5 if !list.is_empty() => {
                    let (_, _, key, waker) = list.swap_remove(chosen);
                    let removed = timers.remove(key).unwrap();
                    assert!(removed.will_wake(&waker.waker()));
                    assert!(!timers.reset(key, deadline));
                }
                6..=7 if !list.is_empty() => {
                    list[chosen].0 = deadline;
                    assert!(timers.reset(list[chosen].2, deadline));
                }
                _ => {
                    now += next(1 + span / 200);
                    let (mut due, rest) = list
                        .into_iter()
                        .partition::<Vec<_>, _>(|timer| timer.0 <= now);
                    list = rest;
                    due.sort_by_key(|&(deadline, serial, ..)| (deadline, serial));
                    let mut woken = WakeList::default();
                    assert_eq!(timers.fire(now, &mut woken), due.len() as u64);
                    assert_eq!(woken.iter().count(), due.len());
                    for (fired, (_, _, key, waker)) in woken.iter().zip(&due) {
                        assert!(fired.will_wake(&waker.waker()));
                        assert!(timers.waker(*key).is_none());
                    }
                }
            }
            let first = list.iter().map(|&(deadline, ..)| deadline).min();
            assert_eq!(timers.next_deadline(), first);
            assert_eq!(timers.len(), list.len());
            if serial % 64 == 0 {
                assert_eq!(check(&timers), list.len());
            }
        }
        assert!(timers.nodes.len() <= most + 1);
    }

    #[test]
    fn the_timers_agree_with_a_sorted_list() {
        agree_with_a_sorted_list(10_000, 200);
    }

    #[test]
    fn the_timers_agree_with_a_sorted_list_where_most_are_far() {
        agree_with_a_sorted_list(1 << 36, 2_000);
    }

    #[test]
    fn the_timers_agree_with_a_sorted_list_where_deadlines_are_equal() {
        agree_with_a_sorted_list(12, 100);
    }

    #[test]
    fn the_timers_agree_with_a_sorted_list_where_there_are_few() {
        agree_with_a_sorted_list(1_000, 4);
    }
}
