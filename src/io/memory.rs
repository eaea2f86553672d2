//! Readers and writers in memory. They never wait, so they count their operations.

use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use runtime_executor::internal::Proceed;

/// A reader that is always at its end. Returned by [`empty`].
#[derive(Debug, Clone, Default)]
#[must_use = "a reader does nothing unless it is read from"]
pub struct Empty {
    proceed: Proceed,
}

/// Returns a reader that is always at its end.
///
/// # Examples
/// ```
/// use runtime::io::AsyncReadExt;
///
/// # runtime::block_on(async {
/// assert_eq!(runtime::io::empty().read(&mut [0; 8]).await?, 0);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub fn empty() -> Empty {
    Empty::default()
}

impl AsyncRead for Empty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.proceed.poll(cx).map(|()| Ok(0))
    }
}

impl AsyncBufRead for Empty {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().proceed.poll_fill(cx).map(|()| Ok(&[][..]))
    }

    fn consume(mut self: Pin<&mut Self>, _: usize) {
        self.proceed.consume();
    }
}

/// A reader that repeats one byte without end. Returned by [`repeat`].
#[derive(Debug, Clone)]
#[must_use = "a reader does nothing unless it is read from"]
pub struct Repeat {
    byte: u8,
    proceed: Proceed,
}

/// Returns a reader that repeats one byte without end.
///
/// # Examples
/// ```
/// use runtime::io::AsyncReadExt;
///
/// # runtime::block_on(async {
/// let mut bytes = [0; 3];
/// runtime::io::repeat(7).read_exact(&mut bytes).await?;
/// assert_eq!(bytes, [7, 7, 7]);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub fn repeat(byte: u8) -> Repeat {
    Repeat {
        byte,
        proceed: Proceed::default(),
    }
}

impl AsyncRead for Repeat {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.proceed.poll(cx));
        buffer.fill(self.byte);
        Poll::Ready(Ok(buffer.len()))
    }
}

/// A writer that discards all bytes. Returned by [`sink`].
#[derive(Debug, Clone, Default)]
#[must_use = "a writer does nothing unless it is written to"]
pub struct Sink {
    proceed: Proceed,
}

/// Returns a writer that discards all bytes.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let discarded = runtime::io::copy(&b"hello"[..], runtime::io::sink()).await?;
/// assert_eq!(discarded, 5);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub fn sink() -> Sink {
    Sink::default()
}

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.proceed.poll(cx).map(|()| Ok(buffer.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total = buffers.iter().map(|buffer| buffer.len()).sum();
        self.proceed.poll(cx).map(|()| Ok(total))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.proceed.poll(cx).map(Ok)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A reader, writer and seeker over bytes in memory, and the position in them.
///
/// # Examples
/// ```
/// use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, Cursor, SeekFrom};
///
/// # runtime::block_on(async {
/// let mut cursor = Cursor::new(Vec::new());
/// cursor.write_all(b"hello").await?;
/// cursor.seek(SeekFrom::Start(1)).await?;
/// let mut text = String::new();
/// cursor.read_to_string(&mut text).await?;
/// assert_eq!(text, "ello");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cursor<T> {
    inner: io::Cursor<T>,
    proceed: Proceed,
}

impl<T> Cursor<T> {
    /// Returns a cursor at position 0.
    pub fn new(inner: T) -> Cursor<T> {
        Cursor {
            inner: io::Cursor::new(inner),
            proceed: Proceed::default(),
        }
    }

    /// Returns a reference to the value that holds the bytes.
    pub fn get_ref(&self) -> &T {
        self.inner.get_ref()
    }

    /// Returns a mutable reference to the value that holds the bytes. The position stays the same.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// Returns the value that holds the bytes.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }

    /// Returns the position.
    pub fn position(&self) -> u64 {
        self.inner.position()
    }

    /// Sets the position, which may be behind the end.
    pub fn set_position(&mut self, position: u64) {
        self.inner.set_position(position);
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncRead for Cursor<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.proceed.poll(cx));
        Poll::Ready(io::Read::read(&mut self.inner, buffer))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.proceed.poll(cx));
        Poll::Ready(io::Read::read_vectored(&mut self.inner, buffers))
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncBufRead for Cursor<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.proceed.poll_fill(cx));
        Poll::Ready(io::BufRead::fill_buf(&mut this.inner))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.proceed.consume();
        io::BufRead::consume(&mut self.inner, amount);
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncSeek for Cursor<T> {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        position: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        ready!(self.proceed.poll(cx));
        Poll::Ready(io::Seek::seek(&mut self.inner, position))
    }
}

impl<T: Unpin> AsyncWrite for Cursor<T>
where
    io::Cursor<T>: io::Write,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.proceed.poll(cx));
        Poll::Ready(io::Write::write(&mut self.inner, buffer))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.proceed.poll(cx));
        Poll::Ready(io::Write::write_vectored(&mut self.inner, buffers))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(io::Write::flush(&mut self.inner))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
