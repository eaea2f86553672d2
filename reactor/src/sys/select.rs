//! select(2): one bit for each descriptor number, passed to every wait.
//!
//! A hang-up or an error makes a descriptor readable, writable or both; select reports nothing
//! more.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::event::Event;
use super::fcntl::check_open;
use super::fd_set::{FdSet, select};
use super::level::LevelRegistrations;
use super::notify::NotifyFd;
use super::ppoll::{poll, pollfd};
use super::selector::{Notify, Selector};
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

pub(super) struct Select {
    notifier: Arc<NotifyFd>,
    registrations: LevelRegistrations,
    /// The sets that select(2) reads and overwrites with its result. Refilled by every wait.
    readable: FdSet,
    writable: FdSet,
    /// A model of a kernel that rejects the sets.
    #[cfg(test)]
    rejects_select: bool,
}

impl Select {
    pub(super) fn new() -> io::Result<Select> {
        Ok(Select {
            notifier: Arc::new(NotifyFd::new()?),
            registrations: LevelRegistrations::new(Readiness::EMPTY),
            readable: FdSet::with_first_capacity(),
            writable: FdSet::with_first_capacity(),
            #[cfg(test)]
            rejects_select: false,
        })
    }

    /// Writes the armed registrations into the sets.
    fn fill_sets(&mut self) {
        self.readable.clear();
        self.writable.clear();
        self.readable.insert(self.notifier.raw());
        for entry in self.registrations.armed() {
            if entry.armed.is_readable() {
                self.readable.insert(entry.fd);
            }
            if entry.armed.is_writable() {
                self.writable.insert(entry.fd);
            }
        }
    }

    /// Waits, and leaves what is ready in the sets.
    fn wait_in_kernel(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.fill_sets();
        let selected = self.select(limit);
        match selected {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => self.wait_in_poll(limit),
            selected => selected,
        }
    }

    fn select(&mut self, limit: Option<Duration>) -> io::Result<()> {
        #[cfg(test)]
        if self.rejects_select {
            self.readable.clear();
            self.writable.clear();
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        select(&mut self.readable, &mut self.writable, None, limit)
    }

    /// Does the same in poll(2): the manual of Linux says that select(2) rejects sets with a
    /// descriptor that is not below the limit of the process (RLIMIT_NOFILE).
    #[cold]
    fn wait_in_poll(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.fill_sets();
        let mut pollfds = Vec::new();
        for fd in 0..self.readable.end().max(self.writable.end()) {
            let mut events = 0;
            if self.readable.contains(fd) {
                events |= libc::POLLIN;
            }
            if self.writable.contains(fd) {
                events |= libc::POLLOUT;
            }
            if events != 0 {
                pollfds.push(pollfd(fd, events));
            }
        }
        self.readable.clear();
        self.writable.clear();
        poll(&mut pollfds, limit)?;
        for libc::pollfd {
            fd,
            events,
            revents,
        } in pollfds
        {
            if revents & libc::POLLNVAL != 0 {
                return Err(io::Error::from_raw_os_error(libc::EBADF));
            }
            let ended = libc::POLLERR | libc::POLLHUP;
            if events & libc::POLLIN != 0 && revents & (libc::POLLIN | ended) != 0 {
                self.readable.insert(fd);
            }
            if events & libc::POLLOUT != 0 && revents & (libc::POLLOUT | ended) != 0 {
                self.writable.insert(fd);
            }
        }
        Ok(())
    }

    /// Finds the descriptors that made the call fail, because select does not name them.
    fn report_closed(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        check_open(self.notifier.raw())?;
        let is_closed = |fd| check_open(fd).is_err();
        self.registrations.report_each_closed(events, is_closed);
        Ok(())
    }
}

impl Selector for Select {
    fn backend(&self) -> Backend {
        Backend::Select
    }

    fn is_edge(&self) -> bool {
        false
    }

    fn supported(&self) -> Interest {
        Interest::NONE
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

    /// Does nothing, because nothing of it is supported.
    fn arm_non_directional(&mut self, _: Token, _: Interest) {}

    fn remove(&mut self, _: RawFd, token: Token) -> io::Result<()> {
        self.registrations.forget(token);
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        self.registrations.forget(token);
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        let mut waited = self.wait_in_kernel(limit);
        if matches!(&waited, Err(e) if e.raw_os_error() == Some(libc::EBADF)) {
            self.report_closed(events)?;
            // The open descriptors are asked in the same turn, without a wait: there is a closed
            // one to report.
            waited = self.wait_in_kernel(Some(Duration::ZERO));
        }
        match waited.as_ref().map_err(io::Error::raw_os_error) {
            Err(Some(libc::EINTR)) => return Ok(()),
            // Another descriptor was closed in between, or the first one is open again. The next
            // wait deals with it.
            Err(Some(libc::EBADF)) => return Ok(()),
            Err(_) => return waited,
            Ok(()) => {}
        }
        if self.readable.contains(self.notifier.raw()) {
            self.notifier.drain();
        }
        let (readable, writable) = (&self.readable, &self.writable);
        self.registrations.report_each(events, |fd| {
            let mut readiness = Readiness::EMPTY;
            if readable.contains(fd) {
                readiness |= Readiness::READABLE;
            }
            if writable.contains(fd) {
                readiness |= Readiness::WRITABLE;
            }
            readiness
        });
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_kernel_that_rejects_large_sets_is_replaced_by_poll() {
        let mut select = Select::new().unwrap();
        select.rejects_select = true;
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let token = Token::new(0, 7);
        select.add(ours.as_raw_fd(), token).unwrap();
        select.arm(token, Direction::Read);
        let mut events = Vec::new();
        select.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events, []);
        theirs.write_all(b"x").unwrap();
        select.arm(token, Direction::Write);
        select.wait(&mut events, None).unwrap();
        let both = Readiness::READABLE | Readiness::WRITABLE;
        assert_eq!(events, [Event::new(token, both)]);
        select.notifier().notify().unwrap();
        select.wait(&mut events, None).unwrap();
        assert_eq!(
            events,
            [],
            "the report has disarmed both, and a notification is no event"
        );
    }

    #[test]
    fn poll_in_place_of_select_finds_the_closed_descriptor() {
        let mut select = Select::new().unwrap();
        select.rejects_select = true;
        let (open, closed) = UnixStream::pair().unwrap();
        let tokens = [Token::new(0, 7), Token::new(1, 7)];
        select.add(open.as_raw_fd(), tokens[0]).unwrap();
        select.add(closed.as_raw_fd(), tokens[1]).unwrap();
        // No descriptor has this number, and none of another test gets it.
        select.registrations.set_fd(tokens[1], 100_000);
        for token in tokens {
            select.arm(token, Direction::Write);
        }
        let mut events = Vec::new();
        select.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().filter(|e| e.errno == libc::EBADF).count(), 1);
        assert_eq!(
            events.iter().find(|e| e.errno == 0).map(|e| e.token),
            Some(tokens[0])
        );
    }
}
