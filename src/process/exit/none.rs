//! Systems without a descriptor for the end of a process. kqueue has something else.

use std::io;
use std::os::fd::OwnedFd;

/// # Errors
/// Always.
pub(super) fn watch(_: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
