//! Sending and receiving datagrams without ancillary data.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::sys::call::call;

/// Sends to the peer.
pub(crate) fn send_bytes(socket: &UdpSocket, buf: &[u8]) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| host.send_datagram(fd, buf, None, None, None),
        socket.send(buf)
    )
}

/// Sends to an address.
pub(crate) fn send_to(socket: &UdpSocket, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| host.send_datagram(fd, buf, Some(addr), None, None),
        socket.send_to(buf, addr)
    )
}

macro_rules! receive {
    ($($name:ident = $recv:ident, $recv_from:ident, $peek:expr;)*) => {$(
        pub(crate) fn $name(socket: &UdpSocket, buf: &mut [u8]) -> io::Result<usize> {
            call!(
                socket,
                |host, fd| Ok(host.recv_datagram(fd, buf, $peek)?.len),
                socket.$recv(buf)
            )
        }

        pub(crate) fn $recv_from(
            socket: &UdpSocket,
            buf: &mut [u8],
        ) -> io::Result<(usize, SocketAddr)> {
            call!(
                socket,
                |host, fd| {
                    let received = host.recv_datagram(fd, buf, $peek)?;
                    Ok((received.len, received.from))
                },
                socket.$recv_from(buf)
            )
        }
    )*};
}

receive! {
    recv_bytes = recv, recv_from, false;
    peek = peek, peek_from, true;
}
