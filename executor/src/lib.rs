//! The executor of [`runtime`](https://docs.rs/runtime): the only code that polls.
//!
//! It knows tasks, queues and wakers, and nothing of descriptors. An [`Executor`] polls what is
//! ready and never blocks; what its thread sleeps in when nothing is ready it knows as a
//! [`Park`] and an [`Unpark`].
//!
//! Tasks need not be `Send`: they are polled and dropped on the thread of their executor, whatever
//! happens. Wakers, [`JoinHandle`]s and [`Handle`]s may go anywhere: they are addresses.

#![deny(unsafe_code)]

mod block_on;
mod blocking;
mod builder;
mod config;
mod context;
mod error;
mod executor;
mod handle;
mod id;
mod inbox;
mod join;
mod join_set;
mod park;
mod scheduler;
mod sync;
#[allow(
    unsafe_code,
    reason = "pins, wakers, mail; every block says what it owes to whom"
)]
mod task;
mod task_local;
mod task_slab;

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::rc::Rc;
use std::task::Poll;

use crate::scheduler::Scheduler;

pub use builder::Builder;
pub use config::{Config, PanicPolicy};
pub use context::EnterGuard;
pub use error::JoinError;
pub use executor::Executor;
pub use handle::Handle;
pub use id::Id;
pub use join::{AbortHandle, JoinHandle};
pub use join_set::JoinSet;
pub use park::{Park, ParkMode, ThreadPark, Unpark};
pub use task_local::{AccessError, TaskLocal};

/// Items that the macros of this crate expand to. Not part of the public API.
#[doc(hidden)]
pub mod internal {
    use std::cell::RefCell;
    use std::thread::LocalKey;

    use crate::task_local::TaskLocal;

    /// Makes the key that `task_local!` declares.
    pub const fn new_task_local<T>(value: &'static LocalKey<RefCell<Option<T>>>) -> TaskLocal<T> {
        TaskLocal::new(value)
    }
}

/// Spawns a task on the executor of this thread. It need not be `Send`.
///
/// It is polled for the first time in the next batch, after all that is ready now. Dropping the
/// [`JoinHandle`] detaches it.
///
/// # Panics
/// If no executor runs on this thread.
///
/// # Complexity
/// One allocation, which holds the future and later its output.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// use std::rc::Rc;
///
/// let shared = Rc::new(42); // need not be `Send`
/// let task = runtime_executor::spawn({
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
    current_scheduler("spawn").spawn(future, (), Location::caller())
}

/// Runs something that blocks on a thread of the pool, and gives a handle to await it by.
///
/// # Panics
/// If this thread belongs to no runtime, neither as its own nor as one of its pool.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// let sum = runtime_executor::spawn_blocking(|| (1..=1_000_u64).sum::<u64>());
/// assert_eq!(sum.await.unwrap(), 500_500);
/// # });
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(job: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match context::handle() {
        Some(handle) => handle.spawn_blocking(job),
        None => panic!("spawn_blocking was called {}", handle::NO_RUNTIME),
    }
}

/// Lets every other ready task run once before this one goes on.
///
/// # Cancel safety
/// There is nothing to lose.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// let other = runtime_executor::spawn(async {});
/// runtime_executor::yield_now().await;
/// assert!(other.is_finished());
/// # });
/// ```
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The task that is being polled.
///
/// # Panics
/// Outside a task; the future of `block_on` is none. [`try_id`] says so without a panic.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// let task = runtime_executor::spawn(async { runtime_executor::id() });
/// let id = task.id();
/// assert_eq!(task.await.unwrap(), id);
/// # });
/// ```
#[track_caller]
pub fn id() -> Id {
    match try_id() {
        Some(id) => id,
        None => panic!(
            "task::id was called outside a task (the future of block_on is none): spawn one, or \
             ask try_id"
        ),
    }
}

/// The task that is being polled, if one is.
///
/// # Examples
/// ```
/// assert_eq!(runtime_executor::try_id(), None);
/// ```
pub fn try_id() -> Option<Id> {
    context::get().and_then(|scheduler| scheduler.running())
}

#[track_caller]
fn current_scheduler(what: &str) -> Rc<Scheduler> {
    match context::get() {
        Some(scheduler) => scheduler,
        None => panic!("{what} was called {}", handle::NO_RUNTIME),
    }
}
