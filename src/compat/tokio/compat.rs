//! A wrapper between the traits of futures-io and those of tokio.

use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::io::ReadBuf;

use crate::io::scratch;

pin_project! {
    /// A wrapper that adapts a stream between the traits of futures-io and tokio.
    ///
    /// Around a futures-io reader or writer it implements tokio's traits, and around a tokio reader
    /// or writer it implements those of futures-io. The streams of this crate implement both
    /// without it.
    ///
    /// # Examples
    /// tokio's in-memory pipe, copied by this crate's `copy`:
    /// ```
    /// use runtime::compat::tokio::Compat;
    /// use runtime::io::{AsyncWriteExt, copy};
    ///
    /// # runtime::block_on(async {
    /// let (near, far) = tokio::io::duplex(64);
    /// let mut near = Compat::new(near);
    /// near.write_all(b"hello").await?;
    /// drop(near);
    /// let mut text = Vec::new();
    /// copy(Compat::new(far), &mut text).await?;
    /// assert_eq!(text, b"hello");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    /// A cursor of this crate, read by a function that takes tokio's trait:
    /// ```
    /// use runtime::compat::tokio::Compat;
    /// use runtime::io::Cursor;
    /// use tokio::io::AsyncReadExt;
    ///
    /// # runtime::block_on(async {
    /// let mut reader = Compat::new(Cursor::new(b"hello"));
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text).await?;
    /// assert_eq!(text, "hello");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    #[derive(Debug, Clone)]
    pub struct Compat<T> {
        #[pin]
        stream: T,
        // tokio begins a seek and polls it in two calls.
        seek: Option<SeekFrom>,
    }
}

impl<T> Compat<T> {
    /// Wraps a stream.
    pub fn new(stream: T) -> Compat<T> {
        Compat { stream, seek: None }
    }

    /// Returns a reference to the stream.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// Returns a mutable reference to the stream.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.stream
    }

    /// Returns the stream.
    pub fn into_inner(self) -> T {
        self.stream
    }
}

/// Reads into the buffer of this thread and copies what was read.
///
/// tokio's buffer need not be initialized, and a reader of futures-io takes initialized memory.
/// Copying what was read is cheaper than clearing the whole buffer before each read.
pub(super) fn poll_read_by_copy(
    buf: &mut ReadBuf<'_>,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<()>> {
    if buf.remaining() == 0 {
        return Poll::Ready(Ok(()));
    }
    scratch::with_buffer(|scratch| {
        let room = buf.remaining().min(scratch.len());
        let read = ready!(read(&mut scratch[..room]))?;
        buf.put_slice(&scratch[..read]);
        Poll::Ready(Ok(()))
    })
}

impl<T: futures_io::AsyncRead> tokio::io::AsyncRead for Compat<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_read_by_copy(buf, |scratch| self.project().stream.poll_read(cx, scratch))
    }
}

impl<T: futures_io::AsyncWrite> tokio::io::AsyncWrite for Compat<T> {
    forward_write!(poll_shutdown => poll_close);

    fn is_write_vectored(&self) -> bool {
        // futures-io has no such method. A writer that takes a single buffer returns its length,
        // and the caller continues with the next one.
        true
    }
}

impl<T: futures_io::AsyncBufRead> tokio::io::AsyncBufRead for Compat<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.project().stream.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.project().stream.consume(amount);
    }
}

impl<T: futures_io::AsyncSeek> tokio::io::AsyncSeek for Compat<T> {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        *self.project().seek = Some(position);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.project();
        // If no seek was begun, tokio requests the position.
        let position = this.seek.unwrap_or(SeekFrom::Current(0));
        let moved = ready!(this.stream.poll_seek(cx, position));
        *this.seek = None;
        Poll::Ready(moved)
    }
}

impl<T: tokio::io::AsyncRead> futures_io::AsyncRead for Compat<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(self.project().stream.poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<T: tokio::io::AsyncWrite> futures_io::AsyncWrite for Compat<T> {
    forward_write!(poll_close => poll_shutdown);
}

impl<T: tokio::io::AsyncBufRead> futures_io::AsyncBufRead for Compat<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.project().stream.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.project().stream.consume(amount);
    }
}

impl<T: tokio::io::AsyncSeek> futures_io::AsyncSeek for Compat<T> {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        position: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let mut this = self.project();
        if *this.seek != Some(position) {
            // tokio requires an earlier seek to be complete.
            ready!(this.stream.as_mut().poll_complete(cx))?;
            this.stream.as_mut().start_seek(position)?;
            *this.seek = Some(position);
        }
        let moved = ready!(this.stream.poll_complete(cx));
        *this.seek = None;
        Poll::Ready(moved)
    }
}
