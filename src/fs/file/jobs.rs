//! The jobs of a file on the blocking pool, one at a time, and the traits that start them.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};
use runtime_executor::internal::{spawn_blocking_named, spawn_mandatory_blocking};

use super::File;
use super::cached::Buffers;
use super::state::{Completed, State, poll_job};
use crate::fs::{WriteError, pool};

impl File {
    /// Runs `op` after the pending write, and with the read-ahead data dropped.
    pub(super) async fn run_after_write(
        &mut self,
        what: &'static str,
        op: impl FnOnce(&std::fs::File) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        poll_fn(|cx| self.poll_write_done(cx)).await?;
        let pool = pool().map_err(|e| self.failed(what, e))?;
        let shared = self.shared.clone();
        // Treated as a write: if this future is dropped, the next operation waits for the job.
        self.state = State::Writing(spawn_blocking_named(&pool, what, move || {
            let rewound = shared.buffer().rewind_or_keep(&shared.file);
            rewound
                .and_then(|()| op(&shared.file))
                .map_err(WriteError::unlogged)
        }));
        poll_fn(|cx| self.poll_idle(cx)).await;
        self.take_write_error().map_err(|e| self.failed(what, e))
    }

    /// Waits until no job runs.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Completed> {
        let done = match &mut self.state {
            State::Idle => Completed::Nothing,
            State::Reading(job) => Completed::Read(ready!(poll_job(job, cx))),
            State::Writing(job) => {
                // Only the job of `run_after_write` can be canceled.
                let ended = ready!(Pin::new(job).poll(cx));
                self.write_error = ended
                    .unwrap_or_else(|e| Err(WriteError::unlogged(e.into())))
                    .err();
                Completed::Nothing
            }
            State::Seeking(to, job) => Completed::Sought(*to, ready!(poll_job(job, cx))),
        };
        self.state = State::Idle;
        Poll::Ready(done)
    }

    /// Waits until the pending write is complete, and returns its error.
    fn poll_write_done(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Data read in the meantime stays in the buffer. An error is dropped: the next read gets it
        // again.
        ready!(self.poll_idle(cx));
        Poll::Ready(self.take_write_error().map_err(|e| self.failed("write", e)))
    }

    fn take_write_error(&mut self) -> io::Result<()> {
        let error = self.write_error.take();
        error.map_or(Ok(()), |error| Err(error.into_inner()))
    }

    fn start_reading(&mut self, requested: usize) -> io::Result<()> {
        let pool = pool()?;
        let (shared, max) = (self.shared.clone(), self.max_bytes);
        self.state = State::Reading(spawn_blocking_named(&pool, "read", move || {
            shared.buffer().fill(&shared.file, requested, max)
        }));
        Ok(())
    }

    /// Reads into `bufs`: out of the read-ahead buffer, or out of memory, or in a job.
    fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut impl Buffers,
    ) -> Poll<io::Result<usize>> {
        let requested = bufs.total_len();
        loop {
            if let State::Idle = self.state {
                let n = bufs.take_from(&mut self.shared.buffer());
                if n > 0 || requested == 0 {
                    return Poll::Ready(Ok(n));
                }
                if let Some(n) = ready!(self.poll_read_cached(cx, bufs)) {
                    return Poll::Ready(Ok(n));
                }
                self.start_reading(requested)
                    .map_err(|e| self.failed("read", e))?;
            }
            if let Completed::Read(result) = ready!(self.poll_idle(cx)) {
                result.map_err(|e| self.failed("read", e))?;
                if self.shared.buffer().unread().is_empty() {
                    return Poll::Ready(Ok(0));
                }
            }
        }
    }
}

impl AsyncRead for File {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, &mut { buf })
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, &mut { bufs })
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_done(cx))?;
        let requested: usize = bufs.iter().map(|buf| buf.len()).sum();
        let n = requested.min(self.max_bytes);
        if n == 0 {
            return Poll::Ready(Ok(0));
        }
        let pool = pool().map_err(|e| self.failed("write", e))?;
        let shared = self.shared.clone();
        let mut bytes = shared.buffer().take_spare();
        bytes.clear();
        for buf in bufs {
            let rest = n - bytes.len();
            bytes.extend_from_slice(&buf[..buf.len().min(rest)]);
        }
        let path = self.path.clone();
        // From here on the write counts as successful, so it must be performed.
        self.state = State::Writing(spawn_mandatory_blocking(&pool, "write", move || {
            let mut buffer = shared.buffer();
            let rewound = buffer.rewind_or_keep(&shared.file);
            let written = rewound.and_then(|()| (&shared.file).write_all(&bytes));
            if buffer.unread().is_empty() {
                buffer.bytes = bytes;
            }
            written.map_err(|e| WriteError::new(e, path))
        }));
        Poll::Ready(Ok(n))
    }

    /// Waits until all writes were passed to the system. [`File::sync_all`] also waits for the
    /// disk.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_done(cx)
    }

    /// Flushes the file. The descriptor is closed when the file is dropped.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        loop {
            match ready!(self.poll_idle(cx)) {
                Completed::Sought(requested, result) if requested == to => {
                    return Poll::Ready(result.map_err(|e| self.failed("seek in", e)));
                }
                _ => {}
            }
            self.take_write_error()
                .map_err(|e| self.failed("write", e))?;
            if let Some(result) = ready!(self.poll_seek_cached(cx, to)) {
                return Poll::Ready(result.map_err(|e| self.failed("seek in", e)));
            }
            let pool = pool().map_err(|e| self.failed("seek in", e))?;
            let shared = self.shared.clone();
            let job = spawn_blocking_named(&pool, "seek", move || {
                shared.buffer().rewind(&shared.file)?;
                (&shared.file).seek(to)
            });
            self.state = State::Seeking(to, job);
        }
    }
}
