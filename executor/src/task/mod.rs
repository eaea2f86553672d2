//! A task: its allocation, its waker, and the delivery of its output. The only folder of this crate
//! with unsafe code.
//!
//! # The life of a task
//!
//! ```text
//!           spawn
//!             │                          wake
//!             ▼            ┌────────────────────────────┐
//!       ┌───────────┐  popped from the queue ┌────────┐ │  Pending   ┌────────┐
//!       │ SCHEDULED │ ─────────────────────▶ │ polled │ ┴──────────▶ │  idle  │
//!       └───────────┘                        └────────┘              └────────┘
//!             ▲                                  │ Ready, panic,          │ wake, abort
//!             └───────────────────────────────── │ or aborted ────────────┘
//!                                                ▼
//!                                          ┌──────────┐  output taken, or its handle dropped
//!                                          │ COMPLETE │ ─────────────────────────────▶ removed
//!                                          └──────────┘
//! ```
//!
//! # One allocation
//!
//! A [`TaskCell`] holds the future and later, in the same memory, its output. The scheduler keeps
//! it as a `Pin<Box<dyn Task>>` in a slot of its slab, and identifies it by slot and serial number.

pub(crate) mod member;
pub(crate) mod output;
pub(crate) mod scoped;
pub(crate) mod wake;

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::error::JoinError;
use crate::id::Id;
use crate::record::Description;
use crate::unwind::drop_catching;

/// Returns true if a future or closure is so large that the function that takes it from the user
/// boxes it at once. Without optimization each function that it is passed through has a copy of it
/// on the stack, and if this is not asked in a `const` block, one for each branch.
pub const fn is_large<F>() -> bool {
    size_of::<F>() > 16 << 10
}

/// A task without the types of its future and output.
pub(crate) trait Task {
    /// Polls the future. `Ready` means that the output is in place.
    ///
    /// A panic of the poll, or of the future's drop after it, unwinds through. The scheduler
    /// catches it, in one place for all types, and passes it to [`fail`](Task::fail).
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Drops the contents and stores the panic of `poll` as the output. Never unwinds.
    fn fail(self: Pin<&mut Self>, id: Id, payload: Box<dyn Any + Send>);

    /// Drops the future, if it is not complete, and stores `error`, or the panic of that drop, as
    /// the output. Never unwinds.
    fn cancel(self: Pin<&mut Self>, id: Id, error: JoinError);

    /// Moves the output to `to`, an `Option<Result<T, JoinError>>`, and ends the task. Moves
    /// nothing if the task is not complete or `to` has another type.
    fn take_output(self: Pin<Box<Self>>, to: &mut dyn Any);

    /// Takes the output if it is a panic.
    fn take_panic(self: Pin<&mut Self>) -> Option<JoinError>;

    /// Returns the constant properties of the task.
    fn describe(&self) -> Description<'_>;
}

/// The name of a task. Tasks without one spend no memory on it.
pub(crate) trait Label {
    fn name(&self) -> Option<&str>;

    /// Returns the size of a future that has an allocation of its own; 0 for other futures.
    fn boxed_size(&self) -> usize {
        0
    }
}

/// The label of a task whose future is large and was boxed: `Pin<Box<F>>`.
pub(crate) struct Boxed<F, L>(L, PhantomData<fn() -> F>);

impl<F, L> Boxed<F, L> {
    pub(crate) fn new(label: L) -> Boxed<F, L> {
        Boxed(label, PhantomData)
    }
}

impl<F, L: Label> Label for Boxed<F, L> {
    fn name(&self) -> Option<&str> {
        self.0.name()
    }

    fn boxed_size(&self) -> usize {
        size_of::<F>()
    }
}

impl Label for () {
    fn name(&self) -> Option<&str> {
        None
    }
}

impl Label for Box<str> {
    fn name(&self) -> Option<&str> {
        Some(self)
    }
}

/// The allocation of a task.
pub(crate) struct TaskCell<F: Future, L> {
    spawned_at: &'static Location<'static>,
    label: L,
    /// Structurally pinned: it is never moved, and a future in it is dropped in place.
    stage: Stage<F>,
}

enum Stage<F: Future> {
    Running(F),
    /// `None` once the output was taken.
    Complete(Option<Result<F::Output, JoinError>>),
}

impl<F: Future, L: Label> TaskCell<F, L> {
    pub(crate) fn new(future: F, label: L, spawned_at: &'static Location<'static>) -> Self {
        TaskCell {
            spawned_at,
            label,
            stage: Stage::Running(future),
        }
    }

    /// Returns the future, until it is complete.
    fn future(self: Pin<&mut Self>) -> Option<Pin<&mut F>> {
        // SAFETY: the reference must not be used to move out of a pinned field. It is only matched.
        let cell = unsafe { self.get_unchecked_mut() };
        match &mut cell.stage {
            // SAFETY: the future must stay in place until it is dropped. It is structurally pinned
            // in the cell, which was pinned, and only `set_stage` replaces it, by a drop in place.
            Stage::Running(future) => Some(unsafe { Pin::new_unchecked(future) }),
            Stage::Complete(_) => None,
        }
    }

    /// Returns the output, once it is there.
    fn output(self: Pin<&mut Self>) -> Option<&mut Option<Result<F::Output, JoinError>>> {
        // SAFETY: the reference must not be used to move out of a pinned field. Only the output is
        // returned, which is not pinned.
        let cell = unsafe { self.get_unchecked_mut() };
        match &mut cell.stage {
            Stage::Running(_) => None,
            Stage::Complete(output) => Some(output),
        }
    }

    /// Drops the contents and puts an output in their place. Unwinds if the drop does; the output
    /// is in place then too.
    fn set_output(self: Pin<&mut Self>, output: Result<F::Output, JoinError>) {
        // SAFETY: the projection must not move the field, and the cell must have neither `Drop` nor
        // `Unpin` impls that do. It has none, and the closure only borrows the field.
        let mut stage = unsafe { self.map_unchecked_mut(|cell| &mut cell.stage) };
        stage.set(Stage::Complete(Some(output)));
    }

    /// Stores the output, or the panic of the future's drop in its place.
    fn complete(mut self: Pin<&mut Self>, id: Id, output: Result<F::Output, JoinError>) {
        let set = || self.as_mut().set_output(output);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(set)) {
            let error = self.panicked(id, payload);
            // This drops the output that the unwinding assignment has put there, and may panic too.
            let set = || self.as_mut().set_output(Err(error));
            drop_catching(catch_unwind(AssertUnwindSafe(set)));
        }
    }

    fn panicked(&self, id: Id, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError::panicked(id, self.label.name(), self.spawned_at, payload)
    }
}

impl<F, L> Task for TaskCell<F, L>
where
    F: Future + 'static,
    F::Output: 'static,
    L: Label,
{
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(future) = self.as_mut().future() {
            let output = ready!(future.poll(cx));
            self.set_output(Ok(output));
        }
        Poll::Ready(())
    }

    #[cold]
    fn fail(self: Pin<&mut Self>, id: Id, payload: Box<dyn Any + Send>) {
        let error = self.panicked(id, payload);
        self.complete(id, Err(error));
    }

    fn cancel(mut self: Pin<&mut Self>, id: Id, error: JoinError) {
        if self.as_mut().future().is_some() {
            let error = error.with_origin(self.label.name(), self.spawned_at);
            self.complete(id, Err(error));
        }
    }

    fn take_output(mut self: Pin<Box<Self>>, to: &mut dyn Any) {
        if let (Some(output), Some(to)) = (self.as_mut().output(), to.downcast_mut()) {
            mem::swap(output, to);
        }
    }

    fn take_panic(self: Pin<&mut Self>) -> Option<JoinError> {
        let output = self.output()?;
        match output {
            Some(Err(error)) if error.is_panic() => output.take()?.err(),
            _ => None,
        }
    }

    fn describe(&self) -> Description<'_> {
        Description {
            name: self.label.name(),
            spawned_at: self.spawned_at,
            size: self.label.boxed_size().max(size_of::<F>()),
        }
    }
}

/// Ends a complete task and returns its output.
pub(crate) fn take_output<T: 'static>(task: Pin<Box<dyn Task>>, id: Id) -> Result<T, JoinError> {
    let mut output = None;
    task.take_output(&mut output);
    output.unwrap_or_else(|| runtime_dropped(id))
}

/// Returns the output of a task that was dropped with its runtime.
#[cold]
pub(crate) fn runtime_dropped<T>(id: Id) -> Result<T, JoinError> {
    Err(JoinError::runtime_dropped(id))
}
