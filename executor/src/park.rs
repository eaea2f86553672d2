//! The interface between the executor and the call that blocks its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

/// The way in which [`Park::park`] may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkMode {
    /// Nothing is ready: the thread may block until it is unparked or a task is woken.
    Block,
    /// Tasks are ready: the call must not block.
    Yield {
        /// The number of futures that were polled since the last call, from which the implementor
        /// can decide whether to look for events now or later.
        polled: usize,
    },
}

/// The blocking half of an executor's loop: waits for events and wakes tasks.
///
/// The executor's owner calls [`park`](Park::park) between two calls of
/// [`run_ready`](crate::Executor::run_ready).
///
/// # Contract
/// An [`Unpark::unpark`] that comes before a `park` makes that `park` return at once. Otherwise a
/// wake between the last check of the run queue and the moment at which the thread blocks would be
/// lost. All messages that arrive until the next [`run_ready`](crate::Executor::run_ready) share
/// one unpark, so `run_ready` is called between any two parks that may block.
pub trait Park {
    /// Waits for events and wakes the tasks that wait for them. May return spuriously.
    fn park(&self, mode: ParkMode);
}

/// The waking half of an executor's loop, for other threads: it ends a [`Park::park`].
///
/// An implementation must be cheap to call often, and may be called after the executor was dropped.
pub trait Unpark: Send + Sync + 'static {
    /// Ends the current [`Park::park`], or keeps the next one from blocking.
    fn unpark(&self);
}

/// A [`Park`] that blocks in [`std::thread::park`], for executors whose tasks wait for other
/// threads only.
#[derive(Debug, Clone)]
#[must_use = "an executor that is not parked between batches spins"]
pub struct ThreadPark(Arc<Parked>);

#[derive(Debug)]
struct Parked {
    thread: Thread,
    /// The thread's own token may be consumed by other code that parks it.
    unparked: AtomicBool,
}

impl ThreadPark {
    /// Creates a `ThreadPark` for the calling thread.
    pub fn new() -> ThreadPark {
        ThreadPark(Arc::new(Parked {
            thread: thread::current(),
            unparked: AtomicBool::new(false),
        }))
    }

    /// Returns its waking half.
    pub fn unparker(&self) -> Arc<dyn Unpark> {
        Arc::new(self.clone())
    }
}

impl Default for ThreadPark {
    fn default() -> ThreadPark {
        ThreadPark::new()
    }
}

impl Park for ThreadPark {
    fn park(&self, mode: ParkMode) {
        if mode != ParkMode::Block {
            return;
        }
        while !self.0.unparked.swap(false, Ordering::AcqRel) {
            thread::park();
        }
    }
}

impl Unpark for ThreadPark {
    fn unpark(&self) {
        self.0.unparked.store(true, Ordering::Release);
        self.0.thread.unpark();
    }
}
