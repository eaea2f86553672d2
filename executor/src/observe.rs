//! Watching the polls of tasks.

use std::panic::Location;

use crate::id::Id;
use crate::task::Task;

/// An observer of the polls of tasks, for
/// [`run_ready_observed`](crate::internal::run_ready_observed).
pub trait Observe {
    /// Notes that a task is about to be polled.
    fn before_poll(&self, task: &ObservedTask<'_>);
    /// Notes that the poll has ended, also by a panic.
    fn after_poll(&self);
}

/// A task that is about to be polled.
pub struct ObservedTask<'a> {
    pub(crate) id: Id,
    pub(crate) slot: u32,
    pub(crate) task: &'a dyn Task,
}

impl std::fmt::Debug for ObservedTask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObservedTask")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl ObservedTask<'_> {
    /// Returns the identity of the task.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Returns the slot of the task, which is unique among the tasks that exist at the same time.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Returns the name of the task.
    pub fn name(&self) -> Option<&str> {
        self.task.describe().name
    }

    /// Returns the place where the task was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.task.describe().spawned_at
    }
}

/// An observer, or none without a cost.
pub(crate) trait Watch {
    fn before(&self, id: Id, slot: u32, task: &dyn Task);
    fn after(&self);
}

impl Watch for () {
    #[inline(always)]
    fn before(&self, _: Id, _: u32, _: &dyn Task) {}

    #[inline(always)]
    fn after(&self) {}
}

impl Watch for &dyn Observe {
    fn before(&self, id: Id, slot: u32, task: &dyn Task) {
        self.before_poll(&ObservedTask { id, slot, task });
    }

    fn after(&self) {
        self.after_poll();
    }
}
