//! A socket that accepts connections.

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
use crate::backoff::Backoff;
use crate::error::with_context;
use crate::sys::tcp;

/// A socket that accepts connections.
///
/// It may be shared: any number of tasks, also of other threads, may accept at the same time.
///
/// # Running out of descriptors
/// [`accept`](TcpListener::accept) does not fail when the process or the system has no descriptor
/// or memory left. It rests, at first for 5 ms and then for longer, up to 160 ms, and tries again,
/// while the clients wait in the queue. A server that serves and closes the connections it has
/// therefore recovers by itself. [`accept_backoffs`](TcpListener::accept_backoffs) tells.
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
/// println!("{peer} came");
/// stream.write_all(b"welcome").await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct TcpListener {
    acceptor: Acceptor<net::TcpListener>,
}

impl TcpListener {
    /// Binds to the first of `addr`'s addresses that can be had, and listens. Port 0 lets the
    /// system choose; see [`local_addr`](TcpListener::local_addr).
    ///
    /// The address may be one that an earlier process of the same server left a moment ago
    /// (`SO_REUSEADDR`, as in std). Up to 4096 clients may wait to be accepted, or as many as the
    /// system allows (`net.core.somaxconn`, `kern.ipc.somaxconn`); [`TcpSocket::listen`] takes
    /// another number.
    ///
    /// # Errors
    /// The last address's, as `bind 127.0.0.1:80: ...`: `AddrInUse` if another socket has it,
    /// `AddrNotAvailable` if it is not this machine's, `PermissionDenied` for a port that needs
    /// privileges. `InvalidInput` and others as [`lookup_host`](crate::lookup_host).
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
        bind(
            resolve_nonempty("bind", addr.target(Internal)).await?,
            false,
        )
    }

    /// As [`bind`](TcpListener::bind), on an address that other listeners of the same user may
    /// share if they were bound in this way too (`SO_REUSEPORT`): one for each thread, or process.
    ///
    /// # Errors
    /// As `bind`; `AddrInUse` if a socket has the address that was bound otherwise.
    ///
    /// # Cancel safety
    /// Nothing is bound unless the future completes.
    ///
    /// # Platform notes
    /// Linux, DragonFly and FreeBSD (12.0) deal the clients out to the listeners there are. macOS,
    /// NetBSD and OpenBSD allow the sharing, but one listener gets all clients: there let one accept
    /// and hand the connections on. Linux resets the clients that wait in the queue of a listener
    /// when that one is closed, though others go on listening, unless `net.ipv4.tcp_migrate_req` is
    /// set (5.14).
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
        bind(resolve_nonempty("bind", addr.target(Internal)).await?, true)
    }

    /// Waits for a client, and returns the connection and the client's address.
    ///
    /// A connection costs one system call. Its socket is non-blocking and closed on exec.
    ///
    /// # Errors
    /// Not those of a single connection that died in the queue (`ECONNABORTED`, and the network
    /// errors that accept(2) lists): the next one is accepted. Not those of running out of
    /// descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`): see
    /// [above](TcpListener#running-out-of-descriptors). What is left says that this is not a
    /// listening socket, or that it cannot be waited for.
    ///
    /// # Cancel safety
    /// Dropping the future loses no connection.
    ///
    /// # Platform notes
    /// macOS needs up to four system calls, having no accept4(2).
    ///
    /// # Examples
    /// See [`TcpListener`].
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut backoff = Backoff::default();
        poll_fn(|cx| self.poll_accept_with(cx, &mut backoff)).await
    }

    /// [`accept`](TcpListener::accept) for those who write futures by hand. Several tasks may call
    /// it at the same time; all of them are woken.
    ///
    /// # Errors
    /// As `accept`.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = self.acceptor.poll_accept_shared(cx, tcp::accept);
        accepted.map(|accepted| self.accepted(accepted))
    }

    /// The connections that come, one after the other, without end and without their addresses.
    ///
    /// # Examples
    /// ```
    /// use futures_lite::StreamExt;
    /// use runtime::net::TcpListener;
    ///
    /// # runtime::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let clients = [(); 2].map(|()| std::net::TcpStream::connect(listener.local_addr().unwrap()));
    /// let mut incoming = listener.incoming().take(2);
    /// while let Some(stream) = incoming.next().await {
    ///     println!("{} came", stream?.peer_addr()?);
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

    fn poll_accept_with(
        &self,
        cx: &mut Context<'_>,
        backoff: &mut Backoff,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = ready!(self.acceptor.poll_accept(cx, backoff, tcp::accept));
        Poll::Ready(self.accepted(accepted))
    }

    fn accepted(
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

    /// How often [`accept`](TcpListener::accept) had to rest because there was no descriptor or
    /// memory left. A number that grows says that a limit is too low (`ulimit -n`).
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

    /// Takes over a listening socket of std's, and makes it non-blocking.
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

    /// Wraps a socket that this crate made: non-blocking, and nobody else has it.
    pub(super) fn new(listener: net::TcpListener) -> TcpListener {
        TcpListener::from_source(Source::new(listener).sole_owner())
    }

    fn from_source(source: Source<net::TcpListener>) -> TcpListener {
        TcpListener {
            acceptor: Acceptor::new(source),
        }
    }

    /// Gives back std's socket, **still non-blocking**, and no longer known to the reactor. Clients that
    /// wait in the queue stay there.
    pub fn into_std(self) -> net::TcpListener {
        self.acceptor.source.into_inner()
    }

    /// The address it listens on, and so the port the system chose for 0.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.source.get_ref().local_addr()
    }

    /// How many routers an IPv4 packet of an accepted connection may pass (`IP_TTL`), 1 to 255; 64 at
    /// first on most systems.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.acceptor.source.get_ref().ttl()
    }

    /// Sets [`ttl`](TcpListener::ttl), for connections that are accepted afterwards.
    ///
    /// # Errors
    /// `InvalidInput` if it is not 1 to 255; what setsockopt(2) says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.acceptor.source.get_ref().set_ttl(ttl)
    }

    /// Takes the error that waits to be told, if there is one.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.acceptor.source.get_ref().take_error()
    }
}

/// The connections that come to a listener: see [`TcpListener::incoming`].
///
/// It never ends; that is, it never yields `None`. An error is what
/// [`accept`](TcpListener::accept) would return.
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

/// Binds to the first of the addresses that can be had.
fn bind(addrs: SocketAddrs, shared: bool) -> io::Result<TcpListener> {
    try_each(addrs, |addr| {
        match tcp::bind_listener(addr, shared, BACKLOG) {
            Ok(listener) => Ok(TcpListener::new(listener)),
            Err(e) => Err(with_context(format!("bind {addr}"), e)),
        }
    })
}

crate::descriptor::descriptor!(TcpListener, net::TcpListener, acceptor.source);
