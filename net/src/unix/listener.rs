//! A socket that accepts connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime_reactor::Source;
use runtime_reactor::internal::set_nonblocking;
use socket2::Type;

use super::addr::display;
use super::stream::UnixStream;
use crate::accept::{Acceptor, BACKLOG};
use crate::backoff::Backoff;
use crate::error::with_context;
use crate::sys::unix;

/// A socket that accepts connections.
///
/// It may be shared: any number of tasks, also of other threads, may accept at the same time. When
/// the process runs out of descriptors it goes on like
/// [`TcpListener`](crate::TcpListener#running-out-of-descriptors).
///
/// The file that it is bound to stays when it is dropped, as with std.
///
/// # Examples
/// ```
/// use runtime::io::AsyncWriteExt;
/// use runtime::net::{UnixListener, UnixStream};
///
/// # runtime::block_on(async {
/// # let path = std::env::temp_dir().join(format!("runtime-doc-listener-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// let client = UnixStream::connect(&path).await?;
/// let (mut stream, _) = listener.accept().await?;
/// stream.write_all(b"welcome").await?;
/// std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct UnixListener {
    acceptor: Acceptor<net::UnixListener>,
}

impl UnixListener {
    /// Makes a socket file at `path`, and listens there.
    ///
    /// # Errors
    /// As `bind /run/it: ...`: `AddrInUse` if there is something at `path` already, a socket that
    /// nobody listens on any more included; `PermissionDenied`, `NotFound` and others of bind(2);
    /// `InvalidInput` if the path is [too long](crate::unix#what-differs-between-platforms) or has a zero
    /// in it.
    ///
    /// # Examples
    /// Where an earlier run of the program may have left its file:
    /// ```
    /// use std::io::ErrorKind;
    /// use runtime::net::{UnixListener, UnixStream};
    ///
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("runtime-doc-bind-{}", std::process::id()));
    /// # drop(UnixListener::bind(&path)?);
    /// let listener = match UnixListener::bind(&path) {
    ///     Err(e) if e.kind() == ErrorKind::AddrInUse => {
    ///         // Nobody listens there any more?
    ///         let refused = UnixStream::connect(&path).await.unwrap_err();
    ///         assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    ///         std::fs::remove_file(&path)?;
    ///         UnixListener::bind(&path)?
    ///     }
    ///     bound => bound?,
    /// };
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let path = path.as_ref();
        let addr = unix::path_addr(path);
        let bound = addr.and_then(|addr| UnixListener::bind_to(&addr));
        bound.map_err(|e| with_context(format!("bind {}", path.display()), e))
    }

    /// [`bind`](UnixListener::bind) to an address that may be an abstract name.
    ///
    /// # Errors
    /// As `bind`.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixListener> {
        let bound = unix::from_std(addr).and_then(|addr| UnixListener::bind_to(&addr));
        bound.map_err(|e| with_context(format!("bind {}", display(addr)), e))
    }

    fn bind_to(addr: &socket2::SockAddr) -> io::Result<UnixListener> {
        let socket = unix::socket(Type::STREAM)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG as libc::c_int)?;
        let source = Source::new(net::UnixListener::from(socket)).sole_owner();
        Ok(UnixListener {
            acceptor: Acceptor::new(source),
        })
    }

    /// Waits for a client, and returns the connection and the client's address, which seldom has a
    /// name.
    ///
    /// # Errors
    /// As [`TcpListener::accept`](crate::TcpListener::accept): only what says that this is not a
    /// listening socket, or that it cannot be waited for.
    ///
    /// # Cancel safety
    /// Dropping the future loses no connection.
    ///
    /// # Examples
    /// See [`UnixListener`].
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let mut backoff = Backoff::default();
        poll_fn(|cx| self.poll_accept_with(cx, &mut backoff)).await
    }

    /// [`accept`](UnixListener::accept) for those who write futures by hand. Several tasks may call
    /// it at the same time; all of them are woken.
    ///
    /// # Errors
    /// As `accept`.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accepted = self.acceptor.poll_accept_shared(cx, unix::accept);
        accepted.map(|accepted| self.accepted(accepted))
    }

    fn poll_accept_with(
        &self,
        cx: &mut Context<'_>,
        backoff: &mut Backoff,
    ) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accepted = ready!(self.acceptor.poll_accept(cx, backoff, unix::accept));
        Poll::Ready(self.accepted(accepted))
    }

    fn accepted(
        &self,
        accepted: io::Result<(net::UnixStream, SocketAddr)>,
    ) -> io::Result<(UnixStream, SocketAddr)> {
        match accepted {
            Ok((stream, peer)) => Ok((UnixStream::new(stream), peer)),
            Err(e) => Err(match self.local_addr() {
                Ok(addr) => with_context(format!("accept on {}", display(&addr)), e),
                Err(_) => with_context("accept", e),
            }),
        }
    }

    /// The connections that come, one after the other, without end and without their addresses.
    ///
    /// # Examples
    /// As with [`TcpListener::incoming`](crate::TcpListener::incoming).
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            backoff: Backoff::default(),
        }
    }

    /// How often [`accept`](UnixListener::accept) had to rest because there was no descriptor or
    /// memory left. A number that grows says that a limit is too low (`ulimit -n`).
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
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        set_nonblocking(listener.as_fd())?;
        Ok(UnixListener {
            acceptor: Acceptor::new(Source::new(listener)),
        })
    }

    /// Gives back std's socket, **still non-blocking**.
    pub fn into_std(self) -> net::UnixListener {
        self.acceptor.source.into_inner()
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.source.get_ref().local_addr()
    }

    /// Takes the error that waits to be told, if there is one.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.acceptor.source.get_ref().take_error()
    }
}

/// The connections that come to a listener: see [`UnixListener::incoming`].
///
/// It never yields `None`. An error is what [`accept`](UnixListener::accept) would return.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
    backoff: Backoff,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let listener = self.listener;
        let accepted = ready!(listener.poll_accept_with(cx, &mut self.backoff));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

crate::descriptor::descriptor!(UnixListener, net::UnixListener, acceptor.source);
