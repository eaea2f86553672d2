//! The part of the model that reads Linux: changes from epoll(7), states from poll(2) and ioctl(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;
use std::{io, mem, ptr};

use super::{EVFILT_WRITE, Filter, Knote};
use crate::sys::cvt::cvt;

/// The epoll instances that detect changes.
///
/// Each filter has an edge-triggered one of its own, so that a change of one direction activates
/// only that direction's knote. A third one watches both and the queue's `pending` pipe; it is what
/// a blocked `kevent` waits in.
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

    /// Watches the descriptor of a knote, or renews the watch. A descriptor that epoll refuses
    /// because it is always ready (`EPERM`) has no changes to detect.
    pub(super) fn add(&self, knote: &Knote) -> Result<(), i32> {
        let Some(fd) = knote.descriptor() else {
            return Ok(());
        };
        let number = knote.number;
        let (epoll, events) = self.of(knote.filter);
        let add = |call| control(epoll, call, fd, events | libc::EPOLLET, number);
        // An open file may still be watched from a descriptor that was closed and opened again.
        let added = add(libc::EPOLL_CTL_ADD).or_else(|_| add(libc::EPOLL_CTL_MOD));
        match added.map_err(|e| e.raw_os_error().unwrap_or(0)) {
            Ok(()) | Err(libc::EPERM | libc::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn remove(&self, knote: &Knote) {
        if let Some(fd) = knote.descriptor() {
            let (epoll, _) = self.of(knote.filter);
            let _ = control(epoll, libc::EPOLL_CTL_DEL, fd, 0, 0);
        }
    }

    fn of(&self, filter: Filter) -> (&OwnedFd, libc::c_int) {
        match filter {
            EVFILT_WRITE => (&self.write, libc::EPOLLOUT),
            _ => (&self.read, libc::EPOLLIN | libc::EPOLLRDHUP),
        }
    }

    /// Returns the numbers of the knotes whose descriptors have changed since the last call.
    pub(super) fn take(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for epoll in [&self.read, &self.write] {
            let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
            loop {
                let room = events.len() as libc::c_int;
                // SAFETY: the kernel writes at most `room` events, and the array holds that many.
                let n =
                    unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), room, 0) };
                let ready = &events[..cvt(n)? as usize];
                numbers.extend(ready.iter().map(|event| event.u64));
                if ready.len() < events.len() {
                    break;
                }
            }
        }
        Ok(numbers)
    }

    /// Waits until `take` has something to return, or the `pending` pipe is readable.
    pub(super) fn wait(&self, limit: Option<Duration>) -> io::Result<()> {
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs() as _,
            tv_nsec: limit.subsec_nanos() as _,
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        let mut asked = ask(self.all.as_raw_fd(), libc::POLLIN);
        // SAFETY: `asked` is one pollfd, `limit` is null or points to a timespec that outlives the
        // call, and a null signal mask is allowed.
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
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
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
    // SAFETY: the pointer is valid for the one epoll_event that the kernel reads during the call.
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

/// Returns the present state of a descriptor as poll(2) reports it.
pub(super) fn revents(fd: RawFd) -> libc::c_short {
    let mut asked = ask(fd, libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP);
    // SAFETY: the pointer is valid for the one pollfd that the kernel reads and writes.
    unsafe { libc::poll(&mut asked, 1, 0) };
    asked.revents
}

/// Returns true if a stream socket was shut down for writing on this side.
///
/// poll(2) does not report that. Sending nothing has no effect on an open socket and fails with
/// `EPIPE` on one that is shut.
pub(super) fn is_shut(fd: RawFd) -> bool {
    if socket_type(fd) != Some(libc::SOCK_STREAM) {
        return false;
    }
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the length is 0, so the kernel reads no byte through the null pointer.
    let sent = unsafe { libc::send(fd, ptr::null(), 0, flags) };
    sent == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EPIPE)
}

/// Returns true if a descriptor is a datagram socket.
pub(super) fn is_datagram(fd: RawFd) -> bool {
    socket_type(fd) == Some(libc::SOCK_DGRAM)
}

fn socket_type(fd: RawFd) -> Option<libc::c_int> {
    let (mut kind, mut size) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    let place = (&raw mut kind).cast();
    // SAFETY: `place` points to an int, and `size` is the size of one.
    let got = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, place, &mut size) };
    (got == 0).then_some(kind)
}

/// Returns true if a TCP socket that failed was never connected. Such a socket has measured no
/// round trip.
pub(super) fn was_refused(fd: RawFd) -> bool {
    tcp_info(fd).is_some_and(|info| info.tcpi_rtt == 0)
}

/// Returns what the kernel knows of a TCP socket.
fn tcp_info(fd: RawFd) -> Option<libc::tcp_info> {
    // SAFETY: a tcp_info consists of integers, for which all-zero is valid.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut size = size_of_val(&info) as libc::socklen_t;
    let place = (&raw mut info).cast();
    // SAFETY: `place` points to a tcp_info, and `size` is the size of one.
    let got = unsafe { libc::getsockopt(fd, libc::SOL_TCP, libc::TCP_INFO, place, &mut size) };
    (got == 0).then_some(info)
}

/// Returns the number of bytes that can be read up to urgent data, and in all. The urgent byte
/// itself is not counted.
pub(super) fn unread(fd: RawFd) -> (i64, i64) {
    let short = pending(fd);
    // With SO_OOBINLINE, FIONREAD counts the urgent byte and the bytes behind it too.
    let in_line = |on: libc::c_int| {
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        let place = (&raw const on).cast();
        // SAFETY: `place` points to an int, and `size` is the size of one.
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_OOBINLINE, place, size) }
    };
    if in_line(1) != 0 {
        return (short, short);
    }
    let all = pending(fd);
    in_line(0);
    (short, if all > short { all - 1 } else { all })
}

/// Returns what FIONREAD reports, or the number of connections that a listener may accept. Linux
/// does not return that of a Unix listener, so it is too large.
fn pending(fd: RawFd) -> i64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, and the pointer is valid for one.
    if unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut bytes) } == 0 {
        return bytes.into();
    }
    match (tcp_info(fd), socket_type(fd)) {
        // For a listener this is the length of the queue (tcp_get_info in the kernel).
        (Some(info), _) => info.tcpi_unacked.into(),
        (None, Some(_)) => i64::MAX,
        (None, None) => 1,
    }
}

/// Opens a pidfd, which is readable once the process has exited. Fails with `ESRCH` if no process
/// has this id.
pub(super) fn process(id: usize) -> Result<OwnedFd, i32> {
    // SAFETY: pidfd_open takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id as libc::pid_t, 0) };
    let fd = cvt(fd as RawFd).map_err(|e| e.raw_os_error().unwrap_or(0))?;
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
