//! System calls of TCP sockets: creating, binding, listening, connecting, accepting, and options.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use runtime_reactor::Direction;
use runtime_reactor::internal::is_ready;
#[cfg(feature = "sim")]
use runtime_reactor::sim::SocketOption;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::accept::accept_from;
use super::call::call;
use super::options::Options;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::unsupported::unsupported;
use super::{names, socket};

/// Creates a TCP socket, non-blocking and close-on-exec.
pub(crate) fn socket(domain: Domain) -> io::Result<Socket> {
    socket::new(domain, Type::STREAM, Some(Protocol::TCP))
}

/// Makes `socket` a listener. A `backlog` that does not fit a C `int` is reduced.
pub(crate) fn listen(socket: Socket, backlog: u32) -> io::Result<net::TcpListener> {
    names::listen(&socket, backlog.try_into().unwrap_or(libc::c_int::MAX))?;
    Ok(socket.into())
}

/// Creates a listener on `addr`, an address that other listeners may share if `shared`.
pub(crate) fn bind_listener(
    addr: SocketAddr,
    shared: bool,
    backlog: u32,
) -> io::Result<net::TcpListener> {
    let socket = socket(Domain::for_address(addr))?;
    Options::of(&socket).set_reuse_address(true)?;
    if shared {
        Options::of(&socket).set_reuse_port(true)?;
    }
    names::bind(&socket, addr)?;
    listen(socket, backlog)
}

/// Begins to connect. Returns true if the attempt is still under way.
pub(crate) fn connect(socket: &Socket, addr: SocketAddr) -> io::Result<bool> {
    match names::connect(socket, addr) {
        Ok(()) => Ok(false),
        // An interrupted attempt continues, and EALREADY means that it was begun before the socket
        // was converted: connect(2).
        Err(e) => match e.raw_os_error() {
            Some(libc::EINPROGRESS | libc::EINTR | libc::EALREADY) => Ok(true),
            _ => Err(e),
        },
    }
}

/// Accepts a connection, non-blocking and close-on-exec. Returns it with the peer's address.
pub(crate) fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    call!(
        listener,
        |host, fd| {
            let (socket, peer) = host.accept_inet(fd)?;
            Ok((socket.into(), peer))
        },
        accept_real(listener)
    )
}

fn accept_real(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (socket, peer) = accept_from(SockRef::from(listener))?;
    Ok((socket.into(), peer_of(&peer)?))
}

/// Copies received bytes without removing them.
pub(crate) fn peek(stream: &net::TcpStream, buf: &mut [u8]) -> io::Result<usize> {
    call!(
        stream,
        |host, fd| host.recv(fd, &mut [buf], true),
        stream.peek(buf)
    )
}

/// Returns the address of a peer. macOS yields an empty one for a peer that has already closed its
/// socket.
fn peer_of(peer: &SockAddr) -> io::Result<SocketAddr> {
    peer.as_socket()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ECONNABORTED))
}

/// Returns true if received bytes are acknowledged at once.
pub(crate) fn quickack(socket: &impl AsFd) -> io::Result<bool> {
    call!(
        socket,
        |host, fd| Ok(host.option(fd, SocketOption::QuickAck)? != 0),
        quickack_real(SockRef::from(socket))
    )
}

/// Sets whether received bytes are acknowledged at once.
pub(crate) fn set_quickack(socket: &impl AsFd, quickack: bool) -> io::Result<()> {
    call!(
        socket,
        |host, fd| host.set_option(fd, SocketOption::QuickAck, quickack.into()),
        set_quickack_real(SockRef::from(socket), quickack)
    )
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn quickack_real(socket: SockRef<'_>) -> io::Result<bool> {
    socket.tcp_quickack()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_quickack_real(socket: SockRef<'_>, quickack: bool) -> io::Result<()> {
    socket.set_tcp_quickack(quickack)
}

/// Fails: this system has no TCP_QUICKACK.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn quickack_real(_: SockRef<'_>) -> io::Result<bool> {
    Err(unsupported("TCP_QUICKACK"))
}

/// Fails: this system has no TCP_QUICKACK.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_quickack_real(_: SockRef<'_>, _: bool) -> io::Result<()> {
    Err(unsupported("TCP_QUICKACK"))
}

/// Rounds a time up to the whole seconds that SO_LINGER takes. A part of a second must not become
/// zero, which means something else, and a time beyond a C `int` must not become negative.
pub(crate) fn whole_seconds(linger: Option<Duration>) -> Option<Duration> {
    let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let max = libc::c_int::MAX as u64;
    linger.map(|time| Duration::from_secs(seconds(time.min(Duration::from_secs(max)))))
}

/// Returns true if a socket that is not connected will not become so: `connect` was called on it,
/// and the attempt is over.
///
/// A socket is writable only once its attempt is over. Whether it has succeeded is asked last, so
/// that one which connects in the meantime does not count as failed.
pub(crate) fn is_hung_up(socket: &net::TcpStream) -> io::Result<bool> {
    if !is_ready(socket.as_fd(), Direction::Write)? {
        return Ok(false);
    }
    Ok(matches!(names::peer_addr(socket), Err(e) if e.raw_os_error() == Some(libc::ENOTCONN)))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_new_socket_is_nonblocking_and_closed_on_exec() {
        let socket = socket(Domain::IPV4).unwrap();
        assert!(socket.nonblocking().unwrap());
        // SAFETY: F_GETFD takes no pointer; the socket is open.
        let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFD) };
        assert_ne!(flags & libc::FD_CLOEXEC, 0);
    }

    #[test]
    fn a_socket_that_never_connected_has_hung_up() {
        // A connect that failed without a reason leaves the same state: tokio-rs/tokio#3879.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        assert!(is_hung_up(&socket(Domain::IPV4).unwrap().into()).unwrap());
    }

    #[test]
    fn a_connected_socket_has_not_hung_up() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!is_hung_up(&stream).unwrap());
    }
}
