//! A socket that accepts TCP connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime_reactor::{Interest, Readiness, Source};

use super::stream::TcpStream;
use crate::accept::{Acceptor, BACKLOG};
use crate::addr::{SocketAddrs, ToSocketAddrs, resolve_nonempty, sealed::Internal, try_each};
use crate::backoff::Backoff;
use crate::error::with_context;
use crate::methods;
use crate::sys::adopt::set_nonblocking;
use crate::sys::options::Options;
use crate::sys::{names, tcp};

/// A TCP socket that accepts connections.
///
/// Any number of tasks, also on other threads, may accept at the same time.
///
/// # Running out of descriptors
/// [`accept`](TcpListener::accept) does not fail when the process or the system has no descriptor
/// or memory left. It tries again after a delay, at first of 5 ms and then longer, up to 160 ms,
/// while clients wait in the queue. A server that serves and closes the connections it has
/// therefore recovers by itself. [`accept_backoffs`](TcpListener::accept_backoffs) counts the
/// delays.
///
/// # Examples
/// ```
/// use runtime::io::AsyncWriteExt;
/// use runtime::net::TcpListener;
///
/// # runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let client = std::net::TcpStream::connect(listener.local_addr()?)?;
/// let (mut stream, peer) = listener.accept().await?;
/// println!("accepted {peer}");
/// stream.write_all(b"welcome").await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct TcpListener {
    acceptor: Acceptor<net::TcpListener>,
}

impl TcpListener {
    /// Binds to the first address of `addr` that is available, and listens on it.
    ///
    /// Port 0 lets the system choose one; [`local_addr`](TcpListener::local_addr) returns it. The
    /// address may be one that a process has just stopped using (`SO_REUSEADDR`, as in std). Up to
    /// 4096 clients may wait to be accepted, or as many as the system allows (`net.core.somaxconn`,
    /// `kern.ipc.somaxconn`); [`TcpSocket::listen`](crate::TcpSocket::listen) takes another number.
    ///
    /// # Errors
    /// Returns the error of the last address, as `bind 127.0.0.1:80: ...`: `AddrInUse` if another
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
    /// use runtime::net::TcpListener;
    ///
    /// # runtime::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let error = TcpListener::bind(listener.local_addr()?).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AddrInUse);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let addrs = resolve_nonempty("bind", addr.target(Internal)).await?;
        TcpListener::bind_any(addrs, false)
    }

    /// Binds like [`bind`](TcpListener::bind), to an address that several listeners share
    /// (`SO_REUSEPORT`): one for each thread or process.
    ///
    /// All of them must belong to the same user and be bound by this function or with
    /// [`set_reuseport`](crate::TcpSocket::set_reuseport).
    ///
    /// # Errors
    /// Returns the errors of `bind`: `AddrInUse` if a socket that does not share has the address.
    /// `runtime::io::os_error` returns the number.
    ///
    /// # Cancel safety
    /// Nothing is bound unless the future completes.
    ///
    /// # Platform-specific behavior
    /// Linux, DragonFly and FreeBSD (12.0) distribute clients over the listeners. macOS, NetBSD and
    /// OpenBSD allow the sharing, but one listener gets all clients: let one accept there and pass
    /// the connections on. When a listener is closed, Linux resets the clients in its queue
    /// although others continue listening, unless `net.ipv4.tcp_migrate_req` is set (5.14).
    ///
    /// # Examples
    /// ```
    /// use runtime::net::TcpListener;
    ///
    /// # runtime::block_on(async {
    /// let first = TcpListener::bind_shared("127.0.0.1:0").await?;
    /// let second = TcpListener::bind_shared(first.local_addr()?).await?;
    /// assert_eq!(first.local_addr()?, second.local_addr()?);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind_shared(addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let addrs = resolve_nonempty("bind", addr.target(Internal)).await?;
        TcpListener::bind_any(addrs, true)
    }

    fn bind_any(addrs: SocketAddrs, shared: bool) -> io::Result<TcpListener> {
        try_each(addrs, |addr| {
            match tcp::bind_listener(addr, shared, BACKLOG) {
                Ok(listener) => Ok(TcpListener::new(listener)),
                Err(e) => Err(with_context(format!("bind {addr}"), e)),
            }
        })
    }

    /// Converts a listening `std` socket, and makes it non-blocking.
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
    /// use runtime::net::TcpListener;
    ///
    /// let listener = TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(listener: net::TcpListener) -> io::Result<TcpListener> {
        set_nonblocking(listener.as_fd())?;
        Ok(TcpListener::from_source(Source::new(listener)))
    }

    /// Wraps a socket that this crate made: non-blocking and without duplicates.
    pub(super) fn new(listener: net::TcpListener) -> TcpListener {
        TcpListener::from_source(Source::new(listener).sole_owner())
    }

    fn from_source(source: Source<net::TcpListener>) -> TcpListener {
        TcpListener {
            acceptor: Acceptor::new(source),
        }
    }

    /// Returns the `std` socket, **still non-blocking** and deregistered.
    ///
    /// Clients in the queue stay there.
    pub fn into_std(self) -> net::TcpListener {
        self.acceptor.source.into_inner()
    }

    /// Returns the address that the socket listens on, with the port that the system chose for 0.
    ///
    /// # Errors
    /// Returns the errors of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        names::local_addr(self)
    }

    /// Returns the time to live of IPv4 packets of accepted connections (`IP_TTL`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        Options::of(self).ttl_v4()
    }

    /// Sets the time to live of IPv4 packets (`IP_TTL`) of connections that are accepted
    /// afterwards: the number of routers that a packet may pass, 1 to 255. The default of most
    /// systems is 64.
    ///
    /// # Errors
    /// Returns `InvalidInput` if `ttl` is out of range, and the errors of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Options::of(self).set_ttl_v4(ttl)
    }

    methods::take_error!(acceptor.source);

    methods::attach!(acceptor.source);
}

methods::listener! {
    TcpListener accepts TcpStream of net::TcpStream, tcp::accept;
    /// ```
    /// use futures_lite::StreamExt;
    /// use runtime::net::TcpListener;
    ///
    /// # runtime::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # let clients = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
    /// let mut incoming = listener.incoming().take(2);
    /// while let Some(stream) = incoming.next().await {
    ///     println!("accepted {}", stream?.peer_addr()?);
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    incoming
}

crate::descriptor::descriptor!(TcpListener, net::TcpListener, acceptor.source);
