//! Errors that say what was being done, and to which address.

use std::io;

pub(crate) use runtime_reactor::internal::with_context;

/// The caller's fault, in the caller's own words.
#[cold]
pub(crate) fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
