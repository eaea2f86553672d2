//! A socket that accepts TCP connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime_reactor::Source;
use runtime_reactor::internal::set_nonblocking;

use super::stream::TcpStream;
use crate::accept::{Acceptor, BACKLOG};
use crate::addr::{SocketAddrs, ToSocketAddrs, resolve_nonempty, sealed::Internal, try_each};
use crate::backoff::{Backoff, Retry};
use crate::error::with_context;
use crate::methods;
use crate::sys::tcp;

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
    /// `PermissionDenied` if the port needs privileges. Returns `InvalidInput` if there is no
    /// address, and the errors of [`lookup_host`](crate::lookup_host).
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
    ///
    /// # Cancel safety
    /// Nothing is bound unless the future completes.
    ///
    /// # Platform-specific behavior
    /// Linux, DragonFly and FreeBSD (12.0) distribute clients over the listeners. macOS, NetBSD and
    /// OpenBSD allow the sharing, but one listener gets all clients: let one accept there and pass
    /// the connections on. When a listener is closed, Linux resets the clients in its queue
    /// although others go on listening, unless `net.ipv4.tcp_migrate_req` is set (5.14).
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

    /// Waits for a client, and returns the connection and the client's address.
    ///
    /// A connection costs one system call. Its socket is non-blocking and closed on exec.
    ///
    /// # Errors
    /// Returns `InvalidInput` if the socket is not listening, EOPNOTSUPP if it is of a kind that
    /// cannot listen, and the [errors of waiting](crate#errors). The errors of a single connection
    /// that failed in the queue (`ECONNABORTED`, and the network errors listed in accept(2)) are
    /// not returned: the next one is accepted. Nor are those of running out of descriptors or
    /// memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`): see
    /// [above](TcpListener#running-out-of-descriptors).
    ///
    /// # Cancel safety
    /// Dropping the future loses no connection.
    ///
    /// # Platform-specific behavior
    /// macOS needs up to four system calls, since it has no accept4(2).
    ///
    /// # Examples
    /// See [`TcpListener`].
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut backoff = Backoff::default();
        poll_fn(|cx| self.poll_accept_with(cx, &mut backoff)).await
    }

    /// Poll-based version of [`accept`](TcpListener::accept).
    ///
    /// Several tasks may call it at the same time; all of them are woken.
    ///
    /// # Errors
    /// Returns the errors of `accept`.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = self.acceptor.poll_accept_shared(cx, tcp::accept);
        accepted.map(|accepted| self.convert(accepted))
    }

    fn poll_accept_with(
        &self,
        cx: &mut Context<'_>,
        backoff: &mut impl Retry,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = ready!(self.acceptor.poll_accept(cx, backoff, tcp::accept));
        Poll::Ready(self.convert(accepted))
    }

    fn convert(
        &self,
        accepted: io::Result<(net::TcpStream, SocketAddr)>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        match accepted {
            Ok((stream, peer)) => Ok((TcpStream::new(stream), peer)),
            Err(e) => Err(self.accept_error(e)),
        }
    }

    #[cold]
    fn accept_error(&self, error: io::Error) -> io::Error {
        match self.local_addr() {
            Ok(addr) => with_context(format!("accept on {addr}"), error),
            Err(_) => with_context("accept", error),
        }
    }

    /// Returns a stream of accepted connections, without their addresses, that never ends.
    ///
    /// # Examples
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
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            backoff: Backoff::default(),
        }
    }

    /// Returns how often [`accept`](TcpListener::accept) had to wait because there was no
    /// descriptor or memory left.
    ///
    /// A growing number means that a limit is too low (`ulimit -n`).
    ///
    /// # Examples
    /// ```
    /// use runtime::net::TcpListener;
    ///
    /// # runtime::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert_eq!(listener.accept_backoffs(), 0);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn accept_backoffs(&self) -> u64 {
        self.acceptor.backoffs()
    }

    /// Converts a listening socket of std, and makes it non-blocking.
    ///
    /// # Errors
    /// Returns the errors of fcntl(2).
    ///
    /// # Platform-specific behavior
    /// Its descriptor may have duplicates, so on epoll dropping it costs a system call once it was
    /// waited for.
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

    /// Returns the socket of std, **still non-blocking** and deregistered.
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
        self.acceptor.source.get_ref().local_addr()
    }

    /// Returns the time to live of IPv4 packets of accepted connections (`IP_TTL`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.acceptor.source.get_ref().ttl()
    }

    /// Sets the time to live of IPv4 packets (`IP_TTL`) of connections that are accepted
    /// afterwards: the number of routers that a packet may pass, 1 to 255. The default of most
    /// systems is 64.
    ///
    /// # Errors
    /// Returns `InvalidInput` if `ttl` is out of range, and the errors of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.acceptor.source.get_ref().set_ttl(ttl)
    }

    methods::take_error!(acceptor.source);
}

/// A stream of the connections that a listener accepts: see [`TcpListener::incoming`].
///
/// It never yields `None`. Its errors are those of [`accept`](TcpListener::accept).
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
    backoff: Backoff,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let listener = self.listener;
        let accepted = ready!(listener.poll_accept_with(cx, &mut self.backoff));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

crate::descriptor::descriptor!(TcpListener, net::TcpListener, acceptor.source);
