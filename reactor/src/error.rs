//! Errors that name the operation and what it was performed on.

use std::error::Error;
use std::os::fd::RawFd;
use std::{fmt, io};

use crate::sys::UNPOLLABLE;

/// An error of the system with the operation that failed.
#[derive(Debug)]
struct ContextError {
    what: String,
    source: io::Error,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl Error for ContextError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Puts `what` before the text of `source`. The kind stays, and `source` itself, errno included,
/// becomes the [`source`](Error::source) of the new error.
#[cold]
pub fn with_context(what: impl Into<String>, source: io::Error) -> io::Error {
    let what = what.into();
    io::Error::new(source.kind(), ContextError { what, source })
}

/// Returns the error of a descriptor that cannot be waited for, in plain words where the system's
/// text has none.
pub(crate) fn cannot_wait(fd: RawFd, e: &io::Error) -> io::Error {
    let (kind, why): (_, &dyn fmt::Display) = match e.raw_os_error() {
        Some(libc::EPERM) => (io::ErrorKind::Unsupported, &UNPOLLABLE),
        Some(libc::EEXIST) => (
            io::ErrorKind::AlreadyExists,
            &"another source of this runtime waits for the same descriptor; share that one",
        ),
        Some(libc::ENOSPC) => (
            e.kind(),
            &"the limit of watched descriptors is reached (/proc/sys/fs/epoll/max_user_watches)",
        ),
        _ => (e.kind(), e),
    };
    io::Error::new(kind, format!("cannot wait for descriptor {fd}: {why}"))
}

/// Returns the error of `what`, which has to wait on a thread without a runtime.
pub(crate) fn no_runtime(what: &str) -> io::Error {
    io::Error::other(format!(
        "{what} has to wait, but no runtime drives this thread: call it inside #[runtime::main], \
         Runtime::block_on or a spawned task"
    ))
}

/// Returns the error of `what`, which waited in a runtime that was dropped.
pub(crate) fn shut_down(what: &str) -> io::Error {
    io::Error::other(format!("the runtime in which {what} waited is gone"))
}

/// Returns the error of a reactor in a forked child that has no selector of its own yet.
#[cold]
pub(crate) fn forked() -> io::Error {
    io::Error::other(
        "this process is a fork of the one that made the runtime, and shares with it what the \
         runtime waits in: call Runtime::after_fork_child first, or make a new runtime",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_keeps_its_kind_and_its_errno() {
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let error = with_context("connect to [::1]:1", refused);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with("connect to [::1]:1: "));
        let cause = error.source().and_then(|e| e.downcast_ref::<io::Error>());
        assert_eq!(
            cause.and_then(io::Error::raw_os_error),
            Some(libc::ECONNREFUSED)
        );
    }
}
