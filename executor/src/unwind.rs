//! Calls into foreign code whose panics must not reach the executor.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Drops a value that may be foreign. A panic of its drop ends here: the panic hook has reported
/// it.
pub(crate) fn drop_catching<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // The payload's own drop may panic in turn. Leaking it ends the chain.
        mem::forget(payload);
    }
}

/// Calls a waker that may be foreign. A panic of its `wake` ends here: the panic hook has reported
/// it.
pub(crate) fn wake_catching(waker: Waker) {
    drop_catching(catch_unwind(AssertUnwindSafe(|| waker.wake())));
}
