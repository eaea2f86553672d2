//! Notifiers made of a descriptor: an eventfd(2), or a pipe where the system has none.
//!
//! kqueue notifies itself with `EVFILT_USER` and uses the pipe only where that filter is missing.

use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::FromRawFd;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::cvt::cvt;
use super::pipe::pipe;
use super::selector::Notify;

/// The notifier of poll and select.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) type NotifyFd = EventFd;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) type NotifyFd = Pipe;

impl Notify for NotifyFd {
    fn notify(&self) -> io::Result<()> {
        self.notify()
    }

    /// Does nothing: poll and select have no registration in the kernel.
    fn remove(&self, _: RawFd) {}
}

/// An eventfd(2).
///
/// epoll registers it edge-triggered and never reads it, since every write is a new edge. poll and
/// select drain it.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(super) struct EventFd(OwnedFd);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl EventFd {
    pub(super) fn new() -> io::Result<EventFd> {
        // SAFETY: eventfd takes two integers.
        let fd = cvt(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        loop {
            match write(&self.0, &1u64.to_ne_bytes()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The counter is full after 2^64 - 2 notifications: drain it and try again.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.drain(),
                written => return written.map(drop),
            }
        }
    }

    /// Drains all notifications so far.
    pub(super) fn drain(&self) {
        let _ = read(&self.0, &mut [0; 8]);
    }
}

/// A pipe of our own, also known as the self-pipe. It is drained after it ended a wait.
#[cfg_attr(
    any(target_os = "linux", target_os = "android"),
    allow(
        dead_code,
        reason = "for the kqueue backend, which tests run on a model here"
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
        reason = "for the kqueue backend, which tests run on a model here"
    )
)]
impl Pipe {
    pub(super) fn new() -> io::Result<Pipe> {
        let (reader, writer) = pipe()?;
        Ok(Pipe { reader, writer })
    }

    pub(super) fn raw(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        loop {
            match write(&self.writer, &[1]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A full pipe ends the wait as well as one more byte would.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                written => return written.map(drop),
            }
        }
    }

    /// Drains all notifications so far.
    pub(super) fn drain(&self) {
        let mut bytes = [0; 256];
        while matches!(read(&self.reader, &mut bytes), Ok(n) if n == bytes.len()) {}
    }
}

fn write(fd: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer is valid for reads of the length of its slice.
    let written = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

fn read(fd: &OwnedFd, bytes: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer is valid for writes of the length of its slice.
    let read = unsafe { libc::read(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}
