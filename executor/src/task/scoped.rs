//! The future of [`TaskLocal::scope`], which sets a task-local value whenever the future in it is
//! polled or dropped.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::task_local::TaskLocal;

/// A future with a task-local value. Created by [`TaskLocal::scope`].
///
/// The value is set while the future in it is polled and while it is dropped, so destructors see it
/// too.
#[must_use = "futures do nothing unless they are polled"]
pub struct TaskLocalFuture<T: 'static, F> {
    key: &'static TaskLocal<T>,
    /// `None` once it was taken, and while it is set.
    value: Option<T>,
    /// Structurally pinned: it is never moved, and dropped in place. `None` once it is complete.
    future: Option<F>,
}

impl<T: 'static> TaskLocal<T> {
    /// Runs a future with the value set, and returns its output. Scopes nest: the innermost value
    /// is visible. Tasks spawned inside do not inherit it.
    ///
    /// Destructors see the value too: the future is dropped with the value set, whether it is
    /// complete, aborted or was never polled.
    ///
    /// # Panics
    /// The returned future panics if it is polled inside [`with`](TaskLocal::with) of the same key,
    /// or after completion.
    ///
    /// # Cancel safety
    /// Cancel safe if `future` is. The value is dropped after it.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture {
            key: self,
            value: Some(value),
            future: Some(future),
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value, or returns `None` if it was taken before. A future that is not complete
    /// continues without it.
    ///
    /// # Examples
    /// ```
    /// runtime::task_local! { static REQUEST: String; }
    ///
    /// # runtime::block_on(async {
    /// let mut work = std::pin::pin!(REQUEST.scope("first".to_owned(), async {}));
    /// work.as_mut().await;
    /// assert_eq!(work.as_mut().take_value().as_deref(), Some("first"));
    /// # });
    /// ```
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }

    fn project(self: Pin<&mut Self>) -> Projection<'_, T, F> {
        // SAFETY: the reference must not be used to move out of a pinned field. The value is not
        // pinned, and the future is only pinned again below.
        let this = unsafe { self.get_unchecked_mut() };
        Projection {
            key: this.key,
            value: &mut this.value,
            // SAFETY: the future must stay in place until it is dropped. It is structurally pinned,
            // in memory that was pinned, and nothing else refers to it.
            future: unsafe { Pin::new_unchecked(&mut this.future) },
        }
    }
}

/// The fields of a pinned [`TaskLocalFuture`].
struct Projection<'a, T: 'static, F> {
    key: &'static TaskLocal<T>,
    value: &'a mut Option<T>,
    future: Pin<&'a mut Option<F>>,
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Projection {
            key,
            value,
            mut future,
        } = self.project();
        let poll = || {
            let Some(running) = future.as_mut().as_pin_mut() else {
                panic!("TaskLocal::scope was polled after completion");
            };
            let polled = running.poll(cx);
            if polled.is_ready() {
                future.set(None);
            }
            polled
        };
        match key.call_with(value, poll) {
            Ok(polled) => polled,
            Err(error) => panic!("TaskLocal::scope was polled, but {error}"),
        }
    }
}

impl<T: 'static, F> Drop for TaskLocalFuture<T, F> {
    fn drop(&mut self) {
        if self.future.is_none() {
            return;
        }
        // SAFETY: a value that was pinned must not be moved any more. This is its drop, and
        // `project` moves nothing. The type has no other `Drop` and no `Unpin` impl of its own.
        let this = unsafe { Pin::new_unchecked(self) };
        let Projection {
            key,
            value,
            mut future,
        } = this.project();
        // If the value cannot be set here, the future is dropped as a field, without it.
        let _ = key.call_with(value, || future.set(None));
    }
}

impl<T, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture").finish_non_exhaustive()
    }
}
