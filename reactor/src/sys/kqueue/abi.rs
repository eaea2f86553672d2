//! What differs from one kqueue to the next: the layout of its messages and the names of its calls.
//!
//! This is all that the backend knows of the system it runs on. Where there is no kqueue, its
//! tests put `tests/model.rs` in this place, and so this file does no more than it has to.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;
use std::{io, mem, ptr};

pub(super) use libc::{
    EV_ADD, EV_CLEAR, EV_DELETE, EV_EOF, EV_ERROR, EV_ONESHOT, EV_RECEIPT, EVFILT_PROC,
    EVFILT_READ, EVFILT_USER, EVFILT_WRITE, NOTE_EXIT, NOTE_TRIGGER,
};

use crate::sys::{cvt, forks};

/// Apple's kevent64 has room for 64 bits of token whatever the size of a pointer, and a flag not
/// to wait.
#[cfg(target_vendor = "apple")]
pub(super) type Kevent = libc::kevent64_s;
#[cfg(not(target_vendor = "apple"))]
pub(super) type Kevent = libc::kevent;

/// The types of `filter` and `flags` in it.
#[cfg(target_os = "netbsd")]
pub(super) type Filter = u32;
#[cfg(not(target_os = "netbsd"))]
pub(super) type Filter = i16;
#[cfg(target_os = "netbsd")]
pub(super) type Flags = u32;
#[cfg(not(target_os = "netbsd"))]
pub(super) type Flags = u16;

/// A filter of `ident` to change.
pub(super) fn change(
    ident: RawFd,
    filter: Filter,
    flags: Flags,
    fflags: u32,
    udata: u64,
) -> Kevent {
    // SAFETY: a kevent holds integers and one pointer, for which all-zero is a value. (FreeBSD's
    // and Apple's have fields that others lack, so it is not written out.)
    let mut change: Kevent = unsafe { mem::zeroed() };
    change.ident = ident as _;
    change.filter = filter;
    change.flags = flags;
    change.fflags = fflags;
    change.udata = narrow(udata);
    change
}

/// `udata`, as the kernel takes it and as it gives it back.
#[cfg(target_vendor = "apple")]
fn narrow(udata: u64) -> u64 {
    udata
}

#[cfg(not(target_vendor = "apple"))]
fn narrow(udata: u64) -> *mut libc::c_void {
    ptr::without_provenance_mut(udata as usize)
}

#[cfg(target_vendor = "apple")]
pub(super) fn udata(answer: &Kevent) -> u64 {
    answer.udata
}

#[cfg(not(target_vendor = "apple"))]
pub(super) fn udata(answer: &Kevent) -> u64 {
    answer.udata.addr() as u64
}

/// Whether the flags of a read filter say that urgent data lies there (kqueue(2) of macOS).
#[cfg(target_vendor = "apple")]
pub(super) fn is_urgent(flags: Flags) -> bool {
    flags & libc::EV_OOBAND != 0
}

/// The others do not say; their count of what can be read goes on behind it.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn is_urgent(_: Flags) -> bool {
    false
}

/// A kernel's queue. A forked child does not get it (kqueue(2)): there its number may be another
/// descriptor's, which must not be closed.
#[derive(Debug)]
pub(super) struct Queue {
    fd: ManuallyDrop<OwnedFd>,
    /// The process it was made in.
    forks: u32,
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.forks == forks() {
            // SAFETY: it is dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

impl Queue {
    fn new(fd: OwnedFd) -> Queue {
        Queue {
            fd: ManuallyDrop::new(fd),
            forks: forks(),
        }
    }

    #[cfg(target_os = "netbsd")]
    pub(super) fn open() -> io::Result<Queue> {
        // SAFETY: kqueue1 takes an integer.
        let fd = cvt(unsafe { libc::kqueue1(libc::O_CLOEXEC) })?;
        // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
        Ok(Queue::new(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Marked close-on-exec afterwards. A child forked in between has no kqueue: it is not inherited.
    #[cfg(not(target_os = "netbsd"))]
    pub(super) fn open() -> io::Result<Queue> {
        // SAFETY: kqueue takes nothing.
        let fd = cvt(unsafe { libc::kqueue() })?;
        // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
        let queue = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: F_SETFD takes an int and no pointer; the descriptor is ours and open.
        cvt(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
        Ok(Queue::new(queue))
    }

    /// Whether 64 bits go through the kernel and come back.
    pub(super) fn has_wide_udata(&self) -> bool {
        cfg!(any(target_vendor = "apple", target_pointer_width = "64"))
    }

    /// Whether kqueue takes a descriptor and yet does not tell its end: that of a named pipe on macOS,
    /// whose last writer goes unnoticed (go's issue 24164). Other pipes have no device there.
    #[cfg(target_vendor = "apple")]
    pub(super) fn misses_eof_of(&self, _: RawFd, stat: &libc::stat) -> bool {
        stat.st_mode & libc::S_IFMT == libc::S_IFIFO && stat.st_dev != 0
    }

    #[cfg(not(target_vendor = "apple"))]
    pub(super) fn misses_eof_of(&self, _: RawFd, _: &libc::stat) -> bool {
        false
    }

    /// Applies `changes`, then waits, and replaces the contents of `answers`, up to its capacity.
    pub(super) fn kevent(
        &self,
        changes: &[Kevent],
        answers: &mut Vec<Kevent>,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs() as _,
            tv_nsec: limit.subsec_nanos() as _,
        });
        answers.clear();
        let n = cvt(system_kevent(&self.fd, changes, answers, limit.as_ref()))?;
        // SAFETY: the kernel has just written `n` events at the start of the buffer.
        unsafe { answers.set_len(n as usize) };
        Ok(())
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// kevent(2), which writes to the spare room of `answers`.
#[cfg(target_vendor = "apple")]
fn system_kevent(
    kqueue: &OwnedFd,
    changes: &[Kevent],
    answers: &mut Vec<Kevent>,
    limit: Option<&libc::timespec>,
) -> libc::c_int {
    let room = answers.spare_capacity_mut();
    // A timeout of zero arms a timer and sleeps on it where nothing is ready; the flag does not.
    let at_once = limit.is_some_and(|limit| limit.tv_sec == 0 && limit.tv_nsec == 0);
    let flags = if at_once {
        libc::KEVENT_FLAG_IMMEDIATE
    } else {
        libc::KEVENT_FLAG_NONE
    };
    // SAFETY: pointers and lengths are those of live slices, the kernel reads one and writes the
    // other; the timespec is null or outlives the call.
    unsafe {
        libc::kevent64(
            kqueue.as_raw_fd(),
            changes.as_ptr(),
            changes.len() as libc::c_int,
            room.as_mut_ptr().cast(),
            room.len() as libc::c_int,
            flags,
            limit.map_or(ptr::null(), ptr::from_ref),
        )
    }
}

/// kevent(2), which writes to the spare room of `answers`.
#[cfg(not(target_vendor = "apple"))]
fn system_kevent(
    kqueue: &OwnedFd,
    changes: &[Kevent],
    answers: &mut Vec<Kevent>,
    limit: Option<&libc::timespec>,
) -> libc::c_int {
    let room = answers.spare_capacity_mut();
    // SAFETY: pointers and lengths (size_t on NetBSD, int elsewhere) are those of live slices, the
    // kernel reads one and writes the other; the timespec is null or outlives the call.
    unsafe {
        libc::kevent(
            kqueue.as_raw_fd(),
            changes.as_ptr(),
            changes.len() as _,
            room.as_mut_ptr().cast(),
            room.len() as _,
            limit.map_or(ptr::null(), ptr::from_ref),
        )
    }
}
