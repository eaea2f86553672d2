//! Tasks: spawning, joining, aborting and identifying them, and task-local values.
//!
//! Dropping a [`JoinHandle`] detaches its task. Dropping a [`JoinSet`] aborts its tasks. A
//! [scope](scope()) runs futures that borrow from the task that awaits it.
//!
//! # Examples
//! Three tasks, whose outputs arrive as they complete:
//! ```
//! use runtime::task::JoinSet;
//!
//! # runtime::block_on(async {
//! let mut tasks = JoinSet::new();
//! for n in 1..=3 {
//!     tasks.spawn(async move { n * n });
//! }
//! let mut sum = 0;
//! while let Some(square) = tasks.join_next().await {
//!     sum += square?;
//! }
//! assert_eq!(sum, 14);
//! # Ok::<(), runtime::JoinError>(())
//! # }).unwrap();
//! ```
//!
//! # Parts
//!
//! | for | items |
//! |---|---|
//! | starting tasks | [`spawn`], [`spawn_blocking`], [`Builder`] with a name |
//! | awaiting and aborting them | [`JoinHandle`], [`AbortHandle`], [`JoinError`], [`JoinSet`] |
//! | futures that borrow | [`scope()`], [`try_scope`] |
//! | a graceful end | [`CancellationToken`], [`Tracker`] |
//! | values of a task | [`task_local!`], [`TaskLocal`] |
//! | fairness | [`yield_now`], [`consume_budget`], [`unconstrained`] |
//! | looking at tasks | [`id`](id()), [`try_id`], [`all`] |

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use runtime_executor::internal::without_budget;

mod cancellation;
pub(crate) mod scope;
mod tracker;
mod wait_list;

pub use crate::insight::all;
pub use cancellation::{CancelOnDrop, CancellationToken, Cancelled};
pub use runtime_executor::{
    AbortHandle, AccessError, Builder, Id, JoinError, JoinHandle, JoinSet, TaskLocal,
    TaskLocalFuture, consume_budget, id, spawn, spawn_blocking, task_local, try_id, yield_now,
};
pub use scope::{Scope, ScopedJoinHandle, TryScope, scope, try_scope};
pub use tracker::{Empty, Tracked, Tracker};

pin_project! {
    /// The future returned by [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

/// Runs a future without the cooperative budget of its task.
///
/// With the budget, a poll of a task completes at most 128 operations that need not wait, such as
/// expired timers, completed tasks and copies in memory; then the task yields to the others. An
/// unconstrained future may keep all other tasks from running. The limit on the operations of a
/// socket in one turn of the reactor still applies.
///
/// # Examples
/// ```
/// use runtime::task::unconstrained;
///
/// # runtime::block_on(async {
/// let finished: Vec<_> = (0..1_000).map(|n| runtime::spawn(async move { n })).collect();
/// runtime::task::yield_now().await;
/// let sum = unconstrained(async {
///     let mut sum = 0;
///     for task in finished {
///         sum += task.await.unwrap(); // never pending
///     }
///     sum
/// });
/// assert_eq!(sum.await, 499_500);
/// # });
/// ```
pub fn unconstrained<F: IntoFuture>(future: F) -> Unconstrained<F::IntoFuture> {
    Unconstrained {
        future: future.into_future(),
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.project().future;
        without_budget(|| future.poll(cx))
    }
}
