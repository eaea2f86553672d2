//! A TCP socket that is not connected yet.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Socket};

use super::connect;
use super::keepalive::TcpKeepalive;
use super::listener::TcpListener;
use super::stream::TcpStream;
use crate::error::with_context;
use crate::methods;
use crate::sys::adopt::set_nonblocking;
use crate::sys::options::Options;
use crate::sys::{names, tcp};

/// A TCP socket that neither listens nor is connected yet, for options that must be set before.
///
/// # Examples
/// ```
/// use runtime::net::{TcpSocket, TcpStream};
///
/// # runtime::block_on(async {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.set_recv_buffer_size(256 * 1024)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(16)?;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.set_nodelay(true)?;
/// let stream: TcpStream = socket.connect(listener.local_addr()?).await?;
/// assert!(stream.nodelay()?);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct TcpSocket {
    socket: Socket,
}

impl TcpSocket {
    /// Creates a socket for IPv4.
    ///
    /// # Errors
    /// Returns EMFILE or ENFILE if no descriptor is available, and other errors of socket(2).
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV4)
    }

    /// Creates a socket for IPv6.
    ///
    /// # Errors
    /// Returns EAFNOSUPPORT if the system has no IPv6, EMFILE or ENFILE if no descriptor is
    /// available, and other errors of socket(2).
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<TcpSocket> {
        let socket = tcp::socket(domain)?;
        Ok(TcpSocket { socket })
    }

    /// Converts a `std` socket that is not connected or is being connected, and makes it
    /// non-blocking.
    ///
    /// If an attempt to connect is under way, [`connect`](TcpSocket::connect) waits for its end,
    /// whatever address it is passed.
    ///
    /// # Errors
    /// Returns the errors of fcntl(2).
    ///
    /// # Platform-specific behavior
    /// On macOS `SO_NOSIGPIPE` is left unchanged.
    pub fn from_std_stream(stream: net::TcpStream) -> io::Result<TcpSocket> {
        set_nonblocking(stream.as_fd())?;
        Ok(TcpSocket {
            socket: stream.into(),
        })
    }

    /// Binds the socket to the local address `addr`. Otherwise the system chooses one.
    ///
    /// # Errors
    /// Returns an error as `bind 127.0.0.1:80: ...`: `AddrInUse` if another socket has the address,
    /// `AddrNotAvailable` if it is not an address of this machine, `PermissionDenied` if the port
    /// needs privileges, `InvalidInput` if the socket is bound already. `runtime::io::os_error`
    /// returns its number.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        let bound = names::bind(&self.socket, addr);
        bound.map_err(|e| with_context(format!("bind {addr}"), e))
    }

    /// Converts the socket to a listener with a queue of up to `backlog` clients.
    ///
    /// The system may silently use a smaller number (`net.core.somaxconn`), and one that does not
    /// fit a C `int` is reduced. With 0 there is still room for one client on Linux.
    ///
    /// # Errors
    /// Returns an error as `listen on 127.0.0.1:80: ...`: `AddrInUse` if another socket listens on
    /// the address, which two sockets bound with `SO_REUSEADDR` find out only now; `InvalidInput`
    /// if the socket is connected. `runtime::io::os_error` returns its number.
    ///
    /// # Examples
    /// See [`TcpSocket`].
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let addr = self.local_addr();
        match (tcp::listen(self.socket, backlog), addr) {
            (Ok(listener), _) => Ok(TcpListener::new(listener)),
            (Err(e), Ok(addr)) => Err(with_context(format!("listen on {addr}"), e)),
            (Err(e), Err(_)) => Err(with_context("listen", e)),
        }
    }

    /// Connects the socket to `addr`.
    ///
    /// # Errors
    /// Returns an error as `connect to 127.0.0.1:80: ...`: `ConnectionRefused` if no socket listens
    /// on the address, `TimedOut`, `HostUnreachable`, `NetworkUnreachable` and other errors of
    /// connect(2); `ConnectionAborted` if the attempt failed without a reason; the [errors of
    /// waiting](crate#errors). `runtime::io::os_error` returns the number of an error of the
    /// system.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the attempt and closes the socket.
    ///
    /// # Examples
    /// Connecting from a chosen local address:
    /// ```
    /// use runtime::net::{TcpListener, TcpSocket};
    ///
    /// # runtime::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let socket = TcpSocket::new_v4()?;
    /// socket.bind(([127, 0, 0, 1], 0).into())?;
    /// let local = socket.local_addr()?;
    /// let stream = socket.connect(listener.local_addr()?).await?;
    /// assert_eq!(stream.local_addr()?, local);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        match connect::connect_raw(self.socket, addr).await {
            Ok(source) => Ok(TcpStream::from_source(source)),
            Err(e) => Err(with_context(format!("connect to {addr}"), e)),
        }
    }

    /// Returns true if the local address may be one that an earlier connection still occupies
    /// (`SO_REUSEADDR`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn reuseaddr(&self) -> io::Result<bool> {
        Options::of(self).reuse_address()
    }

    /// Sets whether the local address may be one that an earlier connection still occupies
    /// (`SO_REUSEADDR`). Off by default; [`TcpListener::bind`] turns it on.
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    pub fn set_reuseaddr(&self, reuse: bool) -> io::Result<()> {
        Options::of(self).set_reuse_address(reuse)
    }

    /// Returns true if several sockets may have the same local address (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn reuseport(&self) -> io::Result<bool> {
        Options::of(self).reuse_port()
    }

    /// Sets whether several sockets may have the same local address (`SO_REUSEPORT`). Off by
    /// default; must be called before [`bind`](TcpSocket::bind).
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    ///
    /// # Platform-specific behavior
    /// Linux (3.9), DragonFly and FreeBSD (12.0, where it is `SO_REUSEPORT_LB`) distribute clients
    /// over the listeners of one address; elsewhere one of them gets all.
    pub fn set_reuseport(&self, reuse: bool) -> io::Result<()> {
        Options::of(self).set_reuse_port(reuse)
    }

    /// Returns true if a socket for IPv6 is for IPv6 alone (`IPV6_V6ONLY`).
    ///
    /// # Errors
    /// Returns ENOPROTOOPT or EINVAL for a socket for IPv4, and other errors of getsockopt(2).
    pub fn only_v6(&self) -> io::Result<bool> {
        Options::of(self).only_v6()
    }

    /// Sets whether a socket for IPv6 is for IPv6 alone (`IPV6_V6ONLY`). Must be called before
    /// [`bind`](TcpSocket::bind).
    ///
    /// A listener on `[::]` that is not for IPv6 alone also accepts connections over IPv4, with
    /// addresses such as `::ffff:192.0.2.1`.
    ///
    /// # Errors
    /// Returns EINVAL if the socket is bound, ENOPROTOOPT or EINVAL if it is one for IPv4, and
    /// other errors of setsockopt(2).
    ///
    /// # Platform-specific behavior
    /// Off by default on Linux, unless `net.ipv6.bindv6only` is set, and on macOS. On by default on
    /// FreeBSD, NetBSD and DragonFly. On OpenBSD it is always on.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::{TcpListener, TcpSocket};
    ///
    /// # runtime::block_on(async {
    /// # if TcpListener::bind("[::1]:0").await.is_err() {
    /// #     return Ok(()); // without IPv6
    /// # }
    /// // Two listeners for one port, each with addresses of its own family.
    /// let socket = TcpSocket::new_v6()?;
    /// socket.set_only_v6(true)?;
    /// socket.bind("[::]:0".parse().unwrap())?;
    /// let v6 = socket.listen(128)?;
    /// let v4 = TcpListener::bind(("0.0.0.0", v6.local_addr()?.port())).await?;
    /// # assert_eq!(v4.local_addr()?.port(), v6.local_addr()?.port());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn set_only_v6(&self, only: bool) -> io::Result<()> {
        Options::of(self).set_only_v6(only)
    }

    /// Returns the size of the send buffer in bytes (`SO_SNDBUF`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        Options::of(self).send_buffer_size()
    }

    /// Sets the size of the send buffer in bytes (`SO_SNDBUF`), which the system then no longer
    /// adjusts.
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    ///
    /// # Platform-specific behavior
    /// Linux doubles the number, for its own bookkeeping, and limits it (socket(7)).
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        Options::of(self).set_send_buffer_size(bytes)
    }

    /// Returns the size of the receive buffer in bytes (`SO_RCVBUF`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        Options::of(self).recv_buffer_size()
    }

    /// Sets the size of the receive buffer in bytes (`SO_RCVBUF`), which the system then no longer
    /// adjusts. Accepted connections inherit it.
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    ///
    /// # Platform-specific behavior
    /// Linux doubles the number, for its own bookkeeping, and limits it (socket(7)).
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        Options::of(self).set_recv_buffer_size(bytes)
    }

    methods::device!();
    methods::tos!();
    methods::quickack!();

    /// Returns true if small writes are sent at once: see [`TcpStream::nodelay`].
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        Options::of(self).tcp_nodelay()
    }

    /// Sets whether small writes are sent at once: see [`TcpStream::set_nodelay`].
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Options::of(self).set_tcp_nodelay(nodelay)
    }

    /// Returns true if the system probes an idle connection: see [`TcpStream::keepalive`].
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn keepalive(&self) -> io::Result<bool> {
        Options::of(self).keepalive()
    }

    /// Sets whether the system probes an idle connection: see [`TcpStream::set_keepalive`].
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        Options::of(self).set_keepalive(keepalive)
    }

    /// Sets the schedule of keepalive probes, and turns them on: see
    /// [`TcpStream::set_tcp_keepalive`].
    ///
    /// # Errors
    /// Returns the errors of `TcpStream::set_tcp_keepalive`.
    pub fn set_tcp_keepalive(&self, keepalive: &TcpKeepalive) -> io::Result<()> {
        Options::of(self).set_tcp_keepalive(keepalive)
    }

    /// Returns how long closing the socket waits for written bytes to be acknowledged: see
    /// [`TcpStream::linger`].
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Options::of(self).linger()
    }

    /// Sets how long closing the socket waits for written bytes to be acknowledged, which **blocks
    /// the thread**: see [`TcpStream::set_linger`].
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        Options::of(self).set_linger(tcp::whole_seconds(linger))
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// Returns the errors of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        names::local_addr(self)
    }

    /// Returns and clears the pending socket error (`SO_ERROR`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        names::take_error(self)
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> OwnedFd {
        socket.socket.into()
    }
}

impl IntoRawFd for TcpSocket {
    /// Returns the descriptor, still non-blocking, for the caller to close.
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
