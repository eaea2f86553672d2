//! The part of an executor that any thread may hold.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn, SpawnError};

use crate::blocking::{Class, Pool};
use crate::context;
use crate::error::NO_RUNTIME;
use crate::inbox::{Inbox, RemoteOp, RemoteTask};
use crate::job::{BlockingJob, Job};
use crate::join::JoinHandle;
use crate::scheduler::Scheduler;
use crate::task::output::{OutputCell, RemoteJoin};
use crate::task::{Boxed, Label, TaskCell, is_large};

thread_local! {
    /// On threads of a blocking pool, the runtime that they work for; on others, the handle that
    /// was entered.
    static POOL_HANDLE: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// A handle that spawns on a runtime from any thread.
///
/// It keeps nothing alive. After the runtime was dropped, a future that is spawned is dropped at
/// once, and its join handle returns an error.
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
pub struct Handle {
    inbox: Arc<Inbox>,
    pool: Arc<Pool>,
}

impl Handle {
    pub(crate) fn new(scheduler: &Scheduler) -> Handle {
        Handle {
            inbox: scheduler.inbox().clone(),
            pool: scheduler.pool().clone(),
        }
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
        match Handle::try_current() {
            Some(handle) => handle,
            None => panic!("Handle::current was called {NO_RUNTIME}"),
        }
    }

    /// Returns the handle of the runtime that this thread runs or works for, or `None` if it
    /// belongs to no runtime.
    ///
    /// # Examples
    /// ```
    /// assert!(runtime::Handle::try_current().is_none());
    /// ```
    pub fn try_current() -> Option<Handle> {
        let pool_handle = || {
            POOL_HANDLE
                .try_with(|handle| handle.borrow().clone())
                .ok()
                .flatten()
        };
        context::get()
            .map(|scheduler| Handle::new(&scheduler))
            .or_else(pool_handle)
    }

    /// Returns the name of the runtime, if it was given one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::builder().name("workers").build()?;
    /// assert_eq!(runtime.handle().name(), Some("workers"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.pool.executor_name()
    }

    /// Makes this handle the [current](Handle::current) one of a thread that belongs to no runtime,
    /// until the guard is dropped.
    ///
    /// In the meantime [`spawn_blocking`](crate::spawn_blocking) finds the runtime.
    /// [`spawn`](crate::spawn) does not, since its futures need not be `Send`: use
    /// [`Handle::spawn`]. On a thread that runs a runtime, that one stays the current one. Guards
    /// are dropped in the reverse order of their creation.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let handle = runtime::Handle::current();
    /// let other = std::thread::spawn(move || {
    ///     let _guard = handle.enter();
    ///     runtime::spawn_blocking(|| 6 * 7)
    /// });
    /// let job = other.join().unwrap();
    /// assert_eq!(job.await.unwrap(), 42);
    /// # });
    /// ```
    pub fn enter(&self) -> HandleGuard<'_> {
        HandleGuard {
            outer: POOL_HANDLE.with(|current| current.replace(Some(self.clone()))),
            _handle: PhantomData,
        }
    }

    /// Spawns a task from any thread. The task runs on the runtime's thread.
    ///
    /// On that thread the call does the same as [`spawn`](crate::spawn). On any other it sends the
    /// future there.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// let other = std::thread::spawn(move || handle.spawn(async { 6 * 7 }));
    /// let task = other.join().unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let spawned_at = Location::caller();
        if const { is_large::<F>() } {
            self.spawn_at(Box::pin(future), Boxed::<F, _>::new(()), spawned_at)
        } else {
            self.spawn_at(future, (), spawned_at)
        }
    }

    fn spawn_at<F, L>(
        &self,
        future: F,
        label: L,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        L: Label + Send + 'static,
    {
        if let Some(scheduler) = context::get_if(self.inbox.number()) {
            return JoinHandle::local(scheduler.spawn(future, label, spawned_at));
        }
        let id = self.inbox.next_remote_id();
        let cell = OutputCell::new();
        let remote = RemoteTask::new(id, self.inbox.clone());
        // The cell is completed in any case: by the task, or by the drop of the `RemoteJoin`.
        self.inbox.send(RemoteOp::Spawn {
            task: Box::pin(TaskCell::new(future, label, spawned_at)),
            remote: remote.clone(),
            join: RemoteJoin::new(id, cell.clone()),
        });
        JoinHandle::remote(id, cell, remote)
    }

    /// Runs a closure on the runtime's thread as a task, even if the call is made on that thread.
    ///
    /// The closure can use values of that thread that are not `Send`: those in thread-locals, and
    /// those that it creates and moves into a task that it [spawns](crate::spawn). The closure must
    /// not block.
    ///
    /// # Examples
    /// A future that is not `Send`, spawned from another thread:
    /// ```
    /// use std::rc::Rc;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// let other = std::thread::spawn(move || {
    ///     handle.spawn_fn(|| {
    ///         let state = Rc::new(7); // is made on that thread, and stays there
    ///         runtime::spawn(async move { println!("{state}") });
    ///     })
    /// });
    /// let spawned = other.join().unwrap();
    /// runtime.block_on(spawned).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_fn<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn(async move { closure() })
    }

    /// Runs a closure that blocks on a thread of the blocking pool. See
    /// [`spawn_blocking`](crate::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if const { is_large::<F>() } {
            self.submit(Box::new(closure), Class::Cancelable, "")
        } else {
            self.submit(closure, Class::Cancelable, "")
        }
    }

    /// Like [`spawn_blocking`](Handle::spawn_blocking), for an operation with a name.
    #[track_caller]
    pub(crate) fn spawn_blocking_named<F, T>(&self, name: &'static str, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.submit(closure, Class::Cancelable, name)
    }

    /// Like [`spawn_blocking`](Handle::spawn_blocking), for a closure that must run: closing the
    /// executor waits for it. If no thread can be started or the executor is closed, it runs on the
    /// thread that calls this.
    #[track_caller]
    pub(crate) fn spawn_mandatory_blocking<F, T>(
        &self,
        name: &'static str,
        closure: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.submit(closure, Class::Mandatory, name)
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Returns the pool.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    #[track_caller]
    fn submit<F, T>(&self, closure: F, class: Class, name: &'static str) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let id = self.inbox.next_remote_id();
        let cell = OutputCell::new();
        let job = BlockingJob::new(id, name, closure, self.inbox.clone(), cell.clone());
        self.submit_job(job.clone(), class);
        JoinHandle::remote(id, cell, job)
    }

    /// Queues a job. Contains what would otherwise be compiled for each type of closure.
    fn submit_job(&self, job: Arc<dyn Job>, class: Class) {
        let handle = self.clone();
        self.pool.submit(job, class, || {
            POOL_HANDLE.with(|pool_handle| pool_handle.replace(Some(handle)));
        });
    }
}

/// A guard during whose life a handle is the thread's current one. Created by [`Handle::enter`].
#[derive(Debug)]
#[must_use = "the handle is left when the guard is dropped"]
pub struct HandleGuard<'a> {
    outer: Option<Handle>,
    /// Not `Send`: the handle is that of this thread.
    _handle: PhantomData<(&'a Handle, *const ())>,
}

impl Drop for HandleGuard<'_> {
    fn drop(&mut self) {
        let outer = self.outer.take();
        // There is nothing to restore while the thread is torn down.
        let _ = POOL_HANDLE.try_with(|current| current.replace(outer));
    }
}

// After a panic its state is as valid as before: no user code runs while that state changes.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("executor", &self.inbox.number())
            .finish()
    }
}

impl Spawn for Handle {
    /// Spawns a detached task from any thread.
    ///
    /// # Errors
    /// None. A closed executor drops the future.
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        drop(self.spawn(future));
        Ok(())
    }
}

impl LocalSpawn for Handle {
    /// Spawns a detached task on the executor's own thread.
    ///
    /// # Errors
    /// Returns `SpawnError::shutdown` on any other thread.
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        let scheduler = context::get_if(self.inbox.number()).ok_or_else(SpawnError::shutdown)?;
        let key = scheduler.spawn(future, (), Location::caller());
        drop(JoinHandle::<()>::local(key));
        Ok(())
    }
}
