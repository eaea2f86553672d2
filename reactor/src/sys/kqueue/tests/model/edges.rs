//! What Linux has to tell of descriptors: what happened, and what is so.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;
use std::{io, ptr};

use super::{EVFILT_WRITE, Filter, Note};
use crate::sys::cvt;

/// One edge-triggered epoll for each filter, so that what happens to one does not show in the
/// other, and one that has both, and whatever else ends a wait.
#[derive(Debug)]
pub(super) struct Edges {
    all: OwnedFd,
    read: OwnedFd,
    write: OwnedFd,
}

impl Edges {
    pub(super) fn new(pending: RawFd) -> io::Result<Edges> {
        let edges = Edges {
            all: epoll()?,
            read: epoll()?,
            write: epoll()?,
        };
        for fd in [edges.read.as_raw_fd(), edges.write.as_raw_fd(), pending] {
            control(&edges.all, libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, 0)?;
        }
        Ok(edges)
    }

    /// Watches the descriptor of a note, or looks at it again. What epoll refuses, as it is always
    /// ready, has no edges.
    pub(super) fn add(&self, note: &Note) -> Result<(), i32> {
        let Some(fd) = note.descriptor() else {
            return Ok(());
        };
        let number = note.number;
        let (epoll, events) = self.of(note.filter);
        let add = |call| control(epoll, call, fd, events | libc::EPOLLET, number);
        // The descriptor may have been closed, and be back: epoll goes by open files.
        let added = add(libc::EPOLL_CTL_ADD).or_else(|_| add(libc::EPOLL_CTL_MOD));
        match added.map_err(|e| e.raw_os_error().unwrap_or(0)) {
            Ok(()) | Err(libc::EPERM | libc::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn remove(&self, note: &Note) {
        if let Some(fd) = note.descriptor() {
            let (epoll, _) = self.of(note.filter);
            let _ = control(epoll, libc::EPOLL_CTL_DEL, fd, 0, 0);
        }
    }

    fn of(&self, filter: Filter) -> (&OwnedFd, libc::c_int) {
        match filter {
            EVFILT_WRITE => (&self.write, libc::EPOLLOUT),
            _ => (&self.read, libc::EPOLLIN | libc::EPOLLRDHUP),
        }
    }

    /// The numbers of the notes to which something happened since.
    pub(super) fn take(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for epoll in [&self.read, &self.write] {
            let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
            loop {
                let room = events.len() as libc::c_int;
                // SAFETY: the kernel writes at most `room` events, and there is room for them.
                let n =
                    unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), room, 0) };
                let told = &events[..cvt(n)? as usize];
                numbers.extend(told.iter().map(|event| event.u64));
                if told.len() < events.len() {
                    break;
                }
            }
        }
        Ok(numbers)
    }

    /// Waits until there is something to take.
    pub(super) fn wait(&self, limit: Option<Duration>) -> io::Result<()> {
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs() as _,
            tv_nsec: limit.subsec_nanos() as _,
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        let mut asked = ask(self.all.as_raw_fd(), libc::POLLIN);
        // SAFETY: the kernel reads and writes the one pollfd, reads one timespec that outlives the
        // call or null, and takes no signal mask.
        cvt(unsafe { libc::ppoll(&mut asked, 1, limit, ptr::null()) })?;
        Ok(())
    }
}

impl AsFd for Edges {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.all.as_fd()
    }
}

fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: epoll_create1 takes an integer.
    let fd = cvt(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn control(
    epoll: &OwnedFd,
    call: libc::c_int,
    fd: RawFd,
    events: libc::c_int,
    number: u64,
) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: events as u32,
        u64: number,
    };
    // SAFETY: the kernel reads one epoll_event, which outlives the call, and keeps no pointer.
    cvt(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), call, fd, &mut event) })?;
    Ok(())
}

fn ask(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// What is so of a descriptor at this moment.
pub(super) fn revents(fd: RawFd) -> libc::c_short {
    let mut asked = ask(fd, libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP);
    // SAFETY: the kernel reads and writes the one pollfd that it is given.
    unsafe { libc::poll(&mut asked, 1, 0) };
    asked.revents
}

/// Whether we ourselves have shut a stream socket for writing, which poll does not tell. An empty
/// message is sent to nobody, but refused then.
pub(super) fn is_shut(fd: RawFd) -> bool {
    let (mut kind, mut size) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    let place = (&raw mut kind).cast();
    // SAFETY: the kernel writes one int to a place that has room for one, as `size` says.
    let got = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, place, &mut size) };
    if got != 0 || kind != libc::SOCK_STREAM {
        return false;
    }
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: no byte is read from the pointer.
    let sent = unsafe { libc::send(fd, ptr::null(), 0, flags) };
    sent == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EPIPE)
}

/// How many bytes there are to read, up to urgent data and in all, without the urgent byte itself.
pub(super) fn unread(fd: RawFd) -> (i64, i64) {
    let short = pending(fd);
    // In line, urgent data is counted as any other, and so is what lies behind it.
    let in_line = |on: libc::c_int| {
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        let place = (&raw const on).cast();
        // SAFETY: the kernel reads one int, of the size that it is told.
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_OOBINLINE, place, size) }
    };
    if in_line(1) != 0 {
        return (short, short);
    }
    let all = pending(fd);
    in_line(0);
    (short, if all > short { all - 1 } else { all })
}

/// FIONREAD; for what has no such count, a listener, it is 1 as for any that is ready.
fn pending(fd: RawFd) -> i64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int to a place that has room for one.
    match unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut bytes) } {
        0 => bytes.into(),
        _ => 1,
    }
}

/// A descriptor that is readable once the process has ended. ESRCH if there is none of that number.
pub(super) fn process(id: usize) -> Result<OwnedFd, i32> {
    // SAFETY: pidfd_open takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id as libc::pid_t, 0) };
    let fd = cvt(fd as RawFd).map_err(|e| e.raw_os_error().unwrap_or(0))?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
