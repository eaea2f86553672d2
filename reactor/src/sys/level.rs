//! The registrations of a level backend, whose kernel remembers nothing between two waits.

use std::os::fd::RawFd;
use std::{io, mem};

use super::event::Event;
use super::fstat::refuse_files;
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

/// The registrations of one selector, and what each of them waits for.
#[derive(Debug)]
pub(super) struct LevelRegistrations {
    /// Indexed like the slab of the reactor, by [`Token::index`].
    entries: Vec<Option<Entry>>,
    /// The readiness that the kernel reports with or without a request.
    unrequested: Readiness,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) fd: RawFd,
    pub(super) token: Token,
    /// The readiness that ends the present waits; empty while nothing waits.
    pub(super) armed: Readiness,
    /// The last report, if the kernel would repeat it at once without a request; otherwise empty.
    last_report: Readiness,
    /// The readiness that `arm_non_directional` requested beyond `last_report`. It is not armed
    /// until an operation has found that the report is no longer true, since every wait would end
    /// with that report.
    postponed: Readiness,
}

impl LevelRegistrations {
    /// Makes an empty list for a kernel that reports `unrequested` without a request.
    pub(super) fn new(unrequested: Readiness) -> LevelRegistrations {
        LevelRegistrations {
            entries: Vec::new(),
            unrequested,
        }
    }

    /// See [`Selector::add`](super::Selector::add).
    pub(super) fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        refuse_files(fd)?;
        if self.entries.len() <= token.index() {
            self.entries.resize(token.index() + 1, None);
        }
        self.entries[token.index()] = Some(Entry {
            fd,
            token,
            armed: Readiness::EMPTY,
            last_report: Readiness::EMPTY,
            postponed: Readiness::EMPTY,
        });
        Ok(())
    }

    /// See [`Selector::arm`](super::Selector::arm).
    pub(super) fn arm(&mut self, token: Token, direction: Direction) {
        if let Some(entry) = self.get(token) {
            entry.last_report = Readiness::EMPTY;
            entry.armed |= direction.readiness() | mem::take(&mut entry.postponed);
        }
    }

    /// See [`Selector::arm_non_directional`](super::Selector::arm_non_directional).
    pub(super) fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        if let Some(entry) = self.get(token) {
            let wanted = interest.readiness_mask();
            if entry.last_report.is_empty() || entry.last_report.intersects(wanted) {
                entry.armed |= wanted;
            } else {
                entry.postponed |= wanted;
            }
        }
    }

    /// See [`Selector::forget`](super::Selector::forget).
    pub(super) fn forget(&mut self, token: Token) {
        if self.get(token).is_some() {
            self.entries[token.index()] = None;
        }
    }

    /// Returns the entries that something waits for. Linear in the registrations.
    pub(super) fn armed(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter().flatten();
        entries.filter(|entry| !entry.armed.is_empty())
    }

    /// Reports what became ready, and disarms it.
    pub(super) fn report(&mut self, token: Token, readiness: Readiness, events: &mut Vec<Event>) {
        let unrequested = self.unrequested;
        let entry = self.get(token);
        events.extend(entry.and_then(|entry| entry.report(readiness, unrequested)));
    }

    /// Reports for each armed entry what `readiness_of` returns. Linear in the registrations.
    pub(super) fn report_each(
        &mut self,
        events: &mut Vec<Event>,
        readiness_of: impl Fn(RawFd) -> Readiness,
    ) {
        for entry in self.entries.iter_mut().flatten() {
            if !entry.armed.is_empty() {
                events.extend(entry.report(readiness_of(entry.fd), self.unrequested));
            }
        }
    }

    /// Reports that a descriptor cannot be waited for, and forgets it, because the kernel would
    /// repeat that at every wait.
    pub(super) fn report_failed(&mut self, token: Token, errno: i32, events: &mut Vec<Event>) {
        self.forget(token);
        events.push(failed(token, errno));
    }

    /// Does the same for each armed entry whose descriptor is closed (`EBADF`). Linear in the
    /// registrations.
    pub(super) fn report_each_closed(
        &mut self,
        events: &mut Vec<Event>,
        is_closed: impl Fn(RawFd) -> bool,
    ) {
        for place in &mut self.entries {
            match place {
                Some(entry) if !entry.armed.is_empty() && is_closed(entry.fd) => {
                    events.push(failed(entry.token, libc::EBADF));
                    *place = None;
                }
                _ => {}
            }
        }
    }

    #[cfg(test)]
    pub(super) fn set_fd(&mut self, token: Token, fd: RawFd) {
        self.get(token).unwrap().fd = fd;
    }

    /// Returns the entry of a token, unless its place belongs to another registration by now.
    fn get(&mut self, token: Token) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(token.index())?.as_mut()?;
        (entry.token == token).then_some(entry)
    }
}

impl Entry {
    fn report(&mut self, readiness: Readiness, unrequested: Readiness) -> Option<Event> {
        self.armed = self.armed.without(readiness);
        if readiness.is_exceptional() {
            // Such an event wakes the waiters of every exceptional readiness, and those that are
            // still waiting arm it again.
            self.armed = self
                .armed
                .without(Interest::NON_DIRECTIONAL.readiness_mask());
        }
        if readiness.intersects(unrequested) {
            self.last_report = readiness;
        }
        (!readiness.is_empty()).then(|| Event::new(self.token, readiness))
    }
}

/// The event of a descriptor that cannot be waited for.
fn failed(token: Token, errno: i32) -> Event {
    let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR;
    Event {
        errno,
        ..Event::new(token, all)
    }
}
