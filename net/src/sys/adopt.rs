//! Descriptors that come from the program.

use std::io;
use std::os::fd::BorrowedFd;

/// Makes a descriptor non-blocking, of which the program makes a socket.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    adopt(fd);
    runtime_reactor::internal::set_nonblocking(fd)
}

/// Lets a simulated host forget what it knows of the number of a descriptor, which may have been
/// that of another one.
pub(crate) fn adopt(fd: BorrowedFd<'_>) {
    #[cfg(feature = "sim")]
    if let Some(host) = runtime_reactor::sim::current_host() {
        host.forget_number(fd);
    }
    #[cfg(not(feature = "sim"))]
    let _ = fd;
}
