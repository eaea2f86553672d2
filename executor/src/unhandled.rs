//! Panics of tasks whose join handle was dropped.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::config::PanicPolicy;
use crate::error::JoinError;
use crate::unwind::drop_catching;

/// The unhandled panics of one executor, and what is done with them.
pub(crate) struct UnhandledPanics {
    policy: PanicPolicy,
    /// The panic that `run_ready` has still to resume.
    pending: Cell<Option<JoinError>>,
}

impl UnhandledPanics {
    pub(crate) fn new(policy: PanicPolicy) -> UnhandledPanics {
        UnhandledPanics {
            policy,
            pending: Cell::new(None),
        }
    }

    pub(crate) fn policy(&self) -> PanicPolicy {
        self.policy
    }

    /// Logs a panic, or keeps it to be resumed. Only one can be kept; further ones are logged.
    pub(crate) fn push(&self, error: JoinError) {
        if self.policy == PanicPolicy::Report {
            return log_panic(error);
        }
        match self.pending.take() {
            None => self.pending.set(Some(error)),
            Some(first) => {
                self.pending.set(Some(first));
                log_panic(error);
            }
        }
    }

    /// Takes the panic to be resumed.
    pub(crate) fn take(&self) -> Option<JoinError> {
        self.pending.take()
    }
}

/// Writes a panic to standard error.
pub(crate) fn log_panic(error: JoinError) {
    log(format_args!("{error} (its JoinHandle was dropped)"));
    drop_catching(error);
}

/// Writes a line to standard error, with the prefix that all messages of this crate have.
pub(crate) fn log(text: fmt::Arguments<'_>) {
    // Standard error may be closed, which makes `eprintln!` panic.
    let log = || eprintln!("runtime: {text}");
    drop_catching(catch_unwind(AssertUnwindSafe(log)));
}
