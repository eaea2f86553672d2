//! A scope that the first error ends.

use std::fmt;
use std::future::{Future, Pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use super::children::Children;
use super::handle::{Output, ScopedJoinHandle};
use super::{Scope, poll_scope};

/// Runs an async closure that can spawn children that borrow, like [`scope`](super::scope()), and
/// ends with the first error of the body or of a child.
///
/// The body and the children return a `Result`, with one type of error. The output of a child's
/// handle is the value in its `Ok`. On an error the body and the other children are dropped, in
/// the order in which they were spawned, whether the child's handle is awaited or not.
///
/// # Errors
/// Returns the first error.
///
/// # Panics
/// If the body or a child panics, everything else in the scope is dropped, and then the panic is
/// resumed in the task that awaits the scope.
///
/// # Cancel safety
/// As for [`scope`](super::scope()): dropping the future drops the body and all children.
///
/// # Examples
/// ```
/// use std::io;
/// use runtime::task;
///
/// async fn length(path: &str) -> io::Result<usize> {
///     Ok(runtime::fs::read(path).await?.len())
/// }
///
/// # runtime::block_on(async {
/// let paths = ["Cargo.toml", "no such file"];
/// let sizes = task::try_scope(async |s| {
///     let [one, other] = [0, 1].map(|n| s.spawn(length(paths[n])));
///     Ok((one.await, other.await))
/// });
/// assert_eq!(sizes.await.unwrap_err().kind(), io::ErrorKind::NotFound);
/// # });
/// ```
pub async fn try_scope<'env, T, E, F>(body: F) -> Result<T, E>
where
    F: for<'scope> AsyncFnOnce(&'scope TryScope<'scope, 'env, T, E>) -> Result<T, E>,
{
    // Declared first, so that it is dropped after the children, which borrow it.
    let scope;
    let children = Rc::new(Children::new());
    scope = TryScope {
        inner: Scope::new(&children),
    };
    let mut body = pin!(Some(body(&scope)));
    poll_fn(|cx| poll_scope(&children, body.as_mut(), Result::is_err, cx)).await
}

/// A scope in which children are spawned that may fail. [`try_scope`] passes it to its body.
///
/// `'scope` is the life of the children, and `'env` that of what they borrow. `T` and `E` are the
/// output and the error of the scope.
pub struct TryScope<'scope, 'env: 'scope, T, E> {
    inner: Scope<'scope, 'env, Result<T, E>>,
}

impl<'scope, T, E> TryScope<'scope, '_, T, E> {
    /// Spawns a child, whose error ends the scope. See [`Scope::spawn`].
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let text = String::from("42");
    /// let parsed = runtime::task::try_scope(async |s| {
    ///     let number = s.spawn(async { text.parse::<i32>() });
    ///     Ok(number.await + 1)
    /// });
    /// assert_eq!(parsed.await, Ok(43));
    /// # });
    /// ```
    pub fn spawn<F, C>(&'scope self, future: F) -> ScopedJoinHandle<'scope, C>
    where
        F: Future<Output = Result<C, E>> + 'scope,
        C: 'scope,
    {
        let output = Output::new();
        let shared = output.clone();
        self.inner.add(future, move |result| match result {
            Ok(value) => shared.complete(value),
            Err(error) => self.inner.request_exit(Err(error)),
        });
        ScopedJoinHandle::new(output)
    }

    /// Ends the scope with a result. See [`Scope::exit`].
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let found = runtime::task::try_scope(async |s| {
    ///     s.spawn(std::future::pending::<Result<(), String>>());
    ///     s.exit(Ok("found")).await
    /// });
    /// assert_eq!(found.await, Ok("found"));
    /// # });
    /// ```
    pub fn exit(&self, result: Result<T, E>) -> Pending<Result<T, E>> {
        self.inner.exit(result)
    }

    /// Returns the number of children that are not complete, the caller included if it is one.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Returns true if all children are complete.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }
}

impl<T, E> fmt::Debug for TryScope<'_, '_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryScope")
            .field("len", &self.len())
            .finish()
    }
}
