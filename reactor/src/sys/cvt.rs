//! The results of system calls.

use std::io;

/// Converts the result of a system call that returns -1 and sets errno on failure.
pub(super) fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
