//! A connection within one machine.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use runtime_reactor::{Direction, Source};
use socket2::{SockAddr, Socket, Type};

use super::addr::display;
use super::cred::UCred;
use crate::backoff::{Backoff, Retry};
use crate::error::with_context;
use crate::methods;
use crate::send_file::SendFile;
use crate::split::{self, sealed::Connection};
use crate::sys::adopt::set_nonblocking;
use crate::sys::socket::suppress_sigpipe;
use crate::sys::{names, unix};
use crate::transfer;

/// A Unix stream connection between two sockets of one machine.
///
/// `UnixStream` and `&UnixStream` implement [`AsyncRead`](futures_io::AsyncRead) and
/// [`AsyncWrite`](futures_io::AsyncWrite). Closing it (`poll_close`) shuts down writing; dropping
/// it closes the socket. Nothing is buffered, so flushing does nothing. Writing to a connection
/// that the peer has closed fails with `BrokenPipe` and does not raise SIGPIPE, whatever the
/// signal's disposition.
///
/// # Cancel safety
/// A read or a write that returned `Pending` has transferred nothing.
///
/// # Examples
/// See [the module](crate::unix).
pub struct UnixStream {
    // Not `streaming`: a read may stop at a descriptor, with more bytes behind it.
    pub(crate) source: Source<net::UnixStream>,
}

impl UnixStream {
    /// Connects to the listener at `path`.
    ///
    /// # Errors
    /// Returns an error as `connect to /run/app.sock: ...`: `NotFound` if there is no such file,
    /// `ConnectionRefused` if no socket listens on it, `PermissionDenied` and other errors of
    /// connect(2); `InvalidInput` if the path is too long or contains a zero byte.
    /// `runtime::io::os_error` returns the number of an error of the system.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the attempt.
    ///
    /// # Platform-specific behavior
    /// If the listener's queue is full, Linux returns EAGAIN and has no event for a free place, so
    /// connecting is tried again after 5 ms and then longer, up to 160 ms. Other systems refuse.
    ///
    /// # Examples
    /// See [`UnixListener`](crate::UnixListener).
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let path = path.as_ref();
        let connected = match unix::path_addr(path) {
            Ok(addr) => UnixStream::connect_raw(&addr).await,
            Err(e) => Err(e),
        };
        connected.map_err(|e| with_context(format!("connect to {}", path.display()), e))
    }

    /// Connects like [`connect`](UnixStream::connect), to an address that may be an abstract name.
    ///
    /// # Errors
    /// Returns the errors of `connect`, whose number `runtime::io::os_error` returns.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the attempt.
    ///
    /// # Platform-specific behavior
    /// A full queue is handled as by `connect`.
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
            Ok(addr) => UnixStream::connect_raw(&addr).await,
            Err(e) => Err(e),
        };
        connected.map_err(|e| with_context(format!("connect to {}", display(addr)), e))
    }

    /// Connects to `addr`. The caller puts the address into the error.
    async fn connect_raw(addr: &SockAddr) -> io::Result<UnixStream> {
        UnixStream::connect_socket(unix::socket(Type::STREAM)?, addr).await
    }

    /// Connects `socket` to `addr`. The caller puts the address into the error.
    pub(super) async fn connect_socket(socket: Socket, addr: &SockAddr) -> io::Result<UnixStream> {
        let mut backoff = Backoff::default();
        let is_pending = loop {
            match unix::connect(&socket, addr).map_err(|e| (e.raw_os_error(), e)) {
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
        if is_pending {
            poll_fn(|cx| stream.source.poll_begun(Direction::Write, cx)).await?;
            if let Some(e) = stream.take_error()? {
                return Err(e);
            }
        }
        Ok(stream)
    }

    /// Creates a pair of connected sockets.
    ///
    /// # Errors
    /// Returns EMFILE or ENFILE if no descriptor is available, and other errors of socketpair(2).
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, two) = unix::pair(Type::STREAM)?;
        let new = |socket: Socket| UnixStream::new(socket.into());
        Ok((new(one), new(two)))
    }

    /// Converts a `std` connection, and makes it non-blocking.
    ///
    /// # Errors
    /// Returns the errors of fcntl(2).
    ///
    /// # Platform-specific behavior
    /// Its descriptor may have duplicates, so on epoll dropping it costs a system call once it has
    /// waited.
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

    /// Wraps a connection that this crate made: non-blocking and without duplicates.
    pub(super) fn new(stream: net::UnixStream) -> UnixStream {
        let source = Source::new(stream).sole_owner();
        UnixStream { source }
    }

    /// Returns the `std` connection, **still non-blocking** and deregistered.
    pub fn into_std(self) -> net::UnixStream {
        self.source.into_inner()
    }

    /// Borrows the connection as a reader and a writer, for two futures of one task: see
    /// [`TcpStream::split`](crate::TcpStream::split).
    pub fn split(&self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits the connection into a reader and a writer, for two tasks, which may run on different
    /// threads.
    ///
    /// It costs one allocation. Dropping the writer shuts down writing; dropping both closes the
    /// connection.
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

    /// Shuts down reading, writing, or both, at once for all users of the connection.
    ///
    /// Waiting tasks are woken. After `Shutdown::Write` the peer's data can still be read.
    ///
    /// # Errors
    /// Returns `NotConnected` if the peer has closed its socket (not on all systems), and other
    /// errors of shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        names::shutdown(self, how)
    }

    /// Returns the user, group and process of the peer, as of when it connected, began to listen,
    /// or made the pair.
    ///
    /// The kernel records them, so the peer cannot forge them.
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2) or getpeereid(3).
    ///
    /// # Platform-specific behavior
    /// NetBSD has credentials for sockets that connected, not for those of a pair.
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

    /// Returns the local address, which is unnamed unless the socket was bound.
    ///
    /// # Errors
    /// Returns the errors of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        names::local_name(self)
    }

    /// Returns the peer's address, which is unnamed unless the peer's socket was bound.
    ///
    /// # Errors
    /// Returns `NotConnected` if the socket is no longer connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        names::peer_name(self)
    }

    /// Sends a part of a file, and returns the number of bytes, like
    /// [`TcpStream::send_file`](crate::TcpStream::send_file).
    ///
    /// # Errors
    /// Returns the errors of `TcpStream::send_file`.
    ///
    /// # Cancel safety
    /// Dropping the future stops the transfer. [`SendFile::sent`](crate::SendFile::sent) returns
    /// how much was sent.
    pub fn send_file<'a>(&'a self, file: &'a impl AsFd, range: Range<u64>) -> SendFile<'a> {
        SendFile::new(&self.source, file.as_fd(), range)
    }

    methods::take_error!(source);
    methods::attach!(source);

    methods::ready!();
    methods::readable!(try_read);
    methods::writable!(try_write);
    methods::poll_ready!(poll_read_ready, readable, READABLE);
    methods::poll_ready!(poll_write_ready, writable, WRITABLE);

    methods::closed! {
        /// # Examples
        /// See [`TcpStream::closed`](crate::TcpStream::closed).
    }

    methods::try_read! {
        /// Returns `ConnectionReset` if the peer closed its socket with unread bytes (Linux), and
        /// other errors of recv(2).
    }

    methods::try_write! {
        /// Returns `BrokenPipe` if writing was shut down or the peer has closed its socket, and
        /// other errors of send(2).
    }

    methods::try_vectored!();
    methods::try_io!(net::UnixStream);
}

transfer::read_from_source!(UnixStream);
transfer::write_to_source!(UnixStream, transfer::shutdown_write);

impl Connection for UnixStream {
    fn shutdown_write(&self) {
        // It fails only if the connection was closed, and then nothing is left to shut down.
        let _ = self.shutdown(Shutdown::Write);
    }
}

crate::descriptor::descriptor!(UnixStream, net::UnixStream, source);

/// The borrowed reading half of a connection: see [`UnixStream::split`].
pub type ReadHalf<'a> = split::ReadHalf<'a, UnixStream>;
/// The borrowed writing half of a connection: see [`UnixStream::split`].
pub type WriteHalf<'a> = split::WriteHalf<'a, UnixStream>;
/// The owned reading half of a connection: see [`UnixStream::into_split`].
pub type OwnedReadHalf = split::OwnedReadHalf<UnixStream>;
/// The owned writing half of a connection: see [`UnixStream::into_split`].
pub type OwnedWriteHalf = split::OwnedWriteHalf<UnixStream>;
split::writing_halves!(UnixStream, SocketAddr: WriteHalf<'_>, OwnedWriteHalf);
split::reading_halves!(UnixStream, SocketAddr: ReadHalf<'_>, OwnedReadHalf);

/// An attempt to reunite halves of two different connections.
pub type ReuniteError = split::ReuniteError<UnixStream>;
