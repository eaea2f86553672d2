//! Our ends of a child's standard streams.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::{self, Stdio};
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_reactor::{Direction, Source, set_nonblocking};

/// One end of a pipe. Non-blocking, which the child does not notice: its end is another open file.
struct Pipe(Source<File>);

impl Pipe {
    fn new(end: OwnedFd) -> io::Result<Pipe> {
        set_nonblocking(end.as_fd())?;
        // No `streaming`: `from_std` may bring a socket, or a pipe that somebody writes to in packets.
        Ok(Pipe(Source::new(File::from(end)).sole_owner()))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let asked = buf.len();
        let read = |mut pipe: &File| pipe.read(buf);
        self.0.poll_transfer(Direction::Read, cx, asked, read)
    }

    fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let asked = bufs.iter().map(|buf| buf.len()).sum();
        let read = |mut pipe: &File| pipe.read_vectored(bufs);
        self.0.poll_transfer(Direction::Read, cx, asked, read)
    }

    /// Not a transfer: a write of up to PIPE_BUF bytes that finds less room does nothing at all, so
    /// that a short one says nothing of the next.
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let write = |mut pipe: &File| pipe.write(buf);
        self.0.poll_io(Direction::Write, cx, write)
    }

    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |mut pipe: &File| pipe.write_vectored(bufs);
        self.0.poll_io(Direction::Write, cx, write)
    }

    /// Blocking again, as it came.
    fn into_owned_fd(self) -> io::Result<OwnedFd> {
        let fd = OwnedFd::from(self.0.into_inner());
        // SAFETY: F_GETFL takes no pointer; the descriptor is ours and open.
        let flags = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
        let flags = flags & !libc::O_NONBLOCK;
        // SAFETY: F_SETFL takes an int and no pointer; the descriptor is ours and open.
        cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) })?;
        Ok(fd)
    }
}

fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get_ref().fmt(f)
    }
}

/// The end of a child's standard input that we write to. Dropping or closing it ends the input.
///
/// # Errors
/// `BrokenPipe` once the child reads no more; SIGPIPE is not raised, unless the program has changed that.
///
/// # Cancel safety
/// A write that returned `Pending` has done nothing.
#[derive(Debug)]
pub struct ChildStdin(
    /// `None` once it was closed.
    Option<Pipe>,
);

/// The end of a child's standard output that we read from.
///
/// # Cancel safety
/// A read that returned `Pending` has done nothing.
#[derive(Debug)]
pub struct ChildStdout(Pipe);

/// The end of a child's standard error that we read from.
///
/// # Cancel safety
/// A read that returned `Pending` has done nothing.
#[derive(Debug)]
pub struct ChildStderr(Pipe);

fn closed() -> io::Error {
    let text = "the child's standard input was closed before";
    io::Error::new(io::ErrorKind::BrokenPipe, text)
}

impl ChildStdin {
    /// Takes over a pipe of std's.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn from_std(stdin: process::ChildStdin) -> io::Result<ChildStdin> {
        Pipe::new(stdin.into()).map(|pipe| ChildStdin(Some(pipe)))
    }

    /// Gives back the descriptor, blocking again: for another program's standard output, say.
    ///
    /// # Errors
    /// `BrokenPipe` if it was closed, and what fcntl(2) says.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        self.0.ok_or_else(closed)?.into_owned_fd()
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_ref().ok_or_else(closed)?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let pipe = self.0.as_ref().ok_or_else(closed)?;
        pipe.poll_write_vectored(cx, bufs)
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

impl TryFrom<ChildStdin> for Stdio {
    type Error = io::Error;

    /// As [`ChildStdin::into_owned_fd`].
    fn try_from(stdin: ChildStdin) -> io::Result<Stdio> {
        stdin.into_owned_fd().map(Stdio::from)
    }
}

impl ChildStdout {
    /// Takes over a pipe of std's.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn from_std(stdout: process::ChildStdout) -> io::Result<ChildStdout> {
        Pipe::new(stdout.into()).map(ChildStdout)
    }

    /// Gives back the descriptor, blocking again: for another program's standard input, say.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        self.0.into_owned_fd()
    }
}

impl AsyncRead for ChildStdout {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read_vectored(cx, bufs)
    }
}

impl AsFd for ChildStdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.get_ref().as_fd()
    }
}

impl AsRawFd for ChildStdout {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl TryFrom<ChildStdout> for Stdio {
    type Error = io::Error;

    /// As [`ChildStdout::into_owned_fd`].
    fn try_from(stdout: ChildStdout) -> io::Result<Stdio> {
        stdout.into_owned_fd().map(Stdio::from)
    }
}

impl ChildStderr {
    /// Takes over a pipe of std's.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn from_std(stderr: process::ChildStderr) -> io::Result<ChildStderr> {
        Pipe::new(stderr.into()).map(ChildStderr)
    }

    /// Gives back the descriptor, blocking again: for another program's standard input, say.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        self.0.into_owned_fd()
    }
}

impl AsyncRead for ChildStderr {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read_vectored(cx, bufs)
    }
}

impl AsFd for ChildStderr {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.get_ref().as_fd()
    }
}

impl AsRawFd for ChildStderr {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl TryFrom<ChildStderr> for Stdio {
    type Error = io::Error;

    /// As [`ChildStderr::into_owned_fd`].
    fn try_from(stderr: ChildStderr) -> io::Result<Stdio> {
        stderr.into_owned_fd().map(Stdio::from)
    }
}
