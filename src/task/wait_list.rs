//! Wakers that wait for one event.

use std::mem;
use std::task::Waker;

use runtime_reactor::internal::until_no_panic;

/// The wakers that wait for an event, each in the place that its waiter keeps.
#[derive(Debug, Default)]
pub(super) struct WaitList {
    wakers: Vec<Option<Waker>>,
    /// The indices of `wakers` that are free.
    free: Vec<usize>,
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
    /// Stores a waker, instead of the waiter's last one, in O(1) amortized. Returns a waker that
    /// the caller drops once its lock is released.
    pub(super) fn set(&mut self, place: &mut Option<Place>, waker: Waker) -> Option<Waker> {
        if let Some(stored) = self.get(*place) {
            return stored.replace(waker);
        }
        let index = self.free.pop().unwrap_or(self.wakers.len());
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
        let waker = self.get(place)?.take()?;
        self.free.extend(place.map(|place| place.index));
        Some(waker)
    }

    /// Takes all wakers, which the caller calls once its lock is released.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.events += 1;
        self.free.clear();
        mem::take(&mut self.wakers).into_iter().flatten()
    }

    fn get(&mut self, place: Option<Place>) -> Option<&mut Option<Waker>> {
        let place = place.filter(|place| place.events == self.events)?;
        self.wakers.get_mut(place.index)
    }
}

/// Calls all wakers. One that panics does not keep the others from being called; the first panic is
/// resumed after the last of them.
pub(super) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut wakers = wakers.into_iter();
    until_no_panic(|| wakers.by_ref().for_each(Waker::wake));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_given_up_is_used_again_until_the_event() {
        let mut list = WaitList::default();
        let mut places = [None; 3];
        for place in &mut places {
            assert!(list.set(place, Waker::noop().clone()).is_none());
        }
        assert!(list.remove(places[1]).is_some());
        assert!(list.remove(places[1]).is_none());
        let mut again = None;
        list.set(&mut again, Waker::noop().clone());
        assert_eq!(list.wakers.len(), 3, "no place was added");
        assert!(list.remove(places[0]).is_some());
        assert_eq!(list.take().count(), 2);
        let mut later = None;
        list.set(&mut later, Waker::noop().clone());
        assert!(
            list.remove(places[2]).is_none(),
            "the place of an earlier event"
        );
        assert_eq!(list.take().count(), 1);
    }
}
