//! System calls of pipes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use runtime_reactor::{Direction, internal};

use super::call::{call, open};
use super::errno::cvt;

/// Creates a pipe, reader first, both ends non-blocking and close-on-exec.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    open!(|host| host.pipe(), pipe_real())
}

/// Creates a pipe of the real kernel, which splicing needs.
pub(crate) fn pipe_real() -> io::Result<(OwnedFd, OwnedFd)> {
    internal::pipe()
}

/// Returns true if a descriptor is open for operations of `direction`. On some systems both ends of
/// a pipe are open for both.
pub(crate) fn is_open_for(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
    call!(
        &fd,
        |host, fd| Ok(host.is_writer(fd)? == (direction == Direction::Write)),
        is_open_for_real(fd, direction)
    )
}

fn is_open_for_real(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
    // SAFETY: F_GETFL takes no pointer; `fd` is borrowed, so it is open.
    let flags = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let mode = match direction {
        Direction::Read => libc::O_RDONLY,
        Direction::Write => libc::O_WRONLY,
    };
    Ok([mode, libc::O_RDWR].contains(&(flags & libc::O_ACCMODE)))
}

/// Makes a descriptor blocking again.
pub(crate) fn set_blocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_GETFL takes no pointer; `fd` is borrowed, so it is open.
    let flags = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: F_SETFL takes an int and no pointer; `fd` is borrowed, so it is open.
    cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) })?;
    Ok(())
}
