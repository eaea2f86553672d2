//! sendfile(2): from a file to a socket without a copy through this process.

use std::io;
use std::os::fd::BorrowedFd;

use super::call::is_simulated;
use super::sigpipe;

/// Sends at most `count` bytes of `file`, from `offset` on, and returns their number. 0 bytes are
/// the end of the file.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let mut offset = offset as libc::off64_t;
    let (socket, file) = (socket.as_raw_fd(), file.as_raw_fd());
    // SAFETY: the kernel reads and writes the offset, which outlives the call; the borrows keep
    // both descriptors open.
    let sent = unsafe { libc::sendfile64(socket, file, &mut offset, count) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sends at most `count` bytes of `file`, from `offset` on, and returns their number. 0 bytes are
/// the end of the file.
#[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
pub(crate) fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    use std::ptr;
    let mut sent = 0;
    let (socket, file) = (socket.as_raw_fd(), file.as_raw_fd());
    let (offset, none) = (offset as libc::off_t, ptr::null_mut());
    // SAFETY: the kernel writes the number of bytes, which outlives the call; there are no headers,
    // and the borrows keep both descriptors open.
    let result = unsafe { libc::sendfile(file, socket, offset, count, none, &mut sent, 0) };
    sent_or_error(result, sent)
}

/// Sends at most `count` bytes of `file`, from `offset` on, and returns their number. 0 bytes are
/// the end of the file.
#[cfg(target_vendor = "apple")]
pub(crate) fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    use std::ptr;
    let mut sent = count as libc::off_t;
    let (socket, file) = (socket.as_raw_fd(), file.as_raw_fd());
    let (offset, none) = (offset as libc::off_t, ptr::null_mut());
    // SAFETY: the kernel reads and writes the number of bytes, which outlives the call; there are
    // no headers, and the borrows keep both descriptors open.
    let result = unsafe { libc::sendfile(file, socket, offset, &mut sent, none, 0) };
    sent_or_error(result, sent)
}

/// Returns the bytes that were sent before an error, if there are any.
#[cfg(any(
    target_os = "freebsd",
    target_os = "dragonfly",
    target_vendor = "apple"
))]
fn sent_or_error(result: libc::c_int, sent: libc::off_t) -> io::Result<usize> {
    if result == -1 && sent == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(sent as usize)
}

/// Fails: this system has no sendfile(2).
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_vendor = "apple"
)))]
pub(crate) fn sendfile(
    _: BorrowedFd<'_>,
    _: BorrowedFd<'_>,
    _offset: u64,
    _count: usize,
) -> io::Result<usize> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Returns true if the error means that the system cannot send this file to this socket, so that
/// it must be copied.
pub(crate) fn must_copy(error: &io::Error) -> bool {
    let refusals = [
        libc::EINVAL,
        libc::ENOSYS,
        libc::EOPNOTSUPP,
        libc::ENOTSUP,
        libc::EPERM,
    ];
    error
        .raw_os_error()
        .is_some_and(|it| refusals.contains(&it))
}

/// Returns true if sending to a closed connection raises no signal.
pub(crate) fn is_silent() -> bool {
    // An option of the socket suppresses it on Apple's systems.
    !is_simulated() && (cfg!(target_vendor = "apple") || sigpipe::is_ignored())
}
