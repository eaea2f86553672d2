//! Sources that the selector reports writable only while a task waits to write.
//!
//! Linux reports a datagram socket writable after each datagram that left it, and a Unix socket
//! after each message that the peer has read, although there was room all the time. With an edge
//! for both directions every message sent would end a wait, in vain. So these sources are
//! registered for reading alone, until an operation has found no room. They go back to that once a
//! wait reports them writable and no task waits to write.

use super::Reactor;
use crate::interest::Readiness;
use crate::scheduled_io::Target;
use crate::token::Token;

impl Reactor {
    /// Has the selector report that a source is writable, if it does not. An operation has found no
    /// room, and its readiness was cleared.
    #[cold]
    pub(crate) fn watch_writing(&self, token: Token) {
        self.set_writing(token, true);
    }

    /// Watches a source less that a wait has reported, and for which no task waits.
    #[cold]
    pub(super) fn watch_less(&self, token: Token) {
        let is_level = match self.registrations.borrow_mut().get(token) {
            Some(registration) => registration.waiters().is_level(),
            None => return,
        };
        if is_level {
            self.watch_edge(token);
        } else {
            self.set_writing(token, false);
        }
    }

    fn set_writing(&self, token: Token, is_watched: bool) {
        let mut registrations = self.registrations.borrow_mut();
        let Some(registration) = registrations.get(token) else {
            return;
        };
        let Target::Fd(fd) = registration.scheduled.target else {
            return;
        };
        if registration.omits_writing != is_watched {
            return;
        }
        registration.watch_writing(is_watched);
        if !registration.is_added {
            return;
        }
        self.inbox.counters.reregistrations.add(1);
        let mut selector = self.selector.borrow_mut();
        if let Err(e) = selector.set_writing(fd, token, is_watched) {
            // The next wait returns the error.
            let errno = e.raw_os_error().unwrap_or(libc::EIO);
            registration.scheduled.fail(Readiness::WRITABLE, errno);
        }
    }
}
