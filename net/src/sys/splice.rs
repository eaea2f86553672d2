//! Moving bytes through a pipe without copying them: splice(2), which Linux alone has.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::call::{call, is_simulated};
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::errno::cvt;
use super::sigpipe;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::unsupported::unsupported;

/// Moves up to `len` bytes from one descriptor to another, one of which is a pipe, without waiting
/// for the pipe. Sockets have to be non-blocking.
///
/// # Errors
/// Returns `WouldBlock` if there is nothing to move or no room for it, and other errors of
/// splice(2).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    use std::ptr::null_mut;
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: the descriptors are borrowed, so they are open; without offsets it accesses no
    // memory of this process.
    let moved = unsafe { libc::splice(from, null_mut(), to, null_mut(), len, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Fails: this system has no splice.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn splice(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
    Err(unsupported("splice"))
}

/// Returns true if this system has splice, and a splice to a connection that the peer has closed
/// only returns EPIPE.
pub(crate) fn is_supported() -> bool {
    let is_known = cfg!(any(target_os = "linux", target_os = "android"));
    is_known && !is_simulated() && sigpipe::is_ignored()
}

/// Requests that a pipe has room for `bytes`. It has less where a limit of the user or of the
/// system says so (pipe(7)).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn request_capacity(pipe: BorrowedFd<'_>, bytes: libc::c_int) {
    // SAFETY: F_SETPIPE_SZ takes an int and no pointer; `pipe` is borrowed, so it is open.
    let _ = cvt(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) });
}

/// Does nothing: the system chooses the capacity.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn request_capacity(_: BorrowedFd<'_>, _: libc::c_int) {}

/// Reads from a descriptor.
///
/// # Errors
/// Returns the errors of read(2).
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    call!(
        &fd,
        |host, fd| host.recv(fd, &mut [buf], false),
        read_real(fd, buf)
    )
}

fn read_real(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: read(2) writes at most the length of `buf` to it; it outlives the call.
    let n = unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}
