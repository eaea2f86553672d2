//! What the selector is told of sources: just before a wait, so that it never hears of those that
//! did not live so long.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::{Reactor, fork};
use crate::context;
use crate::interest::{Direction, Interest, Readiness};
use crate::slot::{Registration, ScheduledIo, cannot_wait};
use crate::sys::Selector;
use crate::token::Token;
use crate::wake_list::{WakeList, wake_all};

impl Reactor {
    /// Takes in a descriptor on which operations of `blocked` have just found nothing. Whatever
    /// becomes of its registration is told by the next turn.
    pub(crate) fn register(&self, fd: RawFd, blocked: Readiness) -> io::Result<Arc<ScheduledIo>> {
        if self.closed.get() {
            return Err(context::shut_down("this source"));
        }
        if self.is_forked() {
            return Err(cannot_wait(fd, &fork::forked()));
        }
        let supported = self.selector.borrow().supported();
        let mut registrations = self.registrations.borrow_mut();
        let scheduled =
            registrations.insert(self.number(), fd, blocked, self.is_edge, supported)?;
        drop(registrations);
        self.queue_registration(scheduled.token);
        Ok(scheduled)
    }

    /// Has the end of a process told, from now on: whoever asked looks for it afterwards.
    pub(crate) fn register_process(&self, id: u32) -> io::Result<Arc<ScheduledIo>> {
        if self.closed.get() {
            return Err(context::shut_down("this process"));
        }
        if self.is_forked() {
            return Err(fork::forked());
        }
        let mut registrations = self.registrations.borrow_mut();
        let scheduled = registrations.insert_process(self.number(), id)?;
        let added = scheduled.add(&mut **self.selector.borrow_mut());
        match registrations.get(scheduled.token) {
            Some(registration) if added.is_ok() => registration.is_added = true,
            _ => drop(registrations.remove(scheduled.token)),
        }
        added?;
        self.mailbox.counters.registrations.add(1);
        Ok(scheduled)
    }

    /// Has the next wait begin with a registration of `token`.
    pub(super) fn queue_registration(&self, token: Token) {
        self.pending.borrow_mut().push(token);
        if self.embedded.get() {
            self.flush_registrations_now();
        }
    }

    /// Registers what is pending, for a wait that somebody else does.
    pub(crate) fn flush_registrations_now(&self) {
        self.flush_registrations(&mut self.woken.borrow_mut());
        // Nothing is borrowed from here on: wakers are other people's code.
        wake_all(&self.woken);
    }

    /// Tells the selector of those that are still there.
    #[inline]
    pub(super) fn flush_registrations(&self, woken: &mut WakeList) {
        // Most turns find nobody.
        if !self.pending.borrow().is_empty() {
            self.flush_queued(woken);
        }
    }

    #[inline(never)]
    fn flush_queued(&self, woken: &mut WakeList) {
        // Inbox may add to the list.
        for next in 0.. {
            let token = self.pending.borrow().get(next).copied();
            let Some(token) = token else {
                break;
            };
            // Not while a message may say that it is gone: its descriptor was taken back already.
            while !self
                .mailbox
                .unless_messages(|| self.add_if_there(token, woken))
            {
                self.drain_inbox(woken);
            }
        }
        self.pending.borrow_mut().clear();
    }

    fn add_if_there(&self, token: Token, woken: &mut WakeList) {
        let mut registrations = self.registrations.borrow_mut();
        let Some(registration) = registrations.get(token) else {
            return;
        };
        let fd = registration.scheduled.fd;
        let mut selector = self.selector.borrow_mut();
        let added = match registration.scheduled.add(&mut **selector) {
            // The kernel knows the descriptor already. Either another source waits for it, whose
            // registration must not be taken away. Or somebody duplicated one of ours, we closed
            // ours, and the duplicate has come back to the same number (epoll(7), question 6):
            // then it is ours.
            Err(e)
                if e.raw_os_error() == Some(libc::EEXIST)
                    && !registrations.has_another(fd, token) =>
            {
                selector.reregister(fd, token)
            }
            added => added,
        };
        let Some(registration) = registrations.get(token) else {
            return;
        };
        if let Err(e) = added {
            return registration.fail(Readiness::EMPTY, &e, woken);
        }
        registration.is_added = true;
        registration
            .scheduled
            .clear_error(Interest::READABLE | Interest::WRITABLE);
        self.mailbox.counters.registrations.add(1);
        self.sync_interest(&mut **selector, registration);
    }

    /// Tells a backend with levels who waits already.
    fn sync_interest(&self, selector: &mut dyn Selector, registration: &Registration) {
        for direction in [Direction::Read, Direction::Write] {
            if !self.is_edge && registration.has_wakers(direction) {
                selector.arm(registration.scheduled.token, direction);
            }
        }
        if registration.has_non_directional_wakers() {
            // For what each of them waits is not known here: for all it can be, and who hears of
            // something else asks again.
            selector.arm_non_directional(
                registration.scheduled.token,
                registration.scheduled.supported,
            );
        }
    }

    /// Says to who waits for `interest` that the registration failed, and tries it again: a limit may
    /// have been the reason.
    #[cold]
    pub(super) fn failed(&self, token: Token, interest: Interest, e: io::Error) -> io::Error {
        match self.registrations.borrow_mut().get(token) {
            Some(registration) => registration.scheduled.clear_error(interest),
            None => return context::shut_down("this source"),
        }
        self.queue_registration(token);
        e
    }

    /// Tries it again for who was told on another thread. Told twice it is tried once. Whoever reads the
    /// mail goes on to what is pending.
    pub(super) fn retry(&self, token: Token, interest: Interest) {
        if let Some(registration) = self.registrations.borrow_mut().get(token) {
            if registration.scheduled.error(interest).is_err() {
                registration.scheduled.clear_error(interest);
                self.pending.borrow_mut().push(token);
            }
        }
    }

    /// Forgets a source whose descriptor is about to be closed by its only holder, or was removed
    /// from the kernel by other means.
    pub(crate) fn remove(&self, token: Token) {
        // The wakers in it are dropped here, where nothing is borrowed.
        drop(self.take_registration(token));
    }

    pub(super) fn take_registration(&self, token: Token) -> Option<Registration> {
        let registration = self.registrations.borrow_mut().remove(token)?;
        self.selector.borrow_mut().forget(token);
        Some(registration)
    }

    /// Forgets a source whose descriptor stays open.
    pub(crate) fn remove_open(&self, token: Token, fd: RawFd) {
        let registration = self.registrations.borrow_mut().remove(token);
        // In a forked child it is the parent's selector, which has to keep it.
        if registration
            .as_ref()
            .is_some_and(|registration| registration.is_added)
            && !self.is_forked()
        {
            self.mailbox.count_removal();
            // The only error is that the kernel does not know the descriptor, which is what we want.
            let _ = self.selector.borrow_mut().remove(fd, token);
        }
        drop(registration);
    }
}
