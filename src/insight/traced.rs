//! Spans and events of `tracing` (feature `tracing`).

use std::cell::RefCell;

use runtime_executor::Id;
use runtime_executor::internal::ObservedTask;
use tracing::Span;
use tracing::span::EnteredSpan;

/// The spans of the tasks of a runtime.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// The spans by slot.
    tasks: RefCell<Vec<Option<(Id, Span)>>>,
    /// Entered while a task is polled.
    entered: RefCell<Option<EnteredSpan>>,
}

impl Spans {
    /// Enters the span of a task, which the first poll creates.
    pub(super) fn enter(&self, task: &ObservedTask<'_>) {
        let span = self.find(task).unwrap_or_else(|| self.add(task));
        // Subscribers are foreign code, called while nothing is borrowed.
        let entered = Some(span.entered());
        drop(self.entered.replace(entered));
    }

    pub(super) fn exit(&self) {
        drop(self.entered.take());
    }

    fn find(&self, task: &ObservedTask<'_>) -> Option<Span> {
        let tasks = self.tasks.borrow();
        let (id, span) = tasks.get(task.slot() as usize)?.as_ref()?;
        (*id == task.id()).then(|| span.clone())
    }

    fn add(&self, task: &ObservedTask<'_>) -> Span {
        let span = tracing::info_span!(
            target: "runtime::task",
            parent: None,
            "task",
            id = %task.id(),
            name = task.name(),
            spawned_at = %task.spawned_at(),
        );
        let index = task.slot() as usize;
        let mut tasks = self.tasks.borrow_mut();
        if tasks.len() <= index {
            tasks.resize_with(index + 1, || None);
        }
        let previous = tasks[index].replace((task.id(), span.clone()));
        drop(tasks);
        // The span of the task that was in this slot before.
        drop(previous);
        span
    }
}
