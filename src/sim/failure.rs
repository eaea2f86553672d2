//! The reasons for which a run of a world fails.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The error of a run: a host failed, or the run reached a limit.
///
/// Its text names the seed, the virtual time, the host and the task.
#[derive(Debug)]
pub struct Failure {
    pub(super) seed: u64,
    pub(super) at: Duration,
    pub(super) kind: FailureKind,
    pub(super) host: Option<String>,
    /// The panic message, the error, or the tasks of all hosts.
    pub(super) text: String,
}

/// The kind of a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The future of a host or client returned an error.
    Error,
    /// A task of a host panicked, and its join handle was dropped; or the main task did.
    Panic,
    /// The clients had not finished when the virtual time reached its limit.
    TimeLimit,
    /// The hosts did not come to rest: at one instant of virtual time they were turned too often.
    NeverQuiet,
    /// The clients had not finished, and nothing was left that any host waits for.
    Stuck,
}

impl Failure {
    /// Returns the kind of the failure.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Returns the seed of the world.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the virtual time of the failure, since the start of the world.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Returns the name of the host that failed, if it was one host.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, virtual time {:?}: ", self.seed, self.at)?;
        if let Some(host) = &self.host {
            write!(f, "host {host:?}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl Error for Failure {}
