//! kqueue(2): one registration in a descriptor's life, with `EV_CLEAR`, both filters.
//!
//! Changes are put off and ride in the next call that waits, so that registering costs nothing.
//! Two consequences shape this file. The kernel tells what it refused in the room for events, and
//! does not look for events in that call; and room that is too small loses changes, or on DragonFly
//! is overrun, so there is always as much of it as there are changes.
//!
//! A device that kqueue refuses is watched by another selector, which then waits for the kqueue too, and
//! so is what kqueue does not tell everything of. Left out: macOS takes some of those devices after all,
//! with a `NOTE_LOWAT` of 1.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use self::abi::{EV_ADD, EV_CLEAR, EV_DELETE, EV_ERROR, EV_ONESHOT, EV_RECEIPT};
use self::abi::{EVFILT_PROC, EVFILT_READ, EVFILT_USER, EVFILT_WRITE, NOTE_EXIT, NOTE_TRIGGER};
use self::abi::{Filter, Flags, Kevent, Queue, change};
use self::answers::{refuse, settle, translate};
use self::changes::{Change, Changes};
use super::notify::Pipe;
use super::{Backend, Event, Notify, Selector, refuse_files};
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod abi;
mod answers;
mod changes;
mod devices;
#[cfg(test)]
pub(super) mod tests;
mod tokens;
use self::devices::Devices;
#[cfg(any(target_os = "linux", target_os = "android"))]
use self::tests::model as abi;
use self::tokens::Tokens;

/// Room for this many events at first, two for each busy descriptor; doubled, up to the most,
/// whenever a wait fills it.
const FIRST_CAPACITY: usize = 256;
const MOST_CAPACITY: usize = 8192;

/// Longer waits end early, as a wait for nothing may: OpenBSD's kqueue(2) knows no timeout of more
/// than a day, DragonFly sleeps in pieces of an hour, and nobody notices one wake-up an hour.
const MOST_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The two filters of a registration, always in this order.
const BOTH: [Filter; 2] = [EVFILT_READ, EVFILT_WRITE];

pub(super) struct Kqueue {
    notifier: Arc<KqueueNotify>,
    /// What the kernel is told by the next wait.
    changes: Changes,
    /// `changes` in the kernel's words. Filled anew by every wait; only its memory is kept.
    changelist: Vec<Kevent>,
    /// What the kernel answered to the last wait.
    answers: Vec<Kevent>,
    tokens: Tokens,
    /// What kqueue refused, once it refused something.
    devices: Option<Devices>,
}

/// What `kevent` and `write` need, which any thread may call.
struct KqueueNotify {
    queue: Queue,
    /// The notifier of a kernel without EVFILT_USER: NetBSD before 10.0, OpenBSD before 7.8.
    pipe: Option<Pipe>,
}

impl Kqueue {
    pub(super) fn new() -> io::Result<Kqueue> {
        let queue = Queue::open()?;
        // Alone: FreeBSD and NetBSD ignore NOTE_TRIGGER in the change that adds.
        match tell(&queue, [bell_change(EV_ADD | EV_CLEAR, 0)]) {
            Ok(()) => Ok(Kqueue::with_notifier(KqueueNotify { queue, pipe: None })),
            Err(_) => Kqueue::with_pipe(queue),
        }
    }

    fn with_pipe(queue: Queue) -> io::Result<Kqueue> {
        let pipe = Pipe::new()?;
        let (flags, udata) = (EV_ADD | EV_CLEAR, Token::NOTIFY.to_bits());
        tell(&queue, [change(pipe.raw(), EVFILT_READ, flags, 0, udata)])?;
        Ok(Kqueue::with_notifier(KqueueNotify {
            queue,
            pipe: Some(pipe),
        }))
    }

    fn with_notifier(notifier: KqueueNotify) -> Kqueue {
        Kqueue {
            tokens: Tokens::new(&notifier.queue),
            notifier: Arc::new(notifier),
            changes: Changes::default(),
            changelist: Vec::new(),
            answers: Vec::with_capacity(FIRST_CAPACITY),
            devices: None,
        }
    }

    /// Hands the changes to the kernel and waits, in one call, then appends what it answered to
    /// `events`. Says whether it refused a change, for then it has not looked for events.
    fn fill(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<bool> {
        self.write_changelist();
        self.answers.clear();
        // As the list is empty, this makes room for every single change to be refused.
        self.answers.reserve(self.changelist.len());
        let limit = limit.map(|limit| limit.min(MOST_LIMIT));
        let told = self
            .notifier
            .queue
            .kevent(&self.changelist, &mut self.answers, limit);
        match told {
            // Every change was applied before the wait that was interrupted (kqueue(2), ERRORS).
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                self.changes.clear();
                return Ok(false);
            }
            // How far it came is not known. Adding is harmless when it was done already, and so
            // the changes are kept, to be made again.
            Err(e) => {
                self.changes.mark_uncertain();
                return Err(e);
            }
            Ok(()) => {}
        }
        let refused = self.translate_answers(events);
        self.changes.clear();
        let (n, capacity) = (self.answers.len(), self.answers.capacity());
        if n == capacity && capacity < MOST_CAPACITY {
            self.answers.clear();
            self.answers.reserve(capacity * 2);
        }
        Ok(refused)
    }

    fn write_changelist(&mut self) {
        self.changelist.clear();
        for entry in &self.changes.0 {
            let udata = self.tokens.udata(EVFILT_READ, entry.fd, entry.token);
            // EV_RECEIPT would have every change answered, and so no call would ever wait.
            let flags = EV_ADD | EV_CLEAR;
            self.changelist
                .extend(BOTH.map(|filter| change(entry.fd, filter, flags, 0, udata)));
        }
    }

    fn translate_answers(&mut self, events: &mut Vec<Event>) -> bool {
        let mut refused = false;
        for answer in &self.answers {
            let token = self.tokens.token(answer);
            if token == Token::NOTIFY {
                self.notifier.drain();
                continue;
            }
            let direction = match answer.filter {
                EVFILT_READ => Direction::Read,
                EVFILT_WRITE => Direction::Write,
                EVFILT_PROC => {
                    events.push(Event::new(token, Readiness::READABLE));
                    continue;
                }
                _ => continue,
            };
            if answer.flags & EV_ERROR == 0 {
                events.push(translate(token, direction, answer));
            } else if answer.data != 0 {
                refused = true;
                refuse(events, token, direction, answer.data as i32);
            }
        }
        if refused {
            events.retain_mut(|event| match event.errno {
                libc::EBADF => settle(event, self.changes.only_renews(event.token)),
                libc::EINVAL | libc::ENODEV | libc::EOPNOTSUPP => {
                    if let Some(fd) = self.changes.descriptor(event.token) {
                        add_fallback(&mut self.devices, &self.notifier.queue, fd, event);
                    }
                    true
                }
                _ => true,
            });
        }
        refused
    }

    /// Appends what the kqueue tells within `limit`.
    fn collect(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        if !self.fill(events, limit)? {
            return Ok(());
        }
        // Nobody has looked for events yet. With something to tell there is no waiting for them,
        // but neither may a source that is refused every turn starve those that are ready.
        match self.fill(events, unless_told(events, limit)) {
            Err(e) if events.is_empty() => Err(e),
            // An error now would lose what was refused; if it lasts, the next wait meets it.
            _ => Ok(()),
        }
    }
}

fn unless_told(events: &[Event], limit: Option<Duration>) -> Option<Duration> {
    match events.is_empty() {
        true => limit,
        false => Some(Duration::ZERO),
    }
}

impl Selector for Kqueue {
    fn backend(&self) -> Backend {
        Backend::Kqueue
    }

    /// The devices of the other selector do not show in the kqueue.
    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        let is_all = self.devices.as_ref().is_none_or(Devices::is_empty);
        is_all.then(|| self.notifier.queue.as_fd())
    }

    fn supported(&self) -> Interest {
        // EVFILT_EXCEPT, which some of its systems have for urgent data, is not used.
        Interest::NON_DIRECTIONAL.without(Interest::PRIORITY)
    }

    fn is_edge(&self) -> bool {
        true
    }

    /// kqueue would take files, and call them ready without end or only once (libuv's kqueue.c).
    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        let stat = refuse_files(fd)?;
        if self.notifier.queue.misses_eof_of(fd, &stat) {
            let devices = Devices::get(&mut self.devices, &self.notifier.queue)?;
            return devices.add(fd, token);
        }
        self.changes.push(Change {
            fd,
            token,
            renewal: false,
        });
        Ok(())
    }

    /// Adding again runs the filters again, and so reports once more what is still true.
    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        if let Some(devices) = &mut self.devices {
            if devices.rearm(token) {
                return Ok(());
            }
        }
        self.changes.push(Change {
            fd,
            token,
            renewal: true,
        });
        Ok(())
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        if let Some(devices) = &mut self.devices {
            devices.arm(token, direction);
        }
    }

    fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        if let Some(devices) = &mut self.devices {
            devices.arm_non_directional(token, interest);
        }
    }

    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        let is_device = self
            .devices
            .as_mut()
            .is_some_and(|devices| devices.forget(token));
        if self.changes.cancel(token) || is_device {
            return Ok(());
        }
        self.notifier.delete(fd)
    }

    fn forget(&mut self, token: Token) {
        self.changes.cancel(token);
        if let Some(devices) = &mut self.devices {
            devices.forget(token);
        }
    }

    fn add_process(&mut self, id: u32, token: Token) -> io::Result<()> {
        let id = id as RawFd;
        let udata = self.tokens.udata(EVFILT_PROC, id, token);
        let flags = EV_ADD | EV_ONESHOT;
        let end = change(id, EVFILT_PROC, flags, NOTE_EXIT, udata);
        tell(&self.notifier.queue, [end])
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        if self.devices.as_ref().is_none_or(Devices::is_empty) {
            return self.collect(events, limit);
        }
        // The changes first, since it is the other selector that waits.
        self.collect(events, Some(Duration::ZERO))?;
        // A notification is an answer without an event.
        let limit = match self.answers.is_empty() {
            true => unless_told(events, limit),
            false => Some(Duration::ZERO),
        };
        let waited = match &mut self.devices {
            Some(devices) => devices.wait(events, limit),
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

impl KqueueNotify {
    /// Deletes both filters, now. A filter that is not there is no error: it was refused, or the
    /// kernel dropped it by itself, as FreeBSD does when the reader of a pipe is gone.
    fn delete(&self, fd: RawFd) -> io::Result<()> {
        let told = tell(
            &self.queue,
            BOTH.map(|filter| change(fd, filter, EV_DELETE, 0, 0)),
        );
        match told {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            told => told,
        }
    }

    /// EVFILT_USER was emptied by being reported, a pipe has to be.
    fn drain(&self) {
        if let Some(pipe) = &self.pipe {
            pipe.drain();
        }
    }
}

impl Notify for KqueueNotify {
    fn notify(&self) -> io::Result<()> {
        match &self.pipe {
            Some(pipe) => pipe.notify(),
            // Without EV_CLEAR, which in this change takes the trigger back on all BSDs.
            None => tell(&self.queue, [bell_change(0, NOTE_TRIGGER)]),
        }
    }

    fn remove(&self, fd: RawFd) {
        // Nobody is left to tell an error to.
        let _ = self.delete(fd);
    }
}

/// Has a device that kqueue refused watched otherwise, if it can be. One that it takes for one of
/// the directions has no use for the other: a kqueue is never writable.
fn add_fallback(devices: &mut Option<Devices>, queue: &Queue, fd: RawFd, event: &mut Event) {
    if !(event.readiness.is_readable() && event.readiness.is_writable()) {
        return;
    }
    let Ok(devices) = Devices::get(devices, queue) else {
        return;
    };
    // Added and renewed in one list, it is refused twice.
    if devices.rearm(event.token) || devices.add(fd, event.token).is_ok() {
        // Its source has to arm it from now on.
        event.readiness = Readiness::LEVEL;
        event.errno = 0;
    }
}

/// The notifier to change. The token goes along each time, since every change overwrites it.
fn bell_change(flags: Flags, fflags: u32) -> Kevent {
    change(0, EVFILT_USER, flags, fflags, Token::NOTIFY.to_bits())
}

/// Makes changes now, on any thread, and returns the first error that is not ENOENT, or else that.
///
/// With receipts each change is made whatever becomes of the others, and the call takes no event
/// away from the one that waits; without room for them FreeBSD, NetBSD and OpenBSD would stop at
/// the first one, and DragonFly write them past the end.
fn tell<const N: usize>(queue: &Queue, mut changes: [Kevent; N]) -> io::Result<()> {
    for change in &mut changes {
        change.flags |= EV_RECEIPT;
    }
    let mut receipts = Vec::with_capacity(N);
    match queue.kevent(&changes, &mut receipts, Some(Duration::ZERO)) {
        Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
        _ => {}
    }
    let is_refused = |receipt: &&Kevent| receipt.flags & EV_ERROR != 0 && receipt.data != 0;
    let errors = receipts.iter().filter(is_refused);
    match errors
        .map(|receipt| receipt.data as i32)
        .min_by_key(|&errno| errno == libc::ENOENT)
    {
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Ok(()),
    }
}
