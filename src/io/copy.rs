//! Copying from a reader to a writer.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_executor::internal::{Proceed, yield_budget};
use runtime_net::internal::{Drained, Filled};

use super::scratch;

/// Copies everything from `reader` to `writer`, flushes `writer`, and returns the number of bytes.
///
/// The copy uses a buffer of the thread, which it keeps only while the writer takes less than was
/// read: while it waits for the reader, it holds none. Between sockets and pipes
/// [`net::forward`](crate::net::forward()) does the same without copying the bytes.
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
    copy_through(Memory, reader, writer).await
}

/// Copies like [`copy`] on the given route.
pub(crate) async fn copy_through<T, R, W>(route: T, reader: R, writer: W) -> io::Result<u64>
where
    T: Route<R, W>,
    R: AsyncRead,
    W: AsyncWrite,
{
    let (mut reader, mut writer) = (pin!(reader), pin!(writer));
    let mut transfer = Transfer::new(route);
    poll_fn(|cx| transfer.poll_copy(cx, reader.as_mut(), writer.as_mut())).await
}

/// The route of bytes from a reader to a writer: through memory alone, or also through the kernel.
pub(crate) trait Route<R: ?Sized, W: ?Sized> {
    /// Reads a piece, into `buffer` or into the route. Zero bytes mean the end.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Filled>>;

    /// Returns true if there are bytes in the route.
    fn has_bytes(&self) -> bool;

    /// Writes bytes that are in the route.
    fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<Drained>>;
}

/// The route that every reader and writer has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory;

impl<R: AsyncRead + ?Sized, W: ?Sized> Route<R, W> for Memory {
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Filled>> {
        reader.poll_read(cx, buffer).map_ok(Filled::Buffer)
    }

    fn has_bytes(&self) -> bool {
        false
    }

    fn poll_drain(&mut self, _: &mut Context<'_>, _: Pin<&mut W>) -> Poll<io::Result<Drained>> {
        Poll::Ready(Ok(Drained::Moved(0)))
    }
}

/// The maximum number of pieces that one poll moves, so that other tasks run whatever the types
/// are.
const PIECES_PER_POLL: usize = 64;

/// The number of bytes after which a poll moves no further piece, which takes the kernel a fraction
/// of a millisecond. A turn of the reactor costs a hundredth of that.
const BYTES_PER_POLL: usize = 1 << 20;

/// One direction of a copy.
#[derive(Debug)]
pub(crate) struct Transfer<T> {
    route: T,
    /// Bytes that the writer has not taken yet; usually none.
    pending: Option<Pending>,
    total: u64,
    at_end: bool,
    /// True if data was written since the last flush.
    unflushed: bool,
    proceed: Proceed,
}

/// Bytes in memory that the writer has not taken yet.
#[derive(Debug)]
struct Pending {
    buffer: Box<[u8]>,
    rest: Range<usize>,
}

impl<T> Transfer<T> {
    pub(crate) fn new(route: T) -> Transfer<T> {
        Transfer {
            route,
            pending: None,
            total: 0,
            at_end: false,
            unflushed: false,
            proceed: Proceed::default(),
        }
    }

    pub(crate) fn poll_copy<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        T: Route<R, W>,
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
        T: Route<R, W>,
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        let mut moved = 0;
        for _ in 0..PIECES_PER_POLL {
            ready!(self.poll_drain::<R, W>(cx, writer.as_mut()))?;
            ready!(self.poll_write_pending(cx, writer.as_mut()))?;
            if self.at_end {
                ready!(writer.as_mut().poll_flush(cx))?;
                return Poll::Ready(Ok(self.total));
            }
            if moved >= BYTES_PER_POLL {
                break;
            }
            match self.poll_piece(cx, reader.as_mut(), writer.as_mut())? {
                Poll::Ready(len) => {
                    self.at_end = len == 0;
                    moved += len;
                }
                Poll::Pending => {
                    if self.unflushed {
                        // The peer may wait for this data before it sends more.
                        ready!(writer.as_mut().poll_flush(cx))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        yield_budget(cx);
        Poll::Pending
    }

    /// Reads one piece and returns its length. Writes as much of it as the writer takes
    /// immediately, unless it is in the route.
    fn poll_piece<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> io::Result<Poll<usize>>
    where
        T: Route<R, W>,
        R: ?Sized,
        W: AsyncWrite + ?Sized,
    {
        let mut buffer = scratch::take();
        let filled = self.route.poll_fill(cx, reader, &mut buffer);
        let Poll::Ready(Ok(Filled::Buffer(len @ 1..))) = filled else {
            scratch::give_back(buffer);
            return match filled {
                Poll::Pending => Ok(Poll::Pending),
                Poll::Ready(filled) => {
                    filled.map(|(Filled::Buffer(len) | Filled::Pipe(len))| Poll::Ready(len))
                }
            };
        };
        let taken = match writer.poll_write(cx, &buffer[..len]) {
            Poll::Pending => 0,
            Poll::Ready(written) => self.count(written?)?,
        };
        if taken == len {
            scratch::give_back(buffer);
        } else {
            self.pending = Some(Pending::new(buffer, taken..len));
        }
        Ok(Poll::Ready(len))
    }

    fn poll_drain<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>>
    where
        T: Route<R, W>,
        R: ?Sized,
        W: ?Sized,
    {
        while self.route.has_bytes() {
            match ready!(self.route.poll_drain(cx, writer.as_mut()))? {
                Drained::Moved(moved) => {
                    self.count(moved)?;
                }
                Drained::Refused(bytes) => {
                    let rest = 0..bytes.len();
                    let buffer = bytes.into_boxed_slice();
                    self.pending = Some(Pending { buffer, rest });
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_pending<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        let Some(mut pending) = self.pending.take() else {
            return Poll::Ready(Ok(()));
        };
        while !pending.rest.is_empty() {
            let rest = &pending.buffer[pending.rest.clone()];
            match writer.as_mut().poll_write(cx, rest) {
                Poll::Ready(written) => pending.rest.start += self.count(written?)?,
                Poll::Pending => {
                    self.pending = Some(pending);
                    return Poll::Pending;
                }
            }
        }
        scratch::give_back(pending.buffer);
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

impl Pending {
    /// Keeps the rest of a scratch buffer, or a copy of it if it is short: the copy takes less
    /// memory while the writer waits.
    fn new(buffer: Box<[u8]>, rest: Range<usize>) -> Pending {
        if rest.len() > scratch::BUFFER_BYTES / 8 {
            return Pending { buffer, rest };
        }
        let short: Box<[u8]> = buffer[rest].into();
        scratch::give_back(buffer);
        Pending {
            rest: 0..short.len(),
            buffer: short,
        }
    }
}
