//! Standard input, output and error.
//!
//! They are shared with other processes, and so is whether they are non-blocking: that is a
//! property of the open file. Switched on here, it would make the shell's `read` fail and `cat`
//! end; switched back at exit, it would stay on after a crash. So it is never touched. Instead
//! poll(2) is asked before every operation, and only what cannot block by its answer is done: one
//! read, which returns what is there, or one write of up to PIPE_BUF bytes, for which a writable
//! pipe has room (pipe(7)).
//!
//! That is not enough where somebody else comes in between, nor for a terminal, which calls itself
//! writable with room for one byte. So terminals and pipes are opened anew where the system does
//! that, and the new open file, which is ours alone, is non-blocking.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_reactor::internal::{is_ready, with_context};
use runtime_reactor::{Direction, Source};

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
/// The mode of the terminal or pipe is not changed; there is nothing to put back at exit, however
/// that comes about. On Linux a terminal or a pipe is opened anew (by /proc, if that is there and permits it)
/// and read without blocking. Elsewhere, and of a socket or another device, the price is: if another
/// process reads the same input and is faster, by a hair, to take what was announced, this thread waits in
/// the read for what comes next.
///
/// A descriptor 0 that was closed before the program began is /dev/null by now (std sees to that), which is at
/// its end. It takes one descriptor while it is used.
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
/// whoever writes, and nobody else. A regular file is written to on the blocking pool, and so is what the
/// system cannot wait for.
///
/// There is no buffer of its own. For a file, [`flush`](super::AsyncWriteExt::flush) or
/// [`close`](super::AsyncWriteExt::close) waits until everything is written and tells if it was not;
/// elsewhere what was written is. Closing does not close the descriptor.
///
/// Text that several tasks write may come mixed up, in pieces of up to PIPE_BUF bytes (4096 on
/// Linux, 512 elsewhere).
///
/// # Platform notes
/// The mode of the terminal or pipe is not changed. On Linux a terminal or a pipe is opened anew (by /proc, if
/// that is there and permits it) and written to without blocking. Elsewhere the price is: a terminal that
/// has room for less than a piece, or a pipe that another process fills at the same moment, holds up this
/// thread until it has taken it; so does a socket, everywhere.
///
/// It takes one descriptor while it is used.
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
///
/// # Examples
/// ```
/// use runtime::io::{self, AsyncWriteExt};
///
/// # runtime::block_on(async {
/// io::stderr().write_all(b"something is wrong\n").await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
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

    /// A descriptor of its own for each handle, so that several can wait, each with its registration.
    fn open(&mut self, original: BorrowedFd<'_>, direction: Direction) -> io::Result<&mut Opened> {
        if self.opened.is_none() {
            let opened = open(original, direction, self.name);
            self.opened = Some(opened.map_err(|e| with_context(format!("open {}", self.name), e))?);
        }
        Ok(self.opened.as_mut().expect("it was opened just now"))
    }

    /// Goes over to the pool, if `e` says that this descriptor cannot be waited for: devices that
    /// poll(2) or the selector does not know, such as /dev/tty on macOS. What the reactor says of itself (that
    /// there is none here) is `Other`.
    fn fall_back_to_pool(&mut self, original: BorrowedFd<'_>, e: io::Error) -> io::Result<()> {
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
            let source = match self.open(original, Direction::Read)? {
                Opened::Pool(file) => return Pin::new(file).poll_read(cx, buf),
                Opened::Polled(source) => source,
            };
            let mut attempted = false;
            let read = |mut file: &std::fs::File| {
                if !is_ready(file.as_fd(), Direction::Read)? {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                attempted = true;
                file.read(buf)
            };
            match ready!(source.poll_io(Direction::Read, cx, read)) {
                Err(e) if !attempted => self.fall_back_to_pool(original, e)?,
                result => {
                    return Poll::Ready(
                        result.map_err(|e| with_context(format!("read {name}"), e)),
                    );
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
            let source = match self.open(original, Direction::Write)? {
                Opened::Pool(file) => return Pin::new(file).poll_write(cx, buf),
                Opened::Polled(source) => source,
            };
            let piece = &buf[..buf.len().min(libc::PIPE_BUF)];
            let mut attempted = false;
            let write = |mut file: &std::fs::File| {
                if !is_ready(file.as_fd(), Direction::Write)? {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                attempted = true;
                file.write(piece)
            };
            match ready!(source.poll_io(Direction::Write, cx, write)) {
                Err(e) if !attempted => self.fall_back_to_pool(original, e)?,
                result => {
                    return Poll::Ready(
                        result.map_err(|e| with_context(format!("write to {name}"), e)),
                    );
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

fn open(original: BorrowedFd<'_>, direction: Direction, name: &str) -> io::Result<Opened> {
    let file = duplicate(original)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(Opened::Pool(fs::File::from_std(file, name)));
    }
    if kind.is_fifo() {
        // What is not open in this direction says so here; poll(2) would say for ever that it is
        // not ready.
        match direction {
            Direction::Read => (&file).read(&mut [])?,
            Direction::Write => (&file).write(&[])?,
        };
    }
    let file = if kind.is_fifo() || file.is_terminal() {
        reopen(&file, direction).unwrap_or(file)
    } else {
        file
    };
    Ok(Opened::Polled(Source::new(file)))
}

/// Close-on-exec, as all of ours.
fn duplicate(original: BorrowedFd<'_>) -> io::Result<std::fs::File> {
    original.try_clone_to_owned().map(OwnedFd::into)
}

/// Another open file of the same terminal or pipe, non-blocking for us alone. `None` where the system
/// makes no such thing: on Linux /dev/fd is a way to proc(5), and opening what stands there opens it
/// anew; elsewhere it gives a duplicate, and is no symbolic link.
fn reopen(file: &std::fs::File, direction: Direction) -> Option<std::fs::File> {
    let path = format!("/dev/fd/{}", file.as_raw_fd());
    let link = std::fs::symlink_metadata(&path).ok()?;
    let (reads, permission) = match direction {
        Direction::Read => (true, 0o400),
        Direction::Write => (false, 0o200),
    };
    // The link has the permissions that the descriptor has: the other end of a pipe is not for us.
    let is_permitted = link.mode() & permission != 0;
    // The controlling side of a terminal is one as well, but opening its device makes another
    // terminal.
    let is_ptmx = std::fs::read_link(&path).ok()?.ends_with("ptmx");
    if !link.is_symlink() || !is_permitted || is_ptmx {
        return None;
    }
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = std::fs::File::options();
    options
        .read(reads)
        .write(!reads)
        .custom_flags(flags)
        .open(path)
        .ok()
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
