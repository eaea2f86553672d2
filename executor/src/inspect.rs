//! A look at an executor from outside: by its owner on its thread, and by messages from others.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::context;
use crate::error::JoinError;
use crate::executor::Executor;
use crate::handle::Handle;
use crate::id::Id;
use crate::inbox::{RemoteCall, RemoteOp};
use crate::record::{Counts, JobCounts, JobRecord, TaskRecord, WakerNumber};
use crate::scheduler::Scheduler;
use crate::task::member;
use crate::task::output::{Completed, OutputCell};
use crate::unwind::wake_catching;

/// An executor that is looked at on its own thread. No method runs foreign code.
#[derive(Debug)]
pub struct Inspection(Rc<Scheduler>);

impl Inspection {
    /// Looks at the executor of this thread. Returns `None` if there is none.
    pub fn current() -> Option<Inspection> {
        context::get_entered().map(Inspection)
    }

    /// Looks at the executor of `handle`. Returns `None` on other threads than its own.
    pub fn of(handle: &Handle) -> Option<Inspection> {
        let number = handle.inbox().number();
        let scheduler = context::get_if(number).or_else(|| context::own(number));
        scheduler.map(Inspection)
    }

    /// Returns a record of every task, in the order of their slots.
    pub fn tasks(&self) -> Vec<TaskRecord> {
        self.0.records(&member::awaiter_of)
    }

    /// Returns the number of tasks that are not complete. O(n).
    pub fn live_count(&self) -> usize {
        self.0.live_count()
    }

    /// Returns a record of every blocking job that is running or queued.
    pub fn jobs(&self) -> Vec<JobRecord> {
        self.0.pool().records(&member::awaiter_of)
    }

    /// Returns the counts of the blocking pool.
    pub fn job_counts(&self) -> JobCounts {
        self.0.pool().counts()
    }

    /// Returns the executor's counts.
    pub fn counts(&self) -> Counts {
        self.0.counts()
    }

    /// Returns the name of the executor.
    pub fn name(&self) -> Option<&str> {
        self.0.pool().executor_name()
    }

    /// Returns the waker number of the root future.
    pub fn root(&self) -> WakerNumber {
        WakerNumber::root(self.0.number())
    }

    /// Returns the task that is being polled.
    pub fn running(&self) -> Option<Id> {
        self.0.running()
    }

    /// Returns what the owner has [attached](attach).
    pub fn attachment(&self) -> Option<&Rc<dyn Any>> {
        self.0.attachment()
    }
}

/// Rejects the tasks that other threads spawn from now on.
pub fn refuse_spawns(executor: &Executor) {
    executor.scheduler().refuse_spawns();
}

/// Waits until no blocking job runs or is queued, at most for `limit`.
pub fn wait_for_jobs(executor: &Executor, limit: Duration) {
    executor.scheduler().pool().wait_until_idle(limit);
}

/// Returns true if no blocking job runs or is queued. Otherwise unparks the executor once none
/// does.
pub fn is_idle_or_unpark(handle: &Handle) -> bool {
    handle.pool().is_idle_or_unpark(handle.inbox())
}

/// Keeps a value with an executor, for [`Inspection::attachment`]. The first one stays.
pub fn attach(executor: &Executor, attachment: Rc<dyn Any>) {
    executor.scheduler().attach(attachment);
}

/// Calls a closure on the thread of an executor: at once on that thread, otherwise when the
/// executor next handles its messages. The closure must neither block nor panic.
pub fn call<T, F>(handle: &Handle, closure: F) -> Call<T>
where
    T: Send + 'static,
    F: FnOnce(&Inspection) -> T + Send + 'static,
{
    if let Some(inspection) = Inspection::of(handle) {
        return Call(Answer::Here(Some(closure(&inspection))));
    }
    let cell = OutputCell::new();
    let request = Request {
        handle: handle.clone(),
        closure: Some(closure),
        cell: cell.clone(),
    };
    handle.inbox().send(RemoteOp::Call(Box::new(request)));
    Call(Answer::Elsewhere(cell))
}

/// The output of a closure that [`call`] has sent.
pub struct Call<T>(Answer<T>);

enum Answer<T> {
    /// The closure was called on this thread; `None` once its output was taken.
    Here(Option<T>),
    Elsewhere(Arc<OutputCell<T>>),
}

impl<T> Future for Call<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        match &mut self.0 {
            Answer::Here(output) => match output.take() {
                Some(output) => Poll::Ready(Ok(output)),
                None => panic!("a request to a runtime was polled after completion"),
            },
            Answer::Elsewhere(cell) => cell.poll(cx),
        }
    }
}

impl<T> Unpin for Call<T> {}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// A closure on its way to an executor.
struct Request<F, T> {
    handle: Handle,
    /// `None` once it was called.
    closure: Option<F>,
    cell: Arc<OutputCell<T>>,
}

impl<F, T> Request<F, T> {
    fn complete(&self, output: Result<T, JoinError>) {
        if let Completed::Stored(Some(waker)) = self.cell.complete(output) {
            wake_catching(waker);
        }
    }
}

impl<F, T> RemoteCall for Request<F, T>
where
    F: FnOnce(&Inspection) -> T,
{
    fn run(mut self: Box<Self>) {
        if let Some(inspection) = Inspection::of(&self.handle) {
            if let Some(closure) = self.closure.take() {
                self.complete(Ok(closure(&inspection)));
            }
        }
    }
}

impl<F, T> Drop for Request<F, T> {
    fn drop(&mut self) {
        if self.closure.is_some() {
            let id = self.handle.inbox().next_remote_id();
            self.complete(Err(JoinError::runtime_dropped(id)));
        }
    }
}
