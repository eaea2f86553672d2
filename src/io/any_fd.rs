//! Asynchronous operations on any pollable descriptor.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_reactor::{Direction, Interest, Readiness, Source};

/// A non-blocking descriptor of any pollable kind: a pipe, a terminal, an inotify instance, a
/// socket of another library.
///
/// [`read_with`](Async::read_with) and [`write_with`](Async::write_with) run any operation. If `&T`
/// is [`Read`] or [`Write`], `Async<T>` is [`AsyncRead`] or [`AsyncWrite`].
///
/// [`new`](Async::new) makes the descriptor non-blocking, which is a property of the open file and
/// so affects everything that shares it.
///
/// # Platform-specific behavior
/// Regular files and directories are rejected, because the system reports them ready even while the
/// disk is busy: use [`fs`](crate::fs) for them. Linux can wait for everything that has a `poll`
/// operation (sockets, pipes, terminals, timerfd, inotify, tun, most devices); for the rest,
/// waiting returns `Unsupported` (EPERM). The BSDs and macOS can wait for a kqueue; macOS cannot
/// wait for some terminals and devices. Dropping an `Async` that has waited costs a system call on
/// epoll, because other descriptors may share the open file.
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use runtime::io::Async;
///
/// # runtime::block_on(async {
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let ours = Async::new(ours)?;
/// theirs.write_all(b"x")?;
/// let mut byte = [0];
/// ours.read_with(|mut stream| stream.read(&mut byte)).await?;
/// assert_eq!(&byte, b"x");
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Async<T> {
    source: Source<T>,
}

impl<T: AsFd> Async<T> {
    /// Wraps a descriptor and makes it non-blocking.
    ///
    /// # Errors
    /// Returns `Unsupported` for regular files and directories (`descriptor 5 is a regular file:
    /// ...`), and the errors of fcntl(2). A device that cannot be waited for is only detected when
    /// it is waited for.
    ///
    /// # Examples
    /// ```
    /// use std::io::ErrorKind;
    /// use runtime::io::Async;
    ///
    /// let directory = std::fs::File::open("/")?;
    /// assert_eq!(Async::new(directory).unwrap_err().kind(), ErrorKind::Unsupported);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn new(io: T) -> io::Result<Async<T>> {
        Async::try_new(io).map_err(TryNewError::into_error)
    }

    /// Wraps a descriptor like [`new`](Async::new), and returns the value with the error if that
    /// fails.
    ///
    /// # Errors
    /// Returns the errors of `new`, with the value.
    ///
    /// # Examples
    /// ```
    /// use runtime::io::Async;
    ///
    /// let directory = std::fs::File::open("/")?;
    /// let (directory, error) = Async::try_new(directory).unwrap_err().into_parts();
    /// assert!(directory.metadata()?.is_dir());
    /// assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_new(io: T) -> Result<Async<T>, TryNewError<T>> {
        let fd = io.as_fd();
        let checked = runtime_reactor::internal::check_pollable(fd)
            .and_then(|()| runtime_reactor::internal::set_nonblocking(fd));
        match checked {
            Ok(()) => Ok(Async::from_nonblocking(io)),
            Err(error) => Err(TryNewError { io, error }),
        }
    }

    /// Wraps a descriptor whose operations already do not block, and leaves its flags unchanged.
    ///
    /// This is for a kqueue, which has no such flag on FreeBSD and OpenBSD and is queried with a
    /// limit of zero, and for a non-blocking descriptor whose mode others rely on. An operation
    /// that blocks stops the thread and all its tasks.
    ///
    /// # Errors
    /// Returns `Unsupported` for regular files and directories.
    pub fn new_nonblocking(io: T) -> io::Result<Async<T>> {
        runtime_reactor::internal::check_pollable(io.as_fd())?;
        Ok(Async::from_nonblocking(io))
    }

    fn from_nonblocking(io: T) -> Async<T> {
        let source = Source::new(io).confirming();
        Async { source }
    }

    /// Assigns the descriptor to the runtime of this thread before it first has to wait.
    ///
    /// Any thread can then wait for it. A descriptor that already belongs to a runtime stays there.
    ///
    /// # Errors
    /// Returns `Other` if no runtime drives this thread. If the system refuses to watch the
    /// descriptor, the first operation that has to wait returns the error.
    pub fn attach(&self) -> io::Result<()> {
        self.source.attach()
    }

    /// Returns a reference to the wrapped value.
    pub fn get_ref(&self) -> &T {
        self.source.get_ref()
    }

    /// Returns a mutable reference to the wrapped value.
    ///
    /// Do not replace its descriptor: a new one is not registered, and the number of the old one
    /// may then belong to another object, which would be deregistered instead.
    pub fn get_mut(&mut self) -> &mut T {
        self.source.get_mut()
    }

    /// Returns the wrapped value, still non-blocking and no longer registered in the reactor.
    pub fn into_inner(self) -> T {
        self.source.into_inner()
    }

    /// Waits until the descriptor is readable or at its end. See [`ready`](Async::ready).
    ///
    /// # Errors
    /// Returns `Other` outside a runtime, and if the runtime in which it waited was dropped;
    /// `Unsupported` if the descriptor cannot be waited for.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use runtime::io::Async;
    ///
    /// # runtime::block_on(async {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// theirs.write_all(b"x")?;
    /// ours.readable().await?;
    /// let read = ours.try_read_with(|mut stream| stream.read(&mut [0; 16]));
    /// assert_eq!(read?, 1);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until the descriptor is writable. See [`ready`](Async::ready).
    ///
    /// # Errors
    /// Returns `Other` outside a runtime, and if the runtime in which it waited was dropped;
    /// `Unsupported` if the descriptor cannot be waited for.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use runtime::io::Async;
    ///
    /// # runtime::block_on(async {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// ours.writable().await?;
    /// assert_eq!(ours.try_write_with(|mut stream| stream.write(b"x"))?, 1);
    /// # theirs.read_exact(&mut [0])?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Waits for the end of an operation that was begun on the wrapped value in `direction`, such
    /// as connecting.
    ///
    /// No operation is attempted: the future completes when the kernel reports the descriptor ready
    /// in `direction`. A connection attempt ends in the direction of writing; `SO_ERROR` then has
    /// its result.
    ///
    /// # Errors
    /// Returns `Other` outside a runtime, and if the runtime in which it waited was dropped;
    /// `Unsupported` if the descriptor cannot be waited for.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    /// ```
    /// use std::net::{TcpListener, TcpStream};
    /// use runtime::io::{Async, Direction};
    /// use rustix::net::{AddressFamily, SocketType, connect, socket};
    ///
    /// # runtime::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::from(socket(AddressFamily::INET, SocketType::STREAM, None)?);
    /// let stream = Async::new(stream)?;
    /// // Usually returns EINPROGRESS.
    /// let _ = connect(&stream, &listener.local_addr()?);
    /// stream.begun(Direction::Write).await?;
    /// assert!(stream.get_ref().take_error()?.is_none());
    /// assert!(stream.get_ref().peer_addr().is_ok());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn begun(&self, direction: Direction) -> io::Result<()> {
        self.ready(direction.into()).await.map(drop)
    }

    /// Waits until the peer has closed the connection, or will send no more data.
    ///
    /// No data is read, and unread data does not delay completion.
    ///
    /// # Errors
    /// Returns `Other` outside a runtime, and if the runtime in which it waited was dropped;
    /// `Unsupported` if the descriptor cannot be waited for, or if the backend does not support
    /// [`Interest::CLOSED`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Platform-specific behavior
    /// Waits for EPOLLRDHUP or EPOLLHUP on Linux, and EV_EOF of the read filter on kqueue. A
    /// descriptor without an end (inotify, timerfd) never completes. The writing end of a pipe
    /// reports an error instead: wait for [`Interest::ERROR`].
    pub async fn closed(&self) -> io::Result<()> {
        self.ready(Interest::CLOSED).await.map(drop)
    }

    /// Waits until at least one part of `interest` is ready, and returns what is ready.
    ///
    /// A future that is created when readiness is already known asks the kernel whether it still
    /// exists, by poll(2). Operations may therefore be performed on [`get_ref`](Async::get_ref)
    /// directly. After [`try_io`](Async::try_io) has returned `WouldBlock`, poll(2) is not called.
    /// After poll(2) itself the operation may still return `WouldBlock`, for example because
    /// another task was faster.
    ///
    /// # Errors
    /// Returns `Other` outside a runtime, and if the runtime in which it waited was dropped;
    /// `Unsupported` if the descriptor cannot be waited for, or if the
    /// [backend](crate::Backend) does not support the interest.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    /// ```
    /// # use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use runtime::io::{Async, Interest};
    ///
    /// # runtime::block_on(async {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// // There is nothing to read, and room to write.
    /// let ready = ours.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(ready.is_writable() && !ready.is_readable());
    /// # theirs.write_all(b"x")?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Readiness> {
        self.source.ready(interest).await
    }

    /// Poll-based version of [`readable`](Async::readable).
    ///
    /// # Errors
    /// Returns the errors of `readable`.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = self.source.poll_ready(Interest::READABLE, cx);
        ready.map_ok(drop)
    }

    /// Poll-based version of [`writable`](Async::writable).
    ///
    /// # Errors
    /// Returns the errors of `writable`.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = self.source.poll_ready(Interest::WRITABLE, cx);
        ready.map_ok(drop)
    }

    /// Runs a reading operation, waiting and repeating it while it returns `WouldBlock`.
    ///
    /// # Errors
    /// Returns the errors of `op` except `WouldBlock` and `Interrupted`; `Other` if it has to wait
    /// outside a runtime, or if the runtime in which it waited was dropped; `Unsupported` if the
    /// descriptor cannot be waited for.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: `op` has not succeeded.
    ///
    /// # Examples
    /// See [`Async`].
    pub async fn read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.run(Direction::Read, op).await
    }

    /// Runs a writing operation, waiting and repeating it while it returns `WouldBlock`.
    ///
    /// # Errors
    /// Returns the errors of `op` except `WouldBlock` and `Interrupted`; `Other` if it has to wait
    /// outside a runtime, or if the runtime in which it waited was dropped; `Unsupported` if the
    /// descriptor cannot be waited for.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: `op` has not succeeded.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use runtime::io::Async;
    ///
    /// # runtime::block_on(async {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// ours.write_with(|mut stream| stream.write(b"x")).await?;
    /// theirs.read_exact(&mut [0])?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.run(Direction::Write, op).await
    }

    async fn run<R>(
        &self,
        direction: Direction,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        std::future::poll_fn(|cx| self.source.poll_io(direction, cx, &mut op)).await
    }

    /// Poll-based version of [`read_with`](Async::read_with).
    ///
    /// # Errors
    /// Returns the errors that [`read_with`](Async::read_with) lists.
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source.poll_io(Direction::Read, cx, op)
    }

    /// Poll-based version of [`write_with`](Async::write_with).
    ///
    /// # Errors
    /// Returns the errors that [`write_with`](Async::write_with) lists.
    pub fn poll_write_with<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source.poll_io(Direction::Write, cx, op)
    }

    /// Runs a reading operation without waiting.
    ///
    /// # Errors
    /// Returns `WouldBlock` without calling `op` if the descriptor is known not to be ready, and
    /// the errors of `op`.
    pub fn try_read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.try_io(Direction::Read, op)
    }

    /// Runs a writing operation without waiting.
    ///
    /// # Errors
    /// Returns `WouldBlock` without calling `op` if the descriptor is known not to be ready, and
    /// the errors of `op`.
    pub fn try_write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.try_io(Direction::Write, op)
    }

    /// Runs an operation for priority data without waiting.
    ///
    /// Afterwards [`Interest::PRIORITY`] is no longer reported until more such data arrives.
    ///
    /// # Errors
    /// Returns the errors of `op`.
    pub fn try_priority_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.try_priority(op)
    }

    /// Runs an operation without waiting, and records the missing readiness if it returns
    /// `WouldBlock`.
    ///
    /// `op` must not block. If `interest` has both directions, `op` may be called twice.
    ///
    /// # Errors
    /// Returns `WouldBlock` without calling `op` if the descriptor is known not to be ready or
    /// `interest` is empty, and the errors of `op`.
    ///
    /// # Examples
    /// ```
    /// use std::io::{ErrorKind, Read};
    /// use std::os::unix::net::UnixStream;
    /// use runtime::io::{Async, Interest};
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// let nothing = ours.try_io(Interest::READABLE, |mut stream| stream.read(&mut [0]));
    /// assert_eq!(nothing.unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_io<R>(
        &self,
        interest: Interest,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_any(interest, op)
    }
}

/// A value that [`Async::try_new`] could not wrap, and the error.
///
/// It converts to [`io::Error`], which drops the value.
pub struct TryNewError<T> {
    io: T,
    error: io::Error,
}

impl<T> TryNewError<T> {
    /// Returns the value and the error.
    pub fn into_parts(self) -> (T, io::Error) {
        (self.io, self.error)
    }

    fn into_error(self) -> io::Error {
        self.error
    }
}

impl<T> fmt::Debug for TryNewError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> fmt::Display for TryNewError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> Error for TryNewError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl<T> From<TryNewError<T>> for io::Error {
    fn from(error: TryNewError<T>) -> io::Error {
        error.into_error()
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Implements the traits of futures-io for `Async<T>` and `&Async<T>` by the same operations.
macro_rules! impl_async_io {
    ($($async:ty),+) => {$(
        impl<T: AsFd> AsyncRead for $async
        where
            for<'a> &'a T: Read,
        {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.source
                    .poll_io(Direction::Read, cx, |mut io| io.read(buf))
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.source
                    .poll_io(Direction::Read, cx, |mut io| io.read_vectored(bufs))
            }
        }

        impl<T: AsFd> AsyncWrite for $async
        where
            for<'a> &'a T: Write,
        {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.source
                    .poll_io(Direction::Write, cx, |mut io| io.write(buf))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.source
                    .poll_io(Direction::Write, cx, |mut io| io.write_vectored(bufs))
            }

            /// Flushes the wrapped value. The flush is tried before waiting, because most
            /// descriptors have nothing to flush.
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let mut io = self.source.get_ref();
                match io.flush() {
                    Err(e) if is_retried(e.kind()) => self
                        .source
                        .poll_io(Direction::Write, cx, |mut io| io.flush()),
                    flushed => Poll::Ready(flushed),
                }
            }

            /// Flushes the wrapped value. The descriptor is closed when it is dropped.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }
    )+};
}

impl_async_io!(Async<T>, &Async<T>);

/// Returns true for the errors after which the reactor waits or repeats the operation.
fn is_retried(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
