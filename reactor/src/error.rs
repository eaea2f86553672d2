//! Errors that say what was being done, and to what.

use std::error::Error;
use std::{fmt, io};

/// An error of the system, and what was attempted when it came.
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

/// Puts `what` before the text of `source`. The kind stays, and `source` itself is the new error's
/// [`source`](Error::source), errno included.
#[cold]
pub fn with_context(what: impl Into<String>, source: io::Error) -> io::Error {
    let what = what.into();
    io::Error::new(source.kind(), ContextError { what, source })
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
