//! kqueue(2): one registration of both filters in a descriptor's life, with `EV_CLEAR`.
//!
//! Registrations are deferred to the next wait and passed to the kernel by the call that waits, so
//! that they cost no system call. Two rules of kevent(2) shape this file:
//!
//! - The kernel reports a refused change in the event list, and then does not collect events. So
//!   such a call is followed by another one.
//! - A refusal that does not fit into the event list loses the changes behind it, or on DragonFly
//!   overruns the list. So the list always has room for one refusal per change.
//!
//! A descriptor that kqueue cannot watch goes to a [`Fallback`], which then waits for the kqueue
//! too. Left out: macOS accepts some of the devices that it refuses if `NOTE_LOWAT` is 1.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use self::abi::{EV_ADD, EV_CLEAR, EV_ERROR, EV_ONESHOT, NOTE_EXIT};
use self::abi::{EVFILT_PROC, EVFILT_READ, EVFILT_WRITE, Kevent, Queue, change};
use self::changes::{BOTH, Change, Changes};
use self::fallback::Fallback;
use self::notifier::{KqueueNotify, apply_now};
#[cfg(any(target_os = "linux", target_os = "android"))]
use self::tests::model as abi;
use self::tokens::Tokens;
use self::translate::{infer_write_end, report_refusal, resolve_ebadf, translate};
use super::backend::Backend;
use super::event::Event;
use super::fstat::refuse_files;
use super::selector::{Notify, Selector};
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod abi;
mod changes;
mod fallback;
mod notifier;
#[cfg(test)]
pub(super) mod tests;
mod tokens;
mod translate;

/// The initial capacity for events, two for each busy descriptor. It is doubled, up to the maximum,
/// whenever a wait fills it.
const FIRST_CAPACITY: usize = 256;
const MAX_CAPACITY: usize = 8192;

/// The longest wait that is passed to the kernel. A longer limit is cut to this, as a wait may end
/// early: OpenBSD's kqueue(2) refuses timeouts of more than a day, and DragonFly sleeps in pieces
/// of an hour.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

pub(super) struct Kqueue {
    notifier: Arc<KqueueNotify>,
    /// The registrations that the next wait passes to the kernel.
    changes: Changes,
    /// `changes` in the kernel's format. Refilled by every wait; only the memory is kept.
    changelist: Vec<Kevent>,
    /// The kernel's events and refusals of the last wait.
    eventlist: Vec<Kevent>,
    tokens: Tokens,
    /// The selector for what kqueue cannot watch, once there is something.
    fallback: Option<Fallback>,
}

impl Kqueue {
    pub(super) fn new() -> io::Result<Kqueue> {
        Ok(Kqueue::with_notifier(KqueueNotify::new(Queue::open()?)?))
    }

    fn with_notifier(notifier: KqueueNotify) -> Kqueue {
        Kqueue {
            tokens: Tokens::new(&notifier.queue),
            notifier: Arc::new(notifier),
            changes: Changes::default(),
            changelist: Vec::new(),
            eventlist: Vec::with_capacity(FIRST_CAPACITY),
            fallback: None,
        }
    }

    /// Passes the changes to the kernel and waits, in one call, and appends the result to `events`.
    /// Returns true if the kernel refused a change, because then it has not collected events.
    fn apply_and_wait(
        &mut self,
        events: &mut Vec<Event>,
        limit: Option<Duration>,
    ) -> io::Result<bool> {
        self.fill_changelist();
        self.eventlist.clear();
        // The list is empty, so this makes room for a refusal of every change.
        self.eventlist.reserve(self.changelist.len());
        let limit = limit.map(|limit| limit.min(MAX_WAIT));
        let queue = &self.notifier.queue;
        match queue.kevent(&self.changelist, &mut self.eventlist, limit) {
            // All changes were applied before the wait that was interrupted (kqueue(2), ERRORS).
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                self.changes.clear();
                return Ok(false);
            }
            // It is unknown how many were applied. They are kept and made again, which is harmless
            // to those that were.
            Err(e) => {
                self.changes.mark_uncertain();
                return Err(e);
            }
            Ok(()) => {}
        }
        let has_refusals = self.translate_eventlist(events);
        self.changes.clear();
        let (n, capacity) = (self.eventlist.len(), self.eventlist.capacity());
        if n == capacity && capacity < MAX_CAPACITY {
            self.eventlist.clear();
            self.eventlist.reserve(capacity * 2);
        }
        Ok(has_refusals)
    }

    fn fill_changelist(&mut self) {
        self.changelist.clear();
        for entry in &self.changes.0 {
            let udata = self.tokens.udata(EVFILT_READ, entry.fd, entry.token);
            // No EV_RECEIPT: every change would then have a receipt, and no call would ever wait.
            let flags = EV_ADD | EV_CLEAR;
            self.changelist
                .extend(BOTH.map(|filter| change(entry.fd, filter, flags, 0, udata)));
        }
    }

    /// Returns true if there were refusals.
    fn translate_eventlist(&mut self, events: &mut Vec<Event>) -> bool {
        let mut has_refusals = false;
        for kevent in &self.eventlist {
            let token = self.tokens.token(kevent);
            if token == Token::NOTIFY {
                self.notifier.drain();
                continue;
            }
            let direction = match kevent.filter {
                EVFILT_READ => Direction::Read,
                EVFILT_WRITE => Direction::Write,
                EVFILT_PROC => {
                    events.push(Event::new(token, Readiness::READABLE));
                    continue;
                }
                _ => continue,
            };
            if kevent.flags & EV_ERROR == 0 {
                let mut event = translate(token, direction, kevent);
                if self.notifier.queue.write_filter_misses_eof() {
                    infer_write_end(&mut event, kevent);
                }
                events.push(event);
            } else if kevent.data != 0 {
                has_refusals = true;
                report_refusal(events, token, direction, kevent.data as i32);
            }
        }
        if has_refusals {
            self.resolve_refusals(events);
        }
        has_refusals
    }

    /// Turns refusals that are not errors into the events they mean.
    fn resolve_refusals(&mut self, events: &mut Vec<Event>) {
        events.retain_mut(|event| match event.errno {
            libc::EBADF => resolve_ebadf(event, self.changes.only_repeats(event.token)),
            libc::EINVAL | libc::ENODEV | libc::EOPNOTSUPP => {
                if let Some(fd) = self.changes.descriptor(event.token) {
                    add_fallback(&mut self.fallback, &self.notifier.queue, fd, event);
                }
                true
            }
            _ => true,
        });
    }

    /// Appends what the kqueue reports within `limit`.
    fn collect(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        let has_refusals = self.apply_and_wait(events, limit)?;
        if !has_refusals {
            return Ok(());
        }
        // The kernel has not collected events yet. They are collected also if a refusal is to be
        // reported, without a wait: else a source refused in every turn would starve the others.
        match self.apply_and_wait(events, zero_unless_empty(events, limit)) {
            Err(e) if events.is_empty() => Err(e),
            // The error would hide what was refused. If it persists, the next wait returns it.
            _ => Ok(()),
        }
    }

    fn has_fallback(&self) -> bool {
        !self.fallback.as_ref().is_none_or(Fallback::is_empty)
    }
}

/// Returns the limit of a wait that must not block if there is something to report.
fn zero_unless_empty(events: &[Event], limit: Option<Duration>) -> Option<Duration> {
    if events.is_empty() {
        limit
    } else {
        Some(Duration::ZERO)
    }
}

impl Selector for Kqueue {
    fn backend(&self) -> Backend {
        Backend::Kqueue
    }

    fn is_edge(&self) -> bool {
        true
    }

    fn supported(&self) -> Interest {
        // Some systems have EVFILT_EXCEPT for urgent data, which is not used.
        Interest::NON_DIRECTIONAL.without(Interest::PRIORITY)
    }

    /// The kqueue alone does not show what the fallback watches.
    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.has_fallback()).then(|| self.notifier.queue.as_fd())
    }

    /// Regular files are refused here. kqueue accepts them and reports them ready, on some systems
    /// without end and on others only once (libuv's kqueue.c).
    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        let stat = refuse_files(fd)?;
        if self.notifier.queue.misses_eof_of(fd, &stat) {
            let fallback = Fallback::get_or_open(&mut self.fallback, &self.notifier.queue)?;
            return fallback.add(fd, token);
        }
        self.changes.push(Change {
            fd,
            token,
            is_repeat: false,
        });
        Ok(())
    }

    /// Adding a filter again runs it again, and so reports what is still true.
    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        if let Some(fallback) = &mut self.fallback {
            if fallback.rearm(token) {
                return Ok(());
            }
        }
        self.changes.push(Change {
            fd,
            token,
            is_repeat: true,
        });
        Ok(())
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        if let Some(fallback) = &mut self.fallback {
            fallback.arm(token, direction);
        }
    }

    fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        if let Some(fallback) = &mut self.fallback {
            fallback.arm_non_directional(token, interest);
        }
    }

    /// Deletes at once instead of in the next changelist, although that costs a call for each
    /// source. Until then the kqueue would be readable for another loop because of a source that is
    /// gone. And the owner mostly closes the descriptor soon; then the kernel refuses the delete,
    /// and a wait with a refusal takes two calls and collects its events in the second.
    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        let fallback = self.fallback.as_mut();
        let is_in_fallback = fallback.is_some_and(|fallback| fallback.forget(token));
        if self.changes.cancel(token) || is_in_fallback {
            return Ok(());
        }
        self.notifier.delete(fd)
    }

    fn forget(&mut self, token: Token) {
        self.changes.cancel(token);
        if let Some(fallback) = &mut self.fallback {
            fallback.forget(token);
        }
    }

    fn add_process(&mut self, id: u32, token: Token) -> io::Result<()> {
        let id = id as RawFd;
        let udata = self.tokens.udata(EVFILT_PROC, id, token);
        let flags = EV_ADD | EV_ONESHOT;
        let exit = change(id, EVFILT_PROC, flags, NOTE_EXIT, udata);
        apply_now(&self.notifier.queue, [exit])
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        if !self.has_fallback() {
            return self.collect(events, limit);
        }
        // The changes are applied first, because it is the fallback that waits.
        self.collect(events, Some(Duration::ZERO))?;
        // A notification is in the event list, but is not an event.
        let limit = if self.eventlist.is_empty() {
            zero_unless_empty(events, limit)
        } else {
            Some(Duration::ZERO)
        };
        let waited = match &mut self.fallback {
            Some(fallback) => fallback.wait(events, limit),
            None => Ok(()),
        };
        match waited.and_then(|()| self.collect(events, Some(Duration::ZERO))) {
            Err(e) if events.is_empty() => Err(e),
            _ => Ok(()),
        }
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }
}

/// Moves a descriptor that kqueue refused to the fallback, if the fallback can watch it.
///
/// One that kqueue accepts in one direction needs no fallback: a kqueue is readable and refuses the
/// write filter.
fn add_fallback(fallback: &mut Option<Fallback>, queue: &Queue, fd: RawFd, event: &mut Event) {
    if !(event.readiness.is_readable() && event.readiness.is_writable()) {
        return;
    }
    let Ok(fallback) = Fallback::get_or_open(fallback, queue) else {
        return;
    };
    // A descriptor that was added and reregistered in one changelist is refused twice.
    if fallback.rearm(event.token) || fallback.add(fd, event.token).is_ok() {
        // From now on its source has to arm it.
        event.readiness = Readiness::LEVEL;
        event.errno = 0;
    }
}
