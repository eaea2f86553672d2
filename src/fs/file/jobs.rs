//! What a file does, one thing at a time: its jobs on the pool, and the traits that begin them.

use std::future::{Future, poll_fn};
use std::io::{self, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};
use runtime_executor::JoinHandle;

use super::File;
use crate::fs::pool;
use crate::fs::read_ahead::MAX_BYTES;

/// What the file is doing.
pub(super) enum State {
    Idle,
    Reading(JoinHandle<io::Result<()>>),
    Writing(JoinHandle<io::Result<()>>),
    /// To where, so that the one who requested finds the answer.
    Seeking(SeekFrom, JoinHandle<io::Result<u64>>),
}

/// What became of the one thing the file was doing.
enum Completed {
    Nothing,
    /// It is in the buffer; if that is empty, the file was at its end.
    Read(io::Result<()>),
    Sought(SeekFrom, io::Result<u64>),
}

impl File {
    /// Runs `op` after what was written, and with nothing read ahead.
    pub(super) async fn run_after_write(
        &mut self,
        what: &str,
        op: impl FnOnce(&std::fs::File) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        poll_fn(|cx| self.poll_write_done(cx)).await?;
        let pool = pool().map_err(|e| self.failed(what, e))?;
        let shared = self.shared.clone();
        // As if it wrote: if this future is dropped, the next operation waits for it.
        self.state = State::Writing(pool.spawn_blocking(move || {
            shared.buffer().rewind_or_keep(&shared.file)?;
            op(&shared.file)
        }));
        poll_fn(|cx| self.poll_idle(cx)).await;
        self.take_write_error().map_err(|e| self.failed(what, e))
    }

    /// Waits until the file rests.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Completed> {
        let done = match &mut self.state {
            State::Idle => Completed::Nothing,
            State::Reading(job) => Completed::Read(ready!(poll_job(job, cx))),
            State::Writing(job) => {
                self.write_error = ready!(poll_job(job, cx)).err();
                Completed::Nothing
            }
            State::Seeking(to, job) => Completed::Sought(*to, ready!(poll_job(job, cx))),
        };
        self.state = State::Idle;
        Poll::Ready(done)
    }

    /// Waits until everything written is in the file, and tells if it is not.
    fn poll_write_done(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was read meanwhile stays in the buffer; its error comes again if it matters.
        ready!(self.poll_idle(cx));
        Poll::Ready(self.take_write_error().map_err(|e| self.failed("write", e)))
    }

    fn take_write_error(&mut self) -> io::Result<()> {
        self.write_error.take().map_or(Ok(()), Err)
    }

    fn start_reading(&mut self, requested: usize) -> io::Result<()> {
        let pool = pool()?;
        let shared = self.shared.clone();
        self.state = State::Reading(
            pool.spawn_blocking(move || shared.buffer().fill(&shared.file, requested)),
        );
        Ok(())
    }
}

/// What became of a job; one that was lost with its runtime, or found no thread, has done nothing.
fn poll_job<R: 'static>(
    job: &mut JoinHandle<io::Result<R>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<R>> {
    Poll::Ready(ready!(Pin::new(job).poll(cx)).unwrap_or_else(|e| Err(e.into())))
}

impl AsyncRead for File {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let State::Idle = self.state {
                let n = self.shared.buffer().read(buf);
                if n > 0 || buf.is_empty() {
                    return Poll::Ready(Ok(n));
                }
                self.start_reading(buf.len())
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

impl AsyncWrite for File {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_done(cx))?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let n = buf.len().min(MAX_BYTES);
        let pool = pool().map_err(|e| self.failed("write", e))?;
        let shared = self.shared.clone();
        let mut bytes = shared.buffer().take_spare();
        bytes.clear();
        bytes.extend_from_slice(&buf[..n]);
        self.state = State::Writing(pool.spawn_blocking(move || {
            let mut buffer = shared.buffer();
            buffer.rewind_or_keep(&shared.file)?;
            let written = (&shared.file).write_all(&bytes);
            if buffer.unread().is_empty() {
                buffer.bytes = bytes;
            }
            written
        }));
        Poll::Ready(Ok(n))
    }

    /// Waits until everything written has arrived at the system; [`File::sync_all`] goes on to the
    /// disk.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_done(cx)
    }

    /// Flushes; the descriptor is closed by dropping the file.
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
            let pool = pool().map_err(|e| self.failed("seek in", e))?;
            let shared = self.shared.clone();
            let job = pool.spawn_blocking(move || {
                shared.buffer().rewind(&shared.file)?;
                (&shared.file).seek(to)
            });
            self.state = State::Seeking(to, job);
        }
    }
}
