//! The types that threads share. Locks are parking_lot's with the feature of that name and std's
//! without it, or loom's while a model is checked. None of them is poisoned by a panic.

use std::panic::{RefUnwindSafe, UnwindSafe};
#[cfg(any(loom, not(feature = "parking_lot")))]
use std::sync::{self as statics, LockResult, PoisonError};

#[cfg(loom)]
use loom::sync as locks;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8};
#[cfg(all(not(loom), feature = "parking_lot"))]
use parking_lot as locks;
#[cfg(all(not(loom), feature = "parking_lot"))]
use parking_lot as statics;
#[cfg(not(any(loom, feature = "parking_lot")))]
use std::sync as locks;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8};

/// Returns the guard of a lock, poisoned or not: no foreign code runs under a lock, so a panic
/// there leaves nothing half done.
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
#[derive(Debug)]
pub(crate) struct Mutex<T>(locks::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(locks::Mutex::new(value))
    }

    #[inline(never)] // Locks are for other threads, and there are many calls.
    pub(crate) fn lock(&self) -> locks::MutexGuard<'_, T> {
        unpoisoned(self.0.lock())
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
