//! Copying from a reader to a writer.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_executor::internal::{Proceed, yield_budget};

use super::scratch;

/// Copies everything from `reader` to `writer`, flushes `writer`, and returns the number of bytes.
///
/// The copy uses the scratch buffer of the thread and allocates a buffer of its own only while the
/// writer takes less than was read: while it waits for the reader, it holds none.
///
/// Both arguments are taken by value; pass `&mut reader`, or `&stream` for a socket, to keep them.
///
/// # Errors
/// Returns the errors of reader and writer, and `WriteZero` if the writer takes no bytes.
///
/// # Cancel safety
/// Not cancel safe: data that was read but not yet written is lost.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let mut out = Vec::new();
/// let n = runtime::io::copy(&b"hello"[..], &mut out).await?;
/// assert_eq!((n, &out[..]), (5, &b"hello"[..]));
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub async fn copy<R, W>(reader: R, writer: W) -> io::Result<u64>
where
    R: AsyncRead,
    W: AsyncWrite,
{
    let (mut reader, mut writer) = (pin!(reader), pin!(writer));
    let mut transfer = Transfer::default();
    poll_fn(|cx| transfer.poll_copy(cx, reader.as_mut(), writer.as_mut())).await
}

/// The maximum number of pieces that one poll moves, so that other tasks run whatever the types
/// are.
const PIECES_PER_POLL: usize = 64;

/// One direction of a copy.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    /// Data that the writer has not taken yet, from `written` on; usually empty.
    pending: Vec<u8>,
    written: usize,
    total: u64,
    at_end: bool,
    /// True if data was written since the last flush.
    unflushed: bool,
    proceed: Proceed,
}

impl Transfer {
    pub(super) fn poll_copy<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        let polled = self.poll_pieces(cx, reader, writer);
        match polled {
            Poll::Pending => self.proceed.set_waited(),
            // The next poll finds the end again.
            Poll::Ready(Ok(_)) => ready!(self.proceed.poll(cx)),
            Poll::Ready(Err(_)) => {}
        }
        polled
    }

    fn poll_pieces<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        for _ in 0..PIECES_PER_POLL {
            ready!(self.poll_write_pending(cx, writer.as_mut()))?;
            if self.at_end {
                ready!(writer.as_mut().poll_flush(cx))?;
                return Poll::Ready(Ok(self.total));
            }
            let moved = self.poll_piece(cx, reader.as_mut(), writer.as_mut())?;
            if moved.is_pending() {
                if self.unflushed {
                    // The peer may wait for this data before it sends more.
                    ready!(writer.as_mut().poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        yield_budget(cx);
        Poll::Pending
    }

    /// Reads one piece, and writes as much of it as the writer takes immediately.
    fn poll_piece<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> io::Result<Poll<()>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        scratch::with_buffer(|buffer| {
            let read = match reader.poll_read(cx, buffer) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(read) => read?,
            };
            self.at_end = read == 0;
            if self.at_end {
                return Ok(Poll::Ready(()));
            }
            let taken = match writer.poll_write(cx, &buffer[..read]) {
                Poll::Pending => 0,
                Poll::Ready(written) => self.count(written?)?,
            };
            // The rest moves to a buffer of the transfer: the scratch buffer is shared.
            self.pending.extend_from_slice(&buffer[taken..read]);
            Ok(Poll::Ready(()))
        })
    }

    fn poll_write_pending<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            let rest = &self.pending[self.written..];
            let written = ready!(writer.as_mut().poll_write(cx, rest))?;
            self.written += self.count(written)?;
        }
        (self.pending, self.written) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    fn count(&mut self, written: usize) -> io::Result<usize> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.total += written as u64;
        self.unflushed = true;
        Ok(written)
    }
}
