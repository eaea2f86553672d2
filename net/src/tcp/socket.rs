//! A socket that is not connected yet, with its options.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Socket, TcpKeepalive};

use super::connect;
use super::listener::TcpListener;
use super::stream::TcpStream;
use crate::error::with_context;
use crate::sys::tcp;

/// A TCP socket before it listens or is connected: for options that must be set before.
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
    /// A socket for IPv4.
    ///
    /// # Errors
    /// What socket(2) says, such as that there is no descriptor left.
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    /// What socket(2) says, such as that there is no IPv6 (`EAFNOSUPPORT`).
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<TcpSocket> {
        let socket = tcp::socket(domain)?;
        Ok(TcpSocket { socket })
    }

    /// Takes over a socket that others made and that is not connected, or is only being so, and makes
    /// it non-blocking. If an attempt to connect is under way, [`connect`](TcpSocket::connect) waits
    /// for its end, wherever it leads.
    ///
    /// # Errors
    /// What fcntl(2) says.
    ///
    /// # Platform notes
    /// macOS: SIGPIPE stays as the one who made the socket has set it.
    pub fn from_std_stream(stream: net::TcpStream) -> io::Result<TcpSocket> {
        runtime_reactor::internal::set_nonblocking(stream.as_fd())?;
        Ok(TcpSocket {
            socket: stream.into(),
        })
    }

    /// Gives it the local address `addr`. Without it the system chooses one.
    ///
    /// # Errors
    /// As `bind 127.0.0.1:80: ...`: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` as
    /// [`TcpListener::bind`]; `InvalidInput` if it has an address already.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        let bound = self.socket.bind(&addr.into());
        bound.map_err(|e| with_context(format!("bind {addr}"), e))
    }

    /// Makes it a listener. `backlog` is how many clients may wait to be accepted; the system may
    /// silently take fewer (`net.core.somaxconn`), and what does not fit a C `int` is cut. With 0 there
    /// is still room for one on Linux.
    ///
    /// # Errors
    /// As `listen on 127.0.0.1:80: ...`: `AddrInUse` if another socket listens there already, which
    /// two sockets that are bound with `SO_REUSEADDR` find out only now; `InvalidInput` if it is
    /// connected.
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

    /// Connects it to `addr`.
    ///
    /// # Errors
    /// As `connect to 127.0.0.1:80: ...`: `ConnectionRefused` if nobody listens there, `TimedOut`,
    /// `HostUnreachable`, `NetworkUnreachable` and others of connect(2); `ConnectionAborted` if the
    /// attempt ended without saying why; `Other` if no runtime drives this thread.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the attempt and closes the socket.
    ///
    /// # Examples
    /// From an address of our own choice:
    /// ```
    /// use runtime::net::{TcpListener, TcpSocket};
    ///
    /// # runtime::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let socket = TcpSocket::new_v4()?;
    /// socket.bind(([127, 0, 0, 1], 0).into())?;
    /// let ours = socket.local_addr()?;
    /// let stream = socket.connect(listener.local_addr()?).await?;
    /// assert_eq!(stream.local_addr()?, ours);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        match connect::connect_raw(self.socket, addr).await {
            Ok(source) => Ok(TcpStream::from_source(source)),
            Err(e) => Err(with_context(format!("connect to {addr}"), e)),
        }
    }

    /// Whether the local address may be one that an earlier connection still occupies
    /// (`SO_REUSEADDR`). At first it may not; [`TcpListener::bind`] sets it.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket.reuse_address()
    }

    /// Sets [`reuseaddr`](TcpSocket::reuseaddr).
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_reuseaddr(&self, reuse: bool) -> io::Result<()> {
        self.socket.set_reuse_address(reuse)
    }

    /// Whether several sockets may have the same local address (`SO_REUSEPORT`). At first they may not.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn reuseport(&self) -> io::Result<bool> {
        tcp::reuseport(&self.socket)
    }

    /// Sets [`reuseport`](TcpSocket::reuseport), before [`bind`](TcpSocket::bind).
    ///
    /// # Errors
    /// What setsockopt(2) says.
    ///
    /// # Platform notes
    /// Linux (3.9), DragonFly and FreeBSD (12.0, where it is `SO_REUSEPORT_LB`) spread clients over
    /// the listeners of one address; elsewhere one of them gets all.
    pub fn set_reuseport(&self, reuse: bool) -> io::Result<()> {
        tcp::set_reuseport(&self.socket, reuse)
    }

    /// The bytes that may wait to be sent.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.socket.send_buffer_size()
    }

    /// Sets [`send_buffer_size`](TcpSocket::send_buffer_size), and with it stops the system from
    /// choosing it by itself.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    ///
    /// # Platform notes
    /// Linux doubles the number, for its own bookkeeping, and bounds it (socket(7)).
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.socket.set_send_buffer_size(bytes)
    }

    /// The bytes that may wait to be read.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.socket.recv_buffer_size()
    }

    /// Sets [`recv_buffer_size`](TcpSocket::recv_buffer_size), and with it stops the system from
    /// choosing it by itself. Accepted connections inherit it.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    ///
    /// # Platform notes
    /// Linux doubles the number, for its own bookkeeping, and bounds it (socket(7)).
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bytes)
    }

    /// Lets it send and receive on one network interface only, named as in `ip link`; `None` takes
    /// that back.
    ///
    /// # Errors
    /// `Unsupported` elsewhere than on Linux and Android. What setsockopt(2) says of
    /// `SO_BINDTODEVICE`: `ENODEV` for a name there is not, `PermissionDenied` before Linux 5.7
    /// without privileges.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        tcp::bind_device(&self.socket, interface)
    }

    /// As [`TcpStream::nodelay`].
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.tcp_nodelay()
    }

    /// As [`TcpStream::set_nodelay`].
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(nodelay)
    }

    /// As [`TcpStream::keepalive`].
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.socket.keepalive()
    }

    /// As [`TcpStream::set_keepalive`].
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.socket.set_keepalive(keepalive)
    }

    /// As [`TcpStream::set_tcp_keepalive`].
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_tcp_keepalive(&self, keepalive: &TcpKeepalive) -> io::Result<()> {
        self.socket.set_tcp_keepalive(keepalive)
    }

    /// As [`TcpStream::linger`].
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// As [`TcpStream::set_linger`], with all that is said there.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(tcp::whole_seconds(linger))
    }

    /// Its local address.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.socket.local_addr()?;
        // Only a descriptor that is no TCP socket at all has an address of another kind.
        addr.as_socket()
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
    }

    /// Takes the error that waits to be told, if there is one.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
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

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
