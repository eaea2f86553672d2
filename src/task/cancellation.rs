//! A request to end, which any number of tasks can wait for.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use super::wait_list::{Place, WaitList, wake_all};

/// A request to end, which tasks on any thread can wait for and which is made once.
///
/// Clones share the request. A [child](CancellationToken::child_token) is canceled with its parent,
/// and can be canceled alone.
///
/// # Examples
/// A server that stops accepting, lets its connections finish, and then ends:
/// ```
/// use runtime::task::{CancellationToken, Tracker};
///
/// # runtime::block_on(async {
/// let (shutdown, connections) = (CancellationToken::new(), Tracker::new());
/// for _ in 0..3 {
///     let shutdown = shutdown.clone();
///     connections.spawn(async move {
///         shutdown.cancelled().await; // such as `select!` of this and the next request
///     });
/// }
/// shutdown.cancel();
/// connections.close();
/// connections.wait().await; // none is left
/// # });
/// ```
#[derive(Clone, Default)]
pub struct CancellationToken(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_cancelled: bool,
    waiters: WaitList,
    /// Kept, so that a request of its own ancestors gets here after the program dropped it.
    parent: Option<Arc<Mutex<State>>>,
    children: Vec<Weak<Mutex<State>>>,
    /// The number of children at which those that were dropped are removed.
    limit: usize,
}

impl Drop for State {
    /// Drops the ancestors in a loop, because a chain of them may be long.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(state) = parent.and_then(Arc::into_inner) {
            let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
            parent = state.parent.take();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // No foreign code runs while it is locked.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CancellationToken {
    /// Creates a token that is not canceled.
    pub fn new() -> CancellationToken {
        CancellationToken::default()
    }

    /// Creates a token that is canceled with this one, and can be canceled without it. It is also
    /// canceled with the parents of this token after this token was dropped.
    ///
    /// # Examples
    /// ```
    /// use runtime::task::CancellationToken;
    ///
    /// let server = CancellationToken::new();
    /// let (one, other) = (server.child_token(), server.child_token());
    /// one.cancel();
    /// assert!(one.is_cancelled() && !other.is_cancelled());
    /// server.cancel();
    /// assert!(other.is_cancelled() && server.child_token().is_cancelled());
    /// ```
    pub fn child_token(&self) -> CancellationToken {
        let mut state = lock(&self.0);
        let child = CancellationToken::new();
        if state.is_cancelled {
            lock(&child.0).is_cancelled = true;
            return child;
        }
        lock(&child.0).parent = Some(self.0.clone());
        if state.children.len() >= state.limit {
            state.children.retain(|child| child.strong_count() > 0);
            state.limit = (2 * state.children.len()).max(16);
        }
        state.children.push(Arc::downgrade(&child.0));
        drop(state);
        child
    }

    /// Makes the request: every future that waits for it, here or at a child, completes. Further
    /// calls have no effect.
    pub fn cancel(&self) {
        let (mut tokens, mut waiters) = (vec![self.0.clone()], Vec::new());
        while let Some(token) = tokens.pop() {
            let mut state = lock(&token);
            if std::mem::replace(&mut state.is_cancelled, true) {
                continue;
            }
            waiters.extend(state.waiters.take());
            tokens.extend(state.children.drain(..).filter_map(|child| child.upgrade()));
        }
        // Foreign code, called without a lock.
        wake_all(waiters);
    }

    /// Returns true if the request was made.
    pub fn is_cancelled(&self) -> bool {
        lock(&self.0).is_cancelled
    }

    /// Waits until the request is made. Completes at once if that has happened.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping the future has no effect.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled {
            token: self.clone(),
            place: None,
        }
    }

    /// Runs a future until the request is made. Returns its output, or `None` if the request came
    /// first; the future is then dropped.
    ///
    /// # Cancel safety
    /// Cancel safe if `future` is.
    ///
    /// # Examples
    /// ```
    /// use runtime::task::CancellationToken;
    ///
    /// # runtime::block_on(async {
    /// let token = CancellationToken::new();
    /// assert_eq!(token.run_until_cancelled(async { 7 }).await, Some(7));
    /// token.cancel();
    /// assert_eq!(token.run_until_cancelled(std::future::pending::<()>()).await, None);
    /// # });
    /// ```
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let (mut future, mut cancelled) = (pin!(future), self.cancelled());
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut cancelled).poll(cx).map(|()| None)
        })
        .await
    }

    /// Returns a guard that makes the request when it is dropped.
    pub fn drop_guard(self) -> CancelOnDrop {
        CancelOnDrop(self)
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// The future returned by [`CancellationToken::cancelled`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Cancelled {
    token: CancellationToken,
    place: Option<Place>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.token.is_cancelled() {
            return Poll::Ready(());
        }
        // Cloned and dropped without a lock, because both are foreign code.
        let waker = cx.waker().clone();
        let Cancelled { token, place } = &mut *self;
        let mut state = lock(&token.0);
        if state.is_cancelled {
            return Poll::Ready(());
        }
        let previous = state.waiters.set(place, waker);
        drop(state);
        drop(previous);
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if self.place.is_some() {
            let waker = {
                let mut state = lock(&self.token.0);
                // The list of a token that was canceled is empty, and stays so.
                state.waiters.remove(self.place)
            };
            drop(waker);
        }
    }
}

/// A guard that cancels its token when it is dropped. Created by [`CancellationToken::drop_guard`].
#[derive(Debug)]
#[must_use = "the token is canceled when the guard is dropped"]
pub struct CancelOnDrop(CancellationToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
