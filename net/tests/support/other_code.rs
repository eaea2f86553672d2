//! Calls that other code makes on sockets: those of std, or of the simulated kernel.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

#[cfg(feature = "sim")]
use runtime_reactor::sim::{SocketKind, UnixName, current_host};
use socket2::{Domain, Socket, Type};

/// Receives by `real`, or from the simulated kernel.
pub fn recv(
    socket: &impl AsFd,
    buf: &mut [u8],
    real: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    #[cfg(feature = "sim")]
    if let Some(host) = current_host() {
        return host.recv(socket.as_fd(), &mut [buf], false);
    }
    let _ = socket;
    real(buf)
}

/// Sends by `real`, or to the simulated kernel.
pub fn send(
    socket: &impl AsFd,
    buf: &[u8],
    real: impl FnOnce(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    #[cfg(feature = "sim")]
    if let Some(host) = current_host() {
        return host.send(socket.as_fd(), &[io::IoSlice::new(buf)]);
    }
    let _ = socket;
    real(buf)
}

/// Begins to connect a socket, which must not succeed at once.
pub fn begin_connect(addr: SocketAddr) -> net::TcpStream {
    #[cfg(feature = "sim")]
    if let Some(host) = current_host() {
        let is_v6 = addr.is_ipv6();
        let socket = host.socket(SocketKind::Tcp { is_v6 }).unwrap();
        let begun = host.connect_inet(socket.as_fd(), addr).unwrap_err();
        assert_eq!(begun.raw_os_error(), Some(libc::EINPROGRESS));
        return socket.into();
    }
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let begun = socket.connect(&addr.into()).unwrap_err();
    assert_eq!(begun.raw_os_error(), Some(libc::EINPROGRESS));
    socket.into()
}

/// Returns a UDP socket on a free port.
pub fn udp_descriptor() -> OwnedFd {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    #[cfg(feature = "sim")]
    if let Some(host) = current_host() {
        let socket = host.socket(SocketKind::Udp { is_v6: false }).unwrap();
        host.bind_inet(socket.as_fd(), any).unwrap();
        return socket;
    }
    net::UdpSocket::bind(any).unwrap().into()
}

/// Connects a Unix socket.
pub fn connect_unix(path: &Path) -> OwnedFd {
    #[cfg(feature = "sim")]
    if let Some(host) = current_host() {
        let socket = host.socket(SocketKind::UnixStream).unwrap();
        let name = UnixName::from_path(path);
        host.connect_unix(socket.as_fd(), &name).unwrap();
        return socket;
    }
    UnixStream::connect(path).unwrap().into()
}
