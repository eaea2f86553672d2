//! What differs from platform to platform: how a socket comes to be non-blocking, closed on exec
//! and silent, and which errors `accept` returns for whom.

mod control;
mod pipe;
pub(crate) mod udp;
pub(crate) mod unix;

pub(crate) use pipe::{pipe, set_blocking};

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

/// What keeps a write to a closed connection from killing the process with SIGPIPE: EPIPE is told
/// as an error anyway.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
/// Apple's sockets have SO_NOSIGPIPE instead, which is set when they are made.
#[cfg(target_vendor = "apple")]
pub(crate) const SEND_FLAGS: libc::c_int = 0;

/// The most buffers one vectored call takes: IOV_MAX, which is 1024 on Linux, macOS and the BSDs
/// (sysconf(3)). `sendmsg` refuses more with EMSGSIZE.
pub(crate) const MAX_BUFFERS: usize = 1024;

/// The result of a system call that says -1 for "look at errno".
fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// A non-blocking socket, closed on exec: one system call.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn socket(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    Socket::new(domain, kind.nonblocking(), protocol)
}

/// A non-blocking socket, closed on exec, without SIGPIPE: macOS has no flags for `socket`.
#[cfg(target_vendor = "apple")]
pub(crate) fn socket(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A non-blocking TCP socket, closed on exec.
pub(crate) fn tcp_socket(domain: Domain) -> io::Result<Socket> {
    socket(domain, Type::STREAM, Some(Protocol::TCP))
}

/// Accepts a connection, non-blocking and closed on exec, with its peer's address.
pub(crate) fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (socket, peer) = accept_from(SockRef::from(listener))?;
    Ok((socket.into(), peer_of(&peer)?))
}

/// One system call.
#[cfg(not(target_vendor = "apple"))]
fn accept_from(listener: SockRef<'_>) -> io::Result<(Socket, SockAddr)> {
    listener.accept4(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
}

/// Without SIGPIPE: macOS has no accept4. It refuses to set options of a connection that the peer has
/// reset already (EINVAL, `sosetoptlock` of XNU), which is the connection's trouble and not ours.
#[cfg(target_vendor = "apple")]
fn accept_from(listener: SockRef<'_>) -> io::Result<(Socket, SockAddr)> {
    let (socket, peer) = listener.accept_raw()?;
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    let silent = socket.set_nosigpipe(true);
    silent.map_err(|_| io::Error::from_raw_os_error(libc::ECONNABORTED))?;
    Ok((socket, peer))
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

/// What SO_LINGER can say. A part of a second must not become none, which means something else; nor
/// may more than a C `int` holds become less than none.
pub(crate) fn whole_seconds(linger: Option<Duration>) -> Option<Duration> {
    let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let most = libc::c_int::MAX as u64;
    linger.map(|time| Duration::from_secs(seconds(time.min(Duration::from_secs(most)))))
}

/// Whose trouble an error of `accept` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// The connection's: it died in the queue. The next one may be well.
    Connection,
    /// Nobody's in particular: the process or the system has no descriptor or memory left. The
    /// connection stays in the queue.
    Exhausted,
    /// The listener's: it will say so again.
    Listener,
}

/// accept(2) on Linux: "already-pending network errors on the new socket [...] should be treated
/// like EAGAIN by retrying"; the other systems return ECONNABORTED only.
pub(crate) fn classify(error: &io::Error) -> AcceptError {
    match error.raw_os_error().unwrap_or(0) {
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => AcceptError::Exhausted,
        libc::ECONNABORTED
        | libc::ECONNRESET
        | libc::EPROTO
        | libc::EPERM
        | libc::ENETDOWN
        | libc::ENETUNREACH
        | libc::ENOPROTOOPT
        | libc::EHOSTDOWN
        | libc::EHOSTUNREACH
        | libc::EOPNOTSUPP
        | libc::ETIMEDOUT
        | libc::ESOCKTNOSUPPORT
        | libc::EPROTONOSUPPORT => AcceptError::Connection,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        libc::ENONET | libc::ENOSR => AcceptError::Connection,
        _ => AcceptError::Listener,
    }
}

/// Whether this is what a socket that cannot listen says, time and again; a listener says it of a
/// single connection.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EOPNOTSUPP)
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

    fn of(errno: libc::c_int) -> AcceptError {
        classify(&io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn errors_of_accept_are_told_apart() {
        assert_eq!(of(libc::EMFILE), AcceptError::Exhausted);
        assert_eq!(of(libc::ENOMEM), AcceptError::Exhausted);
        assert_eq!(of(libc::ECONNABORTED), AcceptError::Connection);
        assert_eq!(of(libc::EPERM), AcceptError::Connection);
        assert_eq!(of(libc::EINVAL), AcceptError::Listener);
        assert_eq!(of(libc::EBADF), AcceptError::Listener);
        let made_up = io::Error::other("no errno");
        assert_eq!(classify(&made_up), AcceptError::Listener);
    }

    #[test]
    fn a_new_socket_is_nonblocking_and_closed_on_exec() {
        let socket = tcp_socket(Domain::IPV4).unwrap();
        assert!(socket.nonblocking().unwrap());
        // SAFETY: F_GETFD takes no pointer; the socket is open.
        let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFD) };
        assert_ne!(flags & libc::FD_CLOEXEC, 0);
    }

    #[test]
    fn a_socket_that_never_connected_has_hung_up() {
        // Which is also how a connect leaves it that failed without a reason: tokio-rs/tokio#3879.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        assert!(is_hung_up(&tcp_socket(Domain::IPV4).unwrap()).unwrap());
    }
}
