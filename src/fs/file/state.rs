//! The state of a file: the job that runs for it, and what file and job share.

use std::future::Future;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use runtime_executor::JoinHandle;

use crate::fs::WriteError;
use crate::fs::read_ahead::Buffer;

/// The job that runs for a file.
pub(super) enum State {
    Idle,
    Reading(JoinHandle<io::Result<()>>),
    Writing(JoinHandle<Result<(), WriteError>>),
    /// The target is kept, so that a repeated seek finds the result of the first one.
    Seeking(SeekFrom, JoinHandle<io::Result<u64>>),
}

/// The job that has completed.
pub(super) enum Completed {
    /// No job, or a write, whose error is the file's `write_error`.
    Nothing,
    /// A read into the buffer. If the buffer is empty, the file was at its end.
    Read(io::Result<()>),
    Sought(SeekFrom, io::Result<u64>),
}

/// Waits for a job. One that was canceled with its runtime, or found no thread, is an error.
pub(super) fn poll_job<R: 'static>(
    job: &mut JoinHandle<io::Result<R>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<R>> {
    Poll::Ready(ready!(Pin::new(job).poll(cx)).unwrap_or_else(|e| Err(e.into())))
}

/// The part of a file that its jobs use too.
pub(super) struct Shared {
    pub(super) file: std::fs::File,
    /// Used by the job while there is one, and otherwise by the file, so that the lock is never
    /// contended. It is shared, not moved into the job, so that the read-ahead data and their
    /// position outlive a canceled job.
    buffer: Mutex<Buffer>,
}

impl Shared {
    pub(super) fn new(file: std::fs::File) -> Shared {
        Shared {
            file,
            buffer: Mutex::default(),
        }
    }

    pub(super) fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
