//! TCP sockets: making, binding, listening, connecting, and their options.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::accept::accept_from;
use super::socket;
use crate::tcp::keepalive::TcpKeepalive;

/// A non-blocking TCP socket, closed on exec.
pub(crate) fn socket(domain: Domain) -> io::Result<Socket> {
    socket::new(domain, Type::STREAM, Some(Protocol::TCP))
}

/// Listens. A `backlog` beyond a C `int` is cut.
pub(crate) fn listen(socket: Socket, backlog: u32) -> io::Result<net::TcpListener> {
    socket.listen(backlog.try_into().unwrap_or(libc::c_int::MAX))?;
    Ok(socket.into())
}

/// A listener on `addr`, which other listeners may share if `shared`.
pub(crate) fn bind_listener(
    addr: SocketAddr,
    shared: bool,
    backlog: u32,
) -> io::Result<net::TcpListener> {
    let socket = socket(Domain::for_address(addr))?;
    socket.set_reuse_address(true)?;
    if shared {
        set_reuseport(&socket, true)?;
    }
    socket.bind(&addr.into())?;
    listen(socket, backlog)
}

/// Begins to connect. Returns true if the connection is not there yet.
pub(crate) fn connect(socket: &Socket, addr: SocketAddr) -> io::Result<bool> {
    match socket.connect(&addr.into()) {
        Ok(()) => Ok(false),
        // Interrupted, it goes on as if it had not been, and EALREADY is that it was begun before
        // it came to us: connect(2).
        Err(e) => match e.raw_os_error() {
            Some(libc::EINPROGRESS | libc::EINTR | libc::EALREADY) => Ok(true),
            _ => Err(e),
        },
    }
}

/// Accepts a connection, non-blocking and closed on exec, with its peer's address.
pub(crate) fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (socket, peer) = accept_from(SockRef::from(listener))?;
    Ok((socket.into(), peer_of(&peer)?))
}

/// macOS gives an empty address for a peer that is gone already.
fn peer_of(peer: &SockAddr) -> io::Result<SocketAddr> {
    peer.as_socket()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ECONNABORTED))
}

/// SO_BINDTODEVICE, which other systems do not have.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn bind_device(socket: &Socket, interface: Option<&[u8]>) -> io::Result<()> {
    socket.bind_device(interface)
}

/// SO_BINDTODEVICE, which this system does not have.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn bind_device(_: &Socket, _: Option<&[u8]>) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "binding to a network interface exists on Linux and Android only",
    ))
}

/// SO_REUSEPORT by the name under which clients are spread over the listeners.
#[cfg(target_os = "freebsd")]
pub(crate) fn reuseport(socket: &Socket) -> io::Result<bool> {
    socket.reuse_port_lb()
}

#[cfg(target_os = "freebsd")]
pub(crate) fn set_reuseport(socket: &Socket, reuse: bool) -> io::Result<()> {
    socket.set_reuse_port_lb(reuse)
}

#[cfg(not(target_os = "freebsd"))]
pub(crate) fn reuseport(socket: &Socket) -> io::Result<bool> {
    socket.reuse_port()
}

#[cfg(not(target_os = "freebsd"))]
pub(crate) fn set_reuseport(socket: &Socket, reuse: bool) -> io::Result<()> {
    socket.set_reuse_port(reuse)
}

/// Sets the schedule of keepalive probes.
#[cfg(not(target_os = "openbsd"))]
pub(crate) fn set_keepalive(socket: SockRef<'_>, keepalive: &TcpKeepalive) -> io::Result<()> {
    let mut set = socket2::TcpKeepalive::new();
    if let Some(time) = keepalive.time {
        set = set.with_time(time);
    }
    if let Some(interval) = keepalive.interval {
        set = set.with_interval(interval);
    }
    if let Some(retries) = keepalive.retries {
        set = set.with_retries(retries);
    }
    socket.set_tcp_keepalive(&set)
}

/// Sets the schedule of keepalive probes, which OpenBSD has for all connections together.
#[cfg(target_os = "openbsd")]
pub(crate) fn set_keepalive(socket: SockRef<'_>, keepalive: &TcpKeepalive) -> io::Result<()> {
    if *keepalive != TcpKeepalive::new() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "keepalive times of a single connection do not exist on this platform: call \
             set_keepalive and set net.inet.tcp.keepidle",
        ));
    }
    socket.set_keepalive(true)
}

/// What SO_LINGER can say. A part of a second must not become none, which means something else; nor
/// may more than a C `int` holds become less than none.
pub(crate) fn whole_seconds(linger: Option<Duration>) -> Option<Duration> {
    let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let most = libc::c_int::MAX as u64;
    linger.map(|time| Duration::from_secs(seconds(time.min(Duration::from_secs(most)))))
}

/// Whether a socket that is not connected will not become so either. Asked only of one on which
/// `connect` was called.
pub(crate) fn is_hung_up(socket: &impl AsFd) -> io::Result<bool> {
    let mut asked = libc::pollfd {
        fd: socket.as_fd().as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: poll reads and writes one pollfd, which outlives the call; zero does not block.
    let n = unsafe { libc::poll(&mut asked, 1, 0) };
    if n == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(asked.revents & (libc::POLLHUP | libc::POLLERR) != 0)
}

#[cfg(test)]
mod tests {
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
        // Which is also how a connect leaves it that failed without a reason: tokio-rs/tokio#3879.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        assert!(is_hung_up(&socket(Domain::IPV4).unwrap()).unwrap());
    }
}
