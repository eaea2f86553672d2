//! Addresses in the texts of errors.

use std::os::unix::net::SocketAddr;

/// Returns `addr` as text: its path if it has one.
pub(super) fn display(addr: &SocketAddr) -> String {
    match addr.as_pathname() {
        Some(path) => path.display().to_string(),
        None => format!("{addr:?}"),
    }
}
