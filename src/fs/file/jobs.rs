//! What a file does, one thing at a time: its jobs on the pool, and the traits that begin them.

use std::future::{Future, poll_fn};
use std::io::{self, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};
use runtime_executor::JoinHandle;

use super::File;
use crate::fs::pool;
use crate::fs::read_ahead::MOST_BYTES;

/// What the file is doing.
pub(super) enum State {
    Rest,
    Reading(JoinHandle<io::Result<()>>),
    Writing(JoinHandle<io::Result<()>>),
    /// To where, so that the one who asked finds the answer.
    Seeking(SeekFrom, JoinHandle<io::Result<u64>>),
}

/// What became of the one thing the file was doing.
enum Done {
    Nothing,
    /// It is in the buffer; if that is empty, the file was at its end.
    Read(io::Result<()>),
    Sought(SeekFrom, io::Result<u64>),
}

impl File {
    /// Runs `op` after what was written, and with nothing read ahead.
    pub(super) async fn after_writing(
        &mut self,
        what: &str,
        op: impl FnOnce(&std::fs::File) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        poll_fn(|cx| self.poll_written(cx)).await?;
        let pool = pool().map_err(|e| self.failed(what, e))?;
        let shared = self.shared.clone();
        // As if it wrote: if this future is dropped, the next operation waits for it.
        self.state = State::Writing(pool.spawn_blocking(move || {
            shared.buffer().give_back_or_keep(&shared.file)?;
            op(&shared.file)
        }));
        poll_fn(|cx| self.poll_settled(cx)).await;
        self.take_write_error().map_err(|e| self.failed(what, e))
    }

    /// Waits until the file rests.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        let done = match &mut self.state {
            State::Rest => Done::Nothing,
            State::Reading(job) => Done::Read(ready!(poll_ended(job, cx))),
            State::Writing(job) => {
                self.write_error = ready!(poll_ended(job, cx)).err();
                Done::Nothing
            }
            State::Seeking(to, job) => Done::Sought(*to, ready!(poll_ended(job, cx))),
        };
        self.state = State::Rest;
        Poll::Ready(done)
    }

    /// Waits until everything written is in the file, and tells if it is not.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was read meanwhile stays in the buffer; its error comes again if it matters.
        ready!(self.poll_settled(cx));
        Poll::Ready(self.take_write_error().map_err(|e| self.failed("write", e)))
    }

    fn take_write_error(&mut self) -> io::Result<()> {
        self.write_error.take().map_or(Ok(()), Err)
    }

    fn start_reading(&mut self, asked: usize) -> io::Result<()> {
        let pool = pool()?;
        let shared = self.shared.clone();
        self.state =
            State::Reading(pool.spawn_blocking(move || shared.buffer().fill(&shared.file, asked)));
        Ok(())
    }
}

/// What became of a job; one that was lost with its runtime, or found no thread, has done nothing.
fn poll_ended<R: 'static>(
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
            if let State::Rest = self.state {
                let n = self.shared.buffer().read(buf);
                if n > 0 || buf.is_empty() {
                    return Poll::Ready(Ok(n));
                }
                self.start_reading(buf.len())
                    .map_err(|e| self.failed("read", e))?;
            }
            if let Done::Read(result) = ready!(self.poll_settled(cx)) {
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
        ready!(self.poll_written(cx))?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let n = buf.len().min(MOST_BYTES);
        let pool = pool().map_err(|e| self.failed("write", e))?;
        let shared = self.shared.clone();
        let mut bytes = shared.buffer().spare_memory();
        bytes.clear();
        bytes.extend_from_slice(&buf[..n]);
        self.state = State::Writing(pool.spawn_blocking(move || {
            let mut buffer = shared.buffer();
            buffer.give_back_or_keep(&shared.file)?;
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
        self.poll_written(cx)
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
            match ready!(self.poll_settled(cx)) {
                Done::Sought(asked, result) if asked == to => {
                    return Poll::Ready(result.map_err(|e| self.failed("seek in", e)));
                }
                _ => {}
            }
            self.take_write_error()
                .map_err(|e| self.failed("write", e))?;
            let pool = pool().map_err(|e| self.failed("seek in", e))?;
            let shared = self.shared.clone();
            let job = pool.spawn_blocking(move || {
                shared.buffer().give_back(&shared.file)?;
                (&shared.file).seek(to)
            });
            self.state = State::Seeking(to, job);
        }
    }
}
