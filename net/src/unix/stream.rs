//! A connection.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use runtime_reactor::internal::set_nonblocking;
use runtime_reactor::{Direction, Interest, Readiness, Source};
use socket2::{SockAddr, Socket, Type};

use super::addr::display;
use super::cred::UCred;
use crate::backoff::{Backoff, Retry};
use crate::error::during;
use crate::split::{self, sealed::Connection};
use crate::sys::socket::suppress_sigpipe;
use crate::sys::unix;
use crate::transfer;

/// A connection within one machine.
///
/// `UnixStream` and `&UnixStream` are [`AsyncRead`](futures_io::AsyncRead) and
/// [`AsyncWrite`](futures_io::AsyncWrite). Closing it (`poll_close`) ends our half of the connection and
/// nothing else; dropping it closes the socket. Nothing is buffered here, so flushing does nothing.
///
/// A write to a connection that is gone fails with `BrokenPipe`; SIGPIPE is not raised, whatever
/// the process has set for it.
///
/// # Cancel safety
/// A read or a write that returned `Pending` has done nothing.
///
/// # Examples
/// See [the module](crate::unix).
pub struct UnixStream {
    // Not `streaming`: a read may stop short of what lies behind a descriptor.
    pub(crate) source: Source<net::UnixStream>,
}

impl UnixStream {
    /// Connects to the listener at `path`.
    ///
    /// # Errors
    /// As `connect to /run/it: ...`: `NotFound`, `ConnectionRefused` if nobody listens there,
    /// `PermissionDenied` and others of connect(2); `InvalidInput` if the path is too long or has a
    /// zero in it.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the attempt.
    ///
    /// # Platform notes
    /// A listener whose queue is full is waited for on Linux, by trying again after 5 ms and then
    /// more, up to 160 ms: the system says EAGAIN, and has no event for the place that becomes free.
    /// Elsewhere it refuses.
    ///
    /// # Examples
    /// See [`UnixListener`](crate::UnixListener).
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let path = path.as_ref();
        let connected = match unix::path_addr(path) {
            Ok(addr) => UnixStream::connect_to(&addr).await,
            Err(e) => Err(e),
        };
        connected.map_err(|e| with_context(format!("connect to {}", path.display()), e))
    }

    /// [`connect`](UnixStream::connect) to an address that may be an abstract name.
    ///
    /// # Errors
    /// As `connect`.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the attempt.
    ///
    /// # Platform notes
    /// As `connect`.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(any(target_os = "linux", target_os = "android"))] {
    /// use std::os::linux::net::SocketAddrExt;
    /// use runtime::net::unix::SocketAddr;
    /// use runtime::net::{UnixListener, UnixStream};
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-{}", std::process::id());
    /// let addr = SocketAddr::from_abstract_name(name)?;
    /// let listener = UnixListener::bind_addr(&addr)?;
    /// let stream = UnixStream::connect_addr(&addr).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub async fn connect_addr(addr: &SocketAddr) -> io::Result<UnixStream> {
        let connected = match unix::from_std(addr) {
            Ok(addr) => UnixStream::connect_to(&addr).await,
            Err(e) => Err(e),
        };
        connected.map_err(|e| with_context(format!("connect to {}", display(addr)), e))
    }

    async fn connect_to(addr: &SockAddr) -> io::Result<UnixStream> {
        let socket = unix::socket(Type::STREAM)?;
        let mut backoff = Backoff::default();
        let begun = loop {
            match socket.connect(addr).map_err(|e| (e.raw_os_error(), e)) {
                Ok(()) | Err((Some(libc::EISCONN), _)) => break false,
                Err((Some(libc::EINPROGRESS), _)) => break true,
                Err((Some(libc::EINTR), _)) => {}
                Err((Some(libc::EAGAIN), _)) => {
                    backoff.begin_delay();
                    poll_fn(|cx| backoff.poll_ready(cx)).await?;
                }
                Err((_, e)) => return Err(e),
            }
        };
        let stream = UnixStream::new(socket.into());
        if begun {
            poll_fn(|cx| stream.source.poll_begun(Direction::Write, cx)).await?;
            if let Some(e) = stream.take_error()? {
                return Err(e);
            }
        }
        Ok(stream)
    }

    /// Two connections that are each other's peers.
    ///
    /// # Errors
    /// What socketpair(2) says.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, two) = unix::pair(Type::STREAM)?;
        let new = |socket: Socket| UnixStream::new(socket.into());
        Ok((new(one), new(two)))
    }

    /// Takes over a connection of std's, and makes it non-blocking.
    ///
    /// # Errors
    /// What fcntl(2) says.
    ///
    /// # Platform notes
    /// Somebody else may hold a duplicate of it, so on epoll it costs a system call to be dropped
    /// once it was waited for.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::UnixStream;
    ///
    /// let (one, two) = std::os::unix::net::UnixStream::pair()?;
    /// let stream = UnixStream::from_std(one)?;
    /// assert!(stream.peer_addr()?.is_unnamed());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(stream: net::UnixStream) -> io::Result<UnixStream> {
        set_nonblocking(stream.as_fd())?;
        suppress_sigpipe(&stream)?;
        let source = Source::new(stream);
        Ok(UnixStream { source })
    }

    /// Wraps a connection that this crate made: non-blocking, and nobody else has it.
    pub(super) fn new(stream: net::UnixStream) -> UnixStream {
        let source = Source::new(stream).sole_owner();
        UnixStream { source }
    }

    /// Gives back std's connection, **still non-blocking**.
    pub fn into_std(self) -> net::UnixStream {
        self.source.into_inner()
    }

    /// Borrows it as a reader and a writer, for two futures of one task, as
    /// [`TcpStream::split`](crate::TcpStream::split).
    pub fn split(&self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Turns it into a reader and a writer, for two tasks, of which each may be on a thread of its own.
    /// It costs one allocation.
    ///
    /// Dropping the writer ends our half of the connection; dropping both closes it.
    ///
    /// # Examples
    /// ```
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    /// use runtime::net::UnixStream;
    ///
    /// # runtime::block_on(async {
    /// let (one, mut two) = UnixStream::pair()?;
    /// let (reader, mut writer) = one.into_split();
    /// writer.write_all(b"all").await?;
    /// drop(writer);
    /// let mut all = String::new();
    /// two.read_to_string(&mut all).await?;
    /// assert_eq!(all, "all");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }

    /// Ends the connection in one direction or in both, at once for all who use it: whoever waits is
    /// woken. Reading what the peer sent before is still possible after `Shutdown::Write`.
    ///
    /// # Errors
    /// `NotConnected` on some systems if the peer is gone; what shutdown(2) says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.get_ref().shutdown(how)
    }

    /// Whom the peer's process ran as when it connected, or began to listen, or made the pair. The
    /// system says it, so that the peer cannot lie.
    ///
    /// # Errors
    /// What getsockopt(2) or getpeereid(3) says.
    ///
    /// # Platform notes
    /// NetBSD knows it of sockets that connected, not of those that were made as a pair.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::{UnixListener, UnixStream};
    ///
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("runtime-doc-cred-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// let client = UnixStream::connect(&path).await?;
    /// let (server, _) = listener.accept().await?;
    /// assert_eq!(server.peer_cred()?.uid(), client.peer_cred()?.uid());
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        unix::peer_cred(self.source.get_ref())
    }

    /// Our address, which has a name only if we listened.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// The peer's address, which has a name only if the peer listened.
    ///
    /// # Errors
    /// `NotConnected` if it is not connected any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().peer_addr()
    }

    /// Takes the error that waits to be told, if there is one.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.get_ref().take_error()
    }
}

/// Readiness without an operation.
impl UnixStream {
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

    /// Waits until reading may be worth a [try](UnixStream::try_read).
    ///
    /// # Errors
    /// As [`ready`](UnixStream::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until writing may be worth a [try](UnixStream::try_write).
    ///
    /// # Errors
    /// As [`ready`](UnixStream::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Waits until the peer will send no more: it has ended its half or is gone, or we have shut down
    /// reading ourselves. What it sent before stays where it is, as with
    /// [`TcpStream::closed`](crate::TcpStream::closed).
    ///
    /// # Errors
    /// As [`ready`](UnixStream::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. Once it has completed it would complete again.
    ///
    /// # Platform notes
    /// EPOLLRDHUP on Linux, EV_EOF on kqueue, POLLRDHUP with poll, where that exists. With select it fails
    /// with `Unsupported`.
    pub async fn closed(&self) -> io::Result<()> {
        self.ready(Interest::CLOSED).await.map(drop)
    }

    /// Reads what is there, and says how many bytes that was. 0 bytes are the end of the stream, unless
    /// `buf` is empty.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; `ConnectionReset` if the peer went without reading what we
    /// wrote (Linux); others of recv(2).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        transfer::try_read(&self.source, buf)
    }

    /// [`try_read`](UnixStream::try_read) into several buffers, one after the other.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; else as reading.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        transfer::try_read_vectored(&self.source, bufs)
    }

    /// Writes as much as there is room for, and says how many bytes that was.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; `BrokenPipe` if our half has ended or the peer is gone; others of
    /// send(2).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        transfer::try_write(&self.source, buf)
    }

    /// [`try_write`](UnixStream::try_write) from several buffers, one after the other.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; else as writing.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        transfer::try_write_vectored(&self.source, bufs)
    }

    /// Tries an operation of your own on the descriptor, such as a system call that is missing
    /// here, and notes it if that finds nothing. It must not block.
    ///
    /// With an interest in both directions `op` is called up to twice.
    ///
    /// # Errors
    /// `WouldBlock` if it is known that there is nothing (then `op` is not called), and what `op`
    /// returns. With no interest at all there is nothing.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        op: impl FnMut(&net::UnixStream) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_any(interest, op)
    }
}

transfer::read_from_source!(UnixStream);
transfer::write_to_source!(UnixStream, transfer::shutdown_write);

impl Connection for UnixStream {
    fn end_writing(&self) {
        // It fails only on a connection that is gone, which is what we want.
        let _ = self.shutdown(Shutdown::Write);
    }
}

crate::descriptor::descriptor!(UnixStream, net::UnixStream, source);

/// The reading half of a borrowed connection: see [`UnixStream::split`].
pub type ReadHalf<'a> = split::ReadHalf<'a, UnixStream>;
/// The writing half of a borrowed connection: see [`UnixStream::split`].
pub type WriteHalf<'a> = split::WriteHalf<'a, UnixStream>;
/// The reading half of a connection: see [`UnixStream::into_split`].
pub type OwnedReadHalf = split::OwnedReadHalf<UnixStream>;
/// The writing half of a connection: see [`UnixStream::into_split`].
pub type OwnedWriteHalf = split::OwnedWriteHalf<UnixStream>;
/// Halves that do not belong together: see [`reunite`](split::OwnedReadHalf::reunite).
pub type ReuniteError = split::ReuniteError<UnixStream>;
