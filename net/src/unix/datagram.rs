//! A Unix datagram socket.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use runtime_reactor::Source;
use socket2::{SockAddr, Socket, Type};

use super::addr::display;
use crate::backoff::{Backoff, Retry, SharedBackoff};
use crate::error::with_context;
use crate::methods;
use crate::sys::adopt::set_nonblocking;
use crate::sys::socket::suppress_sigpipe;
use crate::sys::{names, unix};

/// A Unix datagram socket: datagrams within one machine, none of which is lost or reordered.
///
/// On macOS and the BSDs sending to a full receiver
/// [fails](crate::unix#platform-specific-behavior), and the sender has to try again.
///
/// Datagrams keep their boundaries: one that is longer than the buffer is truncated
/// ([`recv_fds`](UnixDatagram::recv_fds) reports it).
///
/// # Examples
/// ```
/// use runtime::net::UnixDatagram;
///
/// # runtime::block_on(async {
/// let (one, two) = UnixDatagram::pair()?;
/// one.send(b"hello").await?;
/// let mut buffer = [0; 16];
/// assert_eq!(two.recv(&mut buffer).await?, 5);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct UnixDatagram {
    pub(super) source: Source<net::UnixDatagram>,
    /// True once receiving was shut down. On Linux a non-blocking socket then returns `WouldBlock`
    /// forever, and is always readable.
    recv_shut_down: AtomicBool,
    /// For the tasks that call `poll_send_to`; the others have a `Backoff` of their own.
    send_backoff: SharedBackoff,
}

impl UnixDatagram {
    /// Creates a socket file at `path`, to which other sockets can send.
    ///
    /// # Errors
    /// Returns the errors of [`UnixListener::bind`](crate::UnixListener::bind), whose number
    /// `runtime::io::os_error` returns.
    ///
    /// # Examples
    /// See [`send_to_addr`](UnixDatagram::send_to_addr).
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        let path = path.as_ref();
        let bound = unix::path_addr(path).and_then(|addr| UnixDatagram::bind_to(&addr));
        bound.map_err(|e| with_context(format!("bind {}", path.display()), e))
    }

    /// Binds like [`bind`](UnixDatagram::bind), to an address that may be an abstract name.
    ///
    /// # Errors
    /// Returns the errors of `bind`, whose number `runtime::io::os_error` returns.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixDatagram> {
        let bound = unix::from_std(addr).and_then(|addr| UnixDatagram::bind_to(&addr));
        bound.map_err(|e| with_context(format!("bind {}", display(addr)), e))
    }

    fn bind_to(addr: &SockAddr) -> io::Result<UnixDatagram> {
        let socket = unix::socket(Type::DGRAM)?;
        unix::bind(&socket, addr)?;
        Ok(UnixDatagram::new(socket))
    }

    /// Creates an unnamed socket, which can send, and receive from a peer that it is connected to.
    ///
    /// # Errors
    /// Returns EMFILE or ENFILE if no descriptor is available, and other errors of socket(2).
    pub fn unbound() -> io::Result<UnixDatagram> {
        unix::socket(Type::DGRAM).map(UnixDatagram::new)
    }

    /// Creates a pair of connected sockets.
    ///
    /// # Errors
    /// Returns EMFILE or ENFILE if no descriptor is available, and other errors of socketpair(2).
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, two) = unix::pair(Type::DGRAM)?;
        Ok((UnixDatagram::new(one), UnixDatagram::new(two)))
    }

    /// Connects to the socket at `path`: the only one that this socket then sends to and receives
    /// from.
    ///
    /// # Errors
    /// Returns an error as `connect to /run/app.sock: ...`: `NotFound` if there is no such file,
    /// `ConnectionRefused` if no socket is bound to it, `PermissionDenied` and other errors of
    /// connect(2); `InvalidInput` if the path is too long or contains a zero byte.
    /// `runtime::io::os_error` returns the number of an error of the system.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let addr = unix::path_addr(path);
        let connected = addr.and_then(|addr| unix::connect(self, &addr));
        connected.map_err(|e| with_context(format!("connect to {}", path.display()), e))
    }

    /// Connects like [`connect`](UnixDatagram::connect), to an address that may be an abstract
    /// name.
    ///
    /// # Errors
    /// Returns the errors of `connect`, whose number `runtime::io::os_error` returns.
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        let connected = unix::from_std(addr).and_then(|addr| unix::connect(self, &addr));
        connected.map_err(|e| with_context(format!("connect to {}", display(addr)), e))
    }

    /// Wraps a socket that this crate made: non-blocking and without duplicates.
    pub(super) fn new(socket: Socket) -> UnixDatagram {
        let socket = net::UnixDatagram::from(OwnedFd::from(socket));
        UnixDatagram::from_source(Source::new(socket).sole_owner())
    }

    fn from_source(source: Source<net::UnixDatagram>) -> UnixDatagram {
        UnixDatagram {
            source,
            recv_shut_down: AtomicBool::new(false),
            send_backoff: SharedBackoff::default(),
        }
    }

    /// Converts a `std` socket, and makes it non-blocking.
    ///
    /// # Errors
    /// Returns the errors of fcntl(2).
    ///
    /// # Platform-specific behavior
    /// Its descriptor may have duplicates, so on epoll dropping it costs a system call once it has
    /// waited.
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        set_nonblocking(socket.as_fd())?;
        suppress_sigpipe(&socket)?;
        Ok(UnixDatagram::from_source(Source::new(socket)))
    }

    /// Returns the `std` socket, **still non-blocking** and deregistered.
    pub fn into_std(self) -> net::UnixDatagram {
        self.source.into_inner()
    }

    /// Shuts down receiving, sending, or both, at once for all users of the socket.
    ///
    /// Tasks that wait are woken. Sending then fails with `BrokenPipe`; receiving returns the
    /// queued datagrams, and then 0 bytes.
    ///
    /// # Errors
    /// Returns `NotConnected` on some systems if the socket is not connected.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // Before the call, so that the tasks that it wakes see it, on other threads too.
        let changes = how != Shutdown::Write && !self.recv_shut_down.swap(true, Ordering::SeqCst);
        let result = names::shutdown(self, how);
        if changes && result.is_err() {
            self.recv_shut_down.store(false, Ordering::SeqCst);
        }
        result
    }

    /// Makes `recv` return `end` instead of `WouldBlock` once receiving was shut down.
    pub(super) fn until_shutdown<R>(
        &self,
        mut recv: impl FnMut(&net::UnixDatagram) -> io::Result<R>,
        end: impl Fn() -> io::Result<R>,
    ) -> impl FnMut(&net::UnixDatagram) -> io::Result<R> {
        move |socket| match recv(socket) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && self.is_recv_shut_down() => end(),
            result => result,
        }
    }

    fn is_recv_shut_down(&self) -> bool {
        self.recv_shut_down.load(Ordering::SeqCst)
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// Returns the errors of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        names::local_name(self)
    }

    /// Returns the address that the socket is [connected](UnixDatagram::connect) to.
    ///
    /// # Errors
    /// Returns `NotConnected` if it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        names::peer_name(self)
    }

    methods::take_error!(source);

    methods::operation! {
        /// Sends a datagram to the socket that this one is [connected](UnixDatagram::connect) to,
        /// and returns its length. Waits while the receiver's queue is full.
        ///
        /// # Errors
        /// Returns `NotConnected` (another error on some systems) if the socket is not connected,
        /// `ConnectionRefused` or `ConnectionReset` if the peer has closed its socket, `BrokenPipe`
        /// after a shutdown, EMSGSIZE if the datagram is longer than the send buffer, other errors
        /// of send(2), and the [errors of waiting](crate#errors).
        ///
        /// # Cancel safety
        /// A dropped future has sent nothing.
        ///
        /// # Platform-specific behavior
        /// macOS and the BSDs return ENOBUFS instead of waiting for the receiver.
        ///
        /// # Examples
        /// See [`UnixDatagram`].
        send, poll_send, try_send(buf: &[u8]) -> usize;
        Write, |self| |socket| unix::send(socket, buf)
    }

    /// Sends a datagram to the socket at `path`, and returns its length. Waits while the receiver's
    /// queue is full.
    ///
    /// # Errors
    /// Returns the errors of [`send`](UnixDatagram::send) and [`connect`](UnixDatagram::connect).
    ///
    /// # Cancel safety
    /// A dropped future has sent nothing.
    ///
    /// # Platform-specific behavior
    /// The system has no event for a free place in the queue of a socket that this one is not
    /// connected to, so sending is tried again after 5 ms and then longer, up to 160 ms.
    /// [`connect`](UnixDatagram::connect) to a receiver that is often busy. macOS and the BSDs
    /// return ENOBUFS instead of waiting for the receiver.
    ///
    /// # Examples
    /// See [`send_to_addr`](UnixDatagram::send_to_addr).
    pub async fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let addr = SocketAddr::from_pathname(path)?;
        self.send_with_backoff(|socket| unix::send_to(socket, buf, &addr))
            .await
    }

    /// Sends like [`send_to`](UnixDatagram::send_to), to an address that may be an abstract name,
    /// such as the sender that [`recv_from`](UnixDatagram::recv_from) returns.
    ///
    /// # Errors
    /// Returns the errors of `send_to`.
    ///
    /// # Cancel safety
    /// A dropped future has sent nothing.
    ///
    /// # Platform-specific behavior
    /// A full queue is handled as by `send_to`.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::UnixDatagram;
    ///
    /// # runtime::block_on(async {
    /// # let directory = std::env::temp_dir();
    /// # let name = |end| directory.join(format!("runtime-doc-{end}-{}", std::process::id()));
    /// # let (server_path, client_path) = (name("server"), name("client"));
    /// let server = UnixDatagram::bind(&server_path)?;
    /// let client = UnixDatagram::bind(&client_path)?;
    /// client.send_to(b"ping", &server_path).await?;
    /// let (_, sender) = server.recv_from(&mut [0; 8]).await?;
    /// server.send_to_addr(b"pong", &sender).await?;
    /// assert_eq!(client.recv(&mut [0; 8]).await?, 4);
    /// # std::fs::remove_file(server_path)?;
    /// # std::fs::remove_file(client_path)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_to_addr(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        self.send_with_backoff(|socket| unix::send_to(socket, buf, addr))
            .await
    }

    /// Tries `send` until the receiver's queue has room, with delays.
    async fn send_with_backoff(
        &self,
        mut send: impl FnMut(&net::UnixDatagram) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut backoff = Backoff::default();
        poll_fn(|cx| {
            loop {
                ready!(backoff.poll_ready(cx))?;
                match send(self.source.get_ref()) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => backoff.begin_delay(),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    result => return Poll::Ready(result),
                }
            }
        })
        .await
    }

    /// Poll-based version of [`send_to`](UnixDatagram::send_to).
    ///
    /// If it returns `Pending`, the task of `cx` is woken when another attempt is worthwhile.
    /// Several tasks may call it at the same time; all of them are woken.
    ///
    /// # Errors
    /// Returns the errors of `send_to`.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        path: impl AsRef<Path>,
    ) -> Poll<io::Result<usize>> {
        let addr = SocketAddr::from_pathname(path)?;
        self.poll_send_with(cx, |socket| unix::send_to(socket, buf, &addr))
    }

    /// Poll-based version of [`send_to_addr`](UnixDatagram::send_to_addr).
    ///
    /// # Errors
    /// Returns the errors of `send_to_addr`.
    pub fn poll_send_to_addr(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        addr: &SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_send_with(cx, |socket| unix::send_to(socket, buf, addr))
    }

    /// Tries `send` before it waits for the delay that the tasks share: that may be for another
    /// receiver.
    fn poll_send_with(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&net::UnixDatagram) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut backoff = &self.send_backoff;
        loop {
            match send(self.source.get_ref()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    backoff.begin_delay();
                    ready!(backoff.poll_ready(cx))?;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    backoff.reset();
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Attempts [`send_to`](UnixDatagram::send_to) without waiting.
    ///
    /// # Errors
    /// Returns `WouldBlock` if the receiver's queue is full, and otherwise the errors of `send_to`.
    pub fn try_send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        // Bypasses the reactor: that another receiver has no room says nothing about this one.
        let addr = SocketAddr::from_pathname(path)?;
        unix::send_to(self.source.get_ref(), buf, &addr)
    }

    /// Attempts [`send_to_addr`](UnixDatagram::send_to_addr) without waiting.
    ///
    /// # Errors
    /// Returns `WouldBlock` if the receiver's queue is full, and otherwise the errors of
    /// `send_to_addr`.
    pub fn try_send_to_addr(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        unix::send_to(self.source.get_ref(), buf, addr)
    }

    methods::operation! {
        /// Receives a datagram into `buf`, and returns the number of bytes written.
        ///
        /// A longer datagram is truncated.
        ///
        /// # Errors
        /// Returns `ConnectionReset` if the peer of a connected socket connected to another one
        /// (Linux), other errors of recv(2), and the [errors of waiting](crate#errors).
        ///
        /// # Cancel safety
        /// Dropping the future loses no datagram.
        ///
        /// # Examples
        /// See [`UnixDatagram`].
        recv, poll_recv, try_recv(buf: &mut [u8]) -> usize;
        Read, |self| self.until_shutdown(|socket| unix::recv(socket, buf), || Ok(0))
    }

    methods::operation! {
        /// Receives a datagram into `buf`, and returns the number of bytes written and the sender,
        /// which is usually unnamed.
        ///
        /// A longer datagram is truncated.
        ///
        /// # Errors
        /// Returns the errors of [`recv`](UnixDatagram::recv).
        ///
        /// # Cancel safety
        /// Dropping the future loses no datagram.
        ///
        /// # Examples
        /// See [`send_to_addr`](UnixDatagram::send_to_addr).
        recv_from, poll_recv_from, try_recv_from(buf: &mut [u8]) -> (usize, SocketAddr);
        Read, |self| self.until_shutdown(|socket| unix::recv_from(socket, buf), end_of_messages)
    }

    methods::attach!(source);

    methods::ready!();
    methods::readable!(try_recv);
    methods::writable!(try_send);
    methods::poll_ready!(poll_recv_ready, readable, READABLE);
    methods::poll_ready!(poll_send_ready, writable, WRITABLE);
    methods::try_io!(net::UnixDatagram);
}

/// Returns what `recv_from` yields once receiving was shut down.
fn end_of_messages() -> io::Result<(usize, SocketAddr)> {
    Ok((0, SocketAddr::from_pathname("")?))
}

crate::descriptor::descriptor!(UnixDatagram, net::UnixDatagram, source);
