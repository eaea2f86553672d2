//! The whole coupling between the executor and what its thread sleeps in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

/// What the thread sleeps in when no task is ready.
///
/// # The contract
///
/// `park(idle, polled)` gives whatever wakes tasks its turn. With `idle` it may block until there is
/// something to wake; without, there are tasks to run and it must not. `polled` is how many futures
/// were polled since the last call, so that it can tell whether it is worth looking again. It may
/// return for no reason.
///
/// An [`Unpark::unpark`] that comes before a `park` makes that `park` return at once: otherwise a
/// wake between the last look at the queue and the falling asleep would be lost. There is one for all
/// that comes until the next [`run_ready`](crate::Executor::run_ready), which therefore stands between
/// any two parks that may block.
pub trait Park {
    /// Lets wakers be called; blocks only if `idle`.
    fn park(&self, idle: bool, polled: usize);
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
    fn park(&self, idle: bool, _: usize) {
        if !idle {
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
