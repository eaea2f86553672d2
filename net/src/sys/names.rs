//! System calls that sockets of all kinds have: names, errors, the end of a direction.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net;

use socket2::{SockAddr, SockRef, Socket};

use super::call::call;
use super::unix;

/// Returns the local address of a TCP or UDP socket.
pub(crate) fn local_addr(socket: &impl AsFd) -> io::Result<SocketAddr> {
    call!(
        socket,
        |host, fd| host.local_inet(fd),
        SockRef::from(socket)
            .local_addr()
            .and_then(|addr| inet(&addr))
    )
}

/// Returns the peer's address of a TCP or UDP socket.
pub(crate) fn peer_addr(socket: &impl AsFd) -> io::Result<SocketAddr> {
    call!(
        socket,
        |host, fd| host.peer_inet(fd),
        SockRef::from(socket)
            .peer_addr()
            .and_then(|addr| inet(&addr))
    )
}

/// Converts an address. Only a descriptor that is neither a TCP nor a UDP socket has one of another
/// kind.
fn inet(addr: &SockAddr) -> io::Result<SocketAddr> {
    addr.as_socket()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

/// Returns the name of a Unix socket.
pub(crate) fn local_name(socket: &impl AsFd) -> io::Result<net::SocketAddr> {
    call!(
        socket,
        |host, fd| host.local_unix(fd)?.to_std(),
        SockRef::from(socket)
            .local_addr()
            .and_then(|addr| unix::to_std(&addr))
    )
}

/// Returns the name of the peer of a Unix socket.
pub(crate) fn peer_name(socket: &impl AsFd) -> io::Result<net::SocketAddr> {
    call!(
        socket,
        |host, fd| host.peer_unix(fd)?.to_std(),
        SockRef::from(socket)
            .peer_addr()
            .and_then(|addr| unix::to_std(&addr))
    )
}

/// Returns and clears the pending error (`SO_ERROR`).
pub(crate) fn take_error(socket: &impl AsFd) -> io::Result<Option<io::Error>> {
    call!(
        socket,
        |host, fd| host.take_error(fd),
        SockRef::from(socket).take_error()
    )
}

/// Ends one direction, or both.
pub(crate) fn shutdown(socket: &impl AsFd, how: Shutdown) -> io::Result<()> {
    call!(
        socket,
        |host, fd| host.shutdown(fd, how),
        SockRef::from(socket).shutdown(how)
    )
}

/// Binds a TCP or UDP socket.
pub(crate) fn bind(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    call!(
        socket,
        |host, fd| host.bind_inet(fd, addr),
        socket.bind(&addr.into())
    )
}

/// Makes a socket a listener.
pub(crate) fn listen(socket: &Socket, backlog: libc::c_int) -> io::Result<()> {
    call!(
        socket,
        |host, fd| host.listen(fd, backlog),
        socket.listen(backlog)
    )
}

/// Begins to connect a TCP socket, or sets the peer of a UDP socket.
pub(crate) fn connect(socket: &impl AsFd, addr: SocketAddr) -> io::Result<()> {
    call!(
        socket,
        |host, fd| host.connect_inet(fd, addr),
        SockRef::from(socket).connect(&addr.into())
    )
}
