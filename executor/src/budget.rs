//! The cooperative budget: the number of operations that one poll may complete without waiting.
//!
//! A poll has a budget of [`COMPLETIONS_PER_POLL`]. It belongs to the count of polls and not to the
//! task, so that beginning a poll has nothing to reset. An operation that finds the budget used up
//! wakes its task and is pending once; at its next poll it completes. So each operation makes
//! progress, also beside another one that uses up the budget of every poll.

use std::cell::Cell;

/// A poll may complete this many operations that did not wait.
pub(crate) const COMPLETIONS_PER_POLL: u32 = 128;

/// The budget of the poll that is running.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// The poll to which `used` belongs.
    poll: Cell<u64>,
    used: Cell<u32>,
    unconstrained: Cell<bool>,
    /// The polls that are charged for used budgets, so that the owner looks for events soon.
    charged: Cell<usize>,
}

impl Budget {
    /// Counts a completion in this poll. Returns false, and counts nothing, if the budget is used
    /// up.
    pub(crate) fn take(&self, poll: u64) -> bool {
        if self.unconstrained.get() {
            return true;
        }
        let same = self.poll.replace(poll) == poll;
        let used = if same { self.used.get() } else { 0 };
        if used >= COMPLETIONS_PER_POLL {
            self.charge();
            return false;
        }
        self.used.set(used + 1);
        true
    }

    /// Counts an operation that takes as long as `weight` others in this poll. Returns false, and
    /// counts nothing, if the budget is used up. If some of it is left, that is enough.
    pub(crate) fn take_weighted(&self, poll: u64, weight: u32) -> bool {
        if !self.take(poll) {
            return false;
        }
        if self.unconstrained.get() {
            return true;
        }
        let used = self.used.get().saturating_add(weight.saturating_sub(1));
        self.used.set(used.min(COMPLETIONS_PER_POLL));
        true
    }

    /// Returns true if the budget of this poll is used up. Counts nothing.
    pub(crate) fn is_used_up(&self, poll: u64) -> bool {
        let used_up = self.poll.get() == poll && self.used.get() >= COMPLETIONS_PER_POLL;
        if !used_up || self.unconstrained.get() {
            return false;
        }
        self.charge();
        true
    }

    /// Leaves nothing of the budget of this poll.
    pub(crate) fn use_up(&self, poll: u64) {
        self.poll.set(poll);
        self.used.set(COMPLETIONS_PER_POLL);
        self.charge();
    }

    #[cold]
    fn charge(&self) {
        let charged = self.charged.get();
        self.charged
            .set(charged.saturating_add(COMPLETIONS_PER_POLL as usize));
    }

    /// Begins a poll that is not counted.
    pub(crate) fn renew(&self) {
        self.used.set(0);
    }

    /// Counts nothing until the guard is dropped.
    pub(crate) fn suspend(&self) -> Suspended<'_> {
        Suspended {
            outer: self.unconstrained.replace(true),
            unconstrained: &self.unconstrained,
        }
    }

    pub(crate) fn take_charged(&self) -> usize {
        self.charged.replace(0)
    }
}

/// A guard during whose life nothing is counted.
pub(crate) struct Suspended<'a> {
    outer: bool,
    unconstrained: &'a Cell<bool>,
}

impl Drop for Suspended<'_> {
    fn drop(&mut self) {
        self.unconstrained.set(self.outer);
    }
}
