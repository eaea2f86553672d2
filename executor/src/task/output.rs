//! The delivery of an output to a join handle on another thread.
//!
//! Handle and task share an [`OutputCell`]. The scheduler holds its end of it as a [`RemoteJoin`],
//! which does not know the output's type. Whichever comes first, the output or the handle's drop,
//! decides whether the output is stored or dropped (checked with loom, below).

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::error::JoinError;
use crate::id::{Id, TaskKey};
use crate::record::{Awaiter, AwaiterOf};
use crate::sync::Mutex;
use crate::task::{Task, take_output};
use crate::unwind::{drop_catching, wake_catching};

/// A task or blocking job that was not spawned on the executor's thread, and can be aborted.
pub(crate) trait Abort {
    fn abort(self: Arc<Self>);
    /// Returns true if it is complete; false also if only the executor knows.
    fn is_finished(&self) -> bool;
    /// Returns the key by which the executor knows it.
    fn key(&self) -> Option<TaskKey> {
        None
    }
}

/// The place where the output of a task meets a join handle on another thread.
pub(crate) struct OutputCell<T>(Mutex<OutputState<T>>);

enum OutputState<T> {
    /// There is no output yet. Holds the waker of the handle, once it was polled.
    Waiting(Option<Waker>),
    Complete(Result<T, JoinError>),
    /// The output was taken, or the handle was dropped.
    Taken,
}

/// The result of [`OutputCell::complete`].
pub(crate) enum Completed {
    /// The output is in the cell. The caller must call the waker.
    Stored(Option<Waker>),
    /// The handle was dropped, and the output with it, unless it is a panic, which is now
    /// unhandled.
    Dropped(Option<JoinError>),
}

impl<T> OutputCell<T> {
    pub(crate) fn new() -> Arc<OutputCell<T>> {
        Arc::new(OutputCell(Mutex::new(OutputState::Waiting(None))))
    }

    /// Stores the output, or drops it if the handle was dropped or there is an output already.
    pub(crate) fn complete(&self, output: Result<T, JoinError>) -> Completed {
        let mut state = self.0.lock();
        if let OutputState::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = OutputState::Complete(output);
            return Completed::Stored(waker);
        }
        drop(state);
        Completed::Dropped(drop_output(output))
    }

    /// Drops the handle's end. Returns the panic that was in the cell.
    pub(crate) fn detach(&self) -> Option<JoinError> {
        let previous = mem::replace(&mut *self.0.lock(), OutputState::Taken);
        match previous {
            OutputState::Complete(output) => drop_output(output),
            previous => {
                drop_catching(previous);
                None
            }
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        !matches!(*self.0.lock(), OutputState::Waiting(_))
    }

    /// Returns the waker's number if the handle was polled by a task of an executor.
    pub(crate) fn joined_by(&self, awaiter_of: AwaiterOf<'_>) -> Option<Awaiter> {
        match &*self.0.lock() {
            OutputState::Waiting(Some(waker)) => awaiter_of(waker),
            _ => None,
        }
    }

    /// Takes the output, or stores the waker.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        {
            let mut state = self.0.lock();
            match &*state {
                OutputState::Waiting(Some(waker)) if waker.will_wake(cx.waker()) => {
                    return Poll::Pending;
                }
                OutputState::Waiting(_) => {}
                _ => return Poll::Ready(state.take_output()),
            }
        }
        // Foreign code: the lock is held neither for the clone nor for the drop of a waker.
        let waker = cx.waker().clone();
        let mut state = self.0.lock();
        let unused = match &mut *state {
            OutputState::Waiting(stored) => stored.replace(waker),
            _ => {
                let output = state.take_output();
                drop(state);
                drop(waker);
                return Poll::Ready(output);
            }
        };
        drop(state);
        drop(unused);
        Poll::Pending
    }
}

impl<T> OutputState<T> {
    fn take_output(&mut self) -> Result<T, JoinError> {
        match mem::replace(self, OutputState::Taken) {
            OutputState::Complete(output) => output,
            _ => unreachable!("a join handle does not poll its cell after completion"),
        }
    }
}

/// Drops an output, unless it is a panic.
fn drop_output<T>(output: Result<T, JoinError>) -> Option<JoinError> {
    match output {
        Err(error) if error.is_panic() => Some(error),
        output => {
            drop_catching(output);
            None
        }
    }
}

/// The scheduler's end of an [`OutputCell`]. If it is dropped before the task is complete, the
/// handle gets the error that the runtime was dropped.
pub(crate) struct RemoteJoin {
    id: Id,
    /// `None` once the cell is complete.
    cell: Option<Arc<dyn CompleteWith>>,
}

/// An [`OutputCell`] without the output's type.
trait CompleteWith {
    /// Moves the output of a complete task to the cell.
    fn complete_with(&self, task: Pin<Box<dyn Task>>, id: Id) -> Completed;
    /// Stores the error that the runtime was dropped.
    fn complete_dropped(&self, id: Id) -> Completed;
    /// Returns the number of the waker that awaits the output.
    fn joined_by(&self, awaiter_of: AwaiterOf<'_>) -> Option<Awaiter>;
}

impl<T: 'static> CompleteWith for OutputCell<T> {
    fn complete_with(&self, task: Pin<Box<dyn Task>>, id: Id) -> Completed {
        self.complete(take_output(task, id))
    }

    fn complete_dropped(&self, id: Id) -> Completed {
        self.complete(Err(JoinError::runtime_dropped(id)))
    }

    fn joined_by(&self, awaiter_of: AwaiterOf<'_>) -> Option<Awaiter> {
        OutputCell::joined_by(self, awaiter_of)
    }
}

// SAFETY: moving the cell to another thread must not move a `T` that is not Send there. The cell is
// shared with one `JoinHandle<T>`, which sends this to the thread of its executor, and an inbox is
// emptied and closed on that thread only. A handle that is not Send never leaves that thread.
unsafe impl Send for RemoteJoin {}

impl RemoteJoin {
    pub(crate) fn new<T: 'static>(id: Id, cell: Arc<OutputCell<T>>) -> RemoteJoin {
        RemoteJoin {
            id,
            cell: Some(cell),
        }
    }

    /// Moves the output of a complete task to the handle.
    pub(crate) fn complete(mut self, task: Pin<Box<dyn Task>>) -> Completed {
        match self.cell.take() {
            Some(cell) => cell.complete_with(task, self.id),
            None => unreachable!("only this function and the drop take the cell"),
        }
    }

    /// Returns the number of the waker that awaits the output.
    pub(crate) fn joined_by(&self, awaiter_of: AwaiterOf<'_>) -> Option<Awaiter> {
        self.cell.as_ref()?.joined_by(awaiter_of)
    }
}

impl Drop for RemoteJoin {
    #[inline(never)]
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            if let Completed::Stored(Some(waker)) = cell.complete_dropped(self.id) {
                wake_catching(waker);
            }
        }
    }
}

/// Models of the protocol, checked in every interleaving that loom explores. CONTRIBUTING.md says
/// how to run them.
#[cfg(all(test, loom))]
mod loom_tests {
    use std::future::ready;
    use std::panic::Location;
    use std::task::Wake;

    use loom::sync::atomic::{AtomicBool, Ordering};
    use loom::thread;

    use super::*;
    use crate::task::TaskCell;

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn poll_until_woken(cell: &OutputCell<u8>) -> Result<u8, JoinError> {
        loop {
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let waker = flag.clone().into();
            if let Poll::Ready(output) = cell.poll(&Context::from_waker(&waker)) {
                return output;
            }
            while !flag.0.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    }

    fn remote_join<T: 'static>(cell: &Arc<OutputCell<T>>) -> RemoteJoin {
        RemoteJoin::new(Id::new(0, 1), cell.clone())
    }

    /// Completes the cell, as a scheduler does.
    fn complete<T: 'static>(join: RemoteJoin, output: T) -> Completed {
        let mut task = Box::pin(TaskCell::new(ready(output), (), Location::caller()));
        let polled = Task::poll(task.as_mut(), &mut Context::from_waker(Waker::noop()));
        assert!(polled.is_ready());
        join.complete(task)
    }

    fn complete_and_wake<T: 'static>(join: RemoteJoin, output: T) {
        if let Completed::Stored(Some(waker)) = complete(join, output) {
            waker.wake();
        }
    }

    #[test]
    fn a_handle_on_another_thread_gets_the_output() {
        loom::model(|| {
            let cell = OutputCell::new();
            let join = remote_join(&cell);
            let task = thread::spawn(move || complete_and_wake(join, 7_u8));
            assert_eq!(poll_until_woken(&cell).unwrap(), 7);
            task.join().unwrap();
        });
    }

    #[test]
    fn a_handle_on_another_thread_gets_the_error_that_the_runtime_was_dropped() {
        loom::model(|| {
            let cell = OutputCell::<u8>::new();
            let join = remote_join(&cell);
            let runtime = thread::spawn(move || drop(join));
            assert!(poll_until_woken(&cell).unwrap_err().is_cancelled());
            runtime.join().unwrap();
        });
    }

    #[test]
    fn an_output_whose_handle_is_dropped_is_dropped_by_the_handle_or_by_the_task() {
        loom::model(|| {
            let counted = Arc::new(());
            let cell = OutputCell::<Arc<()>>::new();
            let join = remote_join(&cell);
            let output = counted.clone();
            let task = thread::spawn(move || {
                let completed = complete(join, output);
                matches!(completed, Completed::Dropped(_))
            });
            let polled = cell.poll(&Context::from_waker(Waker::noop()));
            if polled.is_pending() {
                assert!(cell.detach().is_none());
            }
            let dropped = task.join().unwrap();
            assert!(!(polled.is_ready() && dropped));
            drop(polled);
            assert_eq!(Arc::strong_count(&counted), 1);
        });
    }

    #[test]
    fn a_handle_that_is_polled_again_is_woken_by_the_last_waker() {
        loom::model(|| {
            let cell = OutputCell::<u8>::new();
            let join = remote_join(&cell);
            let task = thread::spawn(move || complete_and_wake(join, 7_u8));
            let polled = cell.poll(&Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(output) => assert_eq!(output.unwrap(), 7),
                Poll::Pending => assert_eq!(poll_until_woken(&cell).unwrap(), 7),
            }
            task.join().unwrap();
        });
    }
}
