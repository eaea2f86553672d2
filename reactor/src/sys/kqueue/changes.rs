//! What the kernel is told by the next wait.

use std::os::fd::RawFd;

use crate::token::Token;

/// What the kernel is to be told by the next wait, in order. Each entry stands for two changes.
#[derive(Debug, Default)]
pub(super) struct Changes(pub(super) Vec<Change>);

#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) fd: RawFd,
    pub(super) token: Token,
    /// Whether the kernel knows the registration already, or may.
    pub(super) renewal: bool,
}

impl Changes {
    pub(super) fn push(&mut self, change: Change) {
        self.0.push(change);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Strikes out what concerns `token`, and says whether the kernel has never heard of it.
    /// Linear in what was put off since the last wait.
    pub(super) fn cancel(&mut self, token: Token) -> bool {
        let mut unheard = false;
        self.0.retain(|change| {
            unheard |= change.token == token && !change.renewal;
            change.token != token
        });
        unheard
    }

    pub(super) fn descriptor(&self, token: Token) -> Option<RawFd> {
        let mut changes = self.0.iter();
        changes
            .find(|change| change.token == token)
            .map(|change| change.fd)
    }

    /// Whether `token` is only renewed here, and so may belong to a descriptor that is closed.
    pub(super) fn only_renews(&self, token: Token) -> bool {
        self.0
            .iter()
            .filter(|change| change.token == token)
            .all(|change| change.renewal)
    }

    /// From here on any of them may have reached the kernel.
    pub(super) fn mark_uncertain(&mut self) {
        self.0.iter_mut().for_each(|change| change.renewal = true);
    }
}
