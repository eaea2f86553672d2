//! sendfile(2): from a file to a socket without a copy through this process.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::call::is_simulated;
use super::sigpipe;

/// Sends at most `count` bytes of `file`, from `offset` on, and returns their number. 0 bytes are
/// the end of the file. Fails with `ENOSYS` where the system has no sendfile(2).
pub(crate) fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let (socket, file) = (socket.as_raw_fd(), file.as_raw_fd());
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut offset = offset as libc::off64_t;
        // SAFETY: the kernel reads and writes the offset, which outlives the call; the borrows keep
        // both descriptors open.
        let sent = unsafe { libc::sendfile64(socket, file, &mut offset, count) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
    #[cfg(any(
        target_os = "freebsd",
        target_os = "dragonfly",
        target_vendor = "apple"
    ))]
    {
        let (offset, none) = (offset as libc::off_t, std::ptr::null_mut());
        // Apple's systems read the number of bytes where they write it.
        #[cfg(target_vendor = "apple")]
        let mut sent = count as libc::off_t;
        #[cfg(target_vendor = "apple")]
        // SAFETY: the kernel reads and writes the number of bytes, which outlives the call; there
        // are no headers, and the borrows keep both descriptors open.
        let result = unsafe { libc::sendfile(file, socket, offset, &mut sent, none, 0) };
        #[cfg(not(target_vendor = "apple"))]
        let mut sent = 0;
        #[cfg(not(target_vendor = "apple"))]
        // SAFETY: the kernel writes the number of bytes, which outlives the call; there are no
        // headers, and the borrows keep both descriptors open.
        let result = unsafe { libc::sendfile(file, socket, offset, count, none, &mut sent, 0) };
        // Bytes that were sent before an error count.
        if result == -1 && sent == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(sent as usize)
    }
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_vendor = "apple"
    )))]
    {
        let _ = (socket, file, offset, count);
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
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
