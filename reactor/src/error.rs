//! Errors that name the operation and what it was performed on.

use std::error::Error;
use std::os::fd::RawFd;
use std::{fmt, io};

use crate::sys::UNPOLLABLE;

/// A system error with a text that names the operation that failed.
#[derive(Debug)]
struct ContextError {
    text: String,
    source: io::Error,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
    let text = format!("{}: {source}", what.into());
    io::Error::new(source.kind(), ContextError { text, source })
}

/// Returns the errno of an error, also if the error was wrapped in one with a longer text.
///
/// [`raw_os_error`](io::Error::raw_os_error) returns `None` for an error with a text of its own,
/// such as those of `bind`, `connect` and `open` here. This function also searches the errors that
/// `error` wraps and the [sources](Error::source) of those. Returns `None` if no error among them
/// came from the operating system.
///
/// # Examples
/// ```
/// use std::io;
///
/// # runtime::block_on(async {
/// let error = runtime::fs::File::open("/does/not/exist").await.unwrap_err();
/// assert_eq!(error.raw_os_error(), None); // it names the path instead
/// assert_eq!(runtime::io::os_error(&error), Some(2)); // ENOENT
///
/// let plain = io::Error::from_raw_os_error(2);
/// assert_eq!(runtime::io::os_error(&plain), Some(2));
/// # });
/// ```
pub fn os_error(error: &io::Error) -> Option<i32> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        // The source of an `io::Error` is that of the error in it, which is therefore visited
        // first.
        next = match error.downcast_ref::<io::Error>() {
            Some(error) => match error.raw_os_error() {
                Some(number) => return Some(number),
                None => error.get_ref().map(|inner| inner as _),
            },
            None => error.source(),
        };
    }
    None
}

/// Returns the error of a descriptor that cannot be waited for, with a clearer text where the
/// system's is obscure.
pub(crate) fn cannot_wait(fd: RawFd, e: io::Error) -> io::Error {
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
        _ => (e.kind(), &e),
    };
    let text = format!("cannot wait for descriptor {fd}: {why}");
    io::Error::new(kind, ContextError { text, source: e })
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
    io::Error::other(format!("the runtime in which {what} waited was dropped"))
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

    #[test]
    fn the_number_is_found_below_any_number_of_texts() {
        /// An error of another library that wraps one of the system.
        #[derive(Debug)]
        struct Foreign(io::Error);

        impl fmt::Display for Foreign {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("foreign")
            }
        }

        impl Error for Foreign {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }

        let plain = || io::Error::from_raw_os_error(libc::ENOMEM);
        let once = || with_context("listen", plain());
        let cases = [
            plain(),
            once(),
            with_context("serve", once()),
            io::Error::other(once()),
            io::Error::other(Foreign(plain())),
            with_context("serve", io::Error::other(Foreign(once()))),
            cannot_wait(3, plain()),
        ];
        for error in cases {
            assert_eq!(os_error(&error), Some(libc::ENOMEM), "{error}");
        }
        let without = [
            io::Error::other("a text"),
            io::ErrorKind::OutOfMemory.into(),
            with_context("serve", io::Error::other("a text")),
        ];
        for error in without {
            assert_eq!(os_error(&error), None, "{error}");
        }
    }

    #[test]
    fn a_descriptor_that_cannot_be_waited_for_keeps_its_number() {
        for (errno, kind) in [
            (libc::EPERM, io::ErrorKind::Unsupported),
            (libc::EEXIST, io::ErrorKind::AlreadyExists),
            (
                libc::EBADF,
                io::Error::from_raw_os_error(libc::EBADF).kind(),
            ),
        ] {
            let error = cannot_wait(7, io::Error::from_raw_os_error(errno));
            assert_eq!((error.kind(), os_error(&error)), (kind, Some(errno)));
            assert!(
                error
                    .to_string()
                    .starts_with("cannot wait for descriptor 7: ")
            );
        }
    }
}
