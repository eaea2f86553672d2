//! The types that threads share. Locks are parking_lot's with the feature of that name and std's
//! without it, or loom's while a model is checked. None of them is poisoned by a panic.

use std::panic::{RefUnwindSafe, UnwindSafe};
#[cfg(any(loom, not(feature = "parking_lot")))]
use std::sync::{self as statics, LockResult, PoisonError};
use std::time::Duration;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicBool;
#[cfg(loom)]
use loom::sync::{self as locks, MutexGuard};
#[cfg(all(not(loom), feature = "parking_lot"))]
use parking_lot::{self as locks, self as statics, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::AtomicBool;
#[cfg(not(any(loom, feature = "parking_lot")))]
use std::sync::{self as locks, MutexGuard};

/// Returns the guard of a lock, poisoned or not: no foreign code runs under a lock, so a panic
/// there leaves no state half changed.
#[cfg(any(loom, not(feature = "parking_lot")))]
fn unpoisoned<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// Returns the guard: locks of parking_lot know no poison.
#[cfg(all(not(loom), feature = "parking_lot"))]
fn unpoisoned<G>(guard: G) -> G {
    guard
}

/// A mutex without poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(locks::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(locks::Mutex::new(value))
    }

    #[inline(never)] // Locks are off the hot path, and taken in many places.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        unpoisoned(self.0.lock())
    }

    /// Returns the guard if the lock is free.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        #[cfg(any(loom, not(feature = "parking_lot")))]
        return self.0.try_lock().ok();
        #[cfg(all(not(loom), feature = "parking_lot"))]
        self.0.try_lock()
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        unpoisoned(self.0.get_mut())
    }

    pub(crate) fn into_inner(self) -> T {
        unpoisoned(self.0.into_inner())
    }
}

/// A reader-writer lock without poisoning. It is never loom's, whose locks cannot be static.
#[derive(Debug)]
pub(crate) struct RwLock<T>(statics::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> RwLock<T> {
        RwLock(statics::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> statics::RwLockReadGuard<'_, T> {
        unpoisoned(self.0.read())
    }

    pub(crate) fn write(&self) -> statics::RwLockWriteGuard<'_, T> {
        unpoisoned(self.0.write())
    }
}

// std implements these for its locks, parking_lot does not. A feature must not decide on them.
impl<T> UnwindSafe for Mutex<T> {}
impl<T> RefUnwindSafe for Mutex<T> {}
impl<T> UnwindSafe for RwLock<T> {}
impl<T> RefUnwindSafe for RwLock<T> {}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(locks::Condvar);

#[cfg(any(loom, not(feature = "parking_lot")))]
impl Condvar {
    /// Waits for a notification or the end of the limit. The flag is true if the limit has passed.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        let (guard, waited) = unpoisoned(self.0.wait_timeout(guard, limit));
        (guard, waited.timed_out())
    }

    /// Waits for a notification. May return without one.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        unpoisoned(self.0.wait(guard))
    }
}

#[cfg(all(not(loom), feature = "parking_lot"))]
impl Condvar {
    /// Waits for a notification or the end of the limit. The flag is true if the limit has passed.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        let waited = self.0.wait_for(&mut guard, limit);
        (guard, waited.timed_out())
    }

    /// Waits for a notification.
    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(&mut guard);
        guard
    }
}

impl Condvar {
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
