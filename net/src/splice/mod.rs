//! Moving bytes from one stream to another in the kernel, through a pipe.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_reactor::Direction;

use crate::pipe::{Receiver, Sender};
use crate::split::sealed::Connection;
use crate::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::sys::splice as sys;
use crate::tcp::TcpStream;
use crate::unix::UnixStream;
use pool::Pipe;

mod pool;

/// An operation on a descriptor that returns the number of bytes it has moved.
type Op<'a> = &'a mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>;

/// Keeps other crates from implementing the traits.
mod sealed {
    use super::*;

    pub trait ReadBy {
        /// Attempts `op` until the stream is readable.
        fn poll_read_by(&self, cx: &mut Context<'_>, op: Op<'_>) -> Poll<io::Result<usize>>;
    }

    pub trait WriteBy {
        /// Attempts `op`, which takes up to `requested` bytes, until the stream is writable.
        fn poll_write_by(
            &self,
            cx: &mut Context<'_>,
            requested: usize,
            op: Op<'_>,
        ) -> Poll<io::Result<usize>>;
    }
}

/// A stream whose bytes the kernel can move to a [`SpliceWrite`] without copying them.
///
/// It is implemented for TCP and Unix streams, their reading halves, and the receivers of pipes.
pub trait SpliceRead: AsyncRead + sealed::ReadBy {}

/// A stream to which the kernel can move the bytes of a [`SpliceRead`] without copying them.
///
/// It is implemented for TCP and Unix streams, their writing halves, and the senders of pipes.
pub trait SpliceWrite: AsyncWrite + sealed::WriteBy {}

impl<T: AsyncRead + sealed::ReadBy + ?Sized> SpliceRead for T {}
impl<T: AsyncWrite + sealed::WriteBy + ?Sized> SpliceWrite for T {}

macro_rules! read_by_source {
    ($($stream:ty => |$io:ident| $fd:expr),* $(,)?) => {$(
        impl sealed::ReadBy for $stream {
            fn poll_read_by(&self, cx: &mut Context<'_>, op: Op<'_>) -> Poll<io::Result<usize>> {
                // The number of bytes says nothing about the rest: a pipe may be full.
                self.source.poll_io(Direction::Read, cx, |$io| op($fd))
            }
        }
    )*};
}

macro_rules! write_by_source {
    ($($stream:ty),* $(,)?) => {$(
        impl sealed::WriteBy for $stream {
            fn poll_write_by(
                &self,
                cx: &mut Context<'_>,
                requested: usize,
                op: Op<'_>,
            ) -> Poll<io::Result<usize>> {
                let op = |io: &_| op(AsFd::as_fd(io));
                self.source.poll_transfer(Direction::Write, cx, requested, op)
            }
        }
    )*};
}

read_by_source!(
    TcpStream => |io| io.as_fd(),
    UnixStream => |io| io.as_fd(),
    Receiver => |end| end.for_read()?.as_fd(),
);
write_by_source!(TcpStream, UnixStream, Sender);

/// Implements a trait for references, as their streams do.
macro_rules! by_reference {
    ($($reference:ty),* $(,)?) => {$(
        impl<T: sealed::ReadBy + ?Sized> sealed::ReadBy for $reference {
            fn poll_read_by(&self, cx: &mut Context<'_>, op: Op<'_>) -> Poll<io::Result<usize>> {
                (**self).poll_read_by(cx, op)
            }
        }

        impl<T: sealed::WriteBy + ?Sized> sealed::WriteBy for $reference {
            fn poll_write_by(
                &self,
                cx: &mut Context<'_>,
                requested: usize,
                op: Op<'_>,
            ) -> Poll<io::Result<usize>> {
                (**self).poll_write_by(cx, requested, op)
            }
        }
    )*};
}

by_reference!(&T, &mut T);

macro_rules! through_the_stream {
    ($read_half:ty, $write_half:ty) => {
        impl<S: Connection + sealed::ReadBy> sealed::ReadBy for $read_half {
            fn poll_read_by(&self, cx: &mut Context<'_>, op: Op<'_>) -> Poll<io::Result<usize>> {
                self.as_ref().poll_read_by(cx, op)
            }
        }

        impl<S: Connection + sealed::WriteBy> sealed::WriteBy for $write_half {
            fn poll_write_by(
                &self,
                cx: &mut Context<'_>,
                requested: usize,
                op: Op<'_>,
            ) -> Poll<io::Result<usize>> {
                self.as_ref().poll_write_by(cx, requested, op)
            }
        }
    };
}

through_the_stream!(ReadHalf<'_, S>, WriteHalf<'_, S>);
through_the_stream!(OwnedReadHalf<S>, OwnedWriteHalf<S>);

/// The most bytes that one call is asked to move. The pipe has room for less.
const MAX_BYTES: usize = 1 << 30;

/// A pipe of the kernel through which bytes move from a reader to a writer.
///
/// The pipe is taken from the pool of the thread when there are bytes, and given back once it is
/// empty. A pipe that is dropped with bytes in it is closed.
#[derive(Debug, Default)]
pub struct Splice {
    /// The pipe and the number of bytes in it, at least 1.
    held: Option<(Pipe, usize)>,
    state: State,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unknown,
    Supported,
    /// The system refuses to splice, or the signal SIGPIPE is not ignored.
    Refused,
}

/// The place of the bytes that a [`Splice::poll_fill`] has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// In the pipe.
    Pipe(usize),
    /// In the buffer, because they could not be spliced.
    Buffer(usize),
}

/// The outcome of a [`Splice::poll_drain`].
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    /// Bytes were moved to the writer.
    Moved(usize),
    /// The writer refuses spliced bytes: these were in the pipe, and have to be written.
    Refused(Vec<u8>),
}

impl Splice {
    /// Returns true if the pipe has bytes.
    pub fn has_bytes(&self) -> bool {
        self.held.is_some()
    }

    /// Returns false once the system has refused to splice between the two streams.
    pub fn is_supported(&mut self) -> bool {
        if self.state == State::Unknown {
            self.state = if sys::is_supported() {
                State::Supported
            } else {
                State::Refused
            };
        }
        self.state == State::Supported
    }

    /// Moves bytes of `reader` into the pipe, which must be empty. Zero bytes mean the end.
    ///
    /// If there is nothing to splice, `reader` is read into `buffer`: only an ordinary read knows
    /// whether there is nothing at all. A splice finds nothing before urgent data, though an
    /// ordinary read skips them.
    ///
    /// # Errors
    /// Returns the errors of splice(2), read(2) and of waiting.
    pub fn poll_fill<R: SpliceRead + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &R,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Filled>> {
        debug_assert!(self.held.is_none(), "the pipe is not empty");
        let mut pipe = None;
        let mut is_spliced = false;
        let polled = reader.poll_read_by(cx, &mut |fd| {
            if self.state != State::Refused && pipe.is_none() {
                // Without a pipe, this piece is copied.
                pipe = pool::take();
            }
            if let Some(pipe) = &pipe {
                match sys::splice(fd, pipe.writer.as_fd(), MAX_BYTES) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(e) if is_refusal(&e) => self.state = State::Refused,
                    result => {
                        is_spliced = true;
                        return result;
                    }
                }
            }
            is_spliced = false;
            sys::read(fd, buffer)
        });
        let n = match &polled {
            Poll::Ready(Ok(n)) if is_spliced => *n,
            _ => 0,
        };
        match pipe {
            Some(pipe) if n != 0 => self.held = Some((pipe, n)),
            Some(pipe) => pool::give_back(pipe),
            None => {}
        }
        let filled = if is_spliced {
            Filled::Pipe
        } else {
            Filled::Buffer
        };
        polled.map_ok(filled)
    }

    /// Moves bytes from the pipe, which must not be empty, to `writer`.
    ///
    /// # Errors
    /// Returns `WriteZero` if the writer takes no bytes, and the errors of splice(2) and of
    /// waiting. The bytes in the pipe are then lost.
    pub fn poll_drain<W: SpliceWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &W,
    ) -> Poll<io::Result<Drained>> {
        let Some((pipe, len)) = &mut self.held else {
            return Poll::Ready(Ok(Drained::Moved(0)));
        };
        let op = &mut |fd: BorrowedFd<'_>| sys::splice(pipe.reader.as_fd(), fd, *len);
        let moved = match ready!(writer.poll_write_by(cx, *len, op)) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(e) if is_refusal(&e) => {
                self.state = State::Refused;
                return Poll::Ready(self.take_bytes().map(Drained::Refused));
            }
            result => result,
        };
        if let Ok(n) = &moved {
            *len -= n;
        }
        match self.held.take() {
            Some((pipe, 0)) => pool::give_back(pipe),
            // The bytes cannot reach the writer any more.
            Some(_) if moved.is_err() => {}
            held => self.held = held,
        }
        Poll::Ready(moved.map(Drained::Moved))
    }

    /// Reads the bytes in the pipe, and gives it back.
    fn take_bytes(&mut self) -> io::Result<Vec<u8>> {
        let Some((pipe, len)) = self.held.take() else {
            return Ok(Vec::new());
        };
        let mut bytes = vec![0; len];
        (&pipe.reader).read_exact(&mut bytes)?;
        pool::give_back(pipe);
        Ok(bytes)
    }
}

/// Returns true if `error` means that the system does not splice between these descriptors, so that
/// copying may succeed: EINVAL for a kind that it does not support, the others from a filter of
/// system calls. If copying fails too, its error is the one that is returned.
fn is_refusal(error: &io::Error) -> bool {
    let refusals = [
        libc::EINVAL,
        libc::ENOSYS,
        libc::EOPNOTSUPP,
        libc::EPERM,
        libc::EACCES,
        libc::ENOMEM,
    ];
    error
        .raw_os_error()
        .is_some_and(|errno| refusals.contains(&errno))
}
