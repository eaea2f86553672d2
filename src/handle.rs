//! The handle of a runtime: that of its executor, and what the reactor adds.

use std::fmt;
use std::ops::Deref;

use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn, SpawnError};

use crate::insight::{self, Metrics, Request, TaskList};

/// A handle that reaches a runtime from any thread.
///
/// It keeps nothing alive. After the runtime was dropped, a future that is spawned is dropped at
/// once, and its join handle returns an error.
///
/// Most methods are those of the [executor's handle](runtime_executor::Handle), which are listed
/// below.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let handle = runtime::Handle::current();
/// // Spawns from another thread; the output is awaited on this one.
/// let other = std::thread::spawn(move || handle.spawn(async { 6 * 7 }));
/// let task = other.join().unwrap();
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
#[derive(Clone)]
pub struct Handle(runtime_executor::Handle);

impl Handle {
    pub(crate) fn new(executor: runtime_executor::Handle) -> Handle {
        Handle(executor)
    }

    /// Returns the handle of the runtime that this thread runs, or, in a blocking job, of the one
    /// it was spawned on.
    ///
    /// # Panics
    /// Panics on all other threads. [`try_current`](Handle::try_current) returns `None` there.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let handle = runtime::Handle::current();
    /// assert_eq!(handle.spawn(async { 7 }).await.unwrap(), 7);
    /// # });
    /// ```
    #[track_caller]
    pub fn current() -> Handle {
        Handle(runtime_executor::Handle::current())
    }

    /// Returns the handle of the runtime that this thread runs or works for, or `None` if it
    /// belongs to no runtime.
    ///
    /// # Examples
    /// ```
    /// assert!(runtime::Handle::try_current().is_none());
    /// ```
    pub fn try_current() -> Option<Handle> {
        runtime_executor::Handle::try_current().map(Handle)
    }

    /// Requests the list of all tasks, each with what it waits for.
    ///
    /// On the runtime's own thread the request is complete at once;
    /// [`task::all`](crate::task::all) returns the same list. On other threads the request is
    /// awaited, or [waited for](Request::wait) with a limit.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let tasks = runtime::Handle::current().tasks().await?;
    /// println!("{tasks}");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn tasks(&self) -> Request<TaskList> {
        insight::request_tasks(&self.0)
    }

    /// Requests the counters of the runtime.
    ///
    /// On the runtime's own thread the request is complete at once. On other threads it is awaited,
    /// or [waited for](Request::wait) with a limit.
    ///
    /// # Complexity
    /// O(1), with two system calls on the runtime's thread.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let metrics = runtime::Handle::current().metrics().await?;
    /// println!("{metrics}");
    /// assert_eq!(metrics.polls, 0); // the future of block_on is no task
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn metrics(&self) -> Request<Metrics> {
        insight::request_metrics(&self.0)
    }
}

impl Deref for Handle {
    type Target = runtime_executor::Handle;

    fn deref(&self) -> &runtime_executor::Handle {
        &self.0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Spawn for Handle {
    /// Spawns a detached task from any thread.
    ///
    /// # Errors
    /// None. A runtime that was dropped drops the future.
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.0.spawn_obj(future)
    }
}

impl LocalSpawn for Handle {
    /// Spawns a detached task on the runtime's own thread.
    ///
    /// # Errors
    /// Returns `SpawnError::shutdown` on any other thread.
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.0.spawn_local_obj(future)
    }
}
