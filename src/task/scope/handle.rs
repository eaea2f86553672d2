//! The handle of a child of a scope, and the output on its way there.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use runtime_executor::internal::Proceed;

/// The output of a child, which the child and its handle share.
pub(super) struct Output<T> {
    value: Cell<Option<T>>,
    is_complete: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

impl<T> Output<T> {
    pub(super) fn new() -> Rc<Output<T>> {
        Rc::new(Output {
            value: Cell::new(None),
            is_complete: Cell::new(false),
            waiter: Cell::new(None),
        })
    }

    /// Stores the output and wakes the handle.
    pub(super) fn complete(&self, value: T) {
        self.value.set(Some(value));
        self.is_complete.set(true);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

/// An owned permission to await the output of a child of a scope. Created by
/// [`Scope::spawn`](super::Scope::spawn) and [`TryScope::spawn`](super::TryScope::spawn).
///
/// The output is the child's, without a `Result` around it: if a child panics, or fails in a
/// [`TryScope`](super::TryScope), the scope ends with everything that could await a handle.
///
/// Dropping the handle detaches the child, which the scope still awaits. The handle can be awaited
/// by the body and by other children, with any waker; the last waker is woken.
///
/// # Panics
/// Panics if it is polled after completion.
///
/// # Cancel safety
/// Awaiting `&mut handle` is cancel safe: no output is lost if that future is dropped.
pub struct ScopedJoinHandle<'scope, T> {
    output: Rc<Output<T>>,
    proceed: Proceed,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    pub(super) fn new(output: Rc<Output<T>>) -> Self {
        ScopedJoinHandle {
            output,
            proceed: Proceed::default(),
            scope: PhantomData,
        }
    }

    /// Returns true if the child is complete, so that awaiting the handle does not wait.
    pub fn is_finished(&self) -> bool {
        self.output.is_complete.get()
    }
}

impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = T;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if self.output.is_complete.get() {
            ready!(self.proceed.poll(cx));
            return match self.output.value.take() {
                Some(value) => Poll::Ready(value),
                None => panic!("ScopedJoinHandle was polled after completion"),
            };
        }
        self.proceed.set_waited();
        let previous = self.output.waiter.replace(Some(cx.waker().clone()));
        drop(previous);
        Poll::Pending
    }
}

impl<T> Unpin for ScopedJoinHandle<'_, T> {}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle")
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
