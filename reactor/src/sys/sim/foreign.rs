//! The errors for real descriptors inside a simulation, and for simulated ones outside.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::super::fcntl::is_write_only;
use super::super::fstat::is_pipe;

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
/// entered. Returns `None` if the descriptor may be anything else.
///
/// A placeholder is the only descriptor that a program uses as a socket, or reads, and that is the
/// writing end of a pipe.
pub fn outside_simulation(fd: BorrowedFd<'_>) -> Option<io::Error> {
    let fd = fd.as_raw_fd();
    if !is_write_only(fd) || !is_pipe(fd).unwrap_or(false) {
        return None;
    }
    let text = format!(
        "descriptor {fd} is a socket of a simulation, which exists only while the runtime of its \
         host is entered on this thread: use it inside, in a task of that host"
    );
    Some(io::Error::new(io::ErrorKind::Unsupported, text))
}
