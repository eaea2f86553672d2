//! The functions about the task that is being polled.

use std::future::poll_fn;
use std::task::Poll;

use crate::context;
use crate::id::{self, Id};

/// Yields to the other tasks: completes after every task that is ready now was polled once.
///
/// # Cancel safety
/// Cancel safe: dropping the future has no effect.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let other = runtime::spawn(async {});
/// runtime::task::yield_now().await;
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

/// Returns the identity of the task that is being polled, or of the blocking job that this thread
/// runs.
///
/// # Panics
/// Panics outside a task and a blocking job. The future of `block_on` is not a task. [`try_id`]
/// returns `None` there.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(async { runtime::task::id() });
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
             call task::try_id"
        ),
    }
}

/// Returns the identity of the task that is being polled, or of the blocking job that this thread
/// runs; `None` outside both.
///
/// # Examples
/// ```
/// assert_eq!(runtime::task::try_id(), None);
/// ```
pub fn try_id() -> Option<Id> {
    let running = context::get_entered().and_then(|scheduler| scheduler.running());
    running.or_else(id::current_job)
}
