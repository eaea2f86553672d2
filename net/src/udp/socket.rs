//! A UDP socket.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use runtime_reactor::{Direction, Source};
use socket2::{Domain, Protocol, Type};

use crate::addr::{ToSocketAddrs, lookup_host, resolve_nonempty, sealed::Internal, try_each};
use crate::error::{invalid, with_context};
use crate::methods;
use crate::sys::adopt::set_nonblocking;
use crate::sys::{names, socket, udp};

/// A UDP socket.
///
/// Any number of tasks, also on other threads, may send and receive at the same time; each datagram
/// is received by one of them.
///
/// Datagrams keep their boundaries: one that is longer than the buffer is truncated
/// ([`recv_msg`](UdpSocket::recv_msg) reports it). The system drops datagrams that arrive when its
/// [buffer](UdpSocket::set_recv_buffer_size) is full; a datagram that the system has delivered is
/// never lost.
///
/// # Examples
/// See [the module](crate::udp).
pub struct UdpSocket {
    pub(super) source: Source<net::UdpSocket>,
}

impl UdpSocket {
    /// Binds to the first address of `addr` that is available.
    ///
    /// Port 0 lets the system choose one; [`local_addr`](UdpSocket::local_addr) returns it. Where
    /// options must be set before binding (`SO_REUSEPORT`), create the socket with the crate
    /// socket2 and convert it by [`from_std`](UdpSocket::from_std).
    ///
    /// # Errors
    /// Returns the error of the last address, as `bind 127.0.0.1:53: ...`: `AddrInUse` if another
    /// socket has the address, `AddrNotAvailable` if it is not an address of this machine,
    /// `PermissionDenied` if the port needs privileges; `runtime::io::os_error` returns its number.
    /// Returns `InvalidInput` if there is no address, and the errors of
    /// [`lookup_host`](crate::lookup_host).
    ///
    /// # Cancel safety
    /// Nothing is bound unless the future completes.
    ///
    /// # Examples
    /// ```
    /// use std::io::ErrorKind;
    /// use runtime::net::UdpSocket;
    ///
    /// # runtime::block_on(async {
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let error = UdpSocket::bind(socket.local_addr()?).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AddrInUse);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let bind = |addr: SocketAddr| {
            let attempt = || {
                let domain = Domain::for_address(addr);
                let socket = socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
                names::bind(&socket, addr)?;
                let socket = net::UdpSocket::from(socket);
                Ok(UdpSocket::from_source(Source::new(socket).sole_owner()))
            };
            attempt().map_err(|e| with_context(format!("bind {addr}"), e))
        };
        try_each(resolve_nonempty("bind", addr.target(Internal)).await?, bind)
    }

    /// Connects to the first address of `addr` that is available: the only one that the socket then
    /// sends to and receives from.
    ///
    /// No datagram is sent. Datagrams that arrived before may still be received. The socket may be
    /// connected again, to another address.
    ///
    /// # Errors
    /// Returns the error of the last address, as `connect to 192.0.2.7:53: ...`:
    /// `NetworkUnreachable` and other errors of connect(2); `runtime::io::os_error` returns its
    /// number. Returns `InvalidInput` if there is no address, and the errors of
    /// [`lookup_host`](crate::lookup_host).
    ///
    /// # Cancel safety
    /// Nothing is connected unless the future completes.
    ///
    /// # Examples
    /// See [the module](crate::udp).
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        let connect = |addr: SocketAddr| {
            let connected = names::connect(self, addr);
            connected.map_err(|e| with_context(format!("connect to {addr}"), e))
        };
        let addrs = resolve_nonempty("connect to", addr.target(Internal)).await?;
        try_each(addrs, connect)
    }

    /// Converts a `std` socket, and makes it non-blocking.
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
    /// use runtime::net::UdpSocket;
    ///
    /// let socket = UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(socket: net::UdpSocket) -> io::Result<UdpSocket> {
        set_nonblocking(socket.as_fd())?;
        Ok(UdpSocket::from_source(Source::new(socket)))
    }

    fn from_source(source: Source<net::UdpSocket>) -> UdpSocket {
        let source = source.writing_on_demand();
        UdpSocket { source }
    }

    /// Returns the `std` socket, **still non-blocking** and deregistered.
    pub fn into_std(self) -> net::UdpSocket {
        self.source.into_inner()
    }

    /// Returns the local address, with the port that the system chose for 0.
    ///
    /// # Errors
    /// Returns the errors of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        names::local_addr(self)
    }

    /// Returns the address that the socket is [connected](UdpSocket::connect) to.
    ///
    /// # Errors
    /// Returns `NotConnected` if it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        names::peer_addr(self)
    }

    methods::take_error!(source);

    methods::operation! {
        /// Sends a datagram to the address that the socket is [connected](UdpSocket::connect) to,
        /// and returns its length.
        ///
        /// # Errors
        /// Returns EDESTADDRREQ or `NotConnected`, depending on the system, if the socket is not
        /// connected; `ConnectionRefused` if no socket received an earlier datagram; EMSGSIZE if
        /// the datagram is too long (over IPv4 more than 65507 bytes); `PermissionDenied` if a
        /// firewall forbids it; other errors of send(2); and the [errors of waiting](crate#errors).
        ///
        /// # Cancel safety
        /// A dropped future has sent nothing.
        ///
        /// # Examples
        /// See [the module](crate::udp).
        send, poll_send, try_send(buf: &[u8]) -> usize;
        Write, |self| |socket| udp::send_bytes(socket, buf)
    }

    /// Sends a datagram to the first address of `addr`, and returns its length.
    ///
    /// # Errors
    /// Returns the errors of [`send`](UdpSocket::send) except those of a missing connection;
    /// `NetworkUnreachable`; `PermissionDenied` for a broadcast that is not
    /// [allowed](UdpSocket::set_broadcast); `InvalidInput` if there is no address; and the errors
    /// of [`lookup_host`](crate::lookup_host). Those of sendto(2) are returned as they are, with
    /// `raw_os_error`.
    ///
    /// # Cancel safety
    /// A dropped future has sent nothing.
    ///
    /// # Platform-specific behavior
    /// On a connected socket Linux still sends to `addr`; macOS and the BSDs fail with EISCONN.
    ///
    /// # Examples
    /// See [the module](crate::udp).
    pub async fn send_to(&self, buf: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        let Some(addr) = lookup_host(addr).await?.next() else {
            return Err(invalid("send to: there is no address".to_owned()));
        };
        poll_fn(|cx| self.poll_send_to(cx, buf, addr)).await
    }

    /// Poll-based version of [`send_to`](UdpSocket::send_to).
    ///
    /// # Errors
    /// Returns the errors of `send_to`.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        addr: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Write, cx, |socket| {
            udp::send_to(socket, buf, addr)
        })
    }

    /// Attempts [`send_to`](UdpSocket::send_to) without waiting.
    ///
    /// # Errors
    /// Returns `WouldBlock` if the datagram does not fit the send buffer, and otherwise the errors
    /// of `send_to`.
    pub fn try_send_to(&self, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        self.source
            .try_io(Direction::Write, |socket| udp::send_to(socket, buf, addr))
    }

    methods::operation! {
        /// Receives a datagram into `buf`, and returns the number of bytes written.
        ///
        /// A longer datagram is truncated.
        ///
        /// # Errors
        /// Returns `ConnectionRefused` if the socket is connected and no socket received an earlier
        /// datagram, other errors of recv(2), and the [errors of waiting](crate#errors).
        ///
        /// # Cancel safety
        /// Dropping the future loses no datagram.
        ///
        /// # Examples
        /// See [the module](crate::udp).
        recv, poll_recv, try_recv(buf: &mut [u8]) -> usize;
        Read, |self| |socket| udp::recv_bytes(socket, buf)
    }

    methods::operation! {
        /// Receives a datagram into `buf`, and returns the number of bytes written and the sender.
        ///
        /// A longer datagram is truncated.
        ///
        /// # Errors
        /// Returns the errors of [`recv`](UdpSocket::recv).
        ///
        /// # Cancel safety
        /// Dropping the future loses no datagram.
        ///
        /// # Examples
        /// See [the module](crate::udp).
        recv_from, poll_recv_from, try_recv_from(buf: &mut [u8]) -> (usize, SocketAddr);
        Read, |self| |socket| udp::recv_from(socket, buf)
    }

    methods::operation! {
        /// Copies the next datagram into `buf` without removing it, and returns the number of bytes
        /// written.
        ///
        /// # Errors
        /// Returns the errors of [`recv`](UdpSocket::recv).
        ///
        /// # Cancel safety
        /// Dropping the future loses no datagram.
        peek, poll_peek, try_peek(buf: &mut [u8]) -> usize;
        Read, |self| |socket| udp::peek(socket, buf)
    }

    methods::operation! {
        /// Copies the next datagram into `buf` without removing it, and returns the number of bytes
        /// written and the sender.
        ///
        /// # Errors
        /// Returns the errors of [`recv`](UdpSocket::recv).
        ///
        /// # Cancel safety
        /// Dropping the future loses no datagram.
        peek_from, poll_peek_from, try_peek_from(buf: &mut [u8]) -> (usize, SocketAddr);
        Read, |self| |socket| udp::peek_from(socket, buf)
    }

    methods::attach!(source);

    methods::ready!();

    methods::readable! { try_recv,
        ///
        /// # Examples
        /// ```
        /// use std::io::ErrorKind;
        /// use runtime::net::UdpSocket;
        ///
        /// # runtime::block_on(async {
        /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
        /// socket.try_send_to(b"to myself", socket.local_addr()?)?;
        /// let (n, from) = loop {
        ///     socket.readable().await?;
        ///     let mut buffer = [0; 1500]; // takes no memory while the task waits
        ///     match socket.try_recv_from(&mut buffer) {
        ///         Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
        ///         result => break result?,
        ///     }
        /// };
        /// assert_eq!((n, from), (9, socket.local_addr()?));
        /// # std::io::Result::Ok(())
        /// # }).unwrap();
        /// ```
    }

    methods::writable!(try_send);
    methods::poll_ready!(poll_recv_ready, readable, READABLE);
    methods::poll_ready!(poll_send_ready, writable, WRITABLE);
    methods::try_io!(net::UdpSocket);
}

crate::descriptor::descriptor!(UdpSocket, net::UdpSocket, source);
