//! Whether this process is a fork of the one in which something was made.
//!
//! fork(2) gives the child our epoll, but as the parent's: what the child registers, removes or notifies
//! there happens to the parent. A kqueue it does not give at all, so its number may be another
//! descriptor's. So every path to the kernel asks first, and it must cost next to nothing.
//! pthread_atfork(3) has the C library add one to a counter in the child, which leaves a load and a
//! comparison for us. Rejected: getpid(2), which is a system call each time (glibc remembers it no
//! more since 2.25); a page that the kernel wipes on fork (MADV_WIPEONFORK), which needs Linux 4.14
//! or its cousins on FreeBSD and OpenBSD, has none on macOS, and costs two system calls a process.
//! It would notice a bare clone(2) and `_Fork` (POSIX 2024) too; they call no handlers.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between the first process that had a reactor and this one. Written in a child
/// that has one thread only.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// May do nothing but what is async-signal-safe.
extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Which process this is: another number in every child. It counts only once it is
/// [watched](watch).
#[inline]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Begins to count, for the rest of the process's life.
///
/// # Errors
/// `ENOMEM` when the C library has no room for another handler.
pub(crate) fn watch() -> io::Result<()> {
    static WATCHED: OnceLock<libc::c_int> = OnceLock::new();
    // SAFETY: the handler takes nothing, touches an atomic only, and is code of this library; a C
    // library that unloads libraries forgets the handlers of one that goes.
    let errno = WATCHED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(count)) });
    match *errno {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
