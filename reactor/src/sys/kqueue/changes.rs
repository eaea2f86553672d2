//! The registrations that are deferred to the next wait.

use std::os::fd::RawFd;

use super::abi::{EVFILT_READ, EVFILT_WRITE, Filter};
use crate::token::Token;

/// The two filters of a registration, always in this order.
pub(super) const BOTH: [Filter; 2] = [EVFILT_READ, EVFILT_WRITE];

/// The deferred registrations, in the order of their calls. Each one is two changes for the kernel,
/// one for each filter.
#[derive(Debug, Default)]
pub(super) struct Changes(pub(super) Vec<Change>);

#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) fd: RawFd,
    pub(super) token: Token,
    /// True if the kernel has, or may have, this registration already.
    pub(super) is_repeat: bool,
}

impl Changes {
    pub(super) fn push(&mut self, change: Change) {
        self.0.push(change);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Removes the changes of `token`. Returns true if the kernel never had its registration.
    /// Linear in the changes since the last wait.
    pub(super) fn cancel(&mut self, token: Token) -> bool {
        let mut is_unknown = false;
        self.0.retain(|change| {
            is_unknown |= change.token == token && !change.is_repeat;
            change.token != token
        });
        is_unknown
    }

    /// Returns the descriptor of `token`, if the token has a change.
    pub(super) fn descriptor(&self, token: Token) -> Option<RawFd> {
        let mut changes = self.0.iter();
        changes
            .find(|change| change.token == token)
            .map(|change| change.fd)
    }

    /// Returns true if the changes of `token` only repeat its registration, so that its descriptor
    /// may be closed by now.
    pub(super) fn only_repeats(&self, token: Token) -> bool {
        self.0
            .iter()
            .filter(|change| change.token == token)
            .all(|change| change.is_repeat)
    }

    /// Records that any of the changes may have reached the kernel.
    pub(super) fn mark_uncertain(&mut self) {
        self.0.iter_mut().for_each(|change| change.is_repeat = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Token = Token::new(1, 7);
    const TWO: Token = Token::new(2, 7);

    #[test]
    fn cancel_returns_whether_the_kernel_never_had_the_registration() {
        let mut changes = Changes::default();
        changes.push(Change {
            fd: 3,
            token: ONE,
            is_repeat: false,
        });
        changes.push(Change {
            fd: 4,
            token: TWO,
            is_repeat: true,
        });
        changes.push(Change {
            fd: 3,
            token: ONE,
            is_repeat: true,
        });
        assert!(!changes.only_repeats(ONE) && changes.only_repeats(TWO));
        assert!(changes.cancel(ONE), "it was never added");
        assert!(
            !changes.cancel(TWO),
            "it is registered, and was only to be repeated"
        );
        assert!(!changes.cancel(ONE) && changes.0.is_empty());
        changes.push(Change {
            fd: 3,
            token: ONE,
            is_repeat: false,
        });
        changes.mark_uncertain();
        assert!(!changes.cancel(ONE), "it may have been added");
    }
}
