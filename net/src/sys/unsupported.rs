//! The error for what a platform lacks.

use std::io;

#[allow(dead_code, reason = "Linux has it all")]
pub(crate) fn unsupported(what: &str) -> io::Error {
    let text = format!("{what} does not exist on this platform");
    io::Error::new(io::ErrorKind::Unsupported, text)
}
