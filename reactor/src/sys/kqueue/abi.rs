//! The binary interface of kqueue(2), which differs between the systems: the layout of an event,
//! and the call itself.
//!
//! Everything that depends on the system is here. On a system without kqueue the tests replace this
//! file with `tests/model`, so nothing here is tested there, and the file is kept small.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;
use std::{io, mem, ptr};

pub(super) use libc::{
    EV_ADD, EV_CLEAR, EV_DELETE, EV_EOF, EV_ERROR, EV_ONESHOT, EV_RECEIPT, EVFILT_PROC,
    EVFILT_READ, EVFILT_USER, EVFILT_WRITE, NOTE_EXIT, NOTE_TRIGGER,
};

use crate::sys::cvt::cvt;
#[cfg(not(target_os = "netbsd"))]
use crate::sys::fcntl::set_cloexec;
use crate::sys::fork::forks;

/// On Apple's systems `kevent64` is used: its `udata` has 64 bits whatever the size of a pointer,
/// and it has a flag for not waiting.
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

/// Returns a change of one filter of `ident`.
pub(super) fn change(
    ident: RawFd,
    filter: Filter,
    flags: Flags,
    fflags: u32,
    udata: u64,
) -> Kevent {
    // SAFETY: a kevent consists of integers and one pointer, for which all-zero is valid. (It has
    // more fields on FreeBSD and Apple's systems, so a literal would not compile everywhere.)
    let mut change: Kevent = unsafe { mem::zeroed() };
    change.ident = ident as _;
    change.filter = filter;
    change.flags = flags;
    change.fflags = fflags;
    change.udata = to_udata(udata);
    change
}

/// Converts `udata` to the kernel's type. The upper half is lost where a pointer has 32 bits.
#[cfg(target_vendor = "apple")]
fn to_udata(udata: u64) -> u64 {
    udata
}

#[cfg(not(target_vendor = "apple"))]
fn to_udata(udata: u64) -> *mut libc::c_void {
    ptr::without_provenance_mut(udata as usize)
}

/// Returns the `udata` of an event.
#[cfg(target_vendor = "apple")]
pub(super) fn udata(event: &Kevent) -> u64 {
    event.udata
}

#[cfg(not(target_vendor = "apple"))]
pub(super) fn udata(event: &Kevent) -> u64 {
    event.udata.addr() as u64
}

/// Returns true if a read event reports urgent data (`EV_OOBAND`, kqueue(2) of macOS).
#[cfg(target_vendor = "apple")]
pub(super) fn is_urgent(flags: Flags) -> bool {
    flags & libc::EV_OOBAND != 0
}

/// The other systems do not report it. Their count of readable bytes includes those behind it.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn is_urgent(_: Flags) -> bool {
    false
}

/// A kqueue.
///
/// A forked child does not inherit it (kqueue(2)). There its number may belong to another
/// descriptor, which must not be closed.
#[derive(Debug)]
pub(super) struct Queue {
    fd: ManuallyDrop<OwnedFd>,
    /// The value of [`forks`] in the process that opened it.
    forks: u32,
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.forks == forks() {
            // SAFETY: the field is dropped only here and not used afterwards.
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
        // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
        Ok(Queue::new(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sets close-on-exec afterwards. A fork in between is harmless, because the child does not
    /// inherit a kqueue.
    #[cfg(not(target_os = "netbsd"))]
    pub(super) fn open() -> io::Result<Queue> {
        // SAFETY: kqueue has no parameters.
        let fd = cvt(unsafe { libc::kqueue() })?;
        // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
        let queue = unsafe { OwnedFd::from_raw_fd(fd) };
        set_cloexec(queue.as_fd())?;
        Ok(Queue::new(queue))
    }

    /// Returns true if `udata` holds 64 bits.
    pub(super) fn has_wide_udata(&self) -> bool {
        cfg!(any(target_vendor = "apple", target_pointer_width = "64"))
    }

    /// Returns true for a descriptor that kqueue accepts without reporting its end.
    ///
    /// On macOS that is a named FIFO, whose reader gets no event when the last writer closes
    /// (golang/go#24164). An anonymous pipe has no device number there.
    #[cfg(target_vendor = "apple")]
    pub(super) fn misses_eof_of(&self, _: RawFd, stat: &libc::stat) -> bool {
        stat.st_mode & libc::S_IFMT == libc::S_IFIFO && stat.st_dev != 0
    }

    #[cfg(not(target_vendor = "apple"))]
    pub(super) fn misses_eof_of(&self, _: RawFd, _: &libc::stat) -> bool {
        false
    }

    /// Returns true if the write filter of a pipe reports nothing when the reader closes.
    ///
    /// NetBSD runs the filter before it records the end, and then deletes it (sys_pipe.c; also
    /// observed on such a kernel).
    pub(super) fn write_filter_misses_eof(&self) -> bool {
        cfg!(target_os = "netbsd")
    }

    /// Applies `changes`, waits for events, and replaces the contents of `eventlist` with refusals
    /// or events, up to its capacity.
    pub(super) fn kevent(
        &self,
        changes: &[Kevent],
        eventlist: &mut Vec<Kevent>,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs() as _,
            tv_nsec: limit.subsec_nanos() as _,
        });
        eventlist.clear();
        let n = cvt(system_kevent(&self.fd, changes, eventlist, limit.as_ref()))?;
        // SAFETY: the kernel has just initialized `n` events at the start of the list.
        unsafe { eventlist.set_len(n as usize) };
        Ok(())
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Calls kevent64(2), which writes into the spare capacity of `eventlist`.
#[cfg(target_vendor = "apple")]
fn system_kevent(
    kqueue: &OwnedFd,
    changes: &[Kevent],
    eventlist: &mut Vec<Kevent>,
    limit: Option<&libc::timespec>,
) -> libc::c_int {
    let room = eventlist.spare_capacity_mut();
    // With a timeout of zero and nothing ready, the kernel arms a timer and sleeps until it fires.
    // With the flag it returns at once.
    let at_once = limit.is_some_and(|limit| limit.tv_sec == 0 && limit.tv_nsec == 0);
    let flags = if at_once {
        libc::KEVENT_FLAG_IMMEDIATE
    } else {
        libc::KEVENT_FLAG_NONE
    };
    // SAFETY: each pointer is valid for the length passed with it, the first for reads and the
    // second for writes; `limit` is null or points to a timespec that outlives the call. An `ident`
    // need not be open: the kernel answers EBADF for one that is closed.
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

/// Calls kevent(2), which writes into the spare capacity of `eventlist`.
#[cfg(not(target_vendor = "apple"))]
fn system_kevent(
    kqueue: &OwnedFd,
    changes: &[Kevent],
    eventlist: &mut Vec<Kevent>,
    limit: Option<&libc::timespec>,
) -> libc::c_int {
    let room = eventlist.spare_capacity_mut();
    // SAFETY: each pointer is valid for the length passed with it (a size_t on NetBSD, else an
    // int), the first for reads and the second for writes; `limit` is null or points to a timespec
    // that outlives the call. An `ident` need not be open: the kernel answers EBADF for a closed
    // one.
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
