//! The slots that tasks live in, and the run queue, which is a chain through them.
//!
//! A slot is never in two chains: a task that is gone while its slot still stands in the queue leaves
//! it there, empty, until its turn comes; then it joins the free ones.

use std::collections::BinaryHeap;
use std::mem;
use std::pin::Pin;
use std::task::Waker;

use crate::id::REMOTE_BIT;
use crate::task::{Task, WakerId, state};

/// The slots, the queue and what is free.
pub(crate) struct TaskSlab {
    slots: Vec<Slot>,
    /// How many of them have a task.
    count: usize,
    /// The serial number that was given last to a task of this thread.
    serial: u32,
    free: u32,
    first: u32,
    /// Means nothing while nothing is queued.
    last: u32,
    queued: usize,
}

pub(crate) struct Slot {
    /// `None` while it is polled, and once it is gone.
    pub(crate) task: Option<Pin<Box<dyn Task>>>,
    /// Who awaits the output on this thread.
    pub(crate) join_waker: Option<Waker>,
    /// Tells the tenants of a slot apart; [`VACANT`] between them.
    serial: u32,
    /// What follows in the queue, or among the free; above that, in the last five bits, see [`state`].
    next_and_state: u32,
}

/// What a task costs beside its own allocation; grow it knowingly.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Slot>() == 40);

/// The serial number of no task.
pub(crate) const VACANT: u32 = 0;
/// The slot after the last one. Too great to be one.
const NONE: u32 = WakerId::MAX_TASKS as u32;
const NEXT: u32 = (1 << STATE) - 1;
const STATE: u32 = 27;
const _: () = assert!(NONE <= NEXT);

/// A task whose turn has come, taken out of its slot.
pub(crate) struct Runnable {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
    pub(crate) task: Pin<Box<dyn Task>>,
    pub(crate) aborted: bool,
}

impl Slot {
    /// Whether it has any of these.
    pub(crate) fn is(&self, state: u8) -> bool {
        self.next_and_state & u32::from(state) << STATE != 0
    }

    pub(crate) fn set(&mut self, state: u8) {
        self.next_and_state |= u32::from(state) << STATE;
    }

    pub(crate) fn clear(&mut self, state: u8) {
        self.next_and_state &= !(u32::from(state) << STATE);
    }

    /// Gives it a task, where there is none.
    #[inline]
    pub(crate) fn put_back(&mut self, task: Pin<Box<dyn Task>>) {
        let none = self.task.replace(task);
        debug_assert!(none.is_none());
        // So that nobody looks for something to be dropped.
        mem::forget(none);
    }

    fn next(&self) -> u32 {
        self.next_and_state & NEXT
    }

    fn set_next(&mut self, next: u32) {
        self.next_and_state = self.next_and_state & !NEXT | next;
    }
}

impl Default for TaskSlab {
    fn default() -> TaskSlab {
        TaskSlab {
            slots: Vec::new(),
            count: 0,
            serial: VACANT,
            free: NONE,
            first: NONE,
            last: NONE,
            queued: 0,
        }
    }
}

impl TaskSlab {
    /// How many tasks there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many stand in the queue, slots that their task has left included.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// A serial number for a task of this thread.
    pub(crate) fn next_serial(&mut self) -> u32 {
        self.serial = ((self.serial + 1) & !REMOTE_BIT).max(VACANT + 1);
        self.serial
    }

    pub(crate) fn get(&mut self, slot: u32, serial: u32) -> Option<&mut Slot> {
        self.slots
            .get_mut(slot as usize)
            .filter(|slot| slot.serial == serial)
    }

    /// The slot of a task that was taken out by [`pop`](TaskSlab::pop) and is being polled: it is kept
    /// for it, unless the executor was closed meanwhile, which has no slots at all.
    #[inline]
    pub(crate) fn running_slot(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize)
    }

    /// Gives a task a slot, and a place in the queue.
    pub(crate) fn insert(&mut self, task: Pin<Box<dyn Task>>, serial: u32) -> u32 {
        let new = Slot {
            task: Some(task),
            join_waker: None,
            serial,
            next_and_state: u32::from(state::JOIN_INTEREST) << STATE | NONE,
        };
        let index = self.free;
        match self.slots.get_mut(index as usize) {
            Some(slot) => {
                self.free = slot.next();
                // There is nothing in it to be dropped.
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
        let most = WakerId::MAX_TASKS;
        if index >= most {
            // Its future is other people's code, and this is borrowed.
            mem::forget(new);
            panic!("no more than {most} tasks");
        }
        self.slots.push(new);
        self.count += 1;
        self.push(index as u32);
        index as u32
    }

    /// Takes a task out, and what else is in its slot.
    pub(crate) fn remove(&mut self, index: u32) -> (Option<Pin<Box<dyn Task>>>, Option<Waker>) {
        let slot = &mut self.slots[index as usize];
        let tenant = (slot.task.take(), slot.join_waker.take());
        slot.serial = VACANT;
        // So that a waker whose number would fit does not queue it.
        slot.set(state::COMPLETE);
        self.count -= 1;
        if !slot.is(state::SCHEDULED) {
            slot.set_next(self.free);
            self.free = index;
        }
        tenant
    }

    /// Puts a slot at the end of the queue, where it is not yet.
    fn push(&mut self, index: u32) {
        self.slots[index as usize].set(state::SCHEDULED);
        match self.queued {
            0 => self.first = index,
            _ => self.slots[self.last as usize].set_next(index),
        }
        self.last = index;
        self.queued += 1;
    }

    /// Queues the task that a waker means, unless it is queued, has finished, or is no more. Says
    /// whether there is such a slot.
    pub(crate) fn wake(&mut self, id: WakerId) -> bool {
        let Some(slot) = self.slots.get_mut(id.slot() as usize) else {
            return false;
        };
        if id.is_serial(slot.serial) && !slot.is(state::SCHEDULED | state::COMPLETE) {
            self.push(id.slot());
        }
        true
    }

    /// Queues a task to be dropped instead of polled.
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

    /// Takes the task at the head of the queue. `None` if there is no such task, or it has nothing
    /// to do: it finished after a wake.
    pub(crate) fn pop(&mut self) -> Option<Runnable> {
        if self.queued == 0 {
            return None;
        }
        let index = self.first;
        let slot = &mut self.slots[index as usize];
        self.first = slot.next();
        self.queued -= 1;
        slot.clear(state::SCHEDULED);
        if slot.is(state::COMPLETE) {
            if slot.serial == VACANT {
                slot.set_next(self.free);
                self.free = index;
            }
            return None;
        }
        let Some(task) = slot.task.take() else {
            // It is being polled, and called this itself: it has its turn afterwards.
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

    /// Serial numbers and slots of all that have a tenant, in the order of the former.
    pub(crate) fn iter_by_serial(&self) -> Vec<(u32, u32)> {
        let mut tenants = Vec::with_capacity(self.count);
        for (slot, index) in self.slots.iter().zip(0..) {
            if slot.serial != VACANT {
                tenants.push((slot.serial, index));
            }
        }
        // By a heap: a quicksort of the rarest path would be a tenth of this crate's code.
        BinaryHeap::from(tenants).into_sorted_vec()
    }
}
