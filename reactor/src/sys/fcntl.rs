//! fcntl(2): the flags of a descriptor.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::cvt::cvt;

/// Sets a descriptor to non-blocking mode.
///
/// # Errors
/// Returns the error of fcntl(2).
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_GETFL takes no pointer, and the borrow keeps `fd` open.
    let flags = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK == 0 {
        let flags = flags | libc::O_NONBLOCK;
        // SAFETY: F_SETFL takes an int and no pointer, and the borrow keeps `fd` open.
        cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) })?;
    }
    Ok(())
}

/// Sets the close-on-exec flag, where the call that made the descriptor could not.
#[cfg_attr(
    any(target_os = "linux", target_os = "android", target_os = "netbsd"),
    allow(dead_code, reason = "for a kqueue, where the system has no kqueue1")
)]
pub(super) fn set_cloexec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_SETFD takes an int and no pointer, and the borrow keeps `fd` open.
    cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// Returns true if a number is an open descriptor that can be written and not read.
pub(super) fn is_write_only(fd: RawFd) -> bool {
    // SAFETY: F_GETFL takes no pointer and accepts any number.
    let flags = cvt(unsafe { libc::fcntl(fd, libc::F_GETFL) });
    flags.is_ok_and(|flags| flags & libc::O_ACCMODE == libc::O_WRONLY)
}

/// Checks that a number is an open descriptor.
///
/// # Errors
/// Returns `EBADF` if it is not.
pub(super) fn check_open(fd: RawFd) -> io::Result<()> {
    // SAFETY: F_GETFD takes no pointer and accepts any number.
    cvt(unsafe { libc::fcntl(fd, libc::F_GETFD) }).map(drop)
}
