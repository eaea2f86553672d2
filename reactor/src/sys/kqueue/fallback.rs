//! The fallback for descriptors that this system's kqueue cannot watch: poll, or select on Apple.
//!
//! There are two kinds. Some character devices have no kqueue support: /dev/tty on macOS, /dev/null
//! on FreeBSD. And the kqueue of macOS accepts named FIFOs, but does not report that the last
//! writer has closed.
//!
//! The kqueue itself is one more descriptor of the fallback selector, so that a single call waits
//! for both. The fallback is a level backend, so its sources have to [arm](Selector::arm) it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use slab::Slab;

use super::abi::Queue;
use crate::interest::{Direction, Interest, Readiness};
use crate::sys::event::Event;
#[cfg(not(target_vendor = "apple"))]
use crate::sys::poll::Poll as Inner;
/// Apple's poll(2) refuses many devices that its select(2) accepts.
#[cfg(target_vendor = "apple")]
use crate::sys::select::Select as Inner;
use crate::sys::selector::Selector;
use crate::token::Token;

/// The kqueue's token in the fallback selector. A source has its key in `tokens`, plus one.
const QUEUE: Token = Token::new(0, 0);

pub(super) struct Fallback {
    selector: Inner,
    tokens: Slab<Token>,
    /// The events of the fallback selector, before their tokens are replaced.
    inner_events: Vec<Event>,
}

impl Fallback {
    /// Returns the fallback of a kqueue, which is opened when it is first needed.
    pub(super) fn get_or_open<'a>(
        fallback: &'a mut Option<Fallback>,
        queue: &Queue,
    ) -> io::Result<&'a mut Fallback> {
        match fallback {
            Some(fallback) => Ok(fallback),
            none => Ok(none.insert(Fallback::open(queue)?)),
        }
    }

    fn open(queue: &Queue) -> io::Result<Fallback> {
        let mut selector = Inner::new()?;
        selector.add(queue.as_fd().as_raw_fd(), QUEUE)?;
        Ok(Fallback {
            selector,
            tokens: Slab::new(),
            inner_events: Vec::new(),
        })
    }

    /// Watches a descriptor. It is armed for everything, because its source may have begun to wait
    /// while it was still thought to be an edge source.
    pub(super) fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        let key = self.tokens.insert(token);
        if let Err(e) = self.selector.add(fd, inner_token(key)) {
            self.tokens.remove(key);
            return Err(e);
        }
        self.rearm(token);
        self.arm_non_directional(token, Interest::CLOSED | Interest::ERROR);
        Ok(())
    }

    /// Arms both directions. Returns false if `token` is not one of the fallback's.
    pub(super) fn rearm(&mut self, token: Token) -> bool {
        self.arm(token, Direction::Read) && self.arm(token, Direction::Write)
    }

    /// Arms a direction. Returns false if `token` is not one of the fallback's.
    pub(super) fn arm(&mut self, token: Token, direction: Direction) -> bool {
        let key = self.key(token);
        if let Some(key) = key {
            self.selector.arm(inner_token(key), direction);
        }
        key.is_some()
    }

    /// Arms the part of `interest` that the fallback selector supports.
    pub(super) fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        if let Some(key) = self.key(token) {
            let unsupported = interest.without(self.selector.supported());
            let supported = interest.without(unsupported);
            self.selector
                .arm_non_directional(inner_token(key), supported);
        }
    }

    /// Forgets a registration. Returns false if `token` is not one of the fallback's.
    pub(super) fn forget(&mut self, token: Token) -> bool {
        let key = self.key(token);
        if let Some(key) = key {
            self.tokens.remove(key);
            self.selector.forget(inner_token(key));
        }
        key.is_some()
    }

    /// Waits for the fallback's descriptors and for the kqueue, and appends the events of the
    /// former.
    pub(super) fn wait(
        &mut self,
        events: &mut Vec<Event>,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        self.selector.arm(QUEUE, Direction::Read);
        self.selector.wait(&mut self.inner_events, limit)?;
        for event in self.inner_events.iter().filter(|e| e.token != QUEUE) {
            if let Some(&token) = self.tokens.get(event.token.index() - 1) {
                let readiness = event.readiness | Readiness::LEVEL;
                events.push(Event {
                    token,
                    readiness,
                    ..*event
                });
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Returns the key of a token. Linear in the fallback's descriptors, of which there are few.
    fn key(&self, token: Token) -> Option<usize> {
        let mut tokens = self.tokens.iter();
        tokens
            .find(|(_, known)| **known == token)
            .map(|(key, _)| key)
    }
}

fn inner_token(key: usize) -> Token {
    Token::new(key as u32 + 1, 0)
}
