//! The part of a kqueue that other threads use, and changes that cannot be deferred.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::abi::{EV_ADD, EV_CLEAR, EV_DELETE, EV_ERROR, EV_RECEIPT, EVFILT_READ, EVFILT_USER};
use super::abi::{Flags, Kevent, NOTE_TRIGGER, Queue, change};
use super::changes::BOTH;
use crate::sys::notify::Pipe;
use crate::sys::selector::Notify;
use crate::token::Token;

pub(super) struct KqueueNotify {
    pub(super) queue: Queue,
    /// The notifier where `EVFILT_USER` is missing: NetBSD before 10.0, OpenBSD before 7.8.
    pipe: Option<Pipe>,
}

impl KqueueNotify {
    pub(super) fn new(queue: Queue) -> io::Result<KqueueNotify> {
        // The filter is added without a trigger: FreeBSD and NetBSD ignore NOTE_TRIGGER in the
        // change that adds.
        match apply_now(&queue, [user_change(EV_ADD | EV_CLEAR, 0)]) {
            Ok(()) => Ok(KqueueNotify { queue, pipe: None }),
            Err(_) => KqueueNotify::with_pipe(queue),
        }
    }

    pub(super) fn with_pipe(queue: Queue) -> io::Result<KqueueNotify> {
        let pipe = Pipe::new()?;
        let (flags, udata) = (EV_ADD | EV_CLEAR, Token::NOTIFY.to_bits());
        apply_now(&queue, [change(pipe.raw(), EVFILT_READ, flags, 0, udata)])?;
        Ok(KqueueNotify {
            queue,
            pipe: Some(pipe),
        })
    }

    /// Deletes both filters of a descriptor. A filter that does not exist is not an error: it was
    /// refused, or the kernel dropped it by itself, as FreeBSD does when the reader of a pipe
    /// closes.
    pub(super) fn delete(&self, fd: RawFd) -> io::Result<()> {
        let changes = BOTH.map(|filter| change(fd, filter, EV_DELETE, 0, 0));
        match apply_now(&self.queue, changes) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            deleted => deleted,
        }
    }

    /// Drains all notifications so far. Only a pipe needs this: reporting an `EVFILT_USER` drains
    /// it.
    pub(super) fn drain(&self) {
        if let Some(pipe) = &self.pipe {
            pipe.drain();
        }
    }
}

impl Notify for KqueueNotify {
    fn notify(&self) -> io::Result<()> {
        match &self.pipe {
            Some(pipe) => pipe.notify(),
            // Without EV_CLEAR, which in this change would cancel the trigger on all BSDs.
            None => apply_now(&self.queue, [user_change(0, NOTE_TRIGGER)]),
        }
    }

    fn remove(&self, fd: RawFd) {
        // There is no caller to report an error to.
        let _ = self.delete(fd);
    }
}

/// Returns a change of the notifier's filter. The token is repeated in each, because every change
/// overwrites it.
fn user_change(flags: Flags, fflags: u32) -> Kevent {
    change(0, EVFILT_USER, flags, fflags, Token::NOTIFY.to_bits())
}

/// Applies changes at once, on any thread. Returns the first error other than `ENOENT`, or else
/// `ENOENT` if there was one.
///
/// Receipts have the kernel apply every change whatever happens to the others, and keep the call
/// from taking an event away from the thread that waits. They need room for each: without it
/// FreeBSD, NetBSD and OpenBSD stop at the first change, and DragonFly writes past the end.
pub(super) fn apply_now<const N: usize>(queue: &Queue, mut changes: [Kevent; N]) -> io::Result<()> {
    for change in &mut changes {
        change.flags |= EV_RECEIPT;
    }
    let mut receipts = Vec::with_capacity(N);
    match queue.kevent(&changes, &mut receipts, Some(Duration::ZERO)) {
        Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
        _ => {}
    }
    let is_error = |receipt: &&Kevent| receipt.flags & EV_ERROR != 0 && receipt.data != 0;
    let errnos = receipts
        .iter()
        .filter(is_error)
        .map(|receipt| receipt.data as i32);
    match errnos.min_by_key(|&errno| errno == libc::ENOENT) {
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Ok(()),
    }
}
