//! tokio's traits of I/O on the streams of this crate (feature `tokio-io`).
//!
//! A read goes straight into the caller's memory, whether that is initialized or not.

use std::io::{self, IoSlice};
use std::net;
use std::os::fd::AsFd;
use std::os::unix;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Source};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pipe::{ReadEnd, Receiver, Sender};
use crate::split::sealed::Connection;
use crate::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::sys::read_buf;
use crate::tcp::TcpStream;
use crate::unix::UnixStream;

/// A descriptor that bytes are read from.
trait Readable: AsFd {
    /// Reads into the unfilled part of `buf`, and returns the number of bytes.
    fn read(&self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        read_buf::recv(self.as_fd(), buf)
    }
}

impl Readable for net::TcpStream {}
impl Readable for unix::net::UnixStream {}
impl Readable for ReadEnd {
    fn read(&self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        read_buf::read(self.for_read()?.as_fd(), buf)
    }
}

fn poll_read<T: Readable>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if buf.remaining() == 0 {
        return Poll::Ready(Ok(()));
    }
    let asked = read_buf::asked(buf);
    ready!(source.poll_transfer(Direction::Read, cx, asked, |io| io.read(buf)))?;
    Poll::Ready(Ok(()))
}

/// Implements `AsyncRead` for types with a field `source`, and for references to them.
macro_rules! read_from_source {
    ($($type:ty),*) => {$(
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                poll_read(&self.source, cx, buf)
            }
        }
    )*};
}

read_from_source!(TcpStream, &TcpStream);
read_from_source!(UnixStream, &UnixStream);
read_from_source!(Receiver, &Receiver);

/// Implements `AsyncRead` for a half by means of its stream.
macro_rules! read_through_the_stream {
    ($($half:ty),*) => {$(
        impl<S: Connection> AsyncRead for $half
        where
            for<'s> &'s S: AsyncRead,
        {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let mut stream: &S = self.as_ref().get_ref().as_ref();
                Pin::new(&mut stream).poll_read(cx, buf)
            }
        }
    )*};
}

read_through_the_stream!(ReadHalf<'_, S>, OwnedReadHalf<S>);

/// Implements `AsyncWrite` by means of the type's `AsyncWrite` of futures-io, which it resembles.
macro_rules! write_as_for_futures_io {
    ($($type:ty $([$stream:ident])?),* $(,)?) => {$(
        impl$(<$stream: Connection>)? AsyncWrite for $type
        $(where
            for<'s> &'s $stream: futures_io::AsyncWrite,)?
        {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                futures_io::AsyncWrite::poll_write(self, cx, buf)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_flush(self, cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_close(self, cx)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                futures_io::AsyncWrite::poll_write_vectored(self, cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }
        }
    )*};
}

write_as_for_futures_io!(
    TcpStream,
    &TcpStream,
    UnixStream,
    &UnixStream,
    Sender,
    &Sender,
    WriteHalf<'_, S> [S],
    OwnedWriteHalf<S> [S],
);
