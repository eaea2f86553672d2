//! The whole coupling between the executor and what its thread sleeps in.

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
/// wake between the last look at the run queue and the moment in which the thread blocks would be
/// lost. All messages that arrive until the next [`run_ready`](crate::Executor::run_ready) share
/// one unpark, so `run_ready` is called between any two parks that may block.
pub trait Park {
    /// Waits for events and wakes the tasks that wait for them. May return spuriously.
    fn park(&self, mode: ParkMode);
}

/// What other threads call so that the executor's thread looks into its inbox.
///
/// It must be cheap to call often, and may be called when the executor is long gone.
pub trait Unpark: Send + Sync + 'static {
    /// Ends the current [`Park::park`], or keeps the next one from blocking.
    fn unpark(&self);
}

/// Sleeps in [`std::thread::park`]: for an executor that waits for nothing but other threads.
#[derive(Debug, Clone)]
pub struct ThreadPark(Arc<Parked>);

#[derive(Debug)]
struct Parked {
    thread: Thread,
    /// Its own, because the thread's token may be taken by anybody else who parks it meanwhile.
    unparked: AtomicBool,
}

impl ThreadPark {
    /// For an executor on the calling thread.
    pub fn new() -> ThreadPark {
        ThreadPark(Arc::new(Parked {
            thread: thread::current(),
            unparked: AtomicBool::new(false),
        }))
    }

    /// Its other half.
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
