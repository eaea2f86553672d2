//! Records of tasks and blocking jobs, for a list of what exists at one moment.

use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::group::{Group, GroupKind};
use crate::id::Id;
use crate::waker_id::WakerId;

/// The number that a waker of an executor is. It identifies the task that the waker wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WakerNumber(WakerId);

impl WakerNumber {
    pub(crate) fn new(id: WakerId) -> WakerNumber {
        WakerNumber(id)
    }

    pub(crate) fn root(executor: u32) -> WakerNumber {
        WakerNumber(WakerId::new(executor, WakerId::ROOT, 0))
    }
}

/// The task that a waker wakes, directly or through groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaiter {
    /// The number of the task's own waker.
    pub number: WakerNumber,
    /// The groups between the task and the waker, the outermost first; usually none.
    pub groups: Vec<GroupRecord>,
}

/// A group of futures that a task awaits, as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    /// A number that no other group has at the same time.
    pub id: usize,
    /// The owner of the group.
    pub kind: GroupKind,
    /// The number of its members.
    pub len: usize,
}

impl GroupRecord {
    pub(crate) fn new(group: &Arc<Group>) -> GroupRecord {
        GroupRecord {
            id: Arc::as_ptr(group).addr(),
            kind: group.kind(),
            len: group.len(),
        }
    }
}

/// A function that returns the task that a waker wakes.
pub(crate) type AwaiterOf<'a> = &'a dyn Fn(&Waker) -> Option<Awaiter>;

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// The task is being polled: it has asked for the list itself.
    Running,
    /// The task is in the run queue.
    Scheduled,
    /// The task waits to be woken.
    Waiting,
    /// The task is complete, and its output was not taken yet.
    Complete,
}

/// A task, as it is at one moment.
#[derive(Debug)]
pub struct TaskRecord {
    /// The identity of the task.
    pub id: Id,
    /// The slot of the task: unique among the tasks that exist at the same time.
    pub slot: u32,
    /// The task's name; `None` also while the task is polled.
    pub name: Option<String>,
    /// The place where the task was spawned; `None` while the task is polled.
    pub spawned_at: Option<&'static Location<'static>>,
    /// The state of the task.
    pub state: TaskState,
    /// The size of the future in bytes; `None` while the task is polled.
    pub size: Option<usize>,
    /// The number of the task's own wakers.
    pub waker: WakerNumber,
    /// The task that awaits its output.
    pub joined_by: Option<Awaiter>,
}

/// A blocking job, as it is at one moment.
#[derive(Debug)]
pub struct JobRecord {
    /// The identity of the job.
    pub id: Id,
    /// The name of an operation of this crate; empty for a closure of the program.
    pub name: &'static str,
    /// The place where the job was spawned.
    pub spawned_at: &'static Location<'static>,
    /// The time for which it has run; `None` while it is queued.
    pub running: Option<Duration>,
    /// The task that awaits its output.
    pub joined_by: Option<Awaiter>,
}

/// The counts of an executor since it was made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Polls of tasks.
    pub polls: u64,
    /// Tasks that were spawned, by this thread and by others.
    pub spawned: u64,
    /// The tasks that are not complete, or whose output was not taken.
    pub tasks: u64,
    /// Tasks that have panicked.
    pub panicked: u64,
    /// Tasks that were aborted before they were complete.
    pub aborted: u64,
}

/// The counts of a blocking pool.
#[derive(Debug, Clone, Copy, Default)]
pub struct JobCounts {
    /// Jobs that were ever queued.
    pub submitted: u64,
    /// Jobs that are queued.
    pub queued: u64,
    /// Jobs that are running.
    pub running: u64,
    /// Threads, idle ones included.
    pub threads: u64,
}

/// The constant properties of a task.
pub(crate) struct Description<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) size: usize,
}
