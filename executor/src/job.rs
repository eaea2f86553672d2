//! A closure that blocks, as the pool runs it.

use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use crate::discard::discard;
use crate::error::JoinError;
use crate::id::{Id, in_job};
use crate::inbox::{Inbox, RemoteOp};
use crate::record::{AwaiterOf, JobRecord};
use crate::sync::Mutex;
use crate::task::output::{Abort, Completed, OutputCell};
use crate::unwind::wake_catching;

/// A blocking job without its types.
pub(crate) trait Job: Send + Sync {
    /// Runs the closure and stores its output. Calls `before_wake` before it wakes the task that
    /// awaits it.
    fn run(&self, before_wake: &dyn Fn());
    /// Completes a job that has not begun with the error that the runtime was dropped.
    fn cancel(&self);
    /// Completes a job that has not begun with the error that no thread could be started.
    fn reject(&self, error: Arc<io::Error>);
    /// Returns what an inspection shows of the job.
    fn record(&self, running: Option<Duration>, awaiter_of: AwaiterOf<'_>) -> JobRecord;
}

/// One call of [`spawn_blocking`](crate::spawn_blocking).
pub(crate) struct BlockingJob<F, T> {
    id: Id,
    /// The name of an operation of this crate; empty for a closure of the program.
    name: &'static str,
    spawned_at: &'static Location<'static>,
    /// Taken by the thread that runs it, or by an abort.
    closure: Mutex<Option<F>>,
    inbox: Arc<Inbox>,
    cell: Arc<OutputCell<T>>,
    /// Set once the output is in the cell, or was dropped.
    finished: AtomicBool,
}

impl<F: 'static, T> BlockingJob<F, T> {
    #[track_caller]
    pub(crate) fn new(
        id: Id,
        name: &'static str,
        closure: F,
        inbox: Arc<Inbox>,
        cell: Arc<OutputCell<T>>,
    ) -> Arc<BlockingJob<F, T>> {
        Arc::new(BlockingJob {
            id,
            name,
            spawned_at: Location::caller(),
            closure: Mutex::new(Some(closure)),
            inbox,
            cell,
            finished: AtomicBool::new(false),
        })
    }

    /// Stores the output. Returns the waker that the caller must call.
    fn complete(&self, output: Result<T, JoinError>) -> Option<Waker> {
        let completed = self.cell.complete(output);
        self.finished.store(true, Ordering::Release);
        match completed {
            Completed::Stored(waker) => waker,
            Completed::Dropped(None) => None,
            Completed::Dropped(Some(error)) => {
                self.inbox.send(RemoteOp::UnhandledPanic(error));
                None
            }
        }
    }

    /// Completes a job that has not begun with an error.
    fn fail(&self, error: JoinError) {
        let closure = self.closure.lock().take();
        if let Some(closure) = closure {
            discard(Box::new(closure));
            let waker = self.complete(Err(error.with_origin(None, self.spawned_at)));
            waker.into_iter().for_each(wake_catching);
        }
    }
}

impl<F, T> Job for BlockingJob<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send,
{
    fn run(&self, before_wake: &dyn Fn()) {
        let closure = self.closure.lock().take();
        let waker =
            closure.and_then(|closure| {
                let output = in_job(self.id, || catch_unwind(AssertUnwindSafe(closure)));
                self.complete(output.map_err(|payload| {
                    JoinError::panicked(self.id, None, self.spawned_at, payload)
                }))
            });
        before_wake();
        waker.into_iter().for_each(wake_catching);
    }

    fn cancel(&self) {
        self.fail(JoinError::runtime_dropped(self.id));
    }

    fn reject(&self, error: Arc<io::Error>) {
        self.fail(JoinError::rejected(self.id, error));
    }

    fn record(&self, running: Option<Duration>, awaiter_of: AwaiterOf<'_>) -> JobRecord {
        JobRecord {
            id: self.id,
            name: self.name,
            spawned_at: self.spawned_at,
            running,
            joined_by: self.cell.joined_by(awaiter_of),
        }
    }
}

impl<F, T> Abort for BlockingJob<F, T>
where
    F: FnOnce() -> T + 'static,
{
    fn abort(self: Arc<Self>) {
        self.fail(JoinError::aborted(self.id));
    }

    fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}
