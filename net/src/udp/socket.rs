//! A socket for datagrams.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use runtime_reactor::internal::set_nonblocking;
use runtime_reactor::{Direction, Interest, Readiness, Source};
use socket2::{Domain, Protocol, Type};

use crate::addr::{ToSocketAddrs, lookup_host, resolve_nonempty, sealed::Internal, try_each};
use crate::error::{invalid, with_context};
use crate::sys::socket;

/// A socket for datagrams.
///
/// It may be shared: any number of tasks may send and receive at the same time, each datagram going
/// to one of them.
///
/// Datagrams keep their bounds: one that does not fit the buffer is cut, and the rest of it is gone
/// ([`recv_msg`](UdpSocket::recv_msg) tells). One that nobody receives in time is dropped by the system
/// once its [buffer](UdpSocket::recv_buffer_size) is full; none is ever taken from the system and not
/// given to a caller.
///
/// # Examples
/// See [the module](crate::udp).
pub struct UdpSocket {
    pub(super) source: Source<net::UdpSocket>,
}

impl UdpSocket {
    /// Binds to the first of `addr`'s addresses that can be had. Port 0 lets the system choose; see
    /// [`local_addr`](UdpSocket::local_addr).
    ///
    /// Where options have to be set before (`SO_REUSEPORT`), make the socket with socket2 and take it
    /// over with [`from_std`](UdpSocket::from_std).
    ///
    /// # Errors
    /// The last address's, as `bind 127.0.0.1:53: ...`: `AddrInUse`, `AddrNotAvailable`,
    /// `PermissionDenied`. `InvalidInput` and others as [`lookup_host`](crate::lookup_host).
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
                socket.bind(&addr.into())?;
                let source = Source::new(net::UdpSocket::from(socket)).sole_owner();
                Ok(UdpSocket { source })
            };
            attempt().map_err(|e| with_context(format!("bind {addr}"), e))
        };
        try_each(resolve_nonempty("bind", addr.target(Internal)).await?, bind)
    }

    /// Makes the first of `addr`'s addresses that can be had the only one that is sent to and
    /// received from. Nothing is sent by that. What came from others before may still be received. It
    /// may be called again, with another address.
    ///
    /// # Errors
    /// The last address's, as `connect to 192.0.2.7:53: ...`: `NetworkUnreachable` and others of
    /// connect(2); `InvalidInput` if there is no address; those of [`lookup_host`](crate::lookup_host).
    ///
    /// # Cancel safety
    /// Nothing is connected unless the future completes.
    ///
    /// # Examples
    /// See [the module](crate::udp).
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        let connect = |addr: SocketAddr| {
            let connected = self.source.get_ref().connect(addr);
            connected.map_err(|e| with_context(format!("connect to {addr}"), e))
        };
        let addrs = resolve_nonempty("connect to", addr.target(Internal)).await?;
        try_each(addrs, connect)
    }

    /// Takes over a socket of std's, and makes it non-blocking.
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
    /// use runtime::net::UdpSocket;
    ///
    /// let socket = UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(socket: net::UdpSocket) -> io::Result<UdpSocket> {
        set_nonblocking(socket.as_fd())?;
        let source = Source::new(socket);
        Ok(UdpSocket { source })
    }

    /// Gives back std's socket, **still non-blocking**.
    pub fn into_std(self) -> net::UdpSocket {
        self.source.into_inner()
    }

    /// Our address, and so the port the system chose for 0.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// The address it is [connected](UdpSocket::connect) to.
    ///
    /// # Errors
    /// `NotConnected` if it is not connected; what getpeername(2) says.
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

/// Sending.
impl UdpSocket {
    /// Sends a datagram to the address it is [connected](UdpSocket::connect) to, and says how many
    /// bytes that was, which is all of them.
    ///
    /// # Errors
    /// EDESTADDRREQ or, by system, `NotConnected` if it is not connected,
    /// `ConnectionRefused` if nobody received an earlier one, EMSGSIZE if it is too long (more than
    /// 65507 bytes over IPv4), `PermissionDenied` if a firewall forbids it, and others of send(2). If it
    /// must wait, those of [waiting](crate#errors).
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    ///
    /// # Examples
    /// See [the module](crate::udp).
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_send(cx, buf)).await
    }

    /// [`send`](UdpSocket::send) for those who write futures by hand.
    ///
    /// # Errors
    /// As `send`.
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.source
            .poll_io(Direction::Write, cx, |socket| socket.send(buf))
    }

    /// Sends a datagram, if there is room.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`send`](UdpSocket::send).
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.source
            .try_io(Direction::Write, |socket| socket.send(buf))
    }

    /// Sends a datagram to the first of `addr`'s addresses, and says how many bytes that was, which is
    /// all of them.
    ///
    /// # Errors
    /// As [`send`](UdpSocket::send), `NetworkUnreachable`, `PermissionDenied` for a broadcast that is
    /// not [allowed](UdpSocket::set_broadcast); those of [`lookup_host`](crate::lookup_host), and
    /// `InvalidInput` if there is no address.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    ///
    /// # Platform notes
    /// On a connected socket Linux sends to `addr` all the same; macOS and the BSDs refuse (EISCONN).
    ///
    /// # Examples
    /// See [the module](crate::udp).
    pub async fn send_to(&self, buf: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        let Some(addr) = lookup_host(addr).await?.next() else {
            return Err(invalid("send to an address: there is none".to_owned()));
        };
        poll_fn(|cx| self.poll_send_to(cx, buf, addr)).await
    }

    /// [`send_to`](UdpSocket::send_to) for those who write futures by hand.
    ///
    /// # Errors
    /// As `send_to`.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        addr: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.source
            .poll_io(Direction::Write, cx, |socket| socket.send_to(buf, addr))
    }

    /// Sends a datagram to `addr`, if there is room.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`send_to`](UdpSocket::send_to).
    pub fn try_send_to(&self, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        self.source
            .try_io(Direction::Write, |socket| socket.send_to(buf, addr))
    }
}

macro_rules! receiving {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident, $poll:ident, $try:ident -> $output:ty;
    )*) => {
        /// Receiving.
        impl UdpSocket {$(
            $(#[doc = $doc])*
            ///
            /// # Errors
            /// `ConnectionRefused` on a connected socket if nobody received what was sent before;
            /// others of recv(2). If it must wait, those of [waiting](crate#errors).
            ///
            /// # Cancel safety
            /// Dropping the future loses no datagram.
            ///
            /// # Examples
            /// See [the module](crate::udp).
            pub async fn $name(&self, buf: &mut [u8]) -> io::Result<$output> {
                poll_fn(|cx| self.$poll(cx, buf)).await
            }

            #[doc = concat!("[`", stringify!($name), "`](UdpSocket::", stringify!($name), ") for those who write futures by hand.")]
            ///
            /// # Errors
            #[doc = concat!("As `", stringify!($name), "`.")]
            pub fn $poll(
                &self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<$output>> {
                self.source.poll_io(Direction::Read, cx, |socket| socket.$name(buf))
            }

            #[doc = concat!("[`", stringify!($name), "`](UdpSocket::", stringify!($name), "), if there is something.")]
            ///
            /// # Errors
            #[doc = concat!("`WouldBlock` if there is nothing; else as `", stringify!($name), "`.")]
            pub fn $try(&self, buf: &mut [u8]) -> io::Result<$output> {
                self.source.try_io(Direction::Read, |socket| socket.$name(buf))
            }
        )*}
    };
}

receiving! {
    /// Receives a datagram, and says how many bytes of `buf` it fills. What does not fit is lost.
    recv, poll_recv, try_recv -> usize;

    /// Receives a datagram, and says how many bytes of `buf` it fills and who sent it. What does not
    /// fit is lost.
    recv_from, poll_recv_from, try_recv_from -> (usize, SocketAddr);

    /// Copies a datagram and leaves it there: it is received once more.
    peek, poll_peek, try_peek -> usize;

    /// Copies a datagram and leaves it there, and says who sent it: it is received once more.
    peek_from, poll_peek_from, try_peek_from -> (usize, SocketAddr);
}

/// Readiness without an operation.
impl UdpSocket {
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

    /// Waits until receiving may be worth a [try](UdpSocket::try_recv).
    ///
    /// # Errors
    /// As [`ready`](UdpSocket::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    /// ```
    /// use std::io::ErrorKind;
    /// use runtime::net::UdpSocket;
    ///
    /// # runtime::block_on(async {
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.try_send_to(b"to myself", socket.local_addr()?)?;
    /// let mut buffer = [0; 1500]; // not held while nothing comes
    /// let (n, from) = loop {
    ///     socket.readable().await?;
    ///     match socket.try_recv_from(&mut buffer) {
    ///         Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
    ///         result => break result?,
    ///     }
    /// };
    /// assert_eq!((&buffer[..n], from), (&b"to myself"[..], socket.local_addr()?));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until sending may be worth a [try](UdpSocket::try_send).
    ///
    /// # Errors
    /// As [`ready`](UdpSocket::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
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
        op: impl FnMut(&net::UdpSocket) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_any(interest, op)
    }
}

crate::descriptor::descriptor!(UdpSocket, net::UdpSocket, source);
