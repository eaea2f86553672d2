//! The registrations of one reactor.

use std::io;
use std::sync::Arc;
use std::task::Waker;

use slab::Slab;

use crate::interest::{Direction, Interest, Readiness};
use crate::scheduled_io::{ScheduledIo, Target};
use crate::token::Token;
use crate::waiters::Waiters;
use crate::wake_list::WakeList;

/// Every registered descriptor and process of one reactor.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    slab: Slab<Registration>,
    /// Counts registrations: a generation that no two occupants of a slot share.
    generation: u32,
}

/// One registered descriptor or process. Only the reactor's thread touches it.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The generation half of the token; written once.
    generation: u32,
    /// True once the selector has the registration.
    pub(crate) is_added: bool,
    /// True while the selector does not report that it is writable: see `reactor/writing.rs`.
    pub(crate) omits_writing: bool,
    pub(crate) scheduled: Arc<ScheduledIo>,
    /// Also has the wakers that rest.
    waiters: Waiters,
}

/// Wakes a task of this thread, without running foreign code. Returns false if the waker is not
/// that of such a task.
pub(crate) type WakeLocal = fn(&Waker) -> bool;

impl Registrations {
    /// Adds a registration of `target`, which starts with `readiness`.
    ///
    /// # Errors
    /// Returns an error if there are 2^32 - 1 registrations already.
    pub(crate) fn insert(
        &mut self,
        reactor: u32,
        target: Target,
        supported: Interest,
        readiness: Readiness,
    ) -> io::Result<Arc<ScheduledIo>> {
        // The kernel has fewer descriptors than this, so the error is theoretical.
        let index = u32::try_from(self.slab.vacant_key())
            .ok()
            .filter(|&index| index != u32::MAX)
            .ok_or_else(|| io::Error::other("the reactor has 2^32 - 1 sources already"))?;
        self.generation = self.generation.wrapping_add(1);
        let token = Token::new(index, self.generation);
        let scheduled = ScheduledIo::new(reactor, token, target, supported, readiness);
        let scheduled = Arc::new(scheduled);
        self.slab.insert(Registration {
            generation: self.generation,
            is_added: false,
            omits_writing: false,
            scheduled: scheduled.clone(),
            waiters: Waiters::default(),
        });
        Ok(scheduled)
    }

    /// Returns the registration of `token`, unless its slot has another occupant by now.
    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Registration> {
        let registration = self.slab.get_mut(token.index())?;
        (registration.generation == token.generation()).then_some(registration)
    }

    /// Returns true if `target` has another registration than that of `token`. O(n).
    pub(crate) fn has_another(&self, target: Target, token: Token) -> bool {
        let mut registrations = self.slab.iter();
        registrations
            .any(|(index, other)| other.scheduled.target == target && index != token.index())
    }

    /// Removes the registration of `token`. The caller drops its wakers once the borrow has ended.
    pub(crate) fn remove(&mut self, token: Token) -> Option<Registration> {
        self.get(token)?;
        Some(self.slab.remove(token.index()))
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.slab.iter().map(|(_, registration)| registration)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Registration> {
        self.slab.iter_mut().map(|(_, registration)| registration)
    }

    /// Removes all registrations and hands over their wakers.
    pub(crate) fn clear(&mut self, woken: &mut WakeList) {
        for registration in self.iter_mut() {
            registration.waiters().wake_everyone(woken);
        }
        // No waker is left in them, so no foreign code runs.
        self.slab.clear();
    }
}

impl Registration {
    /// Returns the wakers that wait. Those that rest are dropped, which is no foreign code.
    #[inline]
    pub(crate) fn waiters(&mut self) -> &mut Waiters {
        for direction in Direction::BOTH {
            if self.scheduled.end_rest(direction) {
                self.waiters.remove_last(direction);
            }
        }
        &mut self.waiters
    }

    /// Returns each waker that waits, with its direction.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (Option<Direction>, &Waker)> {
        let is_resting = |direction| self.scheduled.is_resting(direction);
        let wakers = self.waiters.iter();
        wakers.filter(move |(direction, _)| !direction.is_some_and(is_resting))
    }

    /// Sets whether the selector reports that a source with writing on demand is writable.
    pub(crate) fn watch_writing(&mut self, is_watched: bool) {
        self.omits_writing = !is_watched;
        if is_watched || self.waiters.has_overflow() {
            self.waiters().set_writing(is_watched);
        }
    }

    /// Sets the readiness of an event, and wakes the tasks that waited for it or hands their wakers
    /// over.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        readiness: Readiness,
        errno: i32,
        wake_local: WakeLocal,
        woken: &mut WakeList,
    ) {
        if errno != 0 || self.waiters.has_overflow() {
            return self.deliver_slow(readiness, errno, woken);
        }
        self.scheduled.add_readiness(readiness);
        for direction in Direction::BOTH {
            if readiness.intersects(direction.readiness()) {
                self.wake_last(direction, wake_local, woken);
            }
        }
    }

    /// Wakes the last waker of `direction`; without an overflow there is no other one.
    #[inline]
    fn wake_last(&mut self, direction: Direction, wake_local: WakeLocal, woken: &mut WakeList) {
        let Some(waker) = self.waiters.last(direction) else {
            return;
        };
        if self.scheduled.is_resting(direction) {
            return;
        }
        if self.scheduled.is_edge() && wake_local(waker) {
            self.scheduled.set_resting(direction, waker);
            woken.set_woke(true);
        } else {
            self.hand_over_last(direction, woken);
        }
    }

    /// Hands over the last waker of `direction`. Not inlined, so that the others save no registers
    /// for it.
    #[inline(never)]
    fn hand_over_last(&mut self, direction: Direction, woken: &mut WakeList) {
        self.waiters.wake_last(direction, woken);
    }

    /// Delivers an event with an error, or to more than one waker. An error concerns the directions
    /// that `readiness` names, or both if it names none. There will be no further event, so an
    /// operation that finds nothing gets the error.
    #[cold]
    fn deliver_slow(&mut self, readiness: Readiness, errno: i32, woken: &mut WakeList) {
        let readiness = match errno {
            0 => readiness,
            errno => self.scheduled.fail(readiness, errno),
        };
        self.scheduled.add_readiness(readiness);
        let token = self.scheduled.token;
        let waiters = self.waiters();
        if waiters.is_unattended(readiness) {
            woken.unattended = Some(token);
        }
        for direction in Direction::BOTH {
            if readiness.intersects(direction.readiness()) {
                waiters.wake(direction, woken);
            }
        }
        if readiness.is_exceptional() || errno != 0 {
            waiters.wake_non_directional(woken);
        }
    }

    /// Hands over all wakers to be dropped instead of woken.
    pub(crate) fn discard(self, woken: &mut WakeList) {
        self.waiters.discard(woken);
    }

    /// Delivers the failure of the registration itself.
    #[cold]
    pub(crate) fn fail(&mut self, readiness: Readiness, e: &io::Error, woken: &mut WakeList) {
        let errno = e.raw_os_error().unwrap_or(libc::EIO);
        self.deliver_slow(readiness, errno, woken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::os_error;

    fn insert(registrations: &mut Registrations, target: Target) -> Arc<ScheduledIo> {
        let supported = Interest::NON_DIRECTIONAL;
        let inserted = registrations.insert(0, target, supported, Readiness::EMPTY);
        inserted.unwrap()
    }

    #[test]
    fn a_recycled_slot_does_not_answer_to_its_old_token() {
        let mut registrations = Registrations::default();
        let old = insert(&mut registrations, Target::Fd(3)).token;
        assert!(registrations.remove(old).is_some());
        let new = insert(&mut registrations, Target::Fd(3)).token;
        assert_eq!(old.index(), new.index(), "the slab reuses the slot");
        assert!(registrations.get(old).is_none() && registrations.remove(old).is_none());
        assert!(registrations.get(new).is_some());
    }

    #[test]
    fn the_error_of_a_registration_names_its_target() {
        let mut registrations = Registrations::default();
        let targets = [
            (Target::Process(77), "process 77: Op"),
            (Target::Fd(78), "descriptor 78: regular files"),
        ];
        for (target, name) in targets {
            let scheduled = insert(&mut registrations, target);
            let registration = registrations.get(scheduled.token).unwrap();
            registration.deliver(
                Readiness::EMPTY,
                libc::EPERM,
                |_| false,
                &mut WakeList::default(),
            );
            let error = scheduled.check(Interest::READABLE).unwrap_err();
            assert_eq!(os_error(&error), Some(libc::EPERM));
            let text = error.to_string();
            assert!(text.contains(name), "{text}");
        }
    }
}
