//! Streams for hyper.

use std::any::Any;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{self, ReadBufCursor};
use pin_project_lite::pin_project;

use crate::io::scratch;
use crate::net::{TcpStream, UnixStream};
use crate::sys;

pin_project! {
    /// A wrapper that implements hyper's `Read` and `Write` for a futures-io stream, with vectored
    /// writes.
    ///
    /// Wrap the socket itself, and put a wrapper of your own around the `Io`: a [`TcpStream`] or
    /// [`UnixStream`] is read straight into the buffer of hyper.
    #[derive(Debug, Clone)]
    pub struct Io<T> {
        #[pin]
        stream: T,
    }
}

impl<T> Io<T> {
    /// Wraps a stream.
    pub fn new(stream: T) -> Io<T> {
        Io { stream }
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

/// Reads a [`TcpStream`] or [`UnixStream`] straight into the buffer of hyper. Other streams are
/// read into a buffer of the thread, in pieces of at most 64 KiB, which are copied to that of
/// hyper.
impl<T: AsyncRead + 'static> rt::Read for Io<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.project().stream;
        let any: &dyn Any = &*stream;
        // The compiler knows the answers.
        if let Some(stream) = any.downcast_ref::<TcpStream>() {
            return sys::hyper::poll_read(stream, cx, cursor);
        }
        if let Some(stream) = any.downcast_ref::<UnixStream>() {
            return sys::hyper::poll_read(stream, cx, cursor);
        }
        // hyper's buffer is not initialized. Copying what was read is cheaper than clearing the
        // whole buffer first, and needs no assumption about the `poll_read` of another crate.
        scratch::with_buffer(|buffer| {
            let room = cursor.remaining().min(buffer.len());
            let read = ready!(stream.poll_read(cx, &mut buffer[..room]))?;
            cursor.put_slice(&buffer[..read]);
            Poll::Ready(Ok(()))
        })
    }
}

impl<T: AsyncWrite> rt::Write for Io<T> {
    forward_write!(poll_shutdown => poll_close);

    fn is_write_vectored(&self) -> bool {
        true
    }
}
