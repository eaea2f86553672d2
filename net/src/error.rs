//! Errors that name the operation and the address.

use std::io;

pub(crate) use runtime_reactor::internal::with_context;

/// Returns an error for an invalid argument.
#[cold]
pub(crate) fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
