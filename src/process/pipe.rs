//! The parent's ends of a child's standard streams: pipes of [`net::pipe`](crate::net::pipe) under
//! std's names.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::{self, Stdio};
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_net::pipe::{Receiver, Sender};

/// The writing end of a child's standard input.
///
/// Dropping or closing it ends the input. It is non-blocking, which does not affect the child: the
/// child's end is another open file. `try_into` converts it to a [`pipe::Sender`](Sender), which
/// can also wait until the child stops reading.
///
/// # Errors
/// Writing returns `BrokenPipe` if the child no longer reads, and after closing; SIGPIPE is not
/// raised, unless the program has enabled it. Returns `Other` if a write has to wait outside a
/// runtime.
///
/// # Cancel safety
/// A write that returned `Pending` has written nothing.
#[derive(Debug)]
pub struct ChildStdin(
    /// `None` once closed.
    Option<Sender>,
);

fn closed() -> io::Error {
    let text = "the child's standard input is already closed";
    io::Error::new(io::ErrorKind::BrokenPipe, text)
}

impl ChildStdin {
    /// Wraps std's pipe, and makes it non-blocking.
    ///
    /// # Errors
    /// Returns `InvalidInput` if the descriptor is not a pipe, and the errors of fcntl(2).
    pub fn from_std(stdin: process::ChildStdin) -> io::Result<ChildStdin> {
        Sender::try_from(stdin).map(|pipe| ChildStdin(Some(pipe)))
    }

    /// Returns the descriptor, blocking again, for use as another program's standard output.
    ///
    /// # Errors
    /// Returns `BrokenPipe` if it was closed, and the errors of fcntl(2).
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        Sender::try_from(self)?.into_blocking_fd()
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.0.as_mut().ok_or_else(closed)?).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.0.as_mut().ok_or_else(closed)?).poll_write_vectored(cx, bufs)
    }

    /// Does nothing: writes are not buffered.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the pipe, which ends the child's input.
    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

impl TryFrom<ChildStdin> for Sender {
    type Error = io::Error;

    /// # Errors
    /// Returns `BrokenPipe` if it was closed.
    fn try_from(stdin: ChildStdin) -> io::Result<Sender> {
        stdin.0.ok_or_else(closed)
    }
}

impl TryFrom<ChildStdin> for Stdio {
    type Error = io::Error;

    /// Converts the pipe by [`ChildStdin::into_owned_fd`].
    fn try_from(stdin: ChildStdin) -> io::Result<Stdio> {
        stdin.into_owned_fd().map(Stdio::from)
    }
}

macro_rules! reading_end {
    ($end:ident, $stream:literal) => {
        #[doc = concat!("The reading end of a child's standard ", $stream, ".\n")]
        /// It is non-blocking, which does not affect the child: the child's end is another open
        /// file. `into` converts it to a [`pipe::Receiver`](Receiver), which has more methods.
        ///
        /// # Errors
        /// Reading returns `Other` if it has to wait outside a runtime.
        ///
        /// # Cancel safety
        /// A read that returned `Pending` has read nothing.
        #[derive(Debug)]
        pub struct $end(Receiver);

        impl $end {
            /// Wraps std's pipe, and makes it non-blocking.
            ///
            /// # Errors
            /// Returns `InvalidInput` if the descriptor is not a pipe, and the errors of fcntl(2).
            pub fn from_std(stream: process::$end) -> io::Result<$end> {
                Receiver::try_from(stream).map($end)
            }

            /// Returns the descriptor, blocking again, for use as another program's standard input.
            ///
            /// # Errors
            /// Returns the errors of fcntl(2).
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                self.0.into_blocking_fd()
            }
        }

        impl AsyncRead for $end {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_read(cx, buf)
            }

            fn poll_read_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_read_vectored(cx, bufs)
            }
        }

        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }

        impl From<$end> for Receiver {
            fn from(stream: $end) -> Receiver {
                stream.0
            }
        }

        impl TryFrom<$end> for Stdio {
            type Error = io::Error;

            #[doc = concat!("Converts the pipe by [`", stringify!($end), "::into_owned_fd`].")]
            fn try_from(stream: $end) -> io::Result<Stdio> {
                stream.into_owned_fd().map(Stdio::from)
            }
        }
    };
}

reading_end!(ChildStdout, "output");
reading_end!(ChildStderr, "error");
