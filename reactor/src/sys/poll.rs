//! poll(2): the whole list of descriptors, handed over by every wait.
//!
//! Only those that somebody waits for are in it. A descriptor that is merely registered is left
//! out, because POLLHUP and POLLERR are told whether asked for or not, and would end every wait.
//! Urgent data is asked for only while somebody waits for it: it stays until it is taken, and nobody
//! has to.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, ptr};

use super::levels::{LevelRegistrations, Watched};
use super::notify::NotifyFd;
use super::{Backend, Event, Notify, POLLRDHUP, Selector, cvt, ppoll, timespec};
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

/// Room for so many at first, so that small programs allocate once.
const FIRST_CAPACITY: usize = 64;

pub(super) struct Poll {
    notifier: Arc<NotifyFd>,
    levels: LevelRegistrations,
    /// What the kernel is asked: the notifier, then the armed ones. Filled anew by every wait; only
    /// its memory is kept.
    asked: Vec<libc::pollfd>,
    /// Whose they are, the notifier left out.
    tokens: Vec<Token>,
}

impl Poll {
    pub(super) fn new() -> io::Result<Poll> {
        Ok(Poll {
            notifier: Arc::new(NotifyFd::new()?),
            levels: LevelRegistrations::default(),
            asked: Vec::with_capacity(FIRST_CAPACITY),
            tokens: Vec::with_capacity(FIRST_CAPACITY),
        })
    }

    fn write_list(&mut self) {
        self.asked.clear();
        self.asked.push(ask(self.notifier.raw(), libc::POLLIN));
        self.tokens.clear();
        for &Watched {
            fd, token, armed, ..
        } in self.levels.armed()
        {
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
            self.asked.push(ask(fd, events));
            self.tokens.push(token);
        }
    }

    /// Waits, and says how many answers there are.
    fn fill(&mut self, limit: Option<Duration>) -> io::Result<usize> {
        let limit = limit.map(timespec);
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        let n = self.asked.len() as libc::nfds_t;
        // SAFETY: the kernel reads and writes the `n` pollfds of the list, reads one timespec that
        // outlives the call or null, and takes no signal mask.
        let told = cvt(unsafe { ppoll(self.asked.as_mut_ptr(), n, limit, ptr::null()) })?;
        Ok(told as usize)
    }
}

impl Selector for Poll {
    fn backend(&self) -> Backend {
        Backend::Poll
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn supported(&self) -> Interest {
        match POLLRDHUP {
            0 => Interest::NON_DIRECTIONAL.without(Interest::CLOSED),
            _ => Interest::NON_DIRECTIONAL,
        }
    }

    fn is_edge(&self) -> bool {
        false
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.levels.add(fd, token)
    }

    fn reregister(&mut self, _: RawFd, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        self.levels.arm(token, direction);
    }

    fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        self.levels.arm_non_directional(token, interest);
    }

    fn remove(&mut self, _: RawFd, token: Token) -> io::Result<()> {
        self.levels.forget(token);
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        self.levels.forget(token);
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.write_list();
        let told = match self.fill(limit) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        let tokens = [Token::NOTIFY]
            .into_iter()
            .chain(self.tokens.iter().copied());
        let answers = self.asked.iter().map(|answer| answer.revents).zip(tokens);
        for (answer, token) in answers.filter(|(answer, _)| *answer != 0).take(told) {
            if token == Token::NOTIFY {
                self.notifier.drain();
            } else if answer & libc::POLLNVAL != 0 {
                self.levels.report_closed(token, events);
            } else {
                self.levels.report(token, translate(answer), events);
            }
        }
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }
}

fn ask(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// What the answers mean. After a hang-up or an error there is something to find out in either
/// direction. Where POLLRDHUP exists, POLLHUP says that both are shut; elsewhere it may be the
/// peer's alone.
fn translate(answer: libc::c_short) -> Readiness {
    let has = |bits: libc::c_short| answer & bits != 0;
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
