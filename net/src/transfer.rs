//! Reading and writing byte streams, for TCP, Unix sockets and pipes alike: the functions, and the
//! macros that implement the traits of futures-io by them.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net;
use std::ops::{Deref, Range};
use std::os::fd::AsFd;
use std::os::unix;
use std::task::{Context, Poll};

use runtime_reactor::{Direction, Source};

use crate::sys::socket::MAX_BUFFERS;
use crate::sys::{bytes, names};

/// A descriptor that bytes are written to.
pub(crate) trait Send: AsFd {
    fn send(&self, buf: &[u8]) -> io::Result<usize>;
    fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// Implements `Send` for sockets, without SIGPIPE.
macro_rules! send_without_signal {
    ($($socket:ty),*) => {$(
        impl Send for $socket {
            fn send(&self, buf: &[u8]) -> io::Result<usize> {
                bytes::send(self, buf)
            }

            fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                bytes::send_vectored(self, bufs)
            }
        }
    )*};
}

send_without_signal!(net::TcpStream, unix::net::UnixStream);

/// The end of a pipe.
impl Send for std::fs::File {
    fn send(&self, buf: &[u8]) -> io::Result<usize> {
        bytes::write(self, buf)
    }

    fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        bytes::write_vectored(self, bufs)
    }
}

/// Returns the part of `bufs` for one call: without empty buffers at the start, so that 0 bytes
/// mean the end of the stream, and at most as many as the system accepts.
fn clamp_buffers<B: Deref<Target = [u8]>>(bufs: &[B]) -> Range<usize> {
    let first = bufs.iter().position(|buf| !buf.is_empty());
    let start = first.unwrap_or(bufs.len());
    start..bufs.len().min(start + MAX_BUFFERS)
}

fn total_len<B: Deref<Target = [u8]>>(bufs: &[B]) -> usize {
    bufs.iter().map(|buf| buf.len()).sum()
}

#[inline]
pub(crate) fn poll_read<T: AsFd>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>>
where
    for<'a> &'a T: Read,
{
    if buf.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let asked = buf.len();
    source.poll_transfer(Direction::Read, cx, asked, |io| bytes::read(io, buf))
}

pub(crate) fn poll_read_vectored<T: AsFd>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> Poll<io::Result<usize>>
where
    for<'a> &'a T: Read,
{
    let part = clamp_buffers(bufs);
    let bufs = &mut bufs[part];
    if bufs.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let asked = total_len(bufs);
    source.poll_transfer(Direction::Read, cx, asked, |io| {
        bytes::read_vectored(io, bufs)
    })
}

/// Not inlined, so that the loops that call it are.
#[inline(never)]
pub(crate) fn poll_write<T: Send>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    buf: &[u8],
) -> Poll<io::Result<usize>> {
    if buf.is_empty() {
        return Poll::Ready(Ok(0));
    }
    source.poll_transfer(Direction::Write, cx, buf.len(), |io| io.send(buf))
}

pub(crate) fn poll_write_vectored<T: Send>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let bufs = &bufs[clamp_buffers(bufs)];
    if bufs.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let asked = total_len(bufs);
    source.poll_transfer(Direction::Write, cx, asked, |io| io.send_vectored(bufs))
}

pub(crate) fn try_read<T: AsFd>(source: &Source<T>, buf: &mut [u8]) -> io::Result<usize>
where
    for<'a> &'a T: Read,
{
    if buf.is_empty() {
        return Ok(0);
    }
    let asked = buf.len();
    source.try_transfer(Direction::Read, asked, |io| bytes::read(io, buf))
}

pub(crate) fn try_read_vectored<T: AsFd>(
    source: &Source<T>,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<usize>
where
    for<'a> &'a T: Read,
{
    let part = clamp_buffers(bufs);
    let bufs = &mut bufs[part];
    if bufs.is_empty() {
        // Some systems reject a call without buffers: readv(2) of the BSDs.
        return Ok(0);
    }
    source.try_io(Direction::Read, |io| bytes::read_vectored(io, bufs))
}

pub(crate) fn try_write<T: Send>(source: &Source<T>, buf: &[u8]) -> io::Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    source.try_transfer(Direction::Write, buf.len(), |io| io.send(buf))
}

pub(crate) fn try_write_vectored<T: Send>(
    source: &Source<T>,
    bufs: &[IoSlice<'_>],
) -> io::Result<usize> {
    let bufs = &bufs[clamp_buffers(bufs)];
    if bufs.is_empty() {
        return Ok(0);
    }
    source.try_io(Direction::Write, |io| io.send_vectored(bufs))
}

/// Implements `AsyncRead` for a type with a field `source`, and for references to it.
macro_rules! read_from_source {
    ($type:ty) => {
        $crate::transfer::read_from_source!(@ &$type, self => self.source);
        $crate::transfer::read_from_source!(@ $type, self => self.source);
    };
    (@ $type:ty, $self:ident => $source:expr) => {
        impl futures_io::AsyncRead for $type {
            #[inline]
            fn poll_read(
                $self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                $crate::transfer::poll_read(&$source, cx, buf)
            }

            fn poll_read_vectored(
                $self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                $crate::transfer::poll_read_vectored(&$source, cx, bufs)
            }
        }
    };
}

/// Implements `AsyncWrite` for a type with a field `source`, and for references to it. Closing
/// calls `$shutdown`.
macro_rules! write_to_source {
    ($type:ty, $shutdown:path) => {
        $crate::transfer::write_to_source!(@ &$type, self => self.source, $shutdown);
        $crate::transfer::write_to_source!(@ $type, self => self.source, $shutdown);
    };
    (@ $type:ty, $self:ident => $source:expr, $shutdown:path) => {
        impl futures_io::AsyncWrite for $type {
            #[inline]
            fn poll_write(
                $self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                $crate::transfer::poll_write(&$source, cx, buf)
            }

            fn poll_write_vectored(
                $self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                $crate::transfer::poll_write_vectored(&$source, cx, bufs)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_close(
                $self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready($shutdown(&$source))
            }
        }
    };
}

pub(crate) use {read_from_source, write_to_source};

/// Shuts down writing. Closing a connection that the peer has closed is not an error.
pub(crate) fn shutdown_write<T: AsFd>(source: &Source<T>) -> io::Result<()> {
    forgive_gone(names::shutdown(source.get_ref(), net::Shutdown::Write))
}

/// Forgives the errors of shutdown(2) for a connection that the peer has closed or reset already:
/// ENOTCONN, and EINVAL on NetBSD and macOS. The argument is valid, so EINVAL means nothing else.
fn forgive_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if [Some(libc::ENOTCONN), Some(libc::EINVAL)].contains(&e.raw_os_error()) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shutting_down_a_closed_connection_is_not_an_error() {
        let shutdown = |errno| forgive_gone(Err(io::Error::from_raw_os_error(errno)));
        assert!(shutdown(libc::ENOTCONN).is_ok() && shutdown(libc::EINVAL).is_ok());
        let error = shutdown(libc::ENOTSOCK).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
    }
}
