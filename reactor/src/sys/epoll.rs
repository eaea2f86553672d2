//! epoll(7): one registration in a descriptor's life, edge-triggered, both directions.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, ptr};

use super::notify::EventFd;
use super::{Backend, Event, MOST_LIMIT, Notify, Selector, cvt, round_up_to_milliseconds};
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

/// Both directions, the peer's half-close and urgent data, told once for each change.
const BOTH: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET) as u32;

/// Room for this many events at first; doubled, up to the most, whenever a wait fills it.
const FIRST_CAPACITY: usize = 128;
const MOST_CAPACITY: usize = 4096;

pub(super) struct Epoll {
    notifier: Arc<EpollNotify>,
    /// Where the kernel writes events: always of length 0, only the capacity is used.
    buffer: Vec<libc::epoll_event>,
    /// Whether the kernel has epoll_pwait2 (Linux 5.11), and so limits in nanoseconds.
    precise: bool,
}

/// What `epoll_ctl` and `write` need, which any thread may call.
struct EpollNotify {
    epoll: OwnedFd,
    event: EventFd,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        // SAFETY: epoll_create1 takes an integer.
        let fd = cvt(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let event = EventFd::new()?;
        let notifier = EpollNotify { epoll, event };
        let edge = (libc::EPOLLIN | libc::EPOLLET) as u32;
        notifier.control(
            libc::EPOLL_CTL_ADD,
            notifier.event.raw(),
            edge,
            Token::NOTIFY,
        )?;
        Ok(Epoll {
            notifier: Arc::new(notifier),
            buffer: Vec::with_capacity(FIRST_CAPACITY),
            precise: true,
        })
    }

    /// Waits for events into the buffer's spare room, and says how many there are.
    fn fill(&mut self, limit: Option<Duration>) -> io::Result<usize> {
        let milliseconds = match limit {
            None => -1,
            Some(Duration::ZERO) => 0,
            Some(limit) if self.precise => match self.fill_precisely(limit) {
                // An older kernel, or a sandbox that has not heard of the call.
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    self.precise = false;
                    round_up_to_milliseconds(limit)
                }
                result => return result,
            },
            Some(limit) => round_up_to_milliseconds(limit),
        };
        let room = self.buffer.capacity() as libc::c_int;
        let fd = self.notifier.epoll.as_raw_fd();
        // SAFETY: the kernel writes at most `room` events, and the buffer has that capacity.
        let n = cvt(unsafe { libc::epoll_wait(fd, self.buffer.as_mut_ptr(), room, milliseconds) })?;
        Ok(n as usize)
    }

    fn fill_precisely(&mut self, limit: Duration) -> io::Result<usize> {
        // The kernel's own timespec, 64 bits wide everywhere. Called by number, since glibc has a
        // wrapper only from 2.35 on.
        let limit = limit.min(MOST_LIMIT);
        let limit = [limit.as_secs() as i64, i64::from(limit.subsec_nanos())];
        // SAFETY: the kernel writes at most capacity() events into the buffer, reads one timespec
        // (two 64-bit integers) that outlives the call, and takes no signal mask.
        let n = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.notifier.epoll.as_raw_fd(),
                self.buffer.as_mut_ptr(),
                self.buffer.capacity() as libc::c_int,
                limit.as_ptr(),
                ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        Ok(cvt(n as libc::c_int)? as usize)
    }
}

impl Selector for Epoll {
    fn backend(&self) -> Backend {
        Backend::Epoll
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.notifier.epoll.as_fd())
    }

    fn supported(&self) -> Interest {
        Interest::NON_DIRECTIONAL
    }

    fn is_edge(&self) -> bool {
        true
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        if fd == self.notifier.event.raw() {
            // Its source's was closed before ours was opened, as may happen in a forked child.
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        self.notifier.control(libc::EPOLL_CTL_ADD, fd, BOTH, token)
    }

    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        match self.notifier.control(libc::EPOLL_CTL_MOD, fd, BOTH, token) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EBADF)) => Ok(()),
            result => result,
        }
    }

    fn arm(&mut self, _: Token, _: Direction) {}

    fn arm_non_directional(&mut self, _: Token, _: Interest) {}

    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.notifier.control(libc::EPOLL_CTL_DEL, fd, 0, token)
    }

    fn forget(&mut self, _: Token) {}

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        let n = match self.fill(limit) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        // SAFETY: the kernel has just written `n` events at the start of the buffer.
        unsafe { self.buffer.set_len(n) };
        let told = self
            .buffer
            .iter()
            .map(|event| Event::new(Token::from_bits(event.u64), translate(event.events)));
        events.extend(told.filter(|event| event.token != Token::NOTIFY));
        self.buffer.clear();
        let capacity = self.buffer.capacity();
        if n == capacity && capacity < MOST_CAPACITY {
            self.buffer.reserve(capacity * 2);
        }
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }
}

impl EpollNotify {
    fn control(&self, call: libc::c_int, fd: RawFd, events: u32, token: Token) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events,
            u64: token.to_bits(),
        };
        // SAFETY: the kernel reads one epoll_event, which outlives the call, and keeps no pointer.
        cvt(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), call, fd, &mut event) })?;
        Ok(())
    }
}

impl Notify for EpollNotify {
    fn notify(&self) -> io::Result<()> {
        self.event.notify()
    }

    fn remove(&self, fd: RawFd) {
        // Nobody is left to tell an error to, and the only one there is, ENOENT, is what we want.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, Token::NOTIFY);
    }
}

/// What the flags of an event mean.
#[inline]
fn translate(events: u32) -> Readiness {
    let has = |bits: libc::c_int| events & bits as u32 != 0;
    let mut readiness = Readiness::EMPTY;
    if has(libc::EPOLLIN) {
        readiness |= Readiness::READABLE;
    }
    if has(libc::EPOLLOUT) {
        readiness |= Readiness::WRITABLE;
    }
    if has(!(libc::EPOLLIN | libc::EPOLLOUT)) {
        readiness |= translate_irregular(events);
    }
    readiness
}

/// EPOLLHUP says that both halves are shut, and EPOLLERR that the next operation fails: whoever
/// waits, in either direction, has something to find out.
#[cold]
fn translate_irregular(events: u32) -> Readiness {
    let has = |bits: libc::c_int| events & bits as u32 != 0;
    let mut readiness = Readiness::EMPTY;
    if has(libc::EPOLLPRI) {
        readiness |= Readiness::READABLE | Readiness::URGENT | Readiness::PRIORITY;
    }
    if has(libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) {
        readiness |= Readiness::READABLE;
    }
    if has(libc::EPOLLHUP | libc::EPOLLERR) {
        readiness |= Readiness::WRITABLE;
    }
    if has(libc::EPOLLRDHUP | libc::EPOLLHUP) {
        readiness |= Readiness::READ_CLOSED;
    }
    if has(libc::EPOLLHUP) {
        readiness |= Readiness::WRITE_CLOSED;
    }
    if has(libc::EPOLLERR) {
        readiness |= Readiness::ERROR;
    }
    readiness
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_rounded_up_where_the_kernel_takes_milliseconds() {
        assert_eq!(round_up_to_milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(round_up_to_milliseconds(Duration::from_millis(1)), 1);
        assert_eq!(round_up_to_milliseconds(Duration::from_micros(1001)), 2);
        assert_eq!(round_up_to_milliseconds(Duration::MAX), libc::c_int::MAX);
    }

    #[test]
    fn hang_up_and_error_reach_both_directions() {
        for bits in [libc::EPOLLHUP, libc::EPOLLERR] {
            let readiness = translate(bits as u32);
            assert!(readiness.is_readable() && readiness.is_writable());
        }
        let half_closed = translate(libc::EPOLLRDHUP as u32);
        assert!(half_closed.is_readable() && half_closed.is_read_closed());
        assert!(!half_closed.is_writable() && !half_closed.is_write_closed());
    }

    #[test]
    fn a_kernel_without_epoll_pwait2_still_waits_until_the_limit() {
        let mut epoll = Epoll::new().unwrap();
        epoll.precise = false;
        let before = std::time::Instant::now();
        let limit = Duration::from_micros(1500);
        epoll.wait(&mut Vec::new(), Some(limit)).unwrap();
        assert!(before.elapsed() >= limit);
    }

    #[test]
    fn the_doorbell_ends_a_wait_for_ever_and_reports_nothing() {
        let mut epoll = Epoll::new().unwrap();
        let notifier = epoll.notifier();
        let mut events = Vec::new();
        for _ in 0..3 {
            notifier.notify().unwrap();
            epoll.wait(&mut events, None).unwrap();
            assert!(events.is_empty());
        }
    }

    #[test]
    fn to_renew_what_is_closed_is_no_error() {
        let mut epoll = Epoll::new().unwrap();
        let unknown = EventFd::new().unwrap();
        epoll.reregister(unknown.raw(), Token::new(0, 0)).unwrap();
        epoll.reregister(-1, Token::new(0, 0)).unwrap();
    }

    #[test]
    fn a_full_buffer_grows() {
        let mut epoll = Epoll::new().unwrap();
        let notifiers: Vec<EventFd> = (0..FIRST_CAPACITY + 1)
            .map(|_| EventFd::new().unwrap())
            .collect();
        for (index, notifier) in notifiers.iter().enumerate() {
            epoll
                .add(notifier.raw(), Token::new(index as u32, 0))
                .unwrap();
        }
        let mut events = Vec::new();
        epoll.wait(&mut events, None).unwrap();
        assert_eq!(events.len(), FIRST_CAPACITY);
        epoll.wait(&mut events, None).unwrap();
        assert_eq!(events.len(), 1);
        assert!(epoll.buffer.capacity() > FIRST_CAPACITY);
    }
}
