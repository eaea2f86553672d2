//! tokio's traits for the streams of this crate that are not in `runtime_net`.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::compat::poll_read_by_copy;
use crate::fs::File;
use crate::io::{Async, Stderr, Stdin, Stdout};
#[cfg(feature = "process")]
use crate::process::{ChildStderr, ChildStdin, ChildStdout};

/// Implements `AsyncRead` through the type's futures-io `AsyncRead`.
macro_rules! read_by_copy {
    ($($type:ty $([$inner:ident])?),* $(,)?) => {$(
        impl$(<$inner: AsFd>)? AsyncRead for $type
        $(where
            for<'a> &'a $inner: Read,)?
        {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                poll_read_by_copy(buf, |scratch| {
                    futures_io::AsyncRead::poll_read(self, cx, scratch)
                })
            }
        }
    )*};
}

/// Implements `AsyncWrite` through the type's futures-io `AsyncWrite`.
macro_rules! write_as_for_futures_io {
    ($($type:ty $([$inner:ident])?),* $(,)?) => {$(
        impl$(<$inner: AsFd>)? AsyncWrite for $type
        $(where
            for<'a> &'a $inner: Write,)?
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

read_by_copy!(File, Stdin, Async<T> [T], &Async<T> [T]);
write_as_for_futures_io!(File, Stdout, Stderr, Async<T> [T], &Async<T> [T]);
#[cfg(feature = "process")]
read_by_copy!(ChildStdout, ChildStderr);
#[cfg(feature = "process")]
write_as_for_futures_io!(ChildStdin);
