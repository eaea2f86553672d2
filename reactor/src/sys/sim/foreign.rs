//! The errors for real descriptors inside a simulation, and for simulated ones outside.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Returns the error for a descriptor that is not one of the simulated kernel.
pub(super) fn not_simulated(fd: RawFd) -> io::Error {
    let text = format!(
        "descriptor {fd} is not one of this simulation: descriptors of the real kernel, such as \
         io::Async, child processes, signals and sockets that were opened outside, cannot be used \
         on a simulated host; open the socket inside, or run this part on a runtime of its own"
    );
    io::Error::new(io::ErrorKind::Unsupported, text)
}

/// Returns the error for a simulated descriptor that is used while no host of its simulation is
/// entered.
pub fn outside_simulation(fd: BorrowedFd<'_>) -> io::Error {
    let text = format!(
        "descriptor {} is a socket of a simulation, which exists only while the runtime of its \
         host is entered on this thread: use it inside, in a task of that host",
        fd.as_raw_fd()
    );
    io::Error::new(io::ErrorKind::Unsupported, text)
}
