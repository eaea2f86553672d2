//! Values that belong to a future and are visible to all that it calls.

use std::cell::RefCell;
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
    /// Calls `f` with the value set.
    ///
    /// # Panics
    /// Panics if it is called inside [`with`](TaskLocal::with) of the same key, or while the thread
    /// is torn down.
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        match self.call_with(&mut Some(value), f) {
            Ok(result) => result,
            Err(error) => panic!("TaskLocal::sync_scope was called, but {error}"),
        }
    }

    /// Calls `f` while the thread's value and `value` are swapped.
    pub(crate) fn call_with<R>(
        &'static self,
        value: &mut Option<T>,
        f: impl FnOnce() -> R,
    ) -> Result<R, ScopeError> {
        let _swapped = Swapped::new(self, value)?;
        Ok(f())
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

    /// Returns a clone of the value, if it is set.
    ///
    /// # Errors
    /// Returns an [`AccessError`] outside a scope, and while the thread is torn down.
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.try_with(T::clone)
    }
}

impl<T> fmt::Debug for TaskLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskLocal")
    }
}

/// A guard that swaps a value with the thread's, and swaps them back when it is dropped.
struct Swapped<'a, T: 'static> {
    key: &'static TaskLocal<T>,
    value: &'a mut Option<T>,
}

impl<'a, T: 'static> Swapped<'a, T> {
    fn new(
        key: &'static TaskLocal<T>,
        value: &'a mut Option<T>,
    ) -> Result<Swapped<'a, T>, ScopeError> {
        let swap = |current: &RefCell<Option<T>>| {
            let mut current = current.try_borrow_mut().map_err(|_| ScopeError::Borrowed)?;
            mem::swap(&mut *current, value);
            Ok(())
        };
        key.value
            .try_with(swap)
            .unwrap_or(Err(ScopeError::NoThread))?;
        Ok(Swapped { key, value })
    }
}

impl<T: 'static> Drop for Swapped<'_, T> {
    fn drop(&mut self) {
        self.key
            .value
            .with(|current| mem::swap(&mut *current.borrow_mut(), self.value));
    }
}

/// The reason why a scope cannot be opened.
pub(crate) enum ScopeError {
    Borrowed,
    NoThread,
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScopeError::Borrowed => {
                "this is inside `with` of the same key: end that call first, or clone the value"
            }
            ScopeError::NoThread => "the thread is torn down: its task-local values are gone",
        })
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
