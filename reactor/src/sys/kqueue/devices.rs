//! Descriptors that this system's kqueue refuses, and the selector that watches them instead.
//!
//! They are character devices whose drivers never heard of kqueue: /dev/tty on macOS, /dev/null on
//! FreeBSD; and named pipes on macOS, whose kqueue takes them, but does not tell that the last writer is
//! gone. The kqueue itself is one more descriptor of that selector, so that one call waits for
//! both. It has levels, so their sources are told to [arm](Selector::arm) it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use slab::Slab;

use super::Queue;
use crate::interest::{Direction, Interest, Readiness};
use crate::sys::{self, Backend, Event, Selector};
use crate::token::Token;

/// The kqueue's own token; those of the devices are their places in the list, and one more.
const QUEUE: Token = Token::new(0, 0);

pub(super) struct Devices {
    selector: Box<dyn Selector>,
    tokens: Slab<Token>,
    told: Vec<Event>,
}

impl Devices {
    /// Those there are, or the first of them.
    pub(super) fn get<'a>(
        devices: &'a mut Option<Devices>,
        queue: &Queue,
    ) -> io::Result<&'a mut Devices> {
        match devices {
            Some(devices) => Ok(devices),
            none => Ok(none.insert(Devices::new(queue)?)),
        }
    }

    fn new(queue: &Queue) -> io::Result<Devices> {
        // The best there is after the first, which is kqueue: select on Apple, else poll.
        let mut selector = sys::open(Backend::available()[1])?;
        selector.add(queue.as_fd().as_raw_fd(), QUEUE)?;
        Ok(Devices {
            selector,
            tokens: Slab::new(),
            told: Vec::new(),
        })
    }

    /// Watches a device, armed in both directions: who waits for it is not known.
    pub(super) fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        let place = self.tokens.insert(token);
        if let Err(e) = self.selector.add(fd, inner(place)) {
            self.tokens.remove(place);
            return Err(e);
        }
        self.rearm(token);
        // Who came before it was known to be a device has asked the kqueue.
        self.arm_non_directional(token, Interest::CLOSED | Interest::ERROR);
        Ok(())
    }

    /// As if nothing had been told yet. Says whether `token` is one of these.
    pub(super) fn rearm(&mut self, token: Token) -> bool {
        self.arm(token, Direction::Read) && self.arm(token, Direction::Write)
    }

    pub(super) fn arm(&mut self, token: Token, direction: Direction) -> bool {
        let place = self.place(token);
        if let Some(place) = place {
            self.selector.arm(inner(place), direction);
        }
        place.is_some()
    }

    pub(super) fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        if let Some(place) = self.place(token) {
            let told = interest.without(interest.without(self.selector.supported()));
            self.selector.arm_non_directional(inner(place), told);
        }
    }

    /// Says whether `token` was one of these.
    pub(super) fn forget(&mut self, token: Token) -> bool {
        let place = self.place(token);
        if let Some(place) = place {
            self.tokens.remove(place);
            self.selector.forget(inner(place));
        }
        place.is_some()
    }

    /// Waits for the devices and for the kqueue to have something to tell, and appends what the
    /// devices tell.
    pub(super) fn wait(
        &mut self,
        events: &mut Vec<Event>,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        self.selector.arm(QUEUE, Direction::Read);
        self.selector.wait(&mut self.told, limit)?;
        for event in self.told.iter().filter(|event| event.token != QUEUE) {
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

    /// Linear in the devices, of which there are few.
    fn place(&self, token: Token) -> Option<usize> {
        let mut tokens = self.tokens.iter();
        tokens
            .find(|(_, known)| **known == token)
            .map(|(place, _)| place)
    }
}

fn inner(place: usize) -> Token {
    Token::new(place as u32 + 1, 0)
}
