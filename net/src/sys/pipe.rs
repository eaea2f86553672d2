//! System calls of pipes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use runtime_reactor::Direction;

use super::call::{call, open};
use super::errno::cvt;

/// Creates a pipe, reader first, both ends non-blocking and close-on-exec.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    open!(|host| host.pipe(), pipe_real())
}

/// Creates a pipe by one system call. Splicing needs a real one.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn pipe_real() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: pipe2 writes two descriptors, for which the array has room.
    cvt(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) })?;
    // SAFETY: the call has just opened these descriptors, and nothing else owns them.
    Ok(ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into())
}

/// Creates a pipe. macOS has no pipe2.
#[cfg(target_vendor = "apple")]
pub(crate) fn pipe_real() -> io::Result<(OwnedFd, OwnedFd)> {
    use std::os::fd::AsFd;
    let mut ends = [-1; 2];
    // SAFETY: pipe writes two descriptors, for which the array has room.
    cvt(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    // SAFETY: the call has just opened these descriptors, and nothing else owns them.
    let ends = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    for end in &ends {
        // SAFETY: F_SETFD takes an int; the descriptor is open.
        cvt(unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
        runtime_reactor::internal::set_nonblocking(end.as_fd())?;
    }
    Ok(ends.into())
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
