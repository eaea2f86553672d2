//! The executor, as its owner uses it.

use std::future::Future;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::{fmt, io};

use crate::config::Config;
use crate::context::{self, EnterGuard, GuestGuard};
use crate::handle::Handle;
use crate::join::JoinHandle;
use crate::observe::{Observe, Watch};
use crate::park::{ParkMode, Unpark};
use crate::scheduler::Scheduler;
use crate::task::{Boxed, is_large, wake};
use crate::waker_id::WakerId;

/// A single-threaded executor: it polls tasks and never blocks.
///
/// Its owner calls [`run_ready`](Executor::run_ready) and, between two calls,
/// [`park`](crate::Park::park).
///
/// # Examples
/// ```
/// use runtime_executor::{Config, Executor, Park, ThreadPark};
///
/// # fn main() -> std::io::Result<()> {
/// let park = ThreadPark::new();
/// let executor = Executor::new(park.unparker(), Config::new())?;
/// let _guard = executor.enter();
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
    handle: Handle,
}

impl Executor {
    /// Creates an executor for the calling thread.
    ///
    /// # Errors
    /// - Returns `InvalidInput` if the configured thread name has a NUL in it.
    /// - Returns an error of kind `Other` if the process has 4,096 executors already (32 on targets
    ///   with 32-bit pointers).
    pub fn new(unparker: Arc<dyn Unpark>, config: Config) -> io::Result<Executor> {
        let scheduler = Rc::new(Scheduler::new(unparker, config)?);
        context::add_own(&scheduler);
        let handle = Handle::new(&scheduler);
        Ok(Executor { scheduler, handle })
    }

    /// Makes this executor the current one of the calling thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard {
        context::enter(self.scheduler.clone())
    }

    /// Makes this executor the current one of the calling thread whenever no other is entered,
    /// until the guard is dropped. This is for an owner that is a guest in another event loop,
    /// which runs futures of its own.
    ///
    /// The owner enters the executor for its own turns alone. In between, [`spawn`](crate::spawn)
    /// and [`Handle::current`] find this executor and unpark the owner, and wakes are sent to the
    /// inbox as from another thread. So nothing waits unnoticed in the run queue.
    pub fn enter_as_guest(&self) -> GuestGuard {
        context::enter_as_guest(self.scheduler.clone())
    }

    /// Returns true if an executor is entered on the calling thread.
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
        let spawned_at = Location::caller();
        JoinHandle::local(if const { is_large::<F>() } {
            let label = Boxed::<F, _>::new(());
            self.scheduler.spawn(Box::pin(future), label, spawned_at)
        } else {
            self.scheduler.spawn(future, (), spawned_at)
        })
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Returns the handle that other threads spawn with.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Handles the messages of other threads, then polls each task that is ready once, in the order
    /// in which they became ready. Tasks that are woken in the meantime run in the next batch.
    /// Returns the number of tasks that were polled.
    ///
    /// # Panics
    /// Panics with the panic of a detached task if the [`PanicPolicy`](crate::PanicPolicy) says so.
    pub fn run_ready(&self) -> usize {
        self.run_batch(&())
    }

    #[inline]
    fn run_batch(&self, watch: &impl Watch) -> usize {
        let scheduler = &self.scheduler;
        scheduler.drain_inbox();
        let batch = scheduler.scheduled();
        let polled = (0..batch).filter(|_| scheduler.run_next(watch)).count();
        scheduler.raise_panic();
        polled
    }

    /// Returns true if there is anything to do: a task or the root future to poll, or a message of
    /// another thread.
    pub fn has_work(&self) -> bool {
        self.scheduler.has_root_wake() || self.has_ready_tasks()
    }

    /// Returns the mode in which to [park](crate::Park::park) after `polled` futures were polled:
    /// the thread may block unless the executor [has work](Executor::has_work). The [charged
    /// polls](Executor::take_charged_polls) are added to `polled`.
    pub fn park_mode(&self, polled: usize) -> ParkMode {
        if self.has_work() {
            let polled = polled.saturating_add(self.take_charged_polls());
            ParkMode::Yield { polled }
        } else {
            ParkMode::Block
        }
    }

    /// Returns true if there is a task to poll or a message of another thread. Ignores the root
    /// future.
    pub fn has_ready_tasks(&self) -> bool {
        self.scheduler.scheduled() != 0 || self.scheduler.has_messages()
    }

    /// Returns a waker for the root future: the one that the owner polls itself.
    pub fn root_waker(&self) -> Waker {
        let id = WakerId::new(self.scheduler.number(), WakerId::ROOT, 0);
        wake::waker(id)
    }

    /// Returns true if the [`root_waker`](Executor::root_waker) was woken since the last call.
    pub fn take_root_wake(&self) -> bool {
        self.scheduler.take_root_wake()
    }

    /// Returns the number of tasks that are not complete, or whose output was not taken.
    pub fn task_count(&self) -> usize {
        self.scheduler.task_count()
    }

    /// Returns the number of polls of tasks so far.
    pub fn poll_count(&self) -> u64 {
        self.scheduler.poll_count()
    }

    /// Returns the number of polls to be charged since the last call for futures that used up
    /// their budget: 128 each. They have completed many operations in one poll, so the owner should
    /// look for events as if many tasks had been polled.
    pub fn take_charged_polls(&self) -> usize {
        self.scheduler.budget().take_charged()
    }

    /// Returns true if the blocking pool has threads, idle ones included. In a child of fork(2):
    /// returns true if it may have had threads, whose locks and jobs are then lost.
    pub fn has_blocking_threads(&self) -> bool {
        self.scheduler.pool().has_threads()
    }

    /// Returns true if the executor was [closed](Executor::close), by its owner or by the
    /// [`PanicPolicy`](crate::PanicPolicy).
    pub fn is_closed(&self) -> bool {
        self.scheduler.is_closed()
    }

    /// Closes the executor: drops all tasks, in the order in which they were spawned, those of
    /// other threads last.
    ///
    /// From then on a future that is spawned is dropped at once, and its handle returns an error.
    /// If its destructor spawns another one, that is dropped next. A chain of more than 100,000 of
    /// them is taken to have no end: the rest is leaked, and a line on standard error says so.
    /// Blocking jobs that have not begun are canceled. Those that have begun are not waited for.
    /// Jobs of [`spawn_mandatory_blocking`](crate::internal::spawn_mandatory_blocking) are neither
    /// canceled nor left behind: this waits until they have run.
    ///
    /// Dropping the executor closes it too, but does not [enter](Executor::enter) it.
    pub fn close(&self) {
        self.scheduler.close();
    }

    /// Closes the blocking pool without waiting for its jobs, in a child of fork(2): the threads,
    /// and with them the jobs, exist in the parent only.
    pub fn forget_blocking_jobs(&self) {
        self.scheduler.forget_pool();
    }
}

/// Runs a batch as [`run_ready`](Executor::run_ready) does, and reports its polls to an observer.
pub fn run_ready_observed(executor: &Executor, observer: &dyn Observe) -> usize {
    executor.run_batch(&observer)
}

/// Handles the messages of other threads, then brings the ready tasks into another order. `below`
/// returns a number below its argument, and must not use the executor.
pub fn shuffle_ready(executor: &Executor, below: &mut dyn FnMut(u64) -> u64) {
    executor.scheduler.drain_inbox();
    executor.scheduler.shuffle(below);
}

/// Runs a batch as [`run_ready`](Executor::run_ready) does, until `goes_on` returns false before a
/// poll.
#[cfg(feature = "sim")]
pub fn run_ready_while(executor: &Executor, goes_on: &dyn Fn() -> bool) -> usize {
    let scheduler = &executor.scheduler;
    scheduler.drain_inbox();
    let batch = 0..scheduler.scheduled();
    let polls = batch.take_while(|_| goes_on());
    let polled = polls.filter(|_| scheduler.run_next(&())).count();
    scheduler.raise_panic();
    polled
}

impl Drop for Executor {
    fn drop(&mut self) {
        context::remove_own(&self.scheduler);
        self.scheduler.close();
    }
}

// After a panic its state is as valid as before: no user code runs while that state changes.
impl UnwindSafe for Executor {}
impl RefUnwindSafe for Executor {}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("number", &self.scheduler.number())
            .field("tasks", &self.task_count())
            .field("ready", &self.scheduler.scheduled())
            .finish_non_exhaustive()
    }
}
