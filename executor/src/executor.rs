//! What its owner holds of the executor.

use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::{fmt, io};

use crate::config::Config;
use crate::context::{self, EnterGuard};
use crate::handle::Handle;
use crate::join::JoinHandle;
use crate::park::{ParkMode, Unpark};
use crate::scheduler::Scheduler;
use crate::task::WakerId;

/// Polls tasks. One a thread; it never blocks, and knows nothing of what wakes them.
///
/// Its owner calls [`run_ready`](Executor::run_ready) and parks the thread in between; see
/// [`Park`](crate::Park) for that half.
///
/// # Examples
/// ```
/// use runtime_executor::{Executor, Config, Park, ThreadPark};
///
/// # fn main() -> std::io::Result<()> {
/// let park = ThreadPark::new();
/// let executor = Executor::new(park.unparker(), Config::default())?;
/// let _entered = executor.enter();
/// let answer = runtime_executor::spawn(async { 42 });
/// let mut polled = executor.run_ready();
/// while !answer.is_finished() {
///     park.park(executor.park_mode(polled));
///     polled = executor.run_ready();
/// }
/// # Ok(())
/// # }
/// ```
pub struct Executor {
    scheduler: Rc<Scheduler>,
}

impl Executor {
    /// Makes an executor for the calling thread.
    ///
    /// # Errors
    /// If there are 4,096 of them in the process already (32 where pointers have 32 bits).
    pub fn new(unparker: Arc<dyn Unpark>, config: Config) -> io::Result<Executor> {
        Ok(Executor {
            scheduler: Rc::new(Scheduler::new(unparker, config)?),
        })
    }

    /// Makes this the executor of the calling thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard {
        context::enter(self.scheduler.clone())
    }

    /// Whether some executor is entered on this thread.
    pub fn is_entered() -> bool {
        context::get().is_some()
    }

    /// Spawns a task. See [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.scheduler.spawn(future, (), Location::caller())
    }

    /// What other threads use to spawn tasks here, and blocking jobs.
    pub fn handle(&self) -> &Handle {
        self.scheduler.handle()
    }

    /// Does what other threads asked for, then polls each task that was ready at that point once,
    /// first come first served. What these wake, themselves included, is for the next batch. Says
    /// how many were polled.
    ///
    /// # Panics
    /// Never because of a task, unless the [`PanicPolicy`] says so; then what was not polled yet is
    /// polled by the next call.
    pub fn run_ready(&self) -> usize {
        let scheduler = &self.scheduler;
        scheduler.drain_inbox();
        let batch = scheduler.ready();
        let polled = (0..batch).filter(|_| scheduler.run_next()).count();
        scheduler.raise_panic();
        polled
    }

    /// Whether there is anything to do: a task or the root future to run, or something that other
    /// threads have asked for. The owner was unparked for the latter, but may have used that up by
    /// parking twice without [`run_ready`](Executor::run_ready) in between.
    pub fn has_work(&self) -> bool {
        self.scheduler.has_root_wake() || self.has_ready_tasks()
    }

    /// Returns how to [park](crate::Park::park) after `polled` futures were polled: may block unless
    /// the executor [has work](Executor::has_work).
    pub fn park_mode(&self, polled: usize) -> ParkMode {
        if self.has_work() {
            ParkMode::Yield { polled }
        } else {
            ParkMode::Block
        }
    }

    /// As [`has_work`](Executor::has_work), for an owner without a root future.
    pub fn has_ready_tasks(&self) -> bool {
        self.scheduler.ready() != 0 || self.scheduler.has_messages()
    }

    /// A waker for the one future that the owner polls itself.
    pub fn root_waker(&self) -> Waker {
        WakerId::new(self.scheduler.number(), WakerId::ROOT, 0).waker()
    }

    /// Whether the [`root_waker`](Executor::root_waker) was woken since the last call.
    pub fn take_root_wake(&self) -> bool {
        self.scheduler.take_root_wake()
    }

    /// How many tasks there are: those that have not finished, and those whose output has not been
    /// taken.
    pub fn task_count(&self) -> usize {
        self.scheduler.task_count()
    }

    /// How many times a task was polled.
    pub fn poll_count(&self) -> u64 {
        self.scheduler.poll_count()
    }

    /// Whether there are threads for blocking jobs, idle ones too, or may be: in a child of fork(2),
    /// whether there were any, whose locks and jobs nobody will end.
    pub fn has_blocking_threads(&self) -> bool {
        self.scheduler.handle().has_blocking_threads()
    }

    /// Whether it was [closed](Executor::close), by its owner or by the [`PanicPolicy`].
    pub fn is_closed(&self) -> bool {
        self.scheduler.is_closed()
    }

    /// Drops all tasks, in the order in which they were spawned, those that came from other threads
    /// last. From now on nothing can be spawned: such a future is dropped at once, and its handle
    /// says that it was cancelled. Blocking jobs that have not begun are cancelled; nobody waits for
    /// the others.
    ///
    /// Dropping the executor does this too, without it being [entered](Executor::enter).
    pub fn close(&self) {
        self.scheduler.close();
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.scheduler.close();
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("number", &self.scheduler.number())
            .field("tasks", &self.task_count())
            .field("ready", &self.scheduler.ready())
            .finish_non_exhaustive()
    }
}
