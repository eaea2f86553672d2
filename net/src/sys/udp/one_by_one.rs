//! Batches where the system sends and receives datagrams one by one. Compiled everywhere for tests.

use std::io::{self, IoSliceMut};
use std::net;

use super::message::{recv, send};
use crate::udp::message::{Received, Transmit};

pub(crate) fn send_batch(socket: &net::UdpSocket, transmits: &[Transmit<'_>]) -> io::Result<usize> {
    for (sent, transmit) in transmits.iter().enumerate() {
        match send(socket, transmit) {
            Ok(_) => {}
            Err(e) if sent == 0 => return Err(e),
            // An error of the datagram itself is returned by the next batch, where it is the first.
            Err(_) => return Ok(sent),
        }
    }
    Ok(transmits.len())
}

pub(crate) fn recv_batch(
    socket: &net::UdpSocket,
    bufs: &mut [IoSliceMut<'_>],
    all: &mut [Received],
) -> io::Result<usize> {
    for (got, (buf, place)) in bufs.iter_mut().zip(&mut *all).enumerate() {
        match recv(socket, buf) {
            Ok(received) => *place = received,
            Err(e) if got == 0 => return Err(e),
            // Usually `WouldBlock`.
            Err(_) => return Ok(got),
        }
    }
    Ok(bufs.len().min(all.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_before_its_first_failure_and_the_next_one_returns_it() {
        let socket = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(socket.local_addr().unwrap()).unwrap();
        let too_long = [0; 70_000];
        let batch = [&b"one"[..], b"three", &too_long].map(Transmit::new);
        assert_eq!(send_batch(&socket, &batch).unwrap(), 2);
        let error = send_batch(&socket, &batch[2..]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));

        let mut memory = [[0; 4]; 3];
        let mut bufs = memory.each_mut().map(|buf| IoSliceMut::new(buf));
        let mut all = [Received::default(); 3];
        assert_eq!(recv_batch(&socket, &mut bufs, &mut all).unwrap(), 2);
        assert_eq!(all.map(|one| one.len), [3, 4, 0]);
        assert_eq!(all.map(|one| one.is_truncated), [false, true, false]);
        let error = recv_batch(&socket, &mut bufs, &mut all).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(send_batch(&socket, &batch[..2]).unwrap(), 2);
        assert_eq!(recv_batch(&socket, &mut bufs[..1], &mut all).unwrap(), 1);
        assert_eq!(recv_batch(&socket, &mut bufs, &mut all[..1]).unwrap(), 1);
    }
}
