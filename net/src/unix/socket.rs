//! A Unix socket that is not connected yet.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use socket2::{SockAddr, Socket, Type};

use super::addr::display;
use super::datagram::UnixDatagram;
use super::listener::UnixListener;
use super::stream::UnixStream;
use crate::error::{invalid, with_context};
use crate::sys::{names, unix};

/// A Unix socket that neither listens nor is connected yet, to bind a client to an address or to
/// choose the length of a listener's queue.
///
/// # Examples
/// ```
/// use runtime::net::UnixSocket;
///
/// # runtime::block_on(async {
/// # let directory = std::env::temp_dir();
/// # let name = |end| directory.join(format!("runtime-doc-socket-{end}-{}", std::process::id()));
/// # let (server_path, client_path) = (name("server"), name("client"));
/// let server = UnixSocket::new_stream()?;
/// server.bind(&server_path)?;
/// let listener = server.listen(16)?;
///
/// let client = UnixSocket::new_stream()?;
/// client.bind(&client_path)?;
/// let stream = client.connect(&server_path).await?;
/// let (_, peer) = listener.accept().await?;
/// assert_eq!(peer.as_pathname(), Some(client_path.as_path()));
/// # std::fs::remove_file(server_path)?;
/// # std::fs::remove_file(client_path)?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct UnixSocket {
    socket: Socket,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stream,
    Datagram,
}

impl UnixSocket {
    /// Creates a socket for a listener or a connection.
    ///
    /// # Errors
    /// Returns EMFILE or ENFILE if no descriptor is available, and other errors of socket(2).
    pub fn new_stream() -> io::Result<UnixSocket> {
        let socket = unix::socket(Type::STREAM)?;
        let kind = Kind::Stream;
        Ok(UnixSocket { socket, kind })
    }

    /// Creates a socket for datagrams.
    ///
    /// # Errors
    /// Returns the errors of [`new_stream`](UnixSocket::new_stream).
    pub fn new_datagram() -> io::Result<UnixSocket> {
        let socket = unix::socket(Type::DGRAM)?;
        let kind = Kind::Datagram;
        Ok(UnixSocket { socket, kind })
    }

    /// Binds the socket to a new socket file at `path`.
    ///
    /// # Errors
    /// Returns the errors of [`UnixListener::bind`], and `InvalidInput` if the socket is bound
    /// already. `runtime::io::os_error` returns the number of an error of the system.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let bound = unix::path_addr(path).and_then(|addr| unix::bind(&self.socket, &addr));
        bound.map_err(|e| with_context(format!("bind {}", path.display()), e))
    }

    /// Binds like [`bind`](UnixSocket::bind), to an address that may be an abstract name.
    ///
    /// # Errors
    /// Returns the errors of `bind`, whose number `runtime::io::os_error` returns.
    pub fn bind_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        let bound = unix::from_std(addr).and_then(|addr| unix::bind(&self.socket, &addr));
        bound.map_err(|e| with_context(format!("bind {}", display(addr)), e))
    }

    /// Converts the socket to a listener with a queue of up to `backlog` clients.
    ///
    /// The system may silently use a smaller number (`net.core.somaxconn`), and one that does not
    /// fit a C `int` is reduced.
    ///
    /// # Errors
    /// Returns `InvalidInput` if it is a socket for datagrams or, on Linux, if it is not bound; and
    /// other errors of listen(2). `runtime::io::os_error` returns the number of an error of the
    /// system.
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        self.require(Kind::Stream, "listen")?;
        let backlog = backlog.try_into().unwrap_or(libc::c_int::MAX);
        let listening = names::listen(&self.socket, backlog);
        listening.map_err(|e| with_context("listen", e))?;
        Ok(UnixListener::new(self.socket))
    }

    /// Connects the socket to the listener at `path`.
    ///
    /// # Errors
    /// Returns the errors of [`UnixStream::connect`], and `InvalidInput` if it is a socket for
    /// datagrams. `runtime::io::os_error` returns the number of an error of the system.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the attempt and closes the socket.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let path = path.as_ref();
        let connected = self.connect_raw(unix::path_addr(path)).await;
        connected.map_err(|e| with_context(format!("connect to {}", path.display()), e))
    }

    /// Connects like [`connect`](UnixSocket::connect), to an address that may be an abstract name.
    ///
    /// # Errors
    /// Returns the errors of `connect`, whose number `runtime::io::os_error` returns.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the attempt and closes the socket.
    pub async fn connect_addr(self, addr: &SocketAddr) -> io::Result<UnixStream> {
        let connected = self.connect_raw(unix::from_std(addr)).await;
        connected.map_err(|e| with_context(format!("connect to {}", display(addr)), e))
    }

    async fn connect_raw(self, addr: io::Result<SockAddr>) -> io::Result<UnixStream> {
        self.require(Kind::Stream, "connect")?;
        UnixStream::connect_socket(self.socket, &addr?).await
    }

    /// Converts the socket to one that sends and receives datagrams.
    ///
    /// # Errors
    /// Returns `InvalidInput` if it is a socket for connections.
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        self.require(Kind::Datagram, "datagram")?;
        Ok(UnixDatagram::new(self.socket))
    }

    fn require(&self, kind: Kind, operation: &str) -> io::Result<()> {
        if self.kind == kind {
            return Ok(());
        }
        let (is, make) = match self.kind {
            Kind::Stream => ("stream", "new_datagram"),
            Kind::Datagram => ("datagram", "new_stream"),
        };
        Err(invalid(format!(
            "{operation} is not possible with a {is} socket: make it by UnixSocket::{make}"
        )))
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl From<UnixSocket> for OwnedFd {
    fn from(socket: UnixSocket) -> OwnedFd {
        socket.socket.into()
    }
}

impl IntoRawFd for UnixSocket {
    /// Returns the descriptor, still non-blocking, for the caller to close.
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl fmt::Debug for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
