//! Detection of fork(2): whether this process is a child of the one in which something was made.
//!
//! A forked child inherits the parent's epoll, and whatever it registers, removes or notifies there
//! happens to the parent. It does not inherit a kqueue, whose number may belong to another
//! descriptor in the child. So every path to the kernel compares this counter first, and the
//! comparison has to be cheap: a load, and nothing else.
//!
//! pthread_atfork(3) has the C library increment the counter in each child. A bare clone(2) and
//! `_Fork` (POSIX 2024) call no handlers and go unnoticed. Rejected: getpid(2), which costs a
//! system call each time (glibc does not cache it since 2.25); and a page that the kernel wipes on
//! fork (`MADV_WIPEONFORK`), which would notice those two as well, but needs Linux 4.14 or its
//! counterparts on FreeBSD and OpenBSD, does not exist on macOS, and costs two system calls a
//! process.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of forks between the first process that had a reactor and this one. It is written
/// only in a child that has a single thread.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The handler in the child, which may only do what is async-signal-safe.
extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Returns a number that is different in every forked child. It changes only after
/// `start_counting_forks` was called.
#[inline]
pub fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Starts to count, for the rest of the process's life.
///
/// # Errors
/// Returns `ENOMEM` if the C library has no room for another handler.
pub(crate) fn start_counting_forks() -> io::Result<()> {
    static INSTALLED: OnceLock<libc::c_int> = OnceLock::new();
    // SAFETY: the handler has the required signature, is async-signal-safe, and its code lives as
    // long as this library: a C library that can unload libraries drops their handlers.
    let errno = INSTALLED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(count)) });
    match *errno {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
