//! kqueue(2): one of its own that watches the process, and is readable once that has ended. The
//! reactor waits for it as for any descriptor, and needs not know of processes.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::{io, mem, ptr};

/// # Errors
/// ESRCH on NetBSD, OpenBSD and macOS for a process that has ended already, or is just about to;
/// EMFILE and ENFILE; ENOMEM.
pub(super) fn watch(process: u32) -> io::Result<OwnedFd> {
    // SAFETY: kqueue takes nothing.
    let fd = cvt(unsafe { libc::kqueue() })?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    let kqueue = unsafe { OwnedFd::from_raw_fd(fd) };
    // A child that is forked before this has no kqueue: it is not inherited.
    // SAFETY: F_SETFD takes an int and no pointer; the descriptor is ours and open.
    cvt(unsafe { libc::fcntl(kqueue.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: a kevent holds integers and one pointer, for which all-zero is a value. (FreeBSD's
    // has fields that others lack, so it is not written out.)
    let mut change: libc::kevent = unsafe { mem::zeroed() };
    change.ident = process as _;
    change.filter = libc::EVFILT_PROC;
    // NOTE_EXIT is told once, and nobody takes the event out: the kqueue stays readable.
    change.flags = libc::EV_ADD;
    change.fflags = libc::NOTE_EXIT;
    // SAFETY: the kernel reads one change and writes no event, as it is given no room for any;
    // then it returns at once.
    cvt(unsafe {
        libc::kevent(
            kqueue.as_raw_fd(),
            &change,
            1,
            ptr::null_mut(),
            0,
            ptr::null(),
        )
    })?;
    Ok(kqueue)
}

fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
