//! The system call poll(2), with a limit in nanoseconds where the system has ppoll.

use std::os::fd::RawFd;
use std::time::Duration;
use std::{io, ptr};

use super::cvt::cvt;
use super::timeout::timespec;

pub(super) fn pollfd(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// Waits in ppoll, and returns the number of descriptors that have something to report.
pub(super) fn poll(pollfds: &mut [libc::pollfd], limit: Option<Duration>) -> io::Result<usize> {
    let limit = limit.map(timespec);
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    let n = pollfds.len() as libc::nfds_t;
    // SAFETY: the slice holds `n` pollfds, `limit` is null or points to a timespec that outlives
    // the call, and a null signal mask is allowed.
    let ready = cvt(unsafe { ppoll(pollfds.as_mut_ptr(), n, limit, ptr::null()) })?;
    Ok(ready as usize)
}

/// Lets time pass: waits for no descriptor. A signal may end the wait.
#[cold]
pub(crate) fn pause(limit: Duration) {
    // The only error that this can be is the interruption by a signal.
    let _ = poll(&mut [], Some(limit));
}

/// NetBSD has had ppoll under this name since 3.0, and under the common one since 10.0.
#[cfg(target_os = "netbsd")]
use libc::pollts as ppoll;
/// poll(2) with a limit in nanoseconds.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd",
))]
use libc::ppoll;

/// The same for systems without such a call, with a limit in milliseconds.
///
/// # Safety
/// `pollfds` is valid for reads and writes of `n` pollfds, and `limit` is null or valid for reads.
/// The signal mask is ignored.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd",
    target_os = "netbsd",
)))]
unsafe fn ppoll(
    pollfds: *mut libc::pollfd,
    n: libc::nfds_t,
    limit: *const libc::timespec,
    _: *const libc::sigset_t,
) -> libc::c_int {
    // SAFETY: the caller passes null or a pointer to a timespec.
    let limit = unsafe { limit.as_ref() };
    let limit = limit.map(|limit| Duration::new(limit.tv_sec as u64, limit.tv_nsec as u32));
    let milliseconds = limit.map_or(-1, super::timeout::round_up_to_milliseconds);
    // SAFETY: the caller passes a pointer to `n` pollfds.
    unsafe { libc::poll(pollfds, n, milliseconds) }
}
