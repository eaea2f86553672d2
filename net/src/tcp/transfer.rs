//! Reading from a connection and writing to it, as the traits of futures-io have it.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown};
use std::ops::{Deref, Range};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_reactor::Direction;
use socket2::SockRef;

use super::stream::TcpStream;
use crate::sys;

/// Without SIGPIPE, which std's `write` too goes without but not its `write_vectored`.
pub(super) fn send(stream: &net::TcpStream, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    SockRef::from(stream).send_vectored_with_flags(bufs, sys::SEND_FLAGS)
}

/// The part of `bufs` to give to one call: no empty ones at the start, so that a transfer of 0 bytes
/// means something, and not more than the system takes.
pub(super) fn worth_passing<B: Deref<Target = [u8]>>(bufs: &[B]) -> Range<usize> {
    let full = bufs.iter().position(|buf| !buf.is_empty());
    let start = full.unwrap_or(bufs.len());
    start..bufs.len().min(start + sys::MOST_BUFFERS)
}

fn total<B: Deref<Target = [u8]>>(bufs: &[B]) -> usize {
    bufs.iter().map(|buf| buf.len()).sum()
}

impl AsyncRead for &TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let asked = buf.len();
        let recv = |mut stream: &net::TcpStream| stream.read(buf);
        self.source.poll_transfer(Direction::Read, cx, asked, recv)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let part = worth_passing(bufs);
        let bufs = &mut bufs[part];
        if bufs.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let asked = total(bufs);
        let recv = |mut stream: &net::TcpStream| stream.read_vectored(bufs);
        self.source.poll_transfer(Direction::Read, cx, asked, recv)
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let send = |mut stream: &net::TcpStream| stream.write(buf);
        self.source
            .poll_transfer(Direction::Write, cx, buf.len(), send)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bufs = &bufs[worth_passing(bufs)];
        if bufs.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let send = |stream: &net::TcpStream| send(stream, bufs);
        self.source
            .poll_transfer(Direction::Write, cx, total(bufs), send)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            // The peer was faster: it is closed, which is what we want.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(cx, bufs)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(cx)
    }
}
