//! pidfd_open(2), since Linux 5.3: a descriptor that is readable once the process has ended.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// # Errors
/// `Unsupported` (ENOSYS) before 5.3; EPERM in sandboxes that do not know it; EMFILE and ENFILE.
pub(super) fn watch(process: u32) -> io::Result<OwnedFd> {
    let process = process as libc::pid_t;
    let flags: libc::c_uint = 0;
    // SAFETY: pidfd_open takes two integers. The libraries of C have no function for it, or only
    // young ones do.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process, flags) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, close-on-exec, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
