//! Pipes: between tasks, to and from child processes, and with names (FIFOs).
//!
//! A [`Sender`] is the end that is written to, a [`Receiver`] the one that is read from; [`pipe`] makes
//! both. [`OpenOptions`] opens one end of a named pipe; `TryFrom` takes over the ends that a child
//! process left us.
//!
//! Writing to a pipe that nobody reads fails with `BrokenPipe`. The system also raises SIGPIPE, which
//! Rust's runtime ignores from the start of every program; a library in a program of another language
//! should too.
//!
//! # What differs between platforms
//! * A named pipe is opened for reading without waiting for a writer, everywhere; for writing it fails
//!   with ENXIO while there is no reader.
//! * A receiver whose last writer is gone reads the end of the stream. On a named pipe another writer
//!   may come: on Linux it can be waited for by holding a writing end oneself, which
//!   [`OpenOptions::read_write`] does.
//! * macOS tells nobody when the last writer of a named pipe goes; a read that waits then waits on.
//! * A write of up to 512 bytes (4096 on Linux, PIPE_BUF) is not torn by those of others.
//! * A pipe holds 64 kB on Linux (pipe(7)), and at first 16 kB on macOS and FreeBSD.
//! * What holds for [all sockets](crate#what-differs-between-platforms) holds for pipes.
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
use runtime_reactor::{Interest, Readiness, Source};

use crate::error::{invalid, with_context};
use crate::sys::pipe as sys;
use crate::transfer;

/// Makes a pipe. Both ends are non-blocking and closed on exec.
///
/// # Errors
/// `EMFILE` and `ENFILE`, when there are no descriptors left.
///
/// # Examples
/// See [the module](self).
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = sys::pipe()?;
    let source = |end: OwnedFd| Source::new(File::from(end)).streaming().sole_owner();
    let (sender, receiver) = (source(writer), source(reader));
    Ok((Sender { source: sender }, Receiver { source: receiver }))
}

/// The end of a pipe that is written to.
///
/// `Sender` and `&Sender` are [`AsyncWrite`](futures_io::AsyncWrite). Nothing is buffered here, so
/// flushing does nothing; closing (`poll_close`) does nothing either: the receiver reads the end of the
/// stream when the last sender is dropped.
///
/// # Cancel safety
/// A write that returned `Pending` has done nothing.
pub struct Sender {
    pub(crate) source: Source<File>,
}

/// The end of a pipe that is read from.
///
/// `Receiver` and `&Receiver` are [`AsyncRead`](futures_io::AsyncRead).
///
/// # Cancel safety
/// A read that returned `Pending` has done nothing.
pub struct Receiver {
    pub(crate) source: Source<File>,
}

/// How to open an end of a named pipe.
///
/// # Examples
/// ```
/// use std::io::ErrorKind;
/// use runtime::net::pipe::OpenOptions;
///
/// let error = OpenOptions::new().open_sender("/dev/null").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput, "it is no pipe");
/// ```
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Opens what is a named pipe, for one direction.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Opens for both directions, so that a sender need not wait for a receiver, and a receiver
    /// does not read the end of the stream when the last sender of others is gone.
    ///
    /// # Platform notes
    /// POSIX leaves open what it does; Linux defines it (fifo(7)), the BSDs and macOS do the same.
    pub fn read_write(&mut self, both: bool) -> &mut OpenOptions {
        self.read_write = both;
        self
    }

    /// Takes the path for a named pipe without asking, which saves a system call. What is none, a regular
    /// file say, fails where it first has to wait.
    pub fn unchecked(&mut self, unchecked: bool) -> &mut OpenOptions {
        self.unchecked = unchecked;
        self
    }

    /// Opens the end that is written to. It does not block.
    ///
    /// # Errors
    /// As `open /run/fifo: ...`: `InvalidInput` if it is no pipe; ENXIO if nobody has it open for
    /// reading; `NotFound`, `PermissionDenied` and others of open(2).
    pub fn open_sender(&self, path: impl AsRef<Path>) -> io::Result<Sender> {
        let source = self.open(path.as_ref(), fs::OpenOptions::new().write(true))?;
        Ok(Sender { source })
    }

    /// Opens the end that is read from. It does not block: with nobody to write, reading finds the
    /// end of the stream.
    ///
    /// # Errors
    /// As `open /run/fifo: ...`: `InvalidInput` if it is no pipe; `NotFound`, `PermissionDenied` and others
    /// of open(2).
    ///
    /// # Examples
    /// One that outlives its senders:
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
        // std opens closed on exec.
        let opened = options.custom_flags(libc::O_NONBLOCK).open(path);
        let checked = opened.and_then(|file| match self.unchecked {
            true => Ok(file),
            false => check(file),
        });
        // A path such as /dev/fd/0 is on the BSDs but a duplicate, for which flags of `open` do not
        // count: fd(4).
        let checked = checked.and_then(|file| set_nonblocking(file.as_fd()).map(|()| file));
        let file = checked.map_err(|e| with_context(format!("open {}", path.display()), e))?;
        Ok(Source::new(file).sole_owner())
    }
}

/// Gives back `file` if it is a pipe.
fn check(file: File) -> io::Result<File> {
    match file.metadata()?.file_type().is_fifo() {
        true => Ok(file),
        false => Err(invalid("it is no pipe".to_owned())),
    }
}

/// What others made: they may hold a duplicate. No more than the end of a named pipe is it `streaming`,
/// since whoever writes may do so in packets (O_DIRECT, pipe(2)), each of which ends a read.
fn take_over(fd: OwnedFd) -> io::Result<Source<File>> {
    let file = check(File::from(fd))?;
    set_nonblocking(file.as_fd())?;
    Ok(Source::new(file))
}

impl Sender {
    /// Waits until there is nobody any more who could read: the last receiver was dropped.
    ///
    /// # Errors
    /// Those of [waiting](crate#errors): `Unsupported` with select, which knows no ends.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. Once it has completed it would complete again, unless
    /// another receiver opens a named pipe and a write finds that.
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
        // A pipe whose reader is gone has an error on Linux, and its end elsewhere.
        self.ready(Interest::ERROR).await.map(drop)
    }

    /// Waits until writing may be worth a [try](Sender::try_write).
    ///
    /// # Errors
    /// As [`ready`](Sender::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Writes as much as there is room for, and says how many bytes that was: all, if it is no more than
    /// PIPE_BUF.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room, `BrokenPipe` if nobody reads; others of write(2).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        transfer::try_write(&self.source, buf)
    }
}

impl Receiver {
    /// Waits until there is nobody any more who could write: the last sender was dropped. What was
    /// written stays where it is.
    ///
    /// # Errors
    /// Those of [waiting](crate#errors): `Unsupported` with select, which knows no ends.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. Once it has completed it would complete again, unless
    /// another sender opens a named pipe and a read finds that.
    ///
    /// # Platform notes
    /// On Linux a named pipe that never had a writer is not told as closed, though reading it finds
    /// the end. macOS does not tell of named pipes at all.
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

    /// Waits until reading may be worth a [try](Receiver::try_read).
    ///
    /// # Errors
    /// As [`ready`](Receiver::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Reads what is there, and says how many bytes that was. 0 bytes are the end of the stream, unless
    /// `buf` is empty.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; others of read(2).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        transfer::try_read(&self.source, buf)
    }
}

transfer::write_to_source!(Sender, no_shutdown);
transfer::read_from_source!(Receiver);

/// A pipe has no half that could be ended while its descriptor is open.
fn no_shutdown(_: &Source<File>) -> io::Result<()> {
    Ok(())
}

macro_rules! end_of_pipe {
    ($end:ident, $($from:ty),*) => {
        impl $end {
            /// Waits until some of `interest` may be ready, and says what.
            ///
            /// It may be wrong, and it is said again and again until a `try_` method finds nothing.
            ///
            /// # Errors
            /// Those of [waiting](crate#errors).
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn ready(&self, interest: Interest) -> io::Result<Readiness> {
                self.source.ready(interest).await
            }

            /// Gives back the descriptor, **blocking** again, as a child process expects it.
            ///
            /// # Errors
            /// What fcntl(2) says.
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.into_nonblocking_fd();
                sys::set_blocking(fd.as_fd())?;
                Ok(fd)
            }

            /// Gives back the descriptor, still non-blocking.
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
            /// Takes over an end that others made, and makes it non-blocking, which whoever shares
            /// it notices.
            ///
            /// # Errors
            /// `InvalidInput` if it is no pipe.
            impl TryFrom<$from> for $end {
                type Error = io::Error;

                fn try_from(fd: $from) -> io::Result<$end> {
                    let source = take_over(fd.into())?;
                    Ok($end { source })
                }
            }
        )*
    };
}

end_of_pipe!(Sender, OwnedFd, ChildStdin);
end_of_pipe!(Receiver, OwnedFd, ChildStdout, ChildStderr);
