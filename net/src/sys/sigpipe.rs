//! The signal of writing to a connection that the peer has closed.

use std::mem::MaybeUninit;
use std::{io, ptr};

use super::errno::cvt;

/// Returns true if SIGPIPE is ignored, so that a call without a flag to suppress the signal only
/// returns EPIPE: splice(2) and sendfile(2) have no such flag.
///
/// Rust's runtime ignores the signal from the start of a program. The program may undo that, and a
/// library in another program cannot rely on it.
pub(crate) fn is_ignored() -> bool {
    current_action().is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN)
}

fn current_action() -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call changes nothing; it writes one sigaction, which
    // outlives the call.
    cvt(unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: a sigaction holds integers and an optional function, for which zero is valid, and so
    // is what the kernel has written.
    Ok(unsafe { action.assume_init() })
}
