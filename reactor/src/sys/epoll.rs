//! epoll(7): one edge-triggered registration in a descriptor's life, for both directions or, where
//! the reactor wants that, for reading until a task waits to write.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, ptr};

use super::backend::Backend;
use super::cvt::cvt;
use super::event::Event;
use super::notify::EventFd;
use super::selector::{Notify, Selector};
use super::timeout::{MAX_WAIT, round_up_to_milliseconds};
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

/// Both directions, the peer's half-close and urgent data, reported once for each change.
const EVENTS: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET) as u32;

/// The same without the room to write.
const READING: u32 = EVENTS & !(libc::EPOLLOUT as u32);

/// The initial capacity for events. It is doubled, up to the maximum, whenever a wait fills it.
const FIRST_CAPACITY: usize = 128;
const MAX_CAPACITY: usize = 4096;

pub(super) struct Epoll {
    notifier: Arc<EpollNotify>,
    /// The memory into which the kernel writes events. Empty except while `wait` translates them.
    buffer: Vec<libc::epoll_event>,
    /// True until epoll_pwait2 (Linux 5.11), which takes nanoseconds, turns out to be missing.
    has_pwait2: bool,
}

/// The descriptors that other threads use: for epoll_ctl(2) and to notify.
struct EpollNotify {
    epoll: OwnedFd,
    event: EventFd,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        // SAFETY: epoll_create1 takes an integer.
        let fd = cvt(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
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
            has_pwait2: true,
        })
    }

    /// Changes the events of a descriptor, unless the kernel does not know it.
    fn modify(&mut self, fd: RawFd, events: u32, token: Token) -> io::Result<()> {
        match self
            .notifier
            .control(libc::EPOLL_CTL_MOD, fd, events, token)
        {
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EBADF)) => Ok(()),
            result => result,
        }
    }

    /// Refuses the descriptor of the notifier: a source's descriptor was closed before this
    /// selector was opened and got its number, as may happen in a forked child.
    fn check_foreign(&self, fd: RawFd) -> io::Result<()> {
        if fd == self.notifier.event.raw() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        Ok(())
    }

    /// Waits, has the kernel write events at the start of the buffer, and returns their number.
    fn wait_in_kernel(&mut self, limit: Option<Duration>) -> io::Result<usize> {
        let milliseconds = match limit {
            None => -1,
            Some(Duration::ZERO) => 0,
            Some(limit) if self.has_pwait2 => match self.wait_in_kernel_precisely(limit) {
                // The kernel is older, or a sandbox forbids the call.
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    self.has_pwait2 = false;
                    round_up_to_milliseconds(limit)
                }
                result => return result,
            },
            Some(limit) => round_up_to_milliseconds(limit),
        };
        let room = self.buffer.capacity() as libc::c_int;
        let fd = self.notifier.epoll.as_raw_fd();
        // SAFETY: the kernel writes at most `room` events, which is the capacity of the buffer.
        let n = cvt(unsafe { libc::epoll_wait(fd, self.buffer.as_mut_ptr(), room, milliseconds) })?;
        Ok(n as usize)
    }

    /// Does the same with a limit in nanoseconds. The call is made by number, because glibc has a
    /// wrapper only since 2.35; its timespec is 64 bits wide on every architecture.
    fn wait_in_kernel_precisely(&mut self, limit: Duration) -> io::Result<usize> {
        let limit = limit.min(MAX_WAIT);
        let limit = [limit.as_secs() as i64, i64::from(limit.subsec_nanos())];
        // SAFETY: the kernel writes at most capacity() events into the buffer, `limit` is two
        // 64-bit integers that outlive the call, and a null signal mask is allowed.
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

    fn is_edge(&self) -> bool {
        true
    }

    fn supported(&self) -> Interest {
        Interest::NON_DIRECTIONAL
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.notifier.epoll.as_fd())
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.check_foreign(fd)?;
        self.notifier
            .control(libc::EPOLL_CTL_ADD, fd, EVENTS, token)
    }

    fn can_omit_writing(&self) -> bool {
        true
    }

    fn add_for_reading(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.check_foreign(fd)?;
        self.notifier
            .control(libc::EPOLL_CTL_ADD, fd, READING, token)
    }

    fn set_writing(&mut self, fd: RawFd, token: Token, is_watched: bool) -> io::Result<()> {
        self.modify(fd, if is_watched { EVENTS } else { READING }, token)
    }

    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.modify(fd, EVENTS, token)
    }

    fn arm(&mut self, _: Token, _: Direction) {}

    fn arm_non_directional(&mut self, _: Token, _: Interest) {}

    fn set_level(&mut self, fd: RawFd, token: Token, is_level: bool) -> io::Result<()> {
        // A listener is never writable.
        let events = if is_level {
            libc::EPOLLIN as u32
        } else {
            EVENTS
        };
        self.notifier
            .control(libc::EPOLL_CTL_MOD, fd, events, token)
    }

    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.notifier.control(libc::EPOLL_CTL_DEL, fd, 0, token)
    }

    fn forget(&mut self, _: Token) {}

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        let n = match self.wait_in_kernel(limit) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        // SAFETY: the kernel has just initialized `n` events at the start of the buffer.
        unsafe { self.buffer.set_len(n) };
        let mut is_notified = false;
        let reported = self.buffer.iter().map(|event| {
            let token = Token::from_bits(event.u64);
            is_notified |= token == Token::NOTIFY;
            Event::new(token, translate(event.events))
        });
        // A filter would make each event compare the length with the capacity.
        events.extend(reported);
        if is_notified {
            events.retain(|event| event.token != Token::NOTIFY);
        }
        self.buffer.clear();
        let capacity = self.buffer.capacity();
        if n == capacity && capacity < MAX_CAPACITY {
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
        // SAFETY: the pointer is valid for the one epoll_event that the kernel reads during the
        // call. The number need not be open: the kernel answers EBADF for one that is closed.
        cvt(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), call, fd, &mut event) })?;
        Ok(())
    }
}

impl Notify for EpollNotify {
    fn notify(&self) -> io::Result<()> {
        self.event.notify()
    }

    fn remove(&self, fd: RawFd) {
        // An ENOENT means that the descriptor is removed already.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, Token::NOTIFY);
    }
}

/// Translates the flags of an event.
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
        readiness |= translate_exceptional(events);
    }
    readiness
}

/// Translates the rare flags. EPOLLHUP means that both directions are shut and EPOLLERR that the
/// next operation fails, so an operation in either direction has something to find out.
#[cold]
fn translate_exceptional(events: u32) -> Readiness {
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
        epoll.has_pwait2 = false;
        let before = std::time::Instant::now();
        let limit = Duration::from_micros(1500);
        epoll.wait(&mut Vec::new(), Some(limit)).unwrap();
        assert!(before.elapsed() >= limit);
    }

    #[test]
    fn a_notification_ends_a_wait_without_limit_and_reports_nothing() {
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
    fn reregistering_a_closed_descriptor_is_no_error() {
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
