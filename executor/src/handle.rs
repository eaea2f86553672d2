//! What any thread may hold of an executor.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn, SpawnError};

use crate::blocking::Pool;
use crate::context;
use crate::id::{Id, TaskKey};
use crate::inbox::{Inbox, RemoteOp};
use crate::join::{Abort, JoinHandle, OutputCell};
use crate::task::RemoteJoin;

/// Reaches an executor from anywhere: `Clone`, `Send` and `Sync`.
///
/// It keeps nothing alive. When the executor is gone, what it spawns is dropped at once, and the
/// join handle says that it was cancelled.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// let handle = runtime_executor::Handle::current();
/// // On another thread; what comes back is awaited here.
/// let there = std::thread::spawn(move || handle.spawn(async { 6 * 7 }));
/// let task = there.join().unwrap();
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
#[derive(Clone)]
pub struct Handle {
    inbox: Arc<Inbox>,
    pool: Arc<Pool>,
}

impl Handle {
    pub(crate) fn new(inbox: Arc<Inbox>, pool: Arc<Pool>) -> Handle {
        Handle { inbox, pool }
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// The executor that this thread runs, or, in a blocking job, the one it was spawned on.
    ///
    /// # Panics
    /// On other threads; see [`try_current`](Handle::try_current).
    #[track_caller]
    pub fn current() -> Handle {
        match Handle::try_current() {
            Some(handle) => handle,
            None => panic!("Handle::current was called {NO_RUNTIME}"),
        }
    }

    /// As [`current`](Handle::current), and `None` where that panics.
    pub fn try_current() -> Option<Handle> {
        context::handle()
    }

    /// Spawns a task from any thread. It runs on the executor's thread, like every other one.
    ///
    /// On that thread it is [`spawn`](crate::spawn); elsewhere the future goes there by mail.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let at = Location::caller();
        if let Some(scheduler) = context::get_if(self.inbox.number) {
            return scheduler.spawn(future, (), at);
        }
        let serial = self.inbox.next_remote_serial();
        let id = Id::new(self.inbox.number, serial);
        let cell = OutputCell::new();
        // Whatever becomes of the letter, the cell is completed: by the task or by the remote_join's drop.
        let remote_join = RemoteJoin::new(id, cell.clone());
        let posted = Arc::new(RemoteTask {
            inbox: self.inbox.clone(),
            key: OnceLock::new(),
        });
        let arrived = posted.clone();
        let op: RemoteOp = Box::new(move |scheduler| {
            let key = scheduler.spawn_numbered(future, (), at, Some(serial));
            let _ = arrived.key.set(key);
            scheduler.send_output(key, remote_join);
        });
        self.inbox.send(op);
        JoinHandle::remote(id, posted, cell)
    }

    /// Runs a closure on the executor's thread, as a task: in its turn, also when it is called on
    /// that very thread.
    ///
    /// This is how another thread reaches what lives on that one and is not `Send`: the closure
    /// brings it nothing but itself, and finds there what it needs, in a thread-local or by
    /// [spawning](crate::spawn) what it makes. It must not block.
    ///
    /// # Examples
    /// A future that is not `Send`, started from another thread:
    /// ```
    /// # use runtime_executor::{Executor, Config, ThreadPark};
    /// # let executor = Executor::new(ThreadPark::new().unparker(), Config::new()).unwrap();
    /// # let _entered = executor.enter();
    /// # let handle = executor.handle().clone();
    /// use std::rc::Rc;
    ///
    /// let other = std::thread::spawn(move || {
    ///     handle.spawn_fn(|| {
    ///         let state = Rc::new(7); // made there, and stays there
    ///         drop(runtime_executor::spawn(async move { *state }));
    ///     })
    /// });
    /// # let ran = other.join().unwrap();
    /// # for _ in 0..3 { executor.run_ready(); }
    /// # assert!(ran.is_finished());
    /// ```
    #[track_caller]
    pub fn spawn_fn<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn(async move { closure() })
    }

    /// Runs a blocking job on the pool. See [`spawn_blocking`](crate::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let id = Id::new(self.inbox.number, self.inbox.next_remote_serial());
        Pool::spawn(&self.pool, self, id, job)
    }

    pub(crate) fn has_blocking_threads(&self) -> bool {
        self.pool.has_threads()
    }

    /// Lets nothing in any more, and gives out the ops that came before.
    pub(crate) fn close(&self) -> Vec<RemoteOp> {
        self.pool.close();
        self.inbox.close()
    }
}

/// How the panics of this crate end that are about a missing runtime.
pub(crate) const NO_RUNTIME: &str = "outside a runtime: no runtime drives this thread. Call it inside \
     #[runtime::main], Runtime::block_on or a task, or pass a Handle here";

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("executor", &self.inbox.number)
            .finish()
    }
}

impl Spawn for Handle {
    /// From any thread; the task is detached.
    ///
    /// # Errors
    /// None: what a closed executor is given is dropped.
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        drop(self.spawn(future));
        Ok(())
    }
}

impl LocalSpawn for Handle {
    /// On the executor's own thread only; the task is detached.
    ///
    /// # Errors
    /// `SpawnError::shutdown` on any other thread.
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        let scheduler = context::get_if(self.inbox.number).ok_or_else(SpawnError::shutdown)?;
        drop(scheduler.spawn(future, (), Location::caller()));
        Ok(())
    }
}

/// A task posted from another thread: its key is known once the letter has arrived.
struct RemoteTask {
    inbox: Arc<Inbox>,
    key: OnceLock<TaskKey>,
}

impl Abort for RemoteTask {
    fn abort(self: Arc<Self>) {
        let inbox = self.inbox.clone();
        inbox.send(Box::new(move |scheduler| {
            // Messages arrive in order, so the task is there.
            if let Some(key) = self.key.get() {
                scheduler.abort(*key);
            }
        }));
    }
}
