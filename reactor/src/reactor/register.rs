//! What the selector is told of sources: just before a wait, so that it never hears of those that
//! did not live so long.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::{Reactor, fork};
use crate::current;
use crate::interest::{Direction, Interest, Readiness};
use crate::slot::{Home, Slot, cannot_wait};
use crate::sys::Selector;
use crate::token::Token;
use crate::wake_list::{WakeList, wake_all};

impl Reactor {
    /// Takes in a descriptor on which operations of `blocked` have just found nothing. Whatever
    /// becomes of its registration is told by the next turn.
    pub(crate) fn register(&self, fd: RawFd, blocked: Readiness) -> io::Result<Arc<Home>> {
        if self.closed.get() {
            return Err(current::gone("this source"));
        }
        if self.is_forked() {
            return Err(cannot_wait(fd, &fork::forked()));
        }
        let tells = self.selector.borrow().tells();
        let mut slots = self.slots.borrow_mut();
        let home = slots.insert(self.number(), fd, blocked, self.is_edge, tells)?;
        drop(slots);
        self.add_soon(home.token);
        Ok(home)
    }

    /// Has the end of a process told, from now on: whoever asked looks for it afterwards.
    pub(crate) fn register_process(&self, id: u32) -> io::Result<Arc<Home>> {
        if self.closed.get() {
            return Err(current::gone("this process"));
        }
        if self.is_forked() {
            return Err(fork::forked());
        }
        let mut slots = self.slots.borrow_mut();
        let home = slots.insert_process(self.number(), id)?;
        let added = home.add(&mut **self.selector.borrow_mut());
        match slots.get(home.token) {
            Some(slot) if added.is_ok() => slot.is_added = true,
            _ => drop(slots.remove(home.token)),
        }
        added?;
        self.mailbox.counters.registrations.add(1);
        Ok(home)
    }

    /// Has the next wait begin with a registration of `token`.
    pub(super) fn add_soon(&self, token: Token) {
        self.pending.borrow_mut().push(token);
        if self.watched.get() {
            self.show_pending();
        }
    }

    /// Registers what is pending, for a wait that somebody else does.
    pub(crate) fn show_pending(&self) {
        self.add_pending(&mut self.woken.borrow_mut());
        // Nothing is borrowed from here on: wakers are other people's code.
        wake_all(&self.woken);
    }

    /// Tells the selector of those that are still there.
    #[inline]
    pub(super) fn add_pending(&self, woken: &mut WakeList) {
        // Most turns find nobody.
        if !self.pending.borrow().is_empty() {
            self.add_each_pending(woken);
        }
    }

    #[inline(never)]
    fn add_each_pending(&self, woken: &mut WakeList) {
        // Letters may add to the list.
        for next in 0.. {
            let token = self.pending.borrow().get(next).copied();
            let Some(token) = token else {
                break;
            };
            // Not while a letter may say that it is gone: its descriptor was taken back already.
            while !self
                .mailbox
                .unless_letters(|| self.add_if_there(token, woken))
            {
                self.read_mail(woken);
            }
        }
        self.pending.borrow_mut().clear();
    }

    fn add_if_there(&self, token: Token, woken: &mut WakeList) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get(token) else {
            return;
        };
        let fd = slot.home.fd;
        let mut selector = self.selector.borrow_mut();
        let added = match slot.home.add(&mut **selector) {
            // The kernel knows the descriptor already. Either another source waits for it, whose
            // registration must not be taken away. Or somebody duplicated one of ours, we closed
            // ours, and the duplicate has come back to the same number (epoll(7), question 6):
            // then it is ours.
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) && !slots.has_another(fd, token) => {
                selector.renew(fd, token)
            }
            added => added,
        };
        let Some(slot) = slots.get(token) else {
            return;
        };
        if let Err(e) = added {
            return slot.fail(Readiness::EMPTY, &e, woken);
        }
        slot.is_added = true;
        slot.home.forgive(Interest::READABLE | Interest::WRITABLE);
        self.mailbox.counters.registrations.add(1);
        self.ask(&mut **selector, slot);
    }

    /// Tells a backend with levels who waits already.
    fn ask(&self, selector: &mut dyn Selector, slot: &Slot) {
        for direction in [Direction::Read, Direction::Write] {
            if !self.is_edge && slot.is_awaited(direction) {
                selector.arm(slot.home.token, direction);
            }
        }
        if slot.is_watched() {
            // For what each of them waits is not known here: for all it can be, and who hears of
            // something else asks again.
            selector.watch(slot.home.token, slot.home.tells);
        }
    }

    /// Says to who waits for `interest` that the registration failed, and tries it again: a limit may
    /// have been the reason.
    #[cold]
    pub(super) fn failed(&self, token: Token, interest: Interest, e: io::Error) -> io::Error {
        match self.slots.borrow_mut().get(token) {
            Some(slot) => slot.home.forgive(interest),
            None => return current::gone("this source"),
        }
        self.add_soon(token);
        e
    }

    /// Tries it again for who was told on another thread. Told twice it is tried once. Whoever reads the
    /// mail goes on to what is pending.
    pub(super) fn retry(&self, token: Token, interest: Interest) {
        if let Some(slot) = self.slots.borrow_mut().get(token) {
            if slot.home.error(interest).is_err() {
                slot.home.forgive(interest);
                self.pending.borrow_mut().push(token);
            }
        }
    }

    /// Forgets a source whose descriptor is about to be closed by its only holder, or was removed
    /// from the kernel by other means.
    pub(crate) fn remove(&self, token: Token) {
        // The wakers in it are dropped here, where nothing is borrowed.
        drop(self.take_slot(token));
    }

    pub(super) fn take_slot(&self, token: Token) -> Option<Slot> {
        let slot = self.slots.borrow_mut().remove(token)?;
        self.selector.borrow_mut().forget(token);
        Some(slot)
    }

    /// Forgets a source whose descriptor stays open.
    pub(crate) fn remove_open(&self, token: Token, fd: RawFd) {
        let slot = self.slots.borrow_mut().remove(token);
        // In a forked child it is the parent's selector, which has to keep it.
        if slot.as_ref().is_some_and(|slot| slot.is_added) && !self.is_forked() {
            self.mailbox.count_removal();
            // The only error is that the kernel does not know the descriptor, which is what we want.
            let _ = self.selector.borrow_mut().remove(fd, token);
        }
        drop(slot);
    }
}
