//! Standard input, output and error.
//!
//! They are shared with other processes, and so is whether they are non-blocking: that is a
//! property of the open file. Switched on here, it would make the shell's `read` fail and `cat`
//! end; switched back at exit, it would stay on after a crash. So it is never touched. Instead
//! poll(2) is asked before every operation, and only what cannot block by its answer is done: one
//! read, which returns what is there, or one write of up to PIPE_BUF bytes, for which a writable
//! pipe has room (pipe(7)).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_reactor::{Direction, Source, is_ready};

use crate::error::during;
use crate::fs;

/// The standard input.
///
/// A pipe, a terminal, a socket or a device is waited for in the reactor: no thread sits in a read,
/// and a program that ends while it waits for input does not wait for Enter. A regular file is read
/// on the blocking pool, and so is what the system cannot wait for.
///
/// There is no buffer of its own: wrap it in a [`BufReader`](super::BufReader) to read lines, and
/// keep that, since it reads ahead (on the pool this does too). Do not mix it with
/// [`std::io::stdin`], which has another buffer.
///
/// # Platform notes
/// The mode of the terminal or pipe is not changed; there is nothing to put back at exit. The price:
/// if another process reads the same input and is faster, by a hair, to take what was announced,
/// this thread waits in the read for what comes next.
///
/// It takes one descriptor while it is used, a duplicate of 0.
///
/// # Examples
/// ```no_run
/// use futures_lite::StreamExt;
/// use runtime::io::{self, AsyncBufReadExt, BufReader};
///
/// #[runtime::main]
/// async fn main() -> io::Result<()> {
///     let mut lines = BufReader::new(io::stdin()).lines();
///     let mut interrupted = runtime::signal::ctrl_c();
///     loop {
///         runtime::select! {
///             line = lines.next() => match line {
///                 Some(line) => println!("{}", line?.to_uppercase()),
///                 None => return Ok(()),
///             },
///             _ = &mut interrupted => return Ok(()),
///         }
///     }
/// }
/// ```
pub fn stdin() -> Stdin {
    Stdin(Stream::new("the standard input"))
}

/// The standard output.
///
/// A pipe, a terminal, a socket or a device is written to in the reactor: a reader who is slow holds up
/// whoever writes, and nobody else. A regular file is written to on the blocking pool.
///
/// There is no buffer of its own. For a file, [`flush`](super::AsyncWriteExt::flush) or
/// [`close`](super::AsyncWriteExt::close) waits until everything is written and tells if it was not;
/// elsewhere what was written is. Closing does not close the descriptor.
///
/// Text that several tasks write may come mixed up, in pieces of up to PIPE_BUF bytes (4096 on
/// Linux, 512 elsewhere).
///
/// # Platform notes
/// The mode of the terminal or pipe is not changed. The price: a terminal that has room for
/// less than a piece, or a pipe that another process fills at the same moment, holds up this thread until it has
/// taken it.
///
/// It takes one descriptor while it is used, a duplicate of 1.
///
/// # Examples
/// ```
/// use runtime::io::{self, AsyncWriteExt};
///
/// # runtime::block_on(async {
/// let mut stdout = io::stdout();
/// stdout.write_all(b"hello\n").await?;
/// stdout.flush().await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub fn stdout() -> Stdout {
    Stdout(Stream::new("the standard output"))
}

/// The standard error: as [`stdout`], with descriptor 2. It is not buffered either.
pub fn stderr() -> Stderr {
    Stderr(Stream::new("the standard error"))
}

/// The standard input, made by [`stdin`].
///
/// # Errors
/// It is opened by the first read, which fails if no descriptor is left. And if it has to wait
/// outside a runtime.
///
/// # Cancel safety
/// A read that is dropped loses nothing, as long as the `Stdin` stays.
#[derive(Debug)]
pub struct Stdin(Stream);

/// The standard output, made by [`stdout`].
///
/// # Errors
/// It is opened by the first write, which fails if no descriptor is left; `BrokenPipe` if nobody
/// reads any more; and if it has to wait outside a runtime.
///
/// # Cancel safety
/// A write that returned `Pending` has done nothing.
#[derive(Debug)]
pub struct Stdout(Stream);

/// The standard error, made by [`stderr`].
///
/// # Errors
/// As [`Stdout`].
///
/// # Cancel safety
/// A write that returned `Pending` has done nothing.
#[derive(Debug)]
pub struct Stderr(Stream);

/// One of the three.
#[derive(Debug)]
struct Stream {
    name: &'static str,
    /// Made by the first use, which can tell an error.
    opened: Option<Opened>,
}

#[derive(Debug)]
enum Opened {
    /// It can be waited for.
    Polled(Source<std::fs::File>),
    /// It cannot.
    Pool(fs::File),
}

impl Stream {
    fn new(name: &'static str) -> Stream {
        Stream { name, opened: None }
    }

    /// A duplicate, so that several handles can wait, each with its own registration.
    fn open(&mut self, original: BorrowedFd<'_>) -> io::Result<&mut Opened> {
        if self.opened.is_none() {
            let file = duplicate(original).and_then(|file| Ok((file.metadata()?, file)));
            let (metadata, file) = file.map_err(|e| during(format!("open {}", self.name), e))?;
            let always_ready = metadata.is_file() || metadata.is_dir();
            self.opened = Some(if always_ready {
                Opened::Pool(fs::File::from_std(file, self.name))
            } else {
                Opened::Polled(Source::new(file))
            });
        }
        Ok(self.opened.as_mut().expect("it was opened just now"))
    }

    /// Goes over to the pool, if `e` says that this descriptor cannot be waited for: devices that
    /// the selector does not know, such as /dev/tty on macOS. What the reactor says of itself (that
    /// there is none here) is `Other`.
    fn give_up_waiting(&mut self, original: BorrowedFd<'_>, e: io::Error) -> io::Result<()> {
        if e.kind() == io::ErrorKind::Other {
            return Err(e);
        }
        self.opened = Some(Opened::Pool(fs::File::from_std(
            duplicate(original)?,
            self.name,
        )));
        Ok(())
    }

    fn poll_read(
        &mut self,
        original: BorrowedFd<'_>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let name = self.name;
        loop {
            let source = match self.open(original)? {
                Opened::Pool(file) => return Pin::new(file).poll_read(cx, buf),
                Opened::Polled(source) => source,
            };
            let mut tried = false;
            let read = |mut file: &std::fs::File| {
                if !is_ready(file.as_fd(), Direction::Read)? {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                tried = true;
                file.read(buf)
            };
            match ready!(source.poll_io(Direction::Read, cx, read)) {
                Err(e) if !tried => self.give_up_waiting(original, e)?,
                result => {
                    return Poll::Ready(result.map_err(|e| during(format!("read {name}"), e)));
                }
            }
        }
    }

    fn poll_write(
        &mut self,
        original: BorrowedFd<'_>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let name = self.name;
        loop {
            let source = match self.open(original)? {
                Opened::Pool(file) => return Pin::new(file).poll_write(cx, buf),
                Opened::Polled(source) => source,
            };
            let piece = &buf[..buf.len().min(libc::PIPE_BUF)];
            let mut tried = false;
            let write = |mut file: &std::fs::File| {
                if !is_ready(file.as_fd(), Direction::Write)? {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                tried = true;
                file.write(piece)
            };
            match ready!(source.poll_io(Direction::Write, cx, write)) {
                Err(e) if !tried => self.give_up_waiting(original, e)?,
                result => {
                    return Poll::Ready(result.map_err(|e| during(format!("write to {name}"), e)));
                }
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.opened {
            Some(Opened::Pool(file)) => Pin::new(file).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Close-on-exec, as all of ours.
fn duplicate(original: BorrowedFd<'_>) -> io::Result<std::fs::File> {
    original.try_clone_to_owned().map(OwnedFd::into)
}

impl AsyncRead for Stdin {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(io::stdin().as_fd(), cx, buf)
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(io::stdout().as_fd(), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    /// Flushes.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(io::stderr().as_fd(), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    /// Flushes.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
