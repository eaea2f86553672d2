//! pipe2(2): a pipe whose ends are non-blocking and close on exec.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use super::cvt::cvt;

/// Creates a pipe, reader first.
///
/// # Errors
/// Returns `EMFILE` or `ENFILE` if no descriptor is free.
#[cfg(not(target_vendor = "apple"))]
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: pipe2 writes two descriptors, for which the array has room.
    cvt(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) })?;
    // SAFETY: the call has just opened these descriptors, and nothing else owns them.
    Ok(ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into())
}

/// Creates a pipe, reader first. Apple's systems have no pipe2, so a program that another thread
/// starts before the flags are set inherits the descriptors.
///
/// # Errors
/// Returns `EMFILE` or `ENFILE` if no descriptor is free.
#[cfg(target_vendor = "apple")]
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    use std::os::fd::AsFd;

    use super::fcntl::{set_cloexec, set_nonblocking};
    let mut ends = [-1; 2];
    // SAFETY: pipe writes two descriptors, for which the array has room.
    cvt(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    // SAFETY: the call has just opened these descriptors, and nothing else owns them.
    let ends = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    for end in &ends {
        set_cloexec(end.as_fd())?;
        set_nonblocking(end.as_fd())?;
    }
    Ok(ends.into())
}
