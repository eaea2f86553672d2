//! Results of system calls.

use std::io;

/// Converts -1 to the error in errno.
pub(super) fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
