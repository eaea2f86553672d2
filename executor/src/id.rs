//! The identity of a task.

use std::cell::Cell;
use std::fmt;

/// The identity of a task: unique among the tasks of the process that exist at the same time.
///
/// Its text is the number of the runtime in the process and that of the task in the runtime, as in
/// `0.12`. An `m` before the second marks tasks of other threads and blocking jobs, as in `0.m3`.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(async { println!("in task {}", runtime::task::id()) });
/// println!("spawned task {}", task.id());
/// # task.await.unwrap();
/// # });
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

    /// Returns the key of the task, which is in this slot.
    pub(crate) fn key(self, slot: u32) -> TaskKey {
        TaskKey {
            executor: self.executor,
            slot,
            serial: self.serial,
        }
    }

    pub(crate) fn executor(self) -> u32 {
        self.executor
    }

    pub(crate) fn serial(self) -> u32 {
        self.serial
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Id { executor, serial } = self;
        if serial & REMOTE_BIT == 0 {
            write!(f, "{executor}.{serial}")
        } else {
            write!(f, "{executor}.m{}", serial & !REMOTE_BIT)
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

thread_local! {
    /// The blocking job that this thread runs.
    static JOB: Cell<Option<Id>> = const { Cell::new(None) };
}

/// Calls a closure that must not panic, as the body of a blocking job.
pub(crate) fn in_job<R>(id: Id, body: impl FnOnce() -> R) -> R {
    let outer = JOB.replace(Some(id));
    let result = body();
    JOB.set(outer);
    result
}

/// Returns the blocking job that this thread runs.
pub(crate) fn current_job() -> Option<Id> {
    JOB.get()
}

/// Set in the serial numbers of blocking jobs and of tasks that other threads spawned.
pub(crate) const REMOTE_BIT: u32 = 1 << 31;

/// The address of a task: its executor, its slot there, and the serial number that identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskKey {
    pub(crate) executor: u32,
    pub(crate) slot: u32,
    /// Repeats after 2^31 spawns.
    pub(crate) serial: u32,
}

impl TaskKey {
    pub(crate) fn id(self) -> Id {
        Id::new(self.executor, self.serial)
    }
}
