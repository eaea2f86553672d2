//! Standard input, output and error.
//!
//! The standard streams are shared with other processes, and so is their non-blocking mode, which
//! is a property of the open file. Setting it would make the shell's `read` fail and `cat` end, and
//! resetting it at exit would not happen after a crash. So the mode is never changed. Instead every
//! operation asks poll(2) first and does only what cannot block according to the answer: one read,
//! which returns the data there are, or one write of up to PIPE_BUF bytes, for which a writable
//! pipe has room (pipe(7)).
//!
//! That is not enough if another process intervenes, nor for a terminal, which is reported as
//! writable with room for one byte. So terminals and pipes are reopened on systems that support it,
//! and the new open file, which only this process has, is non-blocking.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_reactor::internal::{is_ready, with_context};
use runtime_reactor::{Direction, Source};

use super::write_queue::{QueuedFile, WriteQueue};
use crate::fs;

/// Returns a new handle to the standard input.
///
/// The reactor waits for a pipe, a terminal, a socket or a device: no thread blocks in a read, and
/// a program that ends while it waits for input ends at once. A regular file is read on the
/// blocking pool, and so is a descriptor that cannot be waited for.
///
/// The handle has no buffer, except that a file is read ahead. To read lines, wrap it in a
/// [`BufReader`](super::BufReader) and keep that. Do not mix it with [`std::io::stdin`], which has
/// a buffer of its own.
///
/// A handle opens a descriptor when it is first used. If descriptor 0 was closed when the program
/// began, std has replaced it with /dev/null, which is at its end.
///
/// # Platform-specific behavior
/// The mode of the terminal or pipe is not changed, so nothing needs to be restored at exit. On
/// Linux a terminal or a pipe is reopened (through /proc, if it exists and permits that) and read
/// without blocking. Elsewhere, and for sockets and devices everywhere, a read blocks this thread
/// if another process takes the announced input first.
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
    Stdin(Stream::new(STDIN_NAME, |file| {
        fs::File::from_std(file, STDIN_NAME)
    }))
}

/// Returns a new handle to the standard output.
///
/// The reactor waits for a pipe, a terminal, a socket or a device: a slow reader delays only the
/// task that writes. A regular file is written on the blocking pool, and so is a descriptor that
/// cannot be waited for.
///
/// The handle has no buffer, and a completed write was passed to the system. The exception is a
/// regular file, for which all handles of the process share one queue: writes are performed in the
/// order in which they returned, even if each had a handle of its own, and the drop of the runtime
/// waits until they are. [`flush`](super::AsyncWriteExt::flush) or
/// [`close`](super::AsyncWriteExt::close) on any handle waits for all of them. The next operation
/// on any handle returns the error of a write; if there is none before the runtime is dropped, the
/// error is written to the standard error.
///
/// Closing does not close the descriptor. Text that several tasks write may be interleaved, in
/// pieces of up to PIPE_BUF bytes (4096 on Linux, 512 elsewhere), for a regular file of 2 MiB.
///
/// A handle opens a descriptor when it is first used.
///
/// # Platform-specific behavior
/// The mode of the terminal or pipe is not changed. On Linux a terminal or a pipe is reopened
/// (through /proc, if it exists and permits that) and written without blocking. Elsewhere a write
/// blocks this thread if a terminal has room for less than a piece, or if another process fills a
/// pipe at the same moment; a write to a socket may block on every platform.
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
    Stdout(Stream::new(STDOUT.name(), |file| {
        QueuedFile::new(file, &STDOUT)
    }))
}

/// Returns a new handle to the standard error, which behaves like that of [`stdout`].
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
    Stderr(Stream::new(STDERR.name(), |file| {
        QueuedFile::new(file, &STDERR)
    }))
}

/// A handle to the standard input, created by [`stdin`].
///
/// # Errors
/// The first read opens the stream, and returns the system's error if no descriptor is available.
/// The text of every error names the stream, and [`os_error`](super::os_error) returns its number.
/// Reading returns `Other` if it has to wait outside a runtime.
///
/// # Cancel safety
/// Dropping a read loses no data as long as the handle is kept.
#[derive(Debug)]
pub struct Stdin(Stream<fs::File>);

/// A handle to the standard output, created by [`stdout`].
///
/// # Errors
/// The first write opens the stream, and returns the system's error if no descriptor is available.
/// The text of every error names the stream, and [`os_error`](super::os_error) returns its number.
/// Writing returns `BrokenPipe` if the reader has closed the pipe, and `Other` if it has to wait
/// outside a runtime.
///
/// # Cancel safety
/// A write that returned `Pending` has written nothing.
#[derive(Debug)]
pub struct Stdout(Stream<QueuedFile>);

/// A handle to the standard error, created by [`stderr`].
///
/// # Errors
/// The first write opens the stream, and returns the system's error if no descriptor is available.
/// The text of every error names the stream, and [`os_error`](super::os_error) returns its number.
/// Writing returns `BrokenPipe` if the reader has closed the pipe, and `Other` if it has to wait
/// outside a runtime.
///
/// # Cancel safety
/// A write that returned `Pending` has written nothing.
#[derive(Debug)]
pub struct Stderr(Stream<QueuedFile>);

const STDIN_NAME: &str = "the standard input";
/// The writes to the standard output, if it is a regular file.
static STDOUT: WriteQueue = WriteQueue::new("the standard output");
/// The writes to the standard error, if it is a regular file.
static STDERR: WriteQueue = WriteQueue::new("the standard error");

/// A standard stream. `P` is its form on the blocking pool.
#[derive(Debug)]
struct Stream<P> {
    name: &'static str,
    /// Opened by the first operation, which can return an error.
    opened: Option<Opened<P>>,
    for_pool: fn(std::fs::File) -> P,
}

#[derive(Debug)]
enum Opened<P> {
    /// The reactor waits for it.
    Polled(Source<std::fs::File>),
    /// The blocking pool reads or writes it.
    Pool(P),
}

impl<P> Stream<P> {
    fn new(name: &'static str, for_pool: fn(std::fs::File) -> P) -> Stream<P> {
        Stream {
            name,
            opened: None,
            for_pool,
        }
    }

    /// Opens a descriptor for this handle alone, so that several handles can wait, each with its
    /// own registration.
    fn open(
        &mut self,
        original: BorrowedFd<'_>,
        direction: Direction,
    ) -> io::Result<&mut Opened<P>> {
        if self.opened.is_none() {
            let opened = open(original, direction, self.for_pool);
            self.opened = Some(opened.map_err(|e| with_context(format!("open {}", self.name), e))?);
        }
        Ok(self.opened.as_mut().expect("the stream was just opened"))
    }

    /// Switches to the blocking pool after the error `e` of waiting, for devices that poll(2) or
    /// the selector does not support, such as /dev/tty on macOS. The kind `Other` is an error of
    /// the reactor itself (there is none), and is returned.
    fn fall_back_to_pool(&mut self, original: BorrowedFd<'_>, e: io::Error) -> io::Result<()> {
        if e.kind() == io::ErrorKind::Other {
            return Err(e);
        }
        self.opened = Some(Opened::Pool((self.for_pool)(duplicate(original)?)));
        Ok(())
    }

    /// Runs `op` with `buf` once poll(2) reports that it cannot block, or `pool_op` if the stream
    /// is one for the blocking pool.
    fn poll_io<B>(
        &mut self,
        (original, direction): (BorrowedFd<'_>, Direction),
        cx: &mut Context<'_>,
        mut buf: B,
        pool_op: impl Fn(&mut P, &mut Context<'_>, &mut B) -> Poll<io::Result<usize>>,
        op: impl Fn(&std::fs::File, &mut B) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let name = self.name;
        loop {
            let source = match self.open(original, direction)? {
                Opened::Pool(file) => return pool_op(file, cx, &mut buf),
                Opened::Polled(source) => source,
            };
            let mut attempted = false;
            let attempt = |file: &std::fs::File| {
                if !is_ready(file.as_fd(), direction)? {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                attempted = true;
                op(file, &mut buf)
            };
            match ready!(source.poll_io(direction, cx, attempt)) {
                Err(e) if !attempted => self.fall_back_to_pool(original, e)?,
                result => {
                    let verb = match direction {
                        Direction::Read => "read",
                        Direction::Write => "write to",
                    };
                    let result = result.map_err(|e| with_context(format!("{verb} {name}"), e));
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl Stream<fs::File> {
    fn poll_read(
        &mut self,
        original: BorrowedFd<'_>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_io(
            (original, Direction::Read),
            cx,
            buf,
            |file, cx, buf| Pin::new(file).poll_read(cx, buf),
            |mut file, buf| file.read(buf),
        )
    }
}

impl Stream<QueuedFile> {
    fn poll_write(
        &mut self,
        original: BorrowedFd<'_>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(
            (original, Direction::Write),
            cx,
            buf,
            |file, cx, buf| file.poll_write(cx, buf),
            |mut file, buf| file.write(&buf[..buf.len().min(libc::PIPE_BUF)]),
        )
    }
}

fn open<P>(
    original: BorrowedFd<'_>,
    direction: Direction,
    for_pool: fn(std::fs::File) -> P,
) -> io::Result<Opened<P>> {
    let file = duplicate(original)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(Opened::Pool(for_pool(file)));
    }
    if kind.is_fifo() {
        // Fails if the pipe is not open in this direction. poll(2) would never report it ready.
        match direction {
            Direction::Read => (&file).read(&mut [])?,
            Direction::Write => forgive_no_reader((&file).write(&[]))?,
        };
    }
    let file = if kind.is_fifo() || file.is_terminal() {
        reopen(&file, direction).unwrap_or(file)
    } else {
        file
    };
    Ok(Opened::Polled(Source::new(file)))
}

/// Forgives the error of writing no bytes to a pipe without a reader, EPIPE on NetBSD, so that the
/// first write of bytes returns it: opening has not failed.
fn forgive_no_reader(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        written => written,
    }
}

/// Duplicates a descriptor. The duplicate is close-on-exec, like all descriptors of this crate.
fn duplicate(original: BorrowedFd<'_>) -> io::Result<std::fs::File> {
    original.try_clone_to_owned().map(OwnedFd::into)
}

/// Opens the same terminal or pipe again, non-blocking for this process alone. Returns `None` where
/// the system does not support that. On Linux /dev/fd leads to proc(5), and opening an entry
/// creates a new open file; elsewhere it creates a duplicate, and the entry is not a symbolic link.
fn reopen(file: &std::fs::File, direction: Direction) -> Option<std::fs::File> {
    let path = format!("/dev/fd/{}", file.as_raw_fd());
    let link = std::fs::symlink_metadata(&path).ok()?;
    let (reads, permission) = match direction {
        Direction::Read => (true, 0o400),
        Direction::Write => (false, 0o200),
    };
    // The link has the permissions of the descriptor, so that the other end of a pipe is not
    // opened.
    let is_permitted = link.mode() & permission != 0;
    // The controlling side of a pseudoterminal is a terminal too, but opening its device creates
    // another terminal.
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

macro_rules! impl_async_write {
    ($stream:ident, $original:expr, $queue:expr) => {
        impl AsyncWrite for $stream {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write($original.as_fd(), cx, buf)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                $queue.poll_flush(cx)
            }

            /// Flushes the stream, and leaves its descriptor open.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }
    };
}

impl_async_write!(Stdout, io::stdout(), STDOUT);
impl_async_write!(Stderr, io::stderr(), STDERR);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wrong_direction_is_an_error_of_opening() {
        let written = |errno| forgive_no_reader(Err(io::Error::from_raw_os_error(errno)));
        assert_eq!(written(libc::EPIPE).unwrap(), 0);
        let error = written(libc::EBADF).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}
