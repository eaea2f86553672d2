//! Values that belong to a future and are visible to all that it calls.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::thread::LocalKey as ThreadLocalKey;
use std::{error, fmt, mem};

/// Declares task-local keys: values that [`TaskLocal::scope`] sets for a future, and that all code
/// called by that future sees.
///
/// # Examples
/// ```
/// runtime::task_local! {
///     /// The request that is being served.
///     static REQUEST: u64;
/// }
///
/// fn log() -> String {
///     format!("request {}", REQUEST.get())
/// }
///
/// runtime::block_on(async {
///     assert_eq!(REQUEST.scope(7, async { log() }).await, "request 7");
///     assert!(REQUEST.try_with(|_| ()).is_err());
/// });
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty);* $(;)?) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::TaskLocal<$type> = {
            ::std::thread_local! {
                static VALUE: ::std::cell::RefCell<::core::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::core::option::Option::None) };
            }
            $crate::internal::new_task_local(&VALUE)
        };
    )*};
}

/// A key declared by [`task_local!`](crate::task_local).
pub struct TaskLocal<T: 'static> {
    value: &'static ThreadLocalKey<RefCell<Option<T>>>,
}

/// Makes the key that [`task_local!`](crate::task_local) declares.
pub const fn new_task_local<T>(value: &'static ThreadLocalKey<RefCell<Option<T>>>) -> TaskLocal<T> {
    TaskLocal { value }
}

impl<T: 'static> TaskLocal<T> {
    /// Runs a future with the value set, and returns its output. Scopes nest: the innermost value
    /// is visible. Tasks spawned inside do not inherit it.
    ///
    /// # Cancel safety
    /// Cancel safe if `future` is. The value is dropped with it.
    pub async fn scope<F: Future>(&'static self, value: T, future: F) -> F::Output {
        let mut value = Some(value);
        let mut future = pin!(future);
        poll_fn(move |cx| {
            let _set = Set::new(self, &mut value);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Calls `f` with the value set.
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let mut value = Some(value);
        let _set = Set::new(self, &mut value);
        f()
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    /// Panics outside a scope, and if `f` opens a scope of the same key.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("TaskLocal::with was called, but {error}"),
        }
    }

    /// Calls `f` with the value, if it is set.
    ///
    /// # Errors
    /// Returns an [`AccessError`] outside a scope, and while the thread is torn down.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let call = |value: &RefCell<Option<T>>| value.borrow().as_ref().map(f);
        self.value
            .try_with(call)
            .ok()
            .flatten()
            .ok_or(AccessError(()))
    }
}

impl<T: Clone + 'static> TaskLocal<T> {
    /// Returns a clone of the value.
    ///
    /// # Panics
    /// Panics outside a scope.
    #[track_caller]
    pub fn get(&'static self) -> T {
        self.with(T::clone)
    }
}

impl<T> fmt::Debug for TaskLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskLocal")
    }
}

/// A guard that swaps a value with the thread's, and swaps them back when it is dropped.
struct Set<'a, T: 'static> {
    key: &'static TaskLocal<T>,
    value: &'a mut Option<T>,
}

impl<'a, T: 'static> Set<'a, T> {
    fn new(key: &'static TaskLocal<T>, value: &'a mut Option<T>) -> Set<'a, T> {
        key.value
            .with(|current| mem::swap(&mut *current.borrow_mut(), value));
        Set { key, value }
    }
}

impl<T: 'static> Drop for Set<'_, T> {
    fn drop(&mut self) {
        self.key
            .value
            .with(|current| mem::swap(&mut *current.borrow_mut(), self.value));
    }
}

/// The error of an access to a task-local value outside its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no scope of this task-local value is open here")
    }
}

impl error::Error for AccessError {}
