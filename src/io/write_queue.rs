//! The order of writes to a standard stream that is a regular file.
//!
//! A process has one queue for each stream, which all handles share. Writes are accepted in the
//! order of the queue and performed in it, one at a time, by jobs on the blocking pool. Each
//! runtime that has accepted a write has such a job. The job ends once the queue is empty, and the
//! drop of the runtime waits for it. So nothing that a runtime has accepted is lost with it, even
//! if the job of another runtime writes it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::{fmt, mem};

use runtime_executor::Handle;
use runtime_executor::internal::{is_same_executor, on_pool_finish, spawn_mandatory_blocking};
use runtime_reactor::internal::{forks, with_context};

use crate::fs::{WriteError, pool};

/// The number of bytes that the queue holds before further writes wait. Also the maximum number
/// of bytes that one write accepts.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The writes to one standard stream.
pub(super) struct WriteQueue {
    /// The name of the stream in error texts.
    name: &'static str,
    state: Mutex<State>,
    /// Notified when a write is done.
    written: Condvar,
}

struct State {
    /// The writes that were accepted and have not begun.
    chunks: VecDeque<Chunk>,
    /// The number of bytes that were accepted and are not written yet.
    bytes: usize,
    is_writing: bool,
    /// True if a flush waits for the queue to become empty. New writes wait in the meantime, so
    /// that tasks that write without a pause do not delay it forever.
    is_flushing: bool,
    /// The runtimes that have a job which empties the queue.
    writers: Vec<Handle>,
    /// The first error that no operation has returned yet.
    error: Option<WriteError>,
    /// The runtimes that log the error when they end.
    loggers: Vec<Handle>,
    wakers: Vec<Waker>,
    /// The process that the rest belongs to. See [`forks`].
    forks: u32,
}

/// A write that was accepted.
struct Chunk {
    file: Arc<File>,
    bytes: Vec<u8>,
}

impl State {
    const fn new(forks: u32) -> State {
        State {
            chunks: VecDeque::new(),
            bytes: 0,
            is_writing: false,
            is_flushing: false,
            writers: Vec::new(),
            error: None,
            loggers: Vec::new(),
            wakers: Vec::new(),
            forks,
        }
    }

    fn is_idle(&self) -> bool {
        self.chunks.is_empty() && !self.is_writing
    }

    /// Returns the wakers of the operations that need not wait any more.
    fn take_wakers(&mut self) -> Vec<Waker> {
        if self.is_idle() {
            self.is_flushing = false;
        }
        if self.is_flushing || self.bytes >= MAX_BYTES {
            return Vec::new();
        }
        mem::take(&mut self.wakers)
    }
}

impl WriteQueue {
    pub(super) const fn new(name: &'static str) -> WriteQueue {
        WriteQueue {
            name,
            state: Mutex::new(State::new(0)),
            written: Condvar::new(),
        }
    }

    /// Returns the name of the stream in error texts.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.forks != forks() {
            // This is a child of fork(2). The parent performs the writes; the child has no thread
            // for them.
            mem::forget(mem::replace(&mut *state, State::new(forks())));
        }
        state
    }

    fn poll_write(
        &'static self,
        file: &Arc<File>,
        cx: &Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let failed = |e| with_context(format!("write {}", self.name), e);
        let pool = pool().map_err(failed)?;
        let n = buf.len().min(MAX_BYTES);
        let mut state = match self.lock_unless(cx, |s| s.is_flushing || s.bytes >= MAX_BYTES) {
            Some(state) => state,
            None => return Poll::Pending,
        };
        if let Some(error) = state.error.take() {
            drop(state);
            return Poll::Ready(Err(failed(error.into_inner())));
        }
        if n == 0 {
            return Poll::Ready(Ok(0));
        }
        state.bytes += n;
        state.chunks.push_back(Chunk {
            file: file.clone(),
            bytes: buf[..n].to_vec(),
        });
        let has_job = state.writers.iter().any(|it| is_same_executor(it, &pool));
        if !has_job {
            state.writers.push(pool.clone());
            drop(state);
            let runtime = pool.clone();
            drop(spawn_mandatory_blocking(
                &pool,
                "write to a standard stream",
                move || {
                    self.write_all(&runtime);
                },
            ));
        }
        Poll::Ready(Ok(n))
    }

    pub(super) fn poll_flush(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let waits = |state: &mut State| {
            state.is_flushing = !state.is_idle();
            state.is_flushing
        };
        let Some(mut state) = self.lock_unless(cx, waits) else {
            return Poll::Pending;
        };
        let error = state.error.take();
        drop(state);
        Poll::Ready(match error {
            Some(error) => Err(with_context(
                format!("write {}", self.name),
                error.into_inner(),
            )),
            None => Ok(()),
        })
    }

    /// Locks the state. If the operation has to wait, stores its waker instead.
    fn lock_unless(
        &self,
        cx: &Context<'_>,
        mut has_to_wait: impl FnMut(&mut State) -> bool,
    ) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if !has_to_wait(&mut state) {
            return Some(state);
        }
        if state.wakers.iter().any(|it| it.will_wake(cx.waker())) {
            return None;
        }
        drop(state);
        // A clone may be foreign code, which runs under no lock.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if has_to_wait(&mut state) {
            state.wakers.push(waker);
            return None;
        }
        Some(state)
    }

    /// Performs all writes of the queue, and waits for the one that another thread performs.
    fn write_all(&'static self, runtime: &Handle) {
        let mut state = self.lock();
        loop {
            if state.is_writing {
                let waited = self.written.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let Some(Chunk { file, bytes }) = state.chunks.pop_front() else {
                break;
            };
            state.is_writing = true;
            drop(state);
            let result = (&*file).write_all(&bytes);
            drop(file);
            state = self.lock();
            state.is_writing = false;
            state.bytes -= bytes.len();
            let wakers = state.take_wakers();
            let (unkept, needs_logger) = match result {
                Ok(()) => (None, false),
                Err(error) => self.keep_error(&mut state, error, runtime),
            };
            drop(state);
            self.written.notify_all();
            drop(unkept);
            if needs_logger {
                let logger = runtime.clone();
                on_pool_finish(runtime, move || self.log_error(&logger));
            }
            for waker in wakers {
                drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
            }
            state = self.lock();
        }
        state.writers.retain(|it| !is_same_executor(it, runtime));
    }

    /// Keeps the first error for the next operation, and returns another one. Also returns true if
    /// the runtime must log the error when it ends.
    fn keep_error(
        &self,
        state: &mut State,
        error: io::Error,
        runtime: &Handle,
    ) -> (Option<WriteError>, bool) {
        let error = WriteError::new(error, Path::new(self.name).into());
        if state.error.is_some() {
            return (Some(error), false);
        }
        state.error = Some(error);
        if state.loggers.iter().any(|it| is_same_executor(it, runtime)) {
            return (None, false);
        }
        state.loggers.push(runtime.clone());
        (None, true)
    }

    /// Logs the error that no operation has returned, because a runtime ends.
    fn log_error(&self, runtime: &Handle) {
        let mut state = self.lock();
        state.loggers.retain(|it| !is_same_executor(it, runtime));
        let error = state.error.take();
        drop(state);
        drop(error);
    }
}

/// A regular file as a standard stream: a handle's own descriptor, and the queue of the stream.
pub(super) struct QueuedFile {
    file: Arc<File>,
    queue: &'static WriteQueue,
}

impl QueuedFile {
    pub(super) fn new(file: File, queue: &'static WriteQueue) -> QueuedFile {
        QueuedFile {
            file: Arc::new(file),
            queue,
        }
    }

    pub(super) fn poll_write(&self, cx: &Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.queue.poll_write(&self.file, cx, buf)
    }
}

impl fmt::Debug for QueuedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedFile")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}
