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

    /// Watches by edge a listener that a wait has reported and from which no task accepts. If there
    /// are several, each of the next waits reports one of the others.
    pub(super) fn watch_edge(&self, token: Token) {
        self.set_level(token, false);
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
        registration.waiters().set_level(is_level);
    }
}
