//! What poll and select are to ask: their kernels remember nothing between two waits.

use std::os::fd::RawFd;
use std::{io, mem};

use super::{Event, POLLRDHUP, refuse_files};
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

/// The registrations of a backend with levels.
#[derive(Debug, Default)]
pub(super) struct LevelRegistrations {
    /// By the index of the token, which is small and reused.
    watched: Vec<Option<Watched>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    pub(super) fd: RawFd,
    pub(super) token: Token,
    /// What somebody waits for, as the readiness that ends it.
    pub(super) armed: Readiness,
    /// The last report, if it held what the kernel says whether asked or not, and will say at once
    /// again: a hang-up or an error.
    told: Readiness,
    /// What is watched for and is not in that. Not asked for until an operation has found that it is
    /// not so any more: each wait would end with what is known.
    shelved: Readiness,
}

impl LevelRegistrations {
    pub(super) fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        refuse_files(fd)?;
        if self.watched.len() <= token.index() {
            self.watched.resize(token.index() + 1, None);
        }
        self.watched[token.index()] = Some(Watched {
            fd,
            token,
            armed: Readiness::EMPTY,
            told: Readiness::EMPTY,
            shelved: Readiness::EMPTY,
        });
        Ok(())
    }

    pub(super) fn arm(&mut self, token: Token, direction: Direction) {
        if let Some(watched) = self.get(token) {
            watched.told = Readiness::EMPTY;
            watched.armed |= direction.readiness() | mem::take(&mut watched.shelved);
        }
    }

    pub(super) fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        if let Some(watched) = self.get(token) {
            let claims = interest.readiness_mask();
            if watched.told.is_empty() || watched.told.intersects(claims) {
                watched.armed |= claims;
            } else {
                watched.shelved |= claims;
            }
        }
    }

    pub(super) fn forget(&mut self, token: Token) {
        if self.get(token).is_some() {
            self.watched[token.index()] = None;
        }
    }

    /// Those somebody waits for. Linear in the registrations.
    pub(super) fn armed(&self) -> impl Iterator<Item = &Watched> {
        let watched = self.watched.iter().flatten();
        watched.filter(|watched| !watched.armed.is_empty())
    }

    /// Tells what became ready, and does not ask for it again until somebody waits again.
    pub(super) fn report(&mut self, token: Token, readiness: Readiness, events: &mut Vec<Event>) {
        if let Some(event) = self
            .get(token)
            .and_then(|watched| watched.report(readiness))
        {
            events.push(event);
        }
    }

    /// Tells of each armed descriptor what `answer` says of it. Linear in the registrations.
    pub(super) fn report_each(
        &mut self,
        events: &mut Vec<Event>,
        answer: impl Fn(RawFd) -> Readiness,
    ) {
        for watched in self.watched.iter_mut().flatten() {
            if !watched.armed.is_empty() {
                if let Some(event) = watched.report(answer(watched.fd)) {
                    events.push(event);
                }
            }
        }
    }

    /// Tells that a descriptor is closed, and forgets it, since the kernel would say so for ever.
    pub(super) fn report_closed(&mut self, token: Token, events: &mut Vec<Event>) {
        self.forget(token);
        events.push(closed(token));
    }

    /// Tells of each armed descriptor that is closed, and forgets it.
    pub(super) fn report_each_closed(
        &mut self,
        events: &mut Vec<Event>,
        is_closed: impl Fn(RawFd) -> bool,
    ) {
        for place in &mut self.watched {
            match place {
                Some(watched) if !watched.armed.is_empty() && is_closed(watched.fd) => {
                    events.push(closed(watched.token));
                    *place = None;
                }
                _ => {}
            }
        }
    }

    fn get(&mut self, token: Token) -> Option<&mut Watched> {
        let watched = self.watched.get_mut(token.index())?.as_mut()?;
        (watched.token == token).then_some(watched)
    }
}

impl Watched {
    fn report(&mut self, readiness: Readiness) -> Option<Event> {
        self.armed = self.armed.without(readiness);
        if readiness.is_exceptional() {
            // Whoever waits for one of these is woken by all of them, and asks again.
            self.armed = self
                .armed
                .without(Interest::NON_DIRECTIONAL.readiness_mask());
        }
        if readiness.intersects(unasked()) {
            self.told = readiness;
        }
        (!readiness.is_empty()).then(|| Event::new(self.token, readiness))
    }
}

fn closed(token: Token) -> Event {
    let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR;
    Event {
        errno: libc::EBADF,
        ..Event::new(token, all)
    }
}

/// What poll(2) tells whether asked or not: POLLHUP, which is the peer's end alone where there is no
/// POLLRDHUP, and POLLERR.
fn unasked() -> Readiness {
    let ends = Readiness::WRITE_CLOSED | Readiness::ERROR;
    match POLLRDHUP {
        0 => ends | Readiness::READ_CLOSED,
        _ => ends,
    }
}
