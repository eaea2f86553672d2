//! Wakers that wait for one event.

use std::mem;
use std::task::Waker;

/// The wakers that wait for an event, each in the place that its waiter keeps.
#[derive(Debug, Default)]
pub(super) struct WaitList {
    wakers: Vec<Option<Waker>>,
    /// Counts the events. A place is valid until the next one.
    events: u64,
}

/// The place of a waker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    index: usize,
    events: u64,
}

impl WaitList {
    /// Stores a waker, instead of the waiter's last one. Returns a waker that the caller drops once
    /// its lock is released.
    pub(super) fn set(&mut self, place: &mut Option<Place>, waker: Waker) -> Option<Waker> {
        if let Some(stored) = self.get(*place) {
            return stored.replace(waker);
        }
        let free = self.wakers.iter().position(Option::is_none);
        let index = free.unwrap_or(self.wakers.len());
        if index == self.wakers.len() {
            self.wakers.push(None);
        }
        self.wakers[index] = Some(waker);
        let events = self.events;
        *place = Some(Place { index, events });
        None
    }

    /// Forgets a waiter. Returns its waker, which the caller drops once its lock is released.
    pub(super) fn remove(&mut self, place: Option<Place>) -> Option<Waker> {
        self.get(place)?.take()
    }

    /// Takes all wakers, which the caller calls once its lock is released.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.events += 1;
        mem::take(&mut self.wakers).into_iter().flatten()
    }

    fn get(&mut self, place: Option<Place>) -> Option<&mut Option<Waker>> {
        let place = place.filter(|place| place.events == self.events)?;
        self.wakers.get_mut(place.index)
    }
}
