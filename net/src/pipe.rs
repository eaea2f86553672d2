//! Pipes: between tasks, to and from child processes, and with names (FIFOs).
//!
//! A [`Sender`] is the writing end, a [`Receiver`] the reading end; [`pipe`] makes both.
//! [`OpenOptions`] opens one end of a named pipe; `TryFrom` converts the ends that a child process
//! leaves to its parent.
//!
//! Writing to a pipe without a receiver fails with `BrokenPipe`. The system also raises SIGPIPE,
//! which Rust's runtime ignores from the start of every program; a library in a program of another
//! language must do so itself.
//!
//! # Platform-specific behavior
//! * A named pipe is opened for reading without waiting for a writer; opened for writing, it fails
//!   with ENXIO while there is no reader.
//! * A receiver reads the end of the stream once the last sender is dropped. Another sender may
//!   open a named pipe later: on Linux [`OpenOptions::read_write`] keeps a sending end open, so
//!   that the receiver waits for it.
//! * macOS does not report that the last sender of a named pipe is dropped: a read that waits then
//!   goes on waiting.
//! * A write of up to 512 bytes (4096 on Linux, PIPE_BUF) is atomic.
//! * A pipe holds 64 KiB on Linux (pipe(7)), and at first 16 KiB on macOS and FreeBSD.
//! * The [behavior of all sockets](crate#platform-specific-behavior) applies.
//!
//! # Examples
//! ```
//! use runtime::io::{AsyncReadExt, AsyncWriteExt};
//! use runtime::net::pipe;
//!
//! # runtime::block_on(async {
//! let (mut sender, mut receiver) = pipe::pipe()?;
//! sender.write_all(b"hello").await?;
//! drop(sender);
//! let mut text = String::new();
//! receiver.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use runtime_reactor::internal::set_nonblocking;
use runtime_reactor::{Interest, Source};

use crate::error::{invalid, with_context};
use crate::methods;
use crate::sys::pipe as sys;
use crate::transfer;

/// Creates a pipe, both ends non-blocking and closed on exec.
///
/// # Errors
/// Returns EMFILE or ENFILE if there is no descriptor left.
///
/// # Examples
/// See [the module](self).
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = sys::pipe()?;
    let source = |end: OwnedFd| Source::new(File::from(end)).streaming().sole_owner();
    let (sender, receiver) = (source(writer), source(reader));
    Ok((Sender { source: sender }, Receiver { source: receiver }))
}

/// The writing end of a pipe.
///
/// `Sender` and `&Sender` implement [`AsyncWrite`](futures_io::AsyncWrite). Nothing is buffered, so
/// flushing does nothing. Closing (`poll_close`) does nothing either: the receiver reads the end of
/// the stream when the last sender is dropped.
///
/// # Cancel safety
/// A write that returned `Pending` has transferred nothing.
pub struct Sender {
    pub(crate) source: Source<File>,
}

/// The reading end of a pipe.
///
/// `Receiver` and `&Receiver` implement [`AsyncRead`](futures_io::AsyncRead).
///
/// # Cancel safety
/// A read that returned `Pending` has transferred nothing.
pub struct Receiver {
    pub(crate) source: Source<File>,
}

/// The options for opening an end of a named pipe.
///
/// # Examples
/// ```
/// use std::io::ErrorKind;
/// use runtime::net::pipe::OpenOptions;
///
/// let error = OpenOptions::new().open_sender("/dev/null").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput, "not a pipe");
/// ```
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Creates the default options: one direction, and the path is checked to be a named pipe.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Sets whether the pipe is opened for both directions. Off by default.
    ///
    /// A sender can then be opened before a receiver, and a receiver does not read the end of the
    /// stream when the last other sender is dropped.
    ///
    /// # Platform-specific behavior
    /// POSIX leaves it undefined; Linux defines it (fifo(7)), and the BSDs and macOS behave alike.
    pub fn read_write(&mut self, both: bool) -> &mut OpenOptions {
        self.read_write = both;
        self
    }

    /// Sets whether the check that the path is a named pipe is skipped, which saves a system call.
    /// Off by default. Another file, such as a regular one, then fails when it first has to wait.
    pub fn unchecked(&mut self, unchecked: bool) -> &mut OpenOptions {
        self.unchecked = unchecked;
        self
    }

    /// Opens the writing end of the named pipe at `path`, without blocking.
    ///
    /// # Errors
    /// Returns an error as `open /run/fifo: ...`: `InvalidInput` if the file is not a pipe, ENXIO
    /// if it is not open for reading, `NotFound`, `PermissionDenied` and other errors of open(2).
    pub fn open_sender(&self, path: impl AsRef<Path>) -> io::Result<Sender> {
        let source = self.open(path.as_ref(), fs::OpenOptions::new().write(true))?;
        Ok(Sender { source })
    }

    /// Opens the reading end of the named pipe at `path`, without blocking. Without a sender,
    /// reading returns the end of the stream.
    ///
    /// # Errors
    /// Returns an error as `open /run/fifo: ...`: `InvalidInput` if the file is not a pipe,
    /// `NotFound`, `PermissionDenied` and other errors of open(2).
    ///
    /// # Examples
    /// A receiver that outlives its senders:
    /// ```
    /// use runtime::net::pipe::OpenOptions;
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("runtime-doc-fifo-{}", std::process::id()));
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// let mut receiver = OpenOptions::new().read_write(true).open_receiver(&path)?;
    /// for line in ["one", "two"] {
    ///     let mut sender = OpenOptions::new().open_sender(&path)?;
    ///     sender.write_all(line.as_bytes()).await?;
    ///     drop(sender);
    ///     let mut got = [0; 3];
    ///     receiver.read_exact(&mut got).await?;
    ///     assert_eq!(got, line.as_bytes());
    /// }
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn open_receiver(&self, path: impl AsRef<Path>) -> io::Result<Receiver> {
        let source = self.open(path.as_ref(), fs::OpenOptions::new().read(true))?;
        Ok(Receiver { source })
    }

    fn open(&self, path: &Path, options: &mut fs::OpenOptions) -> io::Result<Source<File>> {
        if self.read_write {
            options.read(true).write(true);
        }
        // std opens files closed on exec.
        let opened = options.custom_flags(libc::O_NONBLOCK).open(path);
        let checked = opened.and_then(|file| {
            if self.unchecked {
                Ok(file)
            } else {
                check(file)
            }
        });
        // On the BSDs a path such as /dev/fd/0 is a duplicate, for which the flags of `open` have
        // no effect: fd(4).
        let checked = checked.and_then(|file| set_nonblocking(file.as_fd()).map(|()| file));
        let file = checked.map_err(|e| with_context(format!("open {}", path.display()), e))?;
        Ok(Source::new(file).sole_owner())
    }
}

/// Returns `file` if it is a pipe.
fn check(file: File) -> io::Result<File> {
    if file.metadata()?.file_type().is_fifo() {
        Ok(file)
    } else {
        Err(invalid("the file is not a pipe".to_owned()))
    }
}

/// Wraps an end that was not made here and may have duplicates. Like the end of a named pipe it is
/// not `streaming`, since its peer may write packets (O_DIRECT, pipe(2)), each of which ends a
/// read.
fn adopt(fd: OwnedFd) -> io::Result<Source<File>> {
    let file = check(File::from(fd))?;
    set_nonblocking(file.as_fd())?;
    Ok(Source::new(file))
}

impl Sender {
    /// Waits until the last receiver is dropped.
    ///
    /// # Errors
    /// Returns the [errors of waiting](crate#errors): `Unsupported` with select.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. Once it has completed it completes again, unless another
    /// receiver opens a named pipe and a write succeeds.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::pipe;
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = pipe::pipe()?;
    /// drop(receiver);
    /// sender.closed().await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn closed(&self) -> io::Result<()> {
        // A pipe without a reader has an error on Linux, and its end elsewhere.
        self.ready(Interest::ERROR).await.map(drop)
    }

    methods::attach!(source);

    methods::ready!();
    methods::writable!(try_write);

    methods::try_write! {
        /// Returns `BrokenPipe` if there is no receiver, and other errors of write(2).
    }
}

impl Receiver {
    /// Waits until the last sender is dropped. Unread bytes stay in the pipe.
    ///
    /// # Errors
    /// Returns the [errors of waiting](crate#errors): `Unsupported` with select.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. Once it has completed it completes again, unless another
    /// sender opens a named pipe and a read finds that.
    ///
    /// # Platform-specific behavior
    /// On Linux a named pipe that never had a sender is not reported as closed, though reading it
    /// returns the end of the stream. macOS does not report named pipes at all.
    ///
    /// # Examples
    /// ```
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    /// use runtime::net::pipe;
    ///
    /// # runtime::block_on(async {
    /// let (mut sender, mut receiver) = pipe::pipe()?;
    /// sender.write_all(b"unread").await?;
    /// drop(sender);
    /// receiver.closed().await?;
    /// assert_eq!(receiver.read(&mut [0; 16]).await?, 6);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn closed(&self) -> io::Result<()> {
        self.ready(Interest::CLOSED).await.map(drop)
    }

    methods::attach!(source);

    methods::ready!();
    methods::readable!(try_read);

    methods::try_read! {
        /// Returns other errors of read(2).
    }
}

transfer::write_to_source!(Sender, no_shutdown);
transfer::read_from_source!(Receiver);

/// Does nothing: a pipe cannot be shut down while its descriptor is open.
fn no_shutdown(_: &Source<File>) -> io::Result<()> {
    Ok(())
}

macro_rules! end_of_pipe {
    ($end:ident, $($from:ty),*) => {
        impl $end {
            /// Returns the descriptor, made **blocking** again, as a child process expects it.
            ///
            /// # Errors
            /// Returns the errors of fcntl(2).
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.into_nonblocking_fd();
                sys::set_blocking(fd.as_fd())?;
                Ok(fd)
            }

            /// Returns the descriptor, still non-blocking.
            pub fn into_nonblocking_fd(self) -> OwnedFd {
                self.source.into_inner().into()
            }
        }

        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.source.get_ref().as_fd()
            }
        }

        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.source.get_ref().as_raw_fd()
            }
        }

        impl fmt::Debug for $end {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.source.get_ref().fmt(f)
            }
        }

        $(
            impl TryFrom<$from> for $end {
                type Error = io::Error;

                /// Converts the end of a pipe, and makes it non-blocking, also for the processes
                /// that share it.
                ///
                /// # Errors
                /// Returns `InvalidInput` if the descriptor is not a pipe.
                fn try_from(fd: $from) -> io::Result<$end> {
                    let source = adopt(fd.into())?;
                    Ok($end { source })
                }
            }
        )*
    };
}

end_of_pipe!(Sender, OwnedFd, ChildStdin);
end_of_pipe!(Receiver, OwnedFd, ChildStdout, ChildStderr);
