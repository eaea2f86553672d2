//! A stream whose writes fail when the client stops reading.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use runtime::compat::hyper::FileIo;
use runtime::time::{Duration, Sleep, sleep};

/// A connection whose writes fail with `TimedOut` once the client has accepted no data for a while.
///
/// Without this limit a client that never reads its response keeps a connection and an open file
/// forever. A write that does not have to wait arms no timer.
pub(crate) struct SendLimit {
    stream: FileIo,
    limit: Duration,
    /// Armed while a write waits.
    waiting: Option<Sleep>,
}

impl SendLimit {
    pub(crate) fn new(stream: FileIo, limit: Duration) -> SendLimit {
        SendLimit {
            stream,
            limit,
            waiting: None,
        }
    }

    pub(crate) fn into_inner(self) -> FileIo {
        self.stream
    }

    fn limit<T>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(Pin<&mut FileIo>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = operation(Pin::new(&mut self.stream), cx) {
            self.waiting = None;
            return Poll::Ready(result);
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| sleep(limit));
        ready!(Pin::new(waiting).poll(cx));
        let text = format!("the client has accepted no data for {limit:?}");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    }
}

impl Read for SendLimit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for SendLimit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.limit(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.limit(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.limit(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.limit(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}
