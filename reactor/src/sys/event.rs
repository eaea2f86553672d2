//! The events that a wait reports.

use crate::interest::Readiness;
use crate::token::Token;

/// A registration that became ready, or whose deferred registration failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) token: Token,
    pub(crate) readiness: Readiness,
    /// The errno of a registration that failed in the wait, or 0. `readiness` then names the
    /// directions that could not be registered.
    pub(crate) errno: i32,
    /// The number of bytes that can be read, if the backend reports it, or 0.
    pub(crate) unread: u32,
}

impl Event {
    #[inline]
    pub(crate) fn new(token: Token, readiness: Readiness) -> Event {
        Event {
            token,
            readiness,
            errno: 0,
            unread: 0,
        }
    }
}
