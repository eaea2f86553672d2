//! Notifiers made of a descriptor: eventfd, and a pipe where there is no such thing.
//!
//! kqueue notifies itself with EVFILT_USER and takes the pipe only where that filter is missing.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{Notify, cvt};

/// The notifier of the backends with levels.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) type NotifyFd = EventFd;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) type NotifyFd = Pipe;

impl Notify for NotifyFd {
    fn notify(&self) -> io::Result<()> {
        self.notify()
    }

    /// They keep their registrations in the reactor, which hears of it by mail.
    fn remove(&self, _: RawFd) {}
}

/// An eventfd(2). epoll registers it edge-triggered and never reads it: every write is a new edge.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(super) struct EventFd(OwnedFd);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl EventFd {
    pub(super) fn new() -> io::Result<EventFd> {
        // SAFETY: eventfd takes two integers.
        let fd = cvt(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        loop {
            match transfer(write_one, &self.0, &mut 1u64.to_ne_bytes()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The counter is full after 2^64 - 2 notifications: empty it, and notify again.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.drain(),
                other => return other.map(drop),
            }
        }
    }

    /// Takes out what was notified so far.
    pub(super) fn drain(&self) {
        let _ = transfer(read_some, &self.0, &mut [0; 8]);
    }
}

/// The self-pipe. Level or edge, it is emptied when it is drained.
#[cfg_attr(
    any(target_os = "linux", target_os = "android"),
    allow(
        dead_code,
        reason = "kqueue notifies with it where EVFILT_USER is missing"
    )
)]
#[derive(Debug)]
pub(super) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

#[cfg_attr(
    any(target_os = "linux", target_os = "android"),
    allow(
        dead_code,
        reason = "kqueue notifies with it where EVFILT_USER is missing"
    )
)]
impl Pipe {
    pub(super) fn new() -> io::Result<Pipe> {
        let mut ends = [-1; 2];
        // SAFETY: pipe writes two descriptors into the array of two that it is given.
        cvt(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
        // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
        let reader = unsafe { OwnedFd::from_raw_fd(ends[0]) };
        // SAFETY: as above, for the other end.
        let writer = unsafe { OwnedFd::from_raw_fd(ends[1]) };
        for end in [&reader, &writer] {
            use std::os::fd::AsFd;
            super::set_nonblocking(end.as_fd())?;
            // SAFETY: F_SETFD takes an int and no pointer; the descriptor is ours and open.
            cvt(unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
        }
        Ok(Pipe { reader, writer })
    }

    pub(super) fn raw(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        loop {
            match transfer(write_one, &self.writer, &mut [1]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A full pipe is a notification already.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                other => return other.map(drop),
            }
        }
    }

    /// Takes out what was notified so far.
    pub(super) fn drain(&self) {
        let mut notifications = [0; 256];
        while matches!(transfer(read_some, &self.reader, &mut notifications), Ok(n) if n == notifications.len())
        {
        }
    }
}

type Transfer = fn(RawFd, &mut [u8]) -> isize;

fn transfer(call: Transfer, fd: &OwnedFd, bytes: &mut [u8]) -> io::Result<usize> {
    usize::try_from(call(fd.as_raw_fd(), bytes)).map_err(|_| io::Error::last_os_error())
}

fn write_one(fd: RawFd, bytes: &mut [u8]) -> isize {
    // SAFETY: pointer and length are those of one live slice.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }
}

fn read_some(fd: RawFd, bytes: &mut [u8]) -> isize {
    // SAFETY: pointer and length are those of one live slice that we may write to.
    unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) }
}
