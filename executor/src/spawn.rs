//! The functions that spawn on the runtime of this thread.

use std::future::Future;
use std::panic::Location;
use std::rc::Rc;

use crate::context;
use crate::error::{NO_RUNTIME, THREAD_ENDS};
use crate::handle::Handle;
use crate::join::JoinHandle;
use crate::scheduler::Scheduler;
use crate::task::{Boxed, Label, is_large};

/// Spawns a task on the runtime of this thread. The future need not be `Send`.
///
/// The task is polled for the first time in the next batch, after all tasks that are ready now.
/// Dropping the [`JoinHandle`] detaches it.
///
/// # Panics
/// Panics if no runtime runs on this thread, and in the destructors of thread-local values, where
/// no runtime can be entered. A [`Handle`] spawns in both cases; if its runtime was dropped, it
/// drops the future, and the join handle returns an error.
///
/// # Complexity
/// O(1), with one allocation, which holds the future and later its output. A future of more than
/// 16 KiB has an allocation of its own, and is moved there first.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// use std::rc::Rc;
///
/// let shared = Rc::new(42); // need not be `Send`
/// let task = runtime::spawn({
///     let shared = shared.clone();
///     async move { *shared }
/// });
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    if const { is_large::<F>() } {
        spawn_labeled(Box::pin(future), Boxed::<F, _>::new(()), "spawn")
    } else {
        spawn_labeled(future, (), "spawn")
    }
}

#[track_caller]
#[inline]
fn spawn_labeled<F, L>(future: F, label: L, operation: &str) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
    L: Label + 'static,
{
    let scheduler = current_scheduler(operation);
    JoinHandle::local(scheduler.spawn(future, label, Location::caller()))
}

/// Runs a closure that blocks on a thread of the blocking pool.
///
/// The pool starts a thread if none is idle and the limit allows it; otherwise the job is queued.
/// Await the handle for the output. A job that has begun cannot be aborted.
///
/// # Panics
/// Panics if this thread belongs to no runtime: it neither runs one nor is in the pool of one.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let sum = runtime::spawn_blocking(|| (1..=1_000_u64).sum::<u64>());
/// assert_eq!(sum.await.unwrap(), 500_500);
/// # });
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(closure: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let Some(handle) = Handle::try_current() else {
        panic!("spawn_blocking was called {NO_RUNTIME}");
    };
    if const { is_large::<F>() } {
        handle.spawn_blocking(Box::new(closure))
    } else {
        handle.spawn_blocking(closure)
    }
}

/// The name of the operation in its panic message.
const BUILDER_SPAWN: &str = "task::Builder::spawn";

/// A builder of tasks with a name.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let task = runtime::task::Builder::new()
///     .name("accept")
///     .spawn(async { panic!("no descriptor left") });
/// let error = task.await.map(|()| ()).unwrap_err();
/// assert!(error.to_string().contains("\"accept\""));
/// # });
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is spawned until `spawn` is called"]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// Returns a builder that spawns as [`spawn`](crate::spawn) does.
    pub fn new() -> Builder<'a> {
        Builder::default()
    }

    /// Sets the task's name, which messages about it contain.
    pub fn name(self, name: &'a str) -> Builder<'a> {
        Builder { name: Some(name) }
    }

    /// Spawns a task on the runtime of this thread.
    ///
    /// # Panics
    /// Panics if no runtime runs on this thread.
    ///
    /// # Complexity
    /// O(1), with one allocation, and one for the name.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let name = self.name.map(Box::<str>::from);
        if const { is_large::<F>() } {
            let future = Box::pin(future);
            match name {
                Some(name) => spawn_labeled(future, Boxed::<F, _>::new(name), BUILDER_SPAWN),
                None => spawn_labeled(future, Boxed::<F, _>::new(()), BUILDER_SPAWN),
            }
        } else {
            match name {
                Some(name) => spawn_labeled(future, name, BUILDER_SPAWN),
                None => spawn_labeled(future, (), BUILDER_SPAWN),
            }
        }
    }
}

#[track_caller]
fn current_scheduler(operation: &str) -> Rc<Scheduler> {
    match context::get() {
        Some(scheduler) => scheduler,
        None if context::is_torn_down() => panic!("{operation} was called {THREAD_ENDS}"),
        None => panic!("{operation} was called {NO_RUNTIME}"),
    }
}
