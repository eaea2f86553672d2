//! A stream whose writes have a time limit.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use pin_project_lite::pin_project;

use crate::time::{Sleep, sleep};

pin_project! {
    /// A stream that fails with `TimedOut` if the peer takes no data for too long.
    pub(super) struct SendTimeout<T> {
        #[pin]
        stream: T,
        limit: Option<Duration>,
        // Runs while a write waits.
        sleep: Option<Sleep>,
    }
}

impl<T> SendTimeout<T> {
    pub(super) fn new(stream: T, limit: Option<Duration>) -> SendTimeout<T> {
        SendTimeout {
            stream,
            limit,
            sleep: None,
        }
    }
}

/// Returns the result of a write, or an error if it has waited for longer than `limit`.
fn limited(
    written: Poll<io::Result<usize>>,
    limit: Option<Duration>,
    waiting: &mut Option<Sleep>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let Some(limit) = limit.filter(|_| written.is_pending()) else {
        *waiting = None;
        return written;
    };
    let waiting = waiting.get_or_insert_with(|| sleep(limit));
    Pin::new(waiting).poll(cx).map(|()| {
        let text = format!("send: the peer has taken nothing for {limit:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}

impl<T: Read> Read for SendTimeout<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().stream.poll_read(cx, cursor)
    }
}

impl<T: Write> Write for SendTimeout<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write(cx, buf);
        limited(written, *this.limit, this.sleep, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write_vectored(cx, bufs);
        limited(written, *this.limit, this.sleep, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
