//! The single-threaded executor of [`runtime`](https://docs.rs/uniloop): the only code that polls.
//!
//! It knows tasks, a run queue and wakers, but no descriptors. An [`Executor`] polls the tasks that
//! are ready and never blocks. It knows the call that blocks its thread only as a [`Park`] and an
//! [`Unpark`].
//!
//! Tasks need not be `Send`: they are polled and dropped on the thread of their executor only.
//! Wakers, [`JoinHandle`]s and [`Handle`]s are addresses of tasks and executors, so any thread may
//! hold them: on the executor's thread they access its state directly, elsewhere they send
//! messages.
//!
//! # Examples
//! A loop around an executor, as `runtime` has one around its reactor:
//! ```
//! use runtime_executor::{Config, Executor, Park, ThreadPark, spawn};
//!
//! # fn main() -> std::io::Result<()> {
//! let park = ThreadPark::new();
//! let executor = Executor::new(park.unparker(), Config::new())?;
//! let _guard = executor.enter();
//!
//! let task = spawn(async {
//!     let answer = spawn(async { 6 * 7 });
//!     println!("the answer is {}", answer.await.unwrap());
//! });
//! let mut polled = executor.run_ready();
//! while !task.is_finished() {
//!     park.park(executor.park_mode(polled));
//!     polled = executor.run_ready();
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//! | module | content |
//! |---|---|
//! | `executor` | [`Executor`]: the batch, as its owner runs it |
//! | `scheduler` | the state behind it: tasks, messages, the outputs that other threads await |
//! | `task_slab` | the slots of tasks, and the run queue through them |
//! | `task` | the allocation of a task; below it waker, output and task-local scopes |
//! | `waker_id` | the number that a waker is |
//! | `context` | the executor that the thread has entered |
//! | `inbox` | the messages of other threads |
//! | `join`, `join_set` | [`JoinHandle`], [`AbortHandle`], [`JoinSet`] |
//! | `group` | futures with a waker each that are awaited together |
//! | `handle`, `block_on` | [`Handle`], for other threads |
//! | `blocking`, `job` | the threads and the jobs of [`spawn_blocking`] |
//! | `spawn`, `current_task` | the free functions |
//! | `budget`, `proceed` | how much one poll may complete without waiting: [`consume_budget`] |
//! | `park` | [`Park`], [`Unpark`], [`ThreadPark`] |
//! | `unhandled`, `unwind` | the panics of detached tasks and of foreign code |
//! | `discard` | the drop of what is spawned after the executor was closed |
//! | `observe` | a report of each poll, for the owner |
//! | `inspect`, `record` | a list of what exists, for the other crates of this workspace |
//! | `config`, `error`, `id`, `task_local`, `sync` | leaves |

#![deny(unsafe_code)]

mod block_on;
mod blocking;
mod budget;
mod config;
mod context;
mod current_task;
mod discard;
mod error;
mod executor;
mod group;
mod handle;
mod id;
mod inbox;
mod inspect;
mod job;
mod join;
mod join_set;
mod observe;
mod park;
mod proceed;
mod record;
mod scheduler;
mod spawn;
mod sync;
#[allow(
    unsafe_code,
    reason = "pin projections, a waker and a Send; each block names its obligation and keeper"
)]
mod task;
mod task_local;
mod task_slab;
mod unhandled;
mod unwind;
mod waker_id;

pub use config::{Config, PanicPolicy};
pub use context::{EnterGuard, GuestGuard};
pub use current_task::{id, try_id, yield_now};
pub use error::JoinError;
pub use executor::Executor;
pub use handle::{Handle, HandleGuard};
pub use id::Id;
pub use join::{AbortHandle, JoinHandle};
pub use join_set::JoinSet;
pub use park::{Park, ParkMode, ThreadPark, Unpark};
pub use proceed::consume_budget;
pub use spawn::{Builder, spawn, spawn_blocking};
pub use task::scoped::TaskLocalFuture;
pub use task_local::{AccessError, TaskLocal};

/// Items that the macros of this crate expand to, and what only the other crates of this workspace
/// use. Not part of the public API.
#[doc(hidden)]
pub mod internal {
    use std::fmt;
    use std::sync::Arc;

    #[cfg(feature = "sim")]
    pub use crate::executor::run_ready_while;
    pub use crate::executor::{run_ready_observed, shuffle_ready};
    pub use crate::group::{Group, GroupKind, Member};
    use crate::handle::Handle;
    pub use crate::inspect::{
        Call, Inspection, attach, call, is_idle_or_unpark, refuse_spawns, wait_for_jobs,
    };
    use crate::join::JoinHandle;
    pub use crate::observe::{Observe, ObservedTask};
    pub use crate::proceed::{Proceed, poll_proceed, without_budget, yield_budget};
    pub use crate::record::{
        Awaiter, Counts, GroupRecord, JobCounts, JobRecord, TaskRecord, TaskState, WakerNumber,
    };
    pub use crate::task::is_large;
    pub use crate::task::member::{awaiter_of, awaiter_of_group, member_waker};
    pub use crate::task::wake::wake_local;
    pub use crate::task_local::new_task_local;

    /// Runs a closure on the blocking pool that must run: closing the executor waits for it, and
    /// where the pool cannot take it, it runs on this thread. `name` is that of the operation.
    #[track_caller]
    pub fn spawn_mandatory_blocking<F, T>(
        handle: &Handle,
        name: &'static str,
        closure: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        handle.spawn_mandatory_blocking(name, closure)
    }

    /// Runs a closure on the blocking pool. `name` is that of the operation.
    #[track_caller]
    pub fn spawn_blocking_named<F, T>(
        handle: &Handle,
        name: &'static str,
        closure: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        handle.spawn_blocking_named(name, closure)
    }

    /// Runs a queued blocking job on this thread, where the pool has none. `choose` returns the
    /// job's number in the queue, which is below the argument, and must not use the executor.
    /// Returns false if no job is queued.
    #[cfg(feature = "sim")]
    pub fn run_blocking_job(handle: &Handle, choose: impl FnOnce(u64) -> u64) -> bool {
        handle.pool().run_one(choose)
    }

    /// Returns true if a blocking job is queued.
    #[cfg(feature = "sim")]
    pub fn has_blocking_job(handle: &Handle) -> bool {
        handle.pool().has_queued()
    }

    /// Runs a closure when the executor is closed, after its last mandatory job.
    pub fn on_pool_finish(handle: &Handle, closure: impl FnOnce() + Send + 'static) {
        handle.pool().on_finish(Box::new(closure));
    }

    /// Returns true if both handles are of the same executor.
    pub fn is_same_executor(one: &Handle, other: &Handle) -> bool {
        Arc::ptr_eq(one.pool(), other.pool())
    }

    /// Writes a line to standard error, as a panic that no handle awaits is written.
    pub fn log(text: fmt::Arguments<'_>) {
        crate::unhandled::log(text);
    }
}
