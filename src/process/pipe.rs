//! Our ends of a child's standard streams: pipes of [`net::pipe`](crate::net::pipe), under std's names.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::{self, Stdio};
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_net::pipe::{Receiver, Sender};

/// The end of a child's standard input that we write to. Dropping or closing it ends the input.
///
/// It is non-blocking, which the child does not notice: its end is another open file. As a
/// [`pipe::Sender`](Sender), which it becomes by `try_into`, it can also tell that the child reads no
/// more before anything is written.
///
/// # Errors
/// `BrokenPipe` once the child reads no more, and after it was closed here; SIGPIPE is not raised, unless
/// the program has changed that. And if it has to wait outside a runtime.
///
/// # Cancel safety
/// A write that returned `Pending` has done nothing.
#[derive(Debug)]
pub struct ChildStdin(
    /// `None` once it was closed.
    Option<Sender>,
);

fn closed() -> io::Error {
    let text = "the child's standard input was closed before";
    io::Error::new(io::ErrorKind::BrokenPipe, text)
}

impl ChildStdin {
    /// Takes over a pipe of std's.
    ///
    /// # Errors
    /// `InvalidInput` if it is no pipe, since std makes one of any descriptor; and what fcntl(2) says.
    pub fn from_std(stdin: process::ChildStdin) -> io::Result<ChildStdin> {
        Sender::try_from(stdin).map(|pipe| ChildStdin(Some(pipe)))
    }

    /// Gives back the descriptor, blocking again: for another program's standard output, say.
    ///
    /// # Errors
    /// `BrokenPipe` if it was closed, and what fcntl(2) says.
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

    /// Nothing is kept back here.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the pipe, so that the child finds the end of its input.
    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

impl TryFrom<ChildStdin> for Sender {
    type Error = io::Error;

    /// # Errors
    /// `BrokenPipe` if it was closed.
    fn try_from(stdin: ChildStdin) -> io::Result<Sender> {
        stdin.0.ok_or_else(closed)
    }
}

impl TryFrom<ChildStdin> for Stdio {
    type Error = io::Error;

    /// As [`ChildStdin::into_owned_fd`].
    fn try_from(stdin: ChildStdin) -> io::Result<Stdio> {
        stdin.into_owned_fd().map(Stdio::from)
    }
}

macro_rules! reading_end {
    ($end:ident, $stream:literal) => {
        #[doc = concat!("The end of a child's standard ", $stream, " that we read from.")]
        ///
        /// It is non-blocking, which the child does not notice: its end is another open file. It can be
        /// made a [`pipe::Receiver`](Receiver), which can do more.
        ///
        /// # Errors
        /// If it has to wait outside a runtime.
        ///
        /// # Cancel safety
        /// A read that returned `Pending` has done nothing.
        #[derive(Debug)]
        pub struct $end(Receiver);

        impl $end {
            /// Takes over a pipe of std's.
            ///
            /// # Errors
            /// `InvalidInput` if it is no pipe, since std makes one of any descriptor; and what fcntl(2)
            /// says.
            pub fn from_std(stream: process::$end) -> io::Result<$end> {
                Receiver::try_from(stream).map($end)
            }

            /// Gives back the descriptor, blocking again: for another program's standard input, say.
            ///
            /// # Errors
            /// What fcntl(2) says.
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

            #[doc = concat!("As [`", stringify!($end), "::into_owned_fd`].")]
            fn try_from(stream: $end) -> io::Result<Stdio> {
                stream.into_owned_fd().map(Stdio::from)
            }
        }
    };
}

reading_end!(ChildStdout, "output");
reading_end!(ChildStderr, "error");
