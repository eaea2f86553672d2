//! Questions about a descriptor, which the simulated kernel answers for its own.

use std::io;
#[cfg(feature = "sim")]
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

#[cfg(feature = "sim")]
use crate::context;
use crate::interest::{Direction, Interest, Readiness};
use crate::sys;

/// Returns what of the directions of `interest` is ready now. Does not wait.
///
/// # Errors
/// Returns the errors of [`is_ready`].
pub(crate) fn ready_now(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Readiness> {
    #[cfg(feature = "sim")]
    if let Some(Ok(ready)) = context::host().map(|host| host.readiness(fd)) {
        return Ok(ready.satisfying(interest));
    }
    sys::ready_now(fd, interest)
}

/// Returns true if an operation of `direction` would find something now. Does not wait.
///
/// This is for descriptors that must not be made non-blocking, because other processes share the
/// open file.
///
/// # Errors
/// Returns `Unsupported` if poll(2) rejects the descriptor (POLLNVAL): one that is closed, and on
/// Apple's systems some devices, /dev/tty among them. Otherwise returns the error of poll(2).
pub fn is_ready(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
    Ok(!ready_now(fd, direction.interest())?.is_empty())
}

/// Checks that a descriptor is of a kind that can be waited for.
///
/// Regular files and directories are not, because kernels report them ready even while an operation
/// would wait for the disk.
///
/// # Errors
/// Returns `Unsupported` for a regular file or a directory, and the error of fstat(2).
/// Inside a simulation, also returns `Unsupported` for a descriptor of the real kernel.
pub fn check_pollable(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(feature = "sim")]
    if let Some(host) = context::host() {
        host.check_raw(fd.as_raw_fd())?;
    }
    sys::check_pollable(fd)
}
