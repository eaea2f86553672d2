//! A selector whose events come in an order that a seed decides.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::event::Event;
use super::selector::{Notify, Selector};
use crate::interest::{Direction, Interest};
use crate::rng::Rng;
use crate::token::Token;

/// Another selector, whose events are shuffled after each wait.
pub(crate) struct Shuffled {
    inner: Box<dyn Selector>,
    rng: Rng,
}

impl Shuffled {
    pub(crate) fn new(inner: Box<dyn Selector>, rng: Rng) -> Shuffled {
        Shuffled { inner, rng }
    }
}

impl Selector for Shuffled {
    fn backend(&self) -> Backend {
        self.inner.backend()
    }

    fn is_edge(&self) -> bool {
        self.inner.is_edge()
    }

    fn supported(&self) -> Interest {
        self.inner.supported()
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.pollable_fd()
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.inner.add(fd, token)
    }

    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.inner.reregister(fd, token)
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        self.inner.arm(token, direction);
    }

    fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        self.inner.arm_non_directional(token, interest);
    }

    fn set_level(&mut self, fd: RawFd, token: Token, is_level: bool) -> io::Result<()> {
        self.inner.set_level(fd, token, is_level)
    }

    fn can_omit_writing(&self) -> bool {
        self.inner.can_omit_writing()
    }

    fn add_for_reading(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.inner.add_for_reading(fd, token)
    }

    fn set_writing(&mut self, fd: RawFd, token: Token, is_watched: bool) -> io::Result<()> {
        self.inner.set_writing(fd, token, is_watched)
    }

    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.inner.remove(fd, token)
    }

    fn forget(&mut self, token: Token) {
        self.inner.forget(token);
    }

    fn add_process(&mut self, id: u32, token: Token) -> io::Result<()> {
        self.inner.add_process(id, token)
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        let waited = self.inner.wait(events, limit);
        self.rng.shuffle(events);
        waited
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.inner.notifier()
    }
}
