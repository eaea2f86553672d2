//! Registering sources with the selector: just before a wait, so that the selector never sees those
//! that were dropped before.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::Reactor;
use crate::error::{cannot_wait, forked, shut_down};
use crate::interest::{Direction, Interest, Readiness};
use crate::registrations::Registration;
use crate::scheduled_io::{ScheduledIo, Target};
use crate::sys::Selector;
use crate::token::Token;
use crate::wake_list::{WakeList, wake_all};

impl Registration {
    /// Registers the target in a selector that knows nothing of it.
    fn add(&self, selector: &mut dyn Selector) -> io::Result<()> {
        let token = self.scheduled.token;
        match self.scheduled.target {
            Target::Fd(fd) if self.omits_writing => selector.add_for_reading(fd, token),
            Target::Fd(fd) => selector.add(fd, token),
            Target::Process(id) => selector.add_process(id, token),
        }
    }

    /// Makes the selector report the current readiness again.
    pub(super) fn reregister(&self, selector: &mut dyn Selector) -> io::Result<()> {
        let token = self.scheduled.token;
        match self.scheduled.target {
            Target::Fd(fd) if self.omits_writing => selector.set_writing(fd, token, false),
            Target::Fd(fd) => selector.reregister(fd, token),
            Target::Process(id) => selector.add_process(id, token),
        }
    }
}

impl Reactor {
    /// Adds a descriptor on which operations of `blocked` have just found nothing. With
    /// `writing_on_demand` it is watched for writing only while a task waits for that, if the
    /// selector can. The next turn registers it with the selector, and reports a failure.
    pub(crate) fn register(
        &self,
        fd: RawFd,
        blocked: Readiness,
        writing_on_demand: bool,
    ) -> io::Result<Arc<ScheduledIo>> {
        if self.closed.get() {
            return Err(shut_down("this source"));
        }
        if self.is_forked() {
            return Err(cannot_wait(fd, forked()));
        }
        #[cfg(feature = "sim")]
        if let Some(host) = self.host() {
            host.check_raw(fd)?;
        }
        let supported = self.selector.borrow().supported();
        let on_demand = writing_on_demand && self.selector.borrow().can_omit_writing();
        let optimistic = Readiness::READABLE | Readiness::WRITABLE;
        let mode = if self.is_edge {
            Readiness::EMPTY
        } else {
            Readiness::LEVEL
        };
        let mut registrations = self.registrations.borrow_mut();
        let scheduled = registrations.insert(
            self.number(),
            Target::Fd(fd),
            supported,
            optimistic.without(blocked) | mode,
        )?;
        if let Some(registration) = registrations.get(scheduled.token).filter(|_| on_demand) {
            registration.watch_writing(blocked.is_writable());
        }
        drop(registrations);
        self.queue_registration(scheduled.token);
        Ok(scheduled)
    }

    /// Registers the exit of a process with the selector at once: the caller checks for an exit
    /// afterwards.
    pub(crate) fn register_process(&self, id: u32) -> io::Result<Arc<ScheduledIo>> {
        if self.closed.get() {
            return Err(shut_down("this process"));
        }
        if self.is_forked() {
            return Err(forked());
        }
        let mut registrations = self.registrations.borrow_mut();
        let target = Target::Process(id);
        let scheduled =
            registrations.insert(self.number(), target, Interest::NONE, Readiness::EMPTY)?;
        let token = scheduled.token;
        let added = self.selector.borrow_mut().add_process(id, token);
        match registrations.get(scheduled.token) {
            Some(registration) if added.is_ok() => registration.is_added = true,
            _ => drop(registrations.remove(scheduled.token)),
        }
        added?;
        self.inbox.counters.registrations.add(1);
        Ok(scheduled)
    }

    /// Queues a registration of `token` for the start of the next wait.
    pub(super) fn queue_registration(&self, token: Token) {
        self.queued.borrow_mut().push(token);
        if self.embedded.get() {
            self.flush_registrations_now();
            // A kqueue passes it to the kernel with the next wait.
            self.notify_host();
        }
    }

    /// Registers what is queued, for a wait that another loop performs.
    pub(crate) fn flush_registrations_now(&self) {
        self.flush_registrations(&mut self.woken.borrow_mut());
        // Nothing is borrowed from here on: wakers are foreign code.
        wake_all(&self.woken);
    }

    /// Registers what is queued and was not removed in the meantime.
    #[inline]
    pub(super) fn flush_registrations(&self, woken: &mut WakeList) {
        // Most turns have none.
        if !self.queued.borrow().is_empty() {
            self.flush_queued(woken);
        }
    }

    #[inline(never)]
    fn flush_queued(&self, woken: &mut WakeList) {
        // Messages may add to the list.
        for next in 0.. {
            let token = self.queued.borrow().get(next).copied();
            let Some(token) = token else {
                break;
            };
            // Not while a message may remove it: its descriptor is closed already then.
            while !self
                .inbox
                .unless_messages(|| self.add_if_present(token, woken))
            {
                self.drain_inbox(woken);
            }
        }
        self.queued.borrow_mut().clear();
    }

    fn add_if_present(&self, token: Token, woken: &mut WakeList) {
        let mut registrations = self.registrations.borrow_mut();
        let Some(registration) = registrations.get(token) else {
            return;
        };
        let target = registration.scheduled.target;
        let mut selector = self.selector.borrow_mut();
        let added = match registration.add(&mut **selector) {
            // The kernel knows the descriptor already. Either another source waits for it, whose
            // registration must stay. Or one of ours was duplicated, we closed ours, and the
            // duplicate has come back to the same number (epoll(7), question 6): then it is ours.
            Err(e)
                if e.raw_os_error() == Some(libc::EEXIST)
                    && !registrations.has_another(target, token) =>
            {
                let registration = registrations.get(token);
                registration.map_or(Ok(()), |it| it.reregister(&mut **selector))
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
        let both = Interest::READABLE | Interest::WRITABLE;
        registration.scheduled.clear_error(both);
        self.inbox.counters.registrations.add(1);
        self.sync_interest(&mut **selector, registration);
    }

    /// Arms a backend with levels for the wakers that wait already.
    fn sync_interest(&self, selector: &mut dyn Selector, registration: &mut Registration) {
        let ScheduledIo {
            token, supported, ..
        } = *registration.scheduled;
        let waiters = registration.waiters();
        for direction in Direction::BOTH {
            if !self.is_edge && waiters.has_wakers(direction) {
                selector.arm(token, direction);
            }
        }
        if waiters.has_non_directional_wakers() {
            // The interest of each waiter is not known here. All are woken for any of it, and wait
            // again if it is not theirs.
            selector.arm_non_directional(token, supported);
        }
    }

    /// Returns `e`, the error of the registration, to a task that waits for `interest`, and tries
    /// the registration again: a limit may have been the reason.
    #[cold]
    pub(super) fn failed(&self, token: Token, interest: Interest, e: io::Error) -> io::Error {
        match self.registrations.borrow_mut().get(token) {
            Some(registration) => registration.scheduled.clear_error(interest),
            None => return shut_down("this source"),
        }
        self.queue_registration(token);
        e
    }

    /// Retries a registration whose error was returned on another thread, once even if the error
    /// was returned twice. The caller flushes the queue.
    pub(super) fn retry(&self, token: Token, interest: Interest) {
        if let Some(registration) = self.registrations.borrow_mut().get(token) {
            if registration.scheduled.check(interest).is_err() {
                registration.scheduled.clear_error(interest);
                self.queued.borrow_mut().push(token);
            }
        }
    }

    /// Removes a source whose descriptor is about to be closed by its only holder, or was removed
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

    /// Removes a source whose descriptor stays open.
    pub(crate) fn remove_open(&self, token: Token, fd: RawFd) {
        let registration = self.registrations.borrow_mut().remove(token);
        // In a forked child it is the parent's selector, which has to keep it.
        if registration.as_ref().is_some_and(|r| r.is_added) && !self.is_forked() {
            self.inbox.count_removal();
            // The only error is that the kernel does not know the descriptor, which is the aim.
            let _ = self.selector.borrow_mut().remove(fd, token);
        }
        drop(registration);
    }
}
