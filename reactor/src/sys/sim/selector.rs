//! The selector of a simulated host.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, slice};

use super::super::backend::Backend;
use super::super::event::Event;
use super::super::fstat::refuse_files;
use super::super::notify::NotifyFd;
use super::super::ppoll::{poll, pollfd};
use super::super::selector::{Notify, Selector};
use super::host::Host;
use crate::clock;
use crate::interest::{Direction, Interest};
use crate::token::Token;

/// Reports the sockets of a host that changed, each once for each change.
pub(in super::super) struct Sim {
    host: Host,
    notifier: Arc<NotifyFd>,
    /// When the time of the kernel began, if it is the real one.
    start: Instant,
}

impl Sim {
    /// Opens the selector of a host.
    pub(in super::super) fn on(host: &Host) -> io::Result<Sim> {
        Ok(Sim {
            host: host.clone(),
            notifier: Arc::new(NotifyFd::new()?),
            start: clock::now(),
        })
    }

    /// Moves the events that are due to `events`.
    fn take_events(&mut self, events: &mut Vec<Event>) {
        let id = self.host.id;
        if self.host.kernel.is_real_time() {
            let now = clock::now().saturating_duration_since(self.start);
            self.host.kernel.advance_to(now);
        }
        self.host.kernel.ask(|state| {
            while let Some(socket) = state.host_mut(id).changed.pop_front() {
                let readiness = state.readiness(socket);
                let unread = state.queue_len(socket);
                let Some(socket) = state.sockets.get_mut(&socket) else {
                    continue;
                };
                socket.is_changed = false;
                if readiness.is_empty() {
                    continue;
                }
                let registered = socket.registrations.iter();
                events.extend(registered.map(|(_, token)| Event {
                    unread,
                    ..Event::new(*token, readiness)
                }));
            }
        });
    }

    /// Waits in the real kernel for a notification, until the next event of the simulated one.
    fn pause(&self, limit: Option<Duration>) -> io::Result<()> {
        let now = clock::now().saturating_duration_since(self.start);
        let next = self.host.kernel.next_event();
        let until_next = next.map(|at| at.saturating_sub(now));
        let limit = limit.into_iter().chain(until_next).min();
        let mut notification = pollfd(self.notifier.raw(), libc::POLLIN);
        match poll(slice::from_mut(&mut notification), limit) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        if notification.revents != 0 {
            self.notifier.drain();
        }
        Ok(())
    }
}

impl Selector for Sim {
    fn backend(&self) -> Backend {
        Backend::Sim
    }

    fn is_edge(&self) -> bool {
        true
    }

    fn supported(&self) -> Interest {
        Interest::CLOSED | Interest::ERROR
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        refuse_files(fd)?;
        let id = self.host.id;
        self.host.kernel.with(|state| {
            let found = state.placeholders.find_raw(fd);
            let own = found.filter(|found| state.sockets.get(found).is_some_and(|s| s.host == id));
            let own = own.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTSOCK))?;
            state.register(own, fd, token);
            Ok(())
        })
    }

    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        let id = self.host.id;
        self.host.kernel.with(|state| {
            let registered = state.host(id).registered.get(&token.to_bits()).copied();
            if let Some(socket) = registered {
                state.register(socket, fd, token);
            }
        });
        Ok(())
    }

    fn arm(&mut self, _: Token, _: Direction) {}

    fn arm_non_directional(&mut self, _: Token, _: Interest) {}

    fn remove(&mut self, _: RawFd, token: Token) -> io::Result<()> {
        self.forget(token);
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        let id = self.host.id;
        self.host.kernel.with(|state| state.deregister(id, token));
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.take_events(events);
        let may_block = events.is_empty() && limit != Some(Duration::ZERO);
        if may_block && self.host.kernel.is_real_time() {
            self.pause(limit)?;
            self.take_events(events);
        }
        // A notification that ended no pause stays, and ends the next one.
        self.host.kernel.note_run();
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }
}
