//! The slots that tasks live in, and the run queue, which is a chain through them.
//!
//! A slot is never in two chains. A task that is removed while its slot is still in the run queue
//! leaves the slot there, vacant, until it is popped; then the slot joins the free list.

use std::collections::BinaryHeap;
use std::iter;
use std::mem;
use std::pin::Pin;
use std::task::Waker;

use crate::id::REMOTE_BIT;
use crate::record::Description;
use crate::task::Task;
use crate::waker_id::WakerId;

/// The state of the task in a slot: five bits.
pub(crate) mod state {
    /// The slot is in the run queue.
    ///
    /// Set by spawning, a wake and an abort. Cleared when the slot is popped. Impossible twice:
    /// this bit keeps a slot from being queued twice. The bit outlives a task that is removed
    /// before its turn.
    pub(crate) const SCHEDULED: u8 = 1;
    /// The output is in the cell, or the slot is vacant.
    ///
    /// Set once, after the last poll. Never cleared. Impossible while the task is polled.
    pub(crate) const COMPLETE: u8 = 2;
    /// The task has a join handle that was neither dropped nor got the output.
    ///
    /// Set by spawning. Cleared by the handle's drop. Impossible in a complete slot without an
    /// output: that slot is vacated at once.
    pub(crate) const JOIN_INTEREST: u8 = 4;
    /// The future must be dropped instead of polled.
    ///
    /// Set by an abort. Never cleared. Impossible to set after `COMPLETE`.
    pub(crate) const ABORTED: u8 = 8;
    /// The output goes to another thread: the scheduler has a `RemoteJoin` for this slot.
    ///
    /// Set when the request for the output arrives. Cleared with `JOIN_INTEREST`. Impossible
    /// without it.
    pub(crate) const REMOTE_JOIN: u8 = 16;
}

/// The tasks of an executor, and the queue of those that are scheduled.
pub(crate) struct TaskSlab {
    slots: Vec<Slot>,
    /// The number of slots that have a task.
    count: usize,
    /// The last serial number given to a task of this thread.
    serial: u32,
    /// The number of times that the serial numbers have begun again.
    restarts: u32,
    /// The first slot of the free list.
    free: u32,
    /// The slot at the head of the run queue. Has no meaning while the queue is empty.
    head: u32,
    /// The slot at the tail of the run queue. Has no meaning while the queue is empty.
    tail: u32,
    /// The length of the run queue.
    scheduled: usize,
}

pub(crate) struct Slot {
    /// `None` while the task is polled, and in a vacant slot.
    task: Option<Pin<Box<dyn Task>>>,
    /// The waker of the join handle, if that is polled on this thread.
    pub(crate) join_waker: Option<Waker>,
    /// Distinguishes the occupants of the slot; [`VACANT`] between them.
    serial: u32,
    link: Link,
}

/// The next slot of a chain, and above it, in five bits, the [`state`] of this slot.
#[derive(Clone, Copy)]
struct Link(u32);

/// The cost of a task beside its own allocation. Any growth should be deliberate.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Slot>() == 40);
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Slot>() == 24);

/// The serial number of a vacant slot.
pub(crate) const VACANT: u32 = 0;
/// The end of a chain. Too large to be a slot.
const END: u32 = WakerId::MAX_TASKS as u32;

/// A scheduled task, taken out of its slot to be polled.
pub(crate) struct Runnable {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
    pub(crate) task: Pin<Box<dyn Task>>,
    pub(crate) aborted: bool,
}

impl Link {
    const NEXT_BITS: u32 = 27;
    const NEXT_MASK: u32 = (1 << Link::NEXT_BITS) - 1;

    const fn new(next: u32, state: u8) -> Link {
        Link(Link::state_bits(state) | next)
    }

    const fn state_bits(state: u8) -> u32 {
        (state as u32) << Link::NEXT_BITS
    }

    fn next(self) -> u32 {
        self.0 & Link::NEXT_MASK
    }

    fn set_next(&mut self, next: u32) {
        self.0 = self.0 & !Link::NEXT_MASK | next;
    }

    /// Returns true if one of these bits is set.
    fn has_any(self, state: u8) -> bool {
        self.0 & Link::state_bits(state) != 0
    }

    fn set(&mut self, state: u8) {
        self.0 |= Link::state_bits(state);
    }

    fn clear(&mut self, state: u8) {
        self.0 &= !Link::state_bits(state);
    }
}

const _: () = assert!(END <= Link::NEXT_MASK);

impl Slot {
    /// Returns true if the task is in one of these states.
    pub(crate) fn is(&self, state: u8) -> bool {
        self.link.has_any(state)
    }

    pub(crate) fn set(&mut self, state: u8) {
        self.link.set(state);
    }

    pub(crate) fn clear(&mut self, state: u8) {
        self.link.clear(state);
    }

    /// Returns the constant properties of the task, unless it is being polled.
    pub(crate) fn describe(&self) -> Option<Description<'_>> {
        self.task.as_ref().map(|task| task.describe())
    }

    /// Puts the task back that was popped from this slot.
    #[inline]
    pub(crate) fn put_back(&mut self, task: Pin<Box<dyn Task>>) {
        let none = self.task.replace(task);
        debug_assert!(none.is_none());
        // Spares the code that would drop it.
        mem::forget(none);
    }
}

impl Default for TaskSlab {
    fn default() -> TaskSlab {
        TaskSlab {
            slots: Vec::new(),
            count: 0,
            serial: VACANT,
            restarts: 0,
            free: END,
            head: END,
            tail: END,
            scheduled: 0,
        }
    }
}

impl TaskSlab {
    /// Returns the number of tasks.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns the length of the run queue, which may contain slots that their task has left.
    pub(crate) fn scheduled(&self) -> usize {
        self.scheduled
    }

    /// Returns a serial number for a task of this thread.
    pub(crate) fn next_serial(&mut self) -> u32 {
        self.serial += 1;
        if self.serial == REMOTE_BIT {
            self.restart_serials();
        }
        self.serial
    }

    #[cold]
    fn restart_serials(&mut self) {
        self.restarts += 1;
        self.serial = VACANT + 1;
    }

    /// Returns the number of tasks that were ever spawned on this thread.
    pub(crate) fn spawned(&self) -> u64 {
        u64::from(self.restarts) * u64::from(REMOTE_BIT - 1) + u64::from(self.serial)
    }

    pub(crate) fn get(&mut self, slot: u32, serial: u32) -> Option<&mut Slot> {
        self.slots
            .get_mut(slot as usize)
            .filter(|slot| slot.serial == serial)
    }

    /// Returns the slot of a task that was [popped](TaskSlab::pop) and is running. It is reserved
    /// for that task, unless the executor was closed in the meantime, which removes all slots.
    #[inline]
    pub(crate) fn running_slot(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize)
    }

    /// Puts a task into a free slot and schedules it. Returns the slot.
    ///
    /// # Panics
    /// Panics if there are [`WakerId::MAX_TASKS`] tasks.
    pub(crate) fn insert(&mut self, task: Pin<Box<dyn Task>>, serial: u32) -> u32 {
        let new = Slot {
            task: Some(task),
            join_waker: None,
            serial,
            link: Link::new(END, state::JOIN_INTEREST),
        };
        let index = self.free;
        match self.slots.get_mut(index as usize) {
            Some(slot) => {
                self.free = slot.link.next();
                // A vacant slot holds nothing to drop.
                mem::forget(mem::replace(slot, new));
                self.count += 1;
                self.push(index);
                index
            }
            None => self.insert_last(new),
        }
    }

    #[cold]
    fn insert_last(&mut self, new: Slot) -> u32 {
        let index = self.slots.len();
        let max = WakerId::MAX_TASKS;
        if index >= max {
            // Dropping the future is foreign code, and the slab is borrowed.
            mem::forget(new);
            panic!("spawn: this runtime has {max} tasks already");
        }
        self.slots.push(new);
        self.count += 1;
        self.push(index as u32);
        index as u32
    }

    /// Vacates a slot and returns its contents.
    pub(crate) fn remove(&mut self, index: u32) -> (Option<Pin<Box<dyn Task>>>, Option<Waker>) {
        let slot = &mut self.slots[index as usize];
        let contents = (slot.task.take(), slot.join_waker.take());
        slot.serial = VACANT;
        // A waker whose serial bits happen to match must not schedule it.
        slot.set(state::COMPLETE);
        self.count -= 1;
        if !slot.is(state::SCHEDULED) {
            slot.link.set_next(self.free);
            self.free = index;
        }
        contents
    }

    /// Schedules the task that a waker refers to, unless it is scheduled or complete. Returns false
    /// if there is no slot with that number.
    #[inline]
    pub(crate) fn wake(&mut self, id: WakerId) -> bool {
        let index = id.slot();
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return false;
        };
        if id.matches_serial(slot.serial) && !slot.is(state::SCHEDULED | state::COMPLETE) {
            slot.set(state::SCHEDULED);
            self.append(index);
        }
        true
    }

    /// Appends a slot to the run queue. It must not be there yet.
    pub(crate) fn push(&mut self, index: u32) {
        self.slots[index as usize].set(state::SCHEDULED);
        self.append(index);
    }

    /// Appends a slot that is marked as scheduled.
    #[inline]
    fn append(&mut self, index: u32) {
        if self.scheduled == 0 {
            self.head = index;
        } else {
            self.slots[self.tail as usize].link.set_next(index);
        }
        self.tail = index;
        self.scheduled += 1;
    }

    /// Brings the run queue into another order. `below` returns a number below its argument.
    pub(crate) fn shuffle(&mut self, below: &mut dyn FnMut(u64) -> u64) {
        let next = |index: &u32| Some(self.slots[*index as usize].link.next());
        let chain = iter::successors(Some(self.head), next);
        let mut queue: Vec<u32> = chain.take(self.scheduled).collect();
        for last in (1..queue.len()).rev() {
            let other = below(last as u64 + 1) as usize;
            queue.swap(last, other);
        }
        self.scheduled = 0;
        for index in queue {
            self.push(index);
        }
    }

    /// Schedules a task to be dropped instead of polled.
    pub(crate) fn abort(&mut self, index: u32, serial: u32) {
        if let Some(slot) = self.get(index, serial) {
            if !slot.is(state::COMPLETE) {
                slot.set(state::ABORTED);
                if !slot.is(state::SCHEDULED) {
                    self.push(index);
                }
            }
        }
    }

    /// Pops the task at the head of the run queue. Returns `None` if the queue is empty, or if that
    /// task cannot run: it was completed after it was woken, or is running.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Runnable> {
        if self.scheduled == 0 {
            return None;
        }
        let index = self.head;
        let slot = &mut self.slots[index as usize];
        self.head = slot.link.next();
        self.scheduled -= 1;
        slot.clear(state::SCHEDULED);
        if slot.is(state::COMPLETE) {
            if slot.serial == VACANT {
                slot.link.set_next(self.free);
                self.free = index;
            }
            return None;
        }
        let Some(task) = slot.task.take() else {
            // It is running and has called `run_ready` itself. Its turn comes afterwards.
            self.push(index);
            return None;
        };
        Some(Runnable {
            slot: index,
            serial: slot.serial,
            task,
            aborted: slot.is(state::ABORTED),
        })
    }

    /// Returns slot, serial number and contents of all tasks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &Slot)> {
        let slots = (0..).zip(&self.slots);
        let occupied = slots.filter(|(_, slot)| slot.serial != VACANT);
        occupied.map(|(index, slot)| (index, slot.serial, slot))
    }

    /// Returns the serial numbers and slots of all tasks, ordered by serial number.
    pub(crate) fn iter_by_serial(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let mut occupied = Vec::with_capacity(self.count);
        for (slot, index) in self.slots.iter().zip(0..) {
            if slot.serial != VACANT {
                occupied.push((slot.serial, index));
            }
        }
        // Sorted by a heap: a quicksort for this rare path would be a tenth of this crate's code.
        BinaryHeap::from(occupied).into_sorted_vec().into_iter()
    }
}
