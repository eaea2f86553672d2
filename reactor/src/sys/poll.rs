//! poll(2): the list of descriptors is passed to every wait.
//!
//! The list holds only the armed registrations. One that nothing waits for is left out, because
//! POLLHUP and POLLERR are reported whether they were requested or not, and would end every wait.
//! Urgent data is requested only while something waits for it: POLLPRI lasts until the data is
//! read, which no task is required to do.
//!
//! A wait for an error alone requests nothing. Linux still wakes for it. The other kernels report a
//! POLLERR or POLLHUP when they look at a descriptor, but record the waiter only for a direction
//! that was requested, so the change does not end the wait. A requested direction that is ready
//! already would end every wait. So such waits are cut to [`CHECK_INTERVAL`] there.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, slice};

use super::backend::Backend;
use super::event::Event;
use super::fcntl::{check_open, is_write_only};
use super::level::{Entry, LevelRegistrations};
use super::long_poll_list::wait_for_long_list;
use super::notify::NotifyFd;
use super::ppoll::{poll, pollfd};
use super::selector::{Notify, Selector};
use super::timeout::CHECK_INTERVAL;
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

/// True if the kernel wakes for a POLLERR or POLLHUP although no direction was requested.
const WAKES_UNREQUESTED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// The initial capacity of the lists, so that a small program allocates them once.
const FIRST_CAPACITY: usize = 64;

pub(super) struct Poll {
    notifier: Arc<NotifyFd>,
    registrations: LevelRegistrations,
    /// The argument of poll(2): the notifier, then the armed registrations. Refilled by every wait;
    /// only the memory is kept.
    pollfds: Vec<libc::pollfd>,
    /// The tokens of `pollfds`, without one for the notifier.
    tokens: Vec<Token>,
    /// True if an entry of `pollfds` waits for an error and requests no direction.
    waits_for_error_alone: bool,
    /// A model of a kernel that does not wake for what was not requested.
    #[cfg(test)]
    model: Option<tests::BsdKernel>,
}

impl Poll {
    pub(super) fn new() -> io::Result<Poll> {
        Ok(Poll {
            notifier: Arc::new(NotifyFd::new()?),
            registrations: LevelRegistrations::new(UNREQUESTED),
            pollfds: Vec::with_capacity(FIRST_CAPACITY),
            tokens: Vec::with_capacity(FIRST_CAPACITY),
            waits_for_error_alone: false,
            #[cfg(test)]
            model: None,
        })
    }

    /// Writes the armed registrations into the lists.
    fn fill_lists(&mut self) {
        self.pollfds.clear();
        self.pollfds.push(pollfd(self.notifier.raw(), libc::POLLIN));
        self.tokens.clear();
        self.waits_for_error_alone = false;
        for &Entry {
            fd, token, armed, ..
        } in self.registrations.armed()
        {
            let has_direction = armed.is_readable() || armed.is_writable();
            self.waits_for_error_alone |= armed.is_error() && !has_direction;
            self.pollfds.push(pollfd(fd, requested(armed)));
            self.tokens.push(token);
        }
    }

    /// Waits, and returns the number of descriptors that have something to report.
    fn wait_in_kernel(&mut self, limit: Option<Duration>) -> io::Result<usize> {
        #[cfg(test)]
        if let Some(model) = &mut self.model {
            return model.wait(&mut self.pollfds, limit);
        }
        poll_any_length(&mut self.pollfds, limit)
    }

    /// Cuts a limit so that an error which does not wake the kernel is found soon.
    fn cut_limit(&self, limit: Option<Duration>) -> Option<Duration> {
        #[cfg(test)]
        let wakes_unrequested = self.model.is_none() && WAKES_UNREQUESTED;
        #[cfg(not(test))]
        let wakes_unrequested = WAKES_UNREQUESTED;
        if self.waits_for_error_alone && !wakes_unrequested {
            Some(limit.map_or(CHECK_INTERVAL, |limit| limit.min(CHECK_INTERVAL)))
        } else {
            limit
        }
    }
}

/// Waits in poll(2), whatever the length of the list.
fn poll_any_length(pollfds: &mut [libc::pollfd], limit: Option<Duration>) -> io::Result<usize> {
    match poll(pollfds, limit) {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
            wait_for_long_list(pollfds, limit, poll)
        }
        ready => ready,
    }
}

impl Selector for Poll {
    fn backend(&self) -> Backend {
        Backend::Poll
    }

    fn is_edge(&self) -> bool {
        false
    }

    fn supported(&self) -> Interest {
        let mut supported = Interest::NON_DIRECTIONAL;
        if POLLRDHUP == 0 {
            supported = supported.without(Interest::CLOSED);
        }
        // NetBSD's poll(2) reports neither POLLERR nor POLLHUP of a socket (uipc_socket.c).
        if cfg!(target_os = "netbsd") {
            supported = supported.without(Interest::ERROR);
        }
        supported
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.registrations.add(fd, token)
    }

    fn reregister(&mut self, _: RawFd, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        self.registrations.arm(token, direction);
    }

    fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        self.registrations.arm_non_directional(token, interest);
    }

    fn remove(&mut self, _: RawFd, token: Token) -> io::Result<()> {
        self.registrations.forget(token);
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        self.registrations.forget(token);
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.fill_lists();
        let limit = self.cut_limit(limit);
        let ready = match self.wait_in_kernel(limit) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            ready => ready?,
        };
        let tokens = [Token::NOTIFY]
            .into_iter()
            .chain(self.tokens.iter().copied());
        let reports = self.pollfds.iter().zip(tokens);
        let reports = reports.filter(|(pollfd, _)| pollfd.revents != 0);
        for (&libc::pollfd { fd, revents, .. }, token) in reports.take(ready) {
            if token == Token::NOTIFY {
                if revents & libc::POLLNVAL != 0 {
                    return Err(io::Error::from_raw_os_error(libc::EBADF));
                }
                self.notifier.drain();
            } else if revents & libc::POLLNVAL != 0 {
                let errno = match check_open(fd) {
                    Ok(()) => libc::EINVAL,
                    Err(_) => libc::EBADF,
                };
                self.registrations.report_failed(token, errno, events);
            } else {
                let readiness = translate(revents) | write_end(revents, fd);
                self.registrations.report(token, readiness, events);
            }
        }
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }
}

/// Returns the events to request for what is armed. Hang-ups and errors need no request.
fn requested(armed: Readiness) -> libc::c_short {
    let mut events = 0;
    if armed.is_readable() {
        events |= libc::POLLIN | POLLRDHUP;
    }
    if armed.is_writable() {
        events |= libc::POLLOUT;
    }
    if armed.is_read_closed() {
        events |= POLLRDHUP;
    }
    if armed.is_priority() {
        events |= libc::POLLPRI;
    }
    events
}

/// Translates the events that poll(2) returned.
///
/// After a hang-up or an error an operation in either direction has something to find out. With
/// POLLRDHUP a POLLHUP means that both directions are shut; without it, it may be the peer's alone.
fn translate(revents: libc::c_short) -> Readiness {
    let has = |bits: libc::c_short| revents & bits != 0;
    let mut readiness = Readiness::EMPTY;
    if has(!libc::POLLOUT) {
        readiness |= Readiness::READABLE;
    }
    if has(libc::POLLOUT | libc::POLLHUP | libc::POLLERR) {
        readiness |= Readiness::WRITABLE;
    }
    if has(POLLRDHUP | libc::POLLHUP) {
        readiness |= Readiness::READ_CLOSED;
    }
    if has(libc::POLLHUP) && POLLRDHUP != 0 {
        readiness |= Readiness::WRITE_CLOSED;
    }
    if has(libc::POLLERR) {
        readiness |= Readiness::ERROR;
    }
    if has(libc::POLLPRI) {
        readiness |= Readiness::URGENT | Readiness::PRIORITY;
    }
    readiness
}

/// Returns what a hang-up means beyond [`translate`] where the system has no POLLRDHUP.
///
/// It may be the end of the peer's direction there. But a descriptor that cannot be read, such as
/// the write end of a pipe, has no other direction than its own.
fn write_end(revents: libc::c_short, fd: RawFd) -> Readiness {
    if POLLRDHUP == 0 && revents & libc::POLLHUP != 0 && is_write_only(fd) {
        Readiness::WRITE_CLOSED
    } else {
        Readiness::EMPTY
    }
}

/// Returns true if an operation of `direction` would find something now. Does not wait.
#[cfg(test)]
pub(crate) fn is_ready(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
    Ok(!ready_now(fd, direction.interest())?.is_empty())
}

/// Returns what of the directions of `interest` is ready now. Does not wait.
///
/// # Errors
/// Returns `Unsupported` if poll(2) rejects the descriptor (POLLNVAL): one that is closed, and on
/// Apple's systems some devices, /dev/tty among them. Otherwise returns the error of poll(2).
pub(crate) fn ready_now(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Readiness> {
    let mut events = 0;
    if interest.is_readable() {
        events |= libc::POLLIN;
    }
    if interest.is_writable() {
        events |= libc::POLLOUT;
    }
    let mut pollfd = pollfd(fd.as_raw_fd(), events);
    poll_any_length(slice::from_mut(&mut pollfd), Some(Duration::ZERO))?;
    if pollfd.revents & libc::POLLNVAL != 0 {
        let text = format!("poll(2) cannot watch descriptor {}", fd.as_raw_fd());
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    Ok(translate(pollfd.revents).satisfying(interest))
}

/// The event that reports the end of one direction; 0 where the system has none.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) const POLLRDHUP: libc::c_short = libc::POLLRDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) const POLLRDHUP: libc::c_short = 0;

/// The bits that poll(2) reports unrequested: POLLERR, POLLHUP. The latter may be the end of the
/// peer's direction alone where the system has no POLLRDHUP.
const UNREQUESTED: Readiness = {
    let mut bits = Readiness::WRITE_CLOSED.to_bits() | Readiness::ERROR.to_bits();
    if POLLRDHUP == 0 {
        bits |= Readiness::READ_CLOSED.to_bits();
    }
    Readiness::from_bits(bits)
};

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsFd, FromRawFd, OwnedFd};

    use super::*;
    use crate::sys::cvt::cvt;

    /// A kernel that reports every hang-up and error when it looks at a descriptor, and looks again
    /// only when a requested event occurs or the limit has passed.
    pub(super) struct BsdKernel {
        /// Runs once, after the first look and before the wait.
        during_wait: Option<Box<dyn FnOnce()>>,
    }

    impl BsdKernel {
        pub(super) fn wait(
            &mut self,
            pollfds: &mut [libc::pollfd],
            limit: Option<Duration>,
        ) -> io::Result<usize> {
            let ready = poll(pollfds, Some(Duration::ZERO))?;
            if ready > 0 || limit == Some(Duration::ZERO) {
                return Ok(ready);
            }
            if let Some(during_wait) = self.during_wait.take() {
                during_wait();
            }
            // No requested event occurs in these tests, so the limit ends the wait. The model does
            // not take the time.
            assert_eq!(limit, Some(CHECK_INTERVAL), "the wait is cut");
            poll(pollfds, Some(Duration::ZERO))
        }
    }

    #[test]
    fn an_error_that_does_not_wake_the_kernel_is_reported() {
        let mut poll = Poll::new().unwrap();
        let (reader, writer) = pipe();
        let token = Token::new(1, 7);
        poll.add(writer.as_raw_fd(), token).unwrap();
        poll.arm_non_directional(token, Interest::ERROR);
        poll.model = Some(BsdKernel {
            during_wait: Some(Box::new(|| drop(reader))),
        });
        let mut events = Vec::new();
        // Without an interval this waits without end.
        poll.wait(&mut events, None).unwrap();
        assert_eq!(events.len(), 1);
        assert!(events[0].readiness.is_error() || events[0].readiness.is_write_closed());
    }

    #[test]
    fn a_direction_that_is_ready_does_not_end_a_wait_for_an_error() {
        let mut poll = Poll::new().unwrap();
        let (reader, writer) = pipe();
        let token = Token::new(1, 7);
        poll.add(writer.as_raw_fd(), token).unwrap();
        poll.arm_non_directional(token, Interest::ERROR);
        poll.model = Some(BsdKernel { during_wait: None });
        let mut events = Vec::new();
        poll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events, []);
        drop(writer);
        assert_eq!(File::from(reader).read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn a_wait_for_a_direction_is_not_cut() {
        let mut poll = Poll::new().unwrap();
        let (reader, _writer) = pipe();
        let token = Token::new(1, 7);
        poll.add(reader.as_raw_fd(), token).unwrap();
        poll.arm(token, Direction::Read);
        poll.model = Some(BsdKernel { during_wait: None });
        poll.fill_lists();
        assert_eq!(poll.cut_limit(None), None);
        poll.arm_non_directional(token, Interest::ERROR);
        poll.fill_lists();
        assert_eq!(poll.cut_limit(None), None, "the requested direction wakes");
    }

    /// Returns the reader and the writer of a non-blocking pipe.
    fn pipe() -> (OwnedFd, OwnedFd) {
        let mut ends = [-1; 2];
        // SAFETY: the pointer is valid for the two descriptors that pipe writes.
        cvt(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
        // SAFETY: the kernel has just returned these descriptors, and they have no other owner.
        let [reader, writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        for end in [&reader, &writer] {
            crate::sys::set_nonblocking(end.as_fd()).unwrap();
        }
        (reader, writer)
    }
}
