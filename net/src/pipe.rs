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
//! * A receiver reads the end of the stream while there is no sender, also before the first one
//!   opens a named pipe: see [`OpenOptions::await_sender`]. Another sender may open it later:
//!   [`OpenOptions::read_write`] keeps a sending end open, so that the receiver waits for it.
//! * macOS does not report that the last sender of a named pipe is dropped: a read that waits then
//!   keeps waiting.
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
use std::io::{self, IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, Ordering};

use runtime_reactor::internal::is_ready;
use runtime_reactor::{Direction, Interest, Source};

use crate::error::{invalid, with_context};
use crate::methods;
use crate::sys::adopt::{adopt, set_nonblocking};
use crate::sys::pipe as sys;
use crate::transfer;

/// Creates a pipe, both ends non-blocking and close-on-exec.
///
/// # Errors
/// Returns EMFILE or ENFILE if no descriptor is available.
///
/// # Examples
/// See [the module](self).
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = sys::pipe()?;
    let sender = Source::new(File::from(writer)).streaming().sole_owner();
    let receiver = ReadEnd::new(File::from(reader));
    let receiver = Source::new(receiver).streaming().sole_owner();
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
    pub(crate) source: Source<ReadEnd>,
}

/// The file of a reading end.
#[derive(Debug)]
pub(crate) struct ReadEnd {
    file: File,
    /// True until there has been a sender, if the receiver waits for the first one.
    awaits_sender: AtomicBool,
}

impl ReadEnd {
    fn new(file: File) -> ReadEnd {
        ReadEnd {
            file,
            awaits_sender: AtomicBool::new(false),
        }
    }

    /// Returns the file for a read.
    ///
    /// # Errors
    /// Returns `WouldBlock` if the first sender is still waited for, since a read would return the
    /// end of the stream. poll(2) does not report the end before there has been a sender.
    pub(crate) fn for_read(&self) -> io::Result<&File> {
        if self.awaits_sender.load(Ordering::Relaxed) {
            if !is_ready(self.as_fd(), Direction::Read)? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.awaits_sender.store(false, Ordering::Relaxed);
        }
        Ok(&self.file)
    }
}

impl AsFd for ReadEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Read for &ReadEnd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.for_read()?.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.for_read()?.read_vectored(bufs)
    }
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
    await_sender: bool,
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

    /// Sets whether a receiver that is opened before any sender waits for the first one. Off by
    /// default: then reading returns the end of the stream until there is a sender.
    ///
    /// The end is still returned after the last sender is dropped; with
    /// [`read_write`](OpenOptions::read_write) it never is.
    ///
    /// # Platform-specific behavior
    /// It needs a system whose poll(2) does not report the end before there has been a sender, as
    /// Linux and FreeBSD do not. Elsewhere the end may be returned at once.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::pipe::OpenOptions;
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-await-{}", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// let mut receiver = OpenOptions::new().await_sender(true).open_receiver(&path)?;
    /// let mut text = String::new();
    /// runtime::try_join!(receiver.read_to_string(&mut text), async {
    ///     let mut sender = OpenOptions::new().open_sender(&path)?;
    ///     sender.write_all(b"hello").await
    /// })?;
    /// assert_eq!(text, "hello");
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn await_sender(&mut self, wait: bool) -> &mut OpenOptions {
        self.await_sender = wait;
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
    /// `runtime::io::os_error` returns the number of an error of the system.
    pub fn open_sender(&self, path: impl AsRef<Path>) -> io::Result<Sender> {
        let file = self.open(path.as_ref(), fs::OpenOptions::new().write(true))?;
        let source = Source::new(file).sole_owner();
        Ok(Sender { source })
    }

    /// Opens the reading end of the named pipe at `path`, without blocking.
    ///
    /// While there is no sender, reading returns the end of the stream at once. To wait for the
    /// first sender instead, set [`await_sender`](OpenOptions::await_sender).
    ///
    /// # Errors
    /// Returns an error as `open /run/fifo: ...`: `InvalidInput` if the file is not a pipe,
    /// `NotFound`, `PermissionDenied` and other errors of open(2). `runtime::io::os_error` returns
    /// the number of an error of the system.
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
        let file = self.open(path.as_ref(), fs::OpenOptions::new().read(true))?;
        let mut end = ReadEnd::new(file);
        *end.awaits_sender.get_mut() = self.await_sender;
        let source = Source::new(end).sole_owner();
        Ok(Receiver { source })
    }

    fn open(&self, path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
        if self.read_write {
            options.read(true).write(true);
        }
        // std opens files close-on-exec.
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
        checked.map_err(|e| with_context(format!("open {}", path.display()), e))
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

/// Returns an end that was not made here, non-blocking, if it is open for `direction`. It may have
/// duplicates. Like the end of a named pipe its source is not `streaming`, since its peer may write
/// packets (O_DIRECT, pipe(2)), each of which ends a read.
fn wrap(fd: OwnedFd, direction: Direction) -> io::Result<File> {
    let file = check(File::from(fd))?;
    adopt(file.as_fd());
    if !sys::is_open_for(file.as_fd(), direction)? {
        let (given, expected) = match direction {
            Direction::Read => ("writing", "reading"),
            Direction::Write => ("reading", "writing"),
        };
        let number = file.as_raw_fd();
        return Err(invalid(format!(
            "descriptor {number} is the {given} end of a pipe, not the {expected} end"
        )));
    }
    set_nonblocking(file.as_fd())?;
    Ok(file)
}

impl Sender {
    /// Waits until the last receiver is dropped.
    ///
    /// # Errors
    /// Returns the [errors of waiting](crate#errors): `Unsupported` with select.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. Once it has completed, further calls complete at once,
    /// unless another receiver opens a named pipe and a write succeeds.
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
    methods::poll_ready!(poll_write_ready, writable, WRITABLE);

    methods::try_write! {
        /// Returns `BrokenPipe` if there is no receiver, and other errors of write(2).
    }

    methods::try_write_vectored!();
    methods::try_io!(File);

    fn from_end(file: File) -> Sender {
        let source = Source::new(file);
        Sender { source }
    }

    fn into_file(self) -> File {
        self.source.into_inner()
    }
}

impl Receiver {
    /// Waits until the last sender is dropped. Unread bytes stay in the pipe.
    ///
    /// # Errors
    /// Returns the [errors of waiting](crate#errors): `Unsupported` with select.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. Once it has completed, further calls complete at once,
    /// unless another sender opens a named pipe and a read finds that.
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
    methods::poll_ready!(poll_read_ready, readable, READABLE);

    methods::try_read! {
        /// Returns other errors of read(2).
    }

    methods::try_read_vectored!();

    /// Attempts `op`, an operation on the descriptor such as a system call that this type lacks,
    /// and clears the readiness if it returns `WouldBlock`.
    ///
    /// `op` must not block. With an interest in both directions it is called up to twice.
    ///
    /// # Errors
    /// Returns `WouldBlock` without calling `op` if the pipe is known not to be ready, if its first
    /// sender is [waited for](OpenOptions::await_sender) or `interest` is empty, and otherwise the
    /// errors of `op`.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        mut op: impl FnMut(&File) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_any(interest, |end| op(end.for_read()?))
    }

    fn from_end(file: File) -> Receiver {
        let source = Source::new(ReadEnd::new(file));
        Receiver { source }
    }

    fn into_file(self) -> File {
        self.source.into_inner().file
    }
}

transfer::write_to_source!(Sender, no_shutdown);
transfer::read_from_source!(Receiver);

/// Does nothing: a pipe cannot be shut down while its descriptor is open.
fn no_shutdown(_: &Source<File>) -> io::Result<()> {
    Ok(())
}

macro_rules! end_of_pipe {
    ($end:ident, $direction:ident, $($from:ty),*) => {
        impl $end {
            /// Converts the end of a pipe, and makes it non-blocking, also for the processes that
            /// share it.
            ///
            /// # Errors
            /// Returns `InvalidInput` if the file is not a pipe, or is only the other end of one,
            /// and the errors of fcntl(2).
            pub fn from_file(file: File) -> io::Result<$end> {
                $end::try_from(OwnedFd::from(file))
            }

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
                self.into_file().into()
            }
        }

        impl From<$end> for OwnedFd {
            /// Returns the descriptor, still non-blocking.
            fn from(end: $end) -> OwnedFd {
                end.into_nonblocking_fd()
            }
        }

        impl IntoRawFd for $end {
            /// Returns the descriptor, still non-blocking, for the caller to close.
            fn into_raw_fd(self) -> RawFd {
                self.into_nonblocking_fd().into_raw_fd()
            }
        }

        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.source.get_ref().as_fd()
            }
        }

        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
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
                /// Returns `InvalidInput` if the descriptor is not a pipe, or is only the other end
                /// of one, and the errors of fcntl(2).
                fn try_from(fd: $from) -> io::Result<$end> {
                    wrap(fd.into(), Direction::$direction).map($end::from_end)
                }
            }
        )*
    };
}

end_of_pipe!(Sender, Write, OwnedFd, ChildStdin);
end_of_pipe!(Receiver, Read, OwnedFd, ChildStdout, ChildStderr);
