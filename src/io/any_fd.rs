//! Any descriptor that can be waited for.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_reactor::{Direction, Interest, Readiness, Source};

/// Waits for a descriptor of any kind: a pipe, a terminal, an inotify, somebody else's socket.
///
/// The descriptor is made non-blocking; that is a property of the open file, which others may share.
/// [`read_with`](Async::read_with) and [`write_with`](Async::write_with) run any operation; where
/// `&T` is [`Read`] or [`Write`], so is this, asynchronously.
///
/// # Platform notes
/// Regular files and directories are refused: the system calls them ready even while the disk is
/// busy; use `fs` for them. What else can be waited for differs: Linux waits for all that has a `poll`
/// operation (sockets, pipes, terminals, timerfd, inotify, tun, most devices), and says EPERM, here
/// `Unsupported`, of the rest; a kqueue can itself be waited for on the BSDs and macOS; macOS cannot wait
/// for some terminals and devices. When it is dropped, the reactor takes the descriptor back from the kernel with a system
/// call (on epoll), since others may share the open file.
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
    /// As `descriptor 5 is a regular file: ...`: `Unsupported` for regular files and directories,
    /// which are read with [`fs`](crate::fs). And what fcntl(2) says. Of a device that cannot be
    /// waited for, waiting says so.
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
        let io = Async::new_nonblocking(io)?;
        runtime_reactor::internal::set_nonblocking(io.as_fd())?;
        Ok(io)
    }

    /// Wraps a descriptor whose operations do not block as it is, and leaves its flags alone. For a
    /// kqueue, which is asked with a limit of zero and knows no such flag on FreeBSD and OpenBSD; for
    /// one that others share who rely on its mode, if it is non-blocking already.
    ///
    /// An operation that blocks stops the thread, and all tasks on it.
    ///
    /// # Errors
    /// `Unsupported` for regular files and directories.
    pub fn new_nonblocking(io: T) -> io::Result<Async<T>> {
        runtime_reactor::internal::check_pollable(io.as_fd())?;
        Ok(Async {
            source: Source::new(io),
        })
    }

    /// What is wrapped.
    pub fn get_ref(&self) -> &T {
        self.source.get_ref()
    }

    /// Gives back what was wrapped, still non-blocking, and unknown to the reactor again.
    pub fn into_inner(self) -> T {
        self.source.into_inner()
    }

    /// Waits until it is readable, or at its end. It may be wrong, as [`ready`](Async::ready) says.
    ///
    /// # Errors
    /// Outside a runtime, and if the descriptor cannot be waited for.
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

    /// Waits until it is writable. It may be wrong, as [`ready`](Async::ready) says.
    ///
    /// # Errors
    /// Outside a runtime, and if the descriptor cannot be waited for.
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

    /// Waits for the peer's end: it is gone, or will send no more. Nothing is read, and data that
    /// nobody reads does not keep the end from being seen.
    ///
    /// # Errors
    /// Outside a runtime, and if the descriptor cannot be waited for; `Unsupported` where the
    /// backend knows of no ends ([`Interest::CLOSED`]).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Platform notes
    /// What the system calls an end: EPOLLRDHUP or EPOLLHUP on Linux, EV_EOF for reading on kqueue. A
    /// descriptor that has none (inotify, timerfd) waits for ever. The writing end of a pipe breaks with
    /// an error instead: wait for [`Interest::ERROR`].
    pub async fn closed(&self) -> io::Result<()> {
        self.ready(Interest::CLOSED).await.map(drop)
    }

    /// Waits until some of `interest` may be ready. It says so again and again until a
    /// [`try_io`](Async::try_io) has found nothing.
    ///
    /// # Errors
    /// Outside a runtime, and if the descriptor cannot be waited for; `Unsupported` for an interest of
    /// which the [backend](crate::Backend) cannot tell.
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
    /// // Nobody has waited or found nothing yet: so both may be worth a try.
    /// let ready = ours.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(ready.is_writable());
    /// # theirs.write_all(b"x")?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Readiness> {
        self.source.ready(interest).await
    }

    /// Runs a reading operation until it does something else than fail with `WouldBlock`, and waits
    /// in between.
    ///
    /// # Errors
    /// Those of `op`, except `WouldBlock` and `Interrupted`; and those of waiting.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: `op` has then not been successful.
    ///
    /// # Examples
    /// See [above](Async).
    pub async fn read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.run(Direction::Read, op).await
    }

    /// Runs a writing operation until it does something else than fail with `WouldBlock`, and waits
    /// in between.
    ///
    /// # Errors
    /// Those of `op`, except `WouldBlock` and `Interrupted`; and those of waiting.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: `op` has then not been successful.
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

    /// [`read_with`](Async::read_with) for those who write futures by hand.
    ///
    /// # Errors
    /// As `read_with`.
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source.poll_io(Direction::Read, cx, op)
    }

    /// [`write_with`](Async::write_with) for those who write futures by hand.
    ///
    /// # Errors
    /// As `write_with`.
    pub fn poll_write_with<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source.poll_io(Direction::Write, cx, op)
    }

    /// Runs a reading operation once.
    ///
    /// # Errors
    /// As [`try_io`](Async::try_io).
    pub fn try_read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.try_io(Direction::Read, op)
    }

    /// Runs a writing operation once.
    ///
    /// # Errors
    /// As [`try_io`](Async::try_io).
    pub fn try_write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.try_io(Direction::Write, op)
    }

    /// Runs an operation once for what [`Interest::PRIORITY`] waits for, which is then no longer told
    /// until more of it comes.
    ///
    /// # Errors
    /// What `op` returns.
    pub fn try_priority_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.try_priority(op)
    }

    /// Tries an operation, and notes it if that finds nothing, so that the next wait is a real one.
    /// It must not block. With an interest in both directions `op` is called up to twice.
    ///
    /// # Errors
    /// `WouldBlock` if it is known that there is nothing (then `op` is not called), and what `op`
    /// returns. With no interest at all there is nothing.
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

impl<T: AsFd> AsyncRead for &Async<T>
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

impl<T: AsFd> AsyncWrite for &Async<T>
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

    /// Tried before anything is waited for: most descriptors have nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut io = self.source.get_ref();
        match io.flush() {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => self
                .source
                .poll_io(Direction::Write, cx, |mut io| io.flush()),
            flushed => Poll::Ready(flushed),
        }
    }

    /// Flushes; a descriptor of unknown kind is closed by dropping it.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl<T: AsFd> AsyncRead for Async<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(cx, bufs)
    }
}

impl<T: AsFd> AsyncWrite for Async<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(cx)
    }
}
