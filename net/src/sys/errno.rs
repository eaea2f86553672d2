//! Results of system calls.

use std::io;

/// The result of a system call that says -1 for "look at errno".
pub(super) fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
