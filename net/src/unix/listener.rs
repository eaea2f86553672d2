//! A socket that accepts connections within one machine.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime_reactor::{Interest, Readiness, Source};
use socket2::{Socket, Type};

use super::addr::display;
use super::stream::UnixStream;
use crate::accept::{Acceptor, BACKLOG};
use crate::backoff::Backoff;
use crate::error::with_context;
use crate::methods;
use crate::sys::adopt::set_nonblocking;
use crate::sys::{names, unix};

/// A Unix socket that accepts connections.
///
/// Any number of tasks, also on other threads, may accept at the same time. When the process runs
/// out of descriptors, it recovers like
/// [`TcpListener`](crate::TcpListener#running-out-of-descriptors). Dropping it leaves its file
/// behind, as in std.
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
    /// Creates a socket file at `path`, and listens on it.
    ///
    /// # Errors
    /// Returns an error as `bind /run/app.sock: ...`: `AddrInUse` if `path` exists, even if no
    /// socket listens on it any more; `InvalidInput` if the path is [too
    /// long](crate::unix#platform-specific-behavior) or contains a zero byte; `PermissionDenied`,
    /// `NotFound` and other errors of bind(2). `runtime::io::os_error` returns the number of an
    /// error of the system.
    ///
    /// # Examples
    /// Replacing the file that an earlier run of the program may have left:
    /// ```
    /// use std::io::ErrorKind;
    /// use runtime::net::{UnixListener, UnixStream};
    ///
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("runtime-doc-bind-{}", std::process::id()));
    /// # drop(UnixListener::bind(&path)?);
    /// let listener = match UnixListener::bind(&path) {
    ///     Err(e) if e.kind() == ErrorKind::AddrInUse => {
    ///         // Does a socket still listen on it?
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

    /// Binds like [`bind`](UnixListener::bind), to an address that may be an abstract name.
    ///
    /// # Errors
    /// Returns the errors of `bind`, whose number `runtime::io::os_error` returns.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixListener> {
        let bound = unix::from_std(addr).and_then(|addr| UnixListener::bind_to(&addr));
        bound.map_err(|e| with_context(format!("bind {}", display(addr)), e))
    }

    fn bind_to(addr: &socket2::SockAddr) -> io::Result<UnixListener> {
        let socket = unix::socket(Type::STREAM)?;
        unix::bind(&socket, addr)?;
        names::listen(&socket, BACKLOG as libc::c_int)?;
        Ok(UnixListener::new(socket))
    }

    /// Wraps a listening socket that this crate made: non-blocking and without duplicates.
    pub(super) fn new(socket: Socket) -> UnixListener {
        let source = Source::new(net::UnixListener::from(socket)).sole_owner();
        UnixListener {
            acceptor: Acceptor::new(source),
        }
    }

    /// Converts a listening `std` socket, and makes it non-blocking.
    ///
    /// # Errors
    /// Returns the errors of fcntl(2).
    ///
    /// # Platform-specific behavior
    /// Its descriptor may have duplicates, so on epoll dropping it costs a system call once it has
    /// waited.
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        set_nonblocking(listener.as_fd())?;
        Ok(UnixListener {
            acceptor: Acceptor::new(Source::new(listener)),
        })
    }

    /// Returns the `std` socket, **still non-blocking** and deregistered.
    ///
    /// Clients in the queue stay there.
    pub fn into_std(self) -> net::UnixListener {
        self.acceptor.source.into_inner()
    }

    /// Returns the address that the socket listens on.
    ///
    /// # Errors
    /// Returns the errors of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        names::local_name(self)
    }

    methods::take_error!(acceptor.source);

    methods::attach!(acceptor.source);
}

methods::listener! {
    UnixListener accepts UnixStream of net::UnixStream, unix::accept;
    /// See [`TcpListener::incoming`](crate::TcpListener::incoming).
    incoming
}

crate::descriptor::descriptor!(UnixListener, net::UnixListener, acceptor.source);
