//! Listeners that the selector reports for as long as connections wait in their queue.
//!
//! A listener that is watched by edge is reported when a connection comes, so all have to be
//! accepted, until an attempt finds nothing. Watched by level it is reported again with the next
//! wait. But a listener from which no task accepts would then end every wait at once: it goes back
//! to an edge.

use super::Reactor;
use crate::scheduled_io::Target;
use crate::token::Token;

impl Reactor {
    /// Watches a listener by level from now on, if the selector can.
    pub(crate) fn watch_level(&self, token: Token) {
        self.set_level(token, true);
    }

    /// Watches by edge the listeners that the last wait reported and from which no task accepts.
    #[inline]
    pub(super) fn mute_unattended(&self) {
        // Most reactors have none, or one.
        if !self.level_listeners.borrow().is_empty() {
            self.mute_unattended_listeners();
        }
    }

    #[inline(never)]
    fn mute_unattended_listeners(&self) {
        let is_unattended = |token: &Token| {
            let mut registrations = self.registrations.borrow_mut();
            let registration = registrations.get(*token);
            registration.is_none_or(|registration| registration.waiters.is_unattended())
        };
        let unattended = self.level_listeners.borrow().iter().position(is_unattended);
        // The others follow with the next wait, which will not block either.
        if let Some(index) = unattended {
            let token = self.level_listeners.borrow_mut().swap_remove(index);
            self.set_level(token, false);
        }
    }

    #[cold]
    fn set_level(&self, token: Token, is_level: bool) {
        let mut registrations = self.registrations.borrow_mut();
        let Some(registration) = registrations.get(token) else {
            return;
        };
        let Target::Fd(fd) = registration.scheduled.target else {
            return;
        };
        let mut selector = self.selector.borrow_mut();
        if !registration.is_added || selector.set_level(fd, token, is_level).is_err() {
            return;
        }
        self.inbox.counters.reregistrations.add(1);
        registration.scheduled.set_level(is_level);
        registration.waiters.set_level(is_level);
        if is_level {
            self.level_listeners.borrow_mut().push(token);
        }
    }
}
