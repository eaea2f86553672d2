//! Which task is meant.

use std::fmt;

/// Identifies a task among all tasks of the process that run at the same time.
///
/// # Examples
/// It is what log lines are told apart by:
/// ```
/// # fn log(_: runtime_executor::Id) {}
/// if let Some(id) = runtime_executor::try_id() {
///     log(id);
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    executor: u32,
    serial: u32,
}

impl Id {
    pub(crate) fn new(executor: u32, serial: u32) -> Id {
        Id { executor, serial }
    }

    /// The key of the task in this slot.
    pub(crate) fn key(self, slot: u32) -> TaskKey {
        TaskKey {
            executor: self.executor,
            slot,
            serial: self.serial,
        }
    }

    /// The number of the executor.
    pub(crate) fn executor(self) -> u32 {
        self.executor
    }
}

impl fmt::Display for Id {
    /// The number of the executor, counted from 0 in the process, and of the task in it; with an
    /// `m` before that for what came by mail, which is blocking jobs and tasks of other threads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Id { executor, serial } = self;
        match serial & REMOTE_BIT {
            0 => write!(f, "{executor}.{serial}"),
            _ => write!(f, "{executor}.m{}", serial & !REMOTE_BIT),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

/// Tells the serial numbers of what came by mail from the others.
pub(crate) const REMOTE_BIT: u32 = 1 << 31;

/// How an executor finds one of its tasks, and everybody else the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskKey {
    pub(crate) executor: u32,
    pub(crate) slot: u32,
    /// Never two tasks of a slot in a row have the same; it takes 2^31 spawns to see one again.
    pub(crate) serial: u32,
}

impl TaskKey {
    pub(crate) fn id(self) -> Id {
        Id::new(self.executor, self.serial)
    }
}
