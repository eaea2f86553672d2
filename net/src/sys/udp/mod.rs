//! System calls of UDP sockets: datagrams with ancillary data, batches, and options.

mod datagrams;
mod message;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod mmsg;
#[cfg(any(
    test,
    feature = "sim",
    not(any(target_os = "linux", target_os = "android"))
))]
mod one_by_one;
mod options;

pub(crate) use datagrams::{peek, peek_from, recv_bytes, recv_from, send_bytes, send_to};
#[cfg(fuzzing)]
pub use message::fuzz;
pub(crate) use message::{recv, send};
pub(crate) use options::{
    MulticastV4, join_multicast_v4, join_multicast_v6, leave_multicast_v4, leave_multicast_v6,
    max_segments, set_dont_fragment, set_gro, set_recv_destination, set_recv_ecn,
};

use std::io::{self, IoSliceMut};
use std::net;

#[cfg(any(target_os = "linux", target_os = "android"))]
use mmsg as batches;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use one_by_one as batches;

use super::call::call;
use crate::udp::message::{Received, Transmit};

/// Sends datagrams, and returns how many were sent.
pub(crate) fn send_batch(socket: &net::UdpSocket, transmits: &[Transmit<'_>]) -> io::Result<usize> {
    call!(
        socket,
        |_host, _fd| one_by_one::send_batch(socket, transmits),
        batches::send_batch(socket, transmits)
    )
}

/// Receives datagrams, and returns their number.
pub(crate) fn recv_batch(
    socket: &net::UdpSocket,
    bufs: &mut [IoSliceMut<'_>],
    all: &mut [Received],
) -> io::Result<usize> {
    call!(
        socket,
        |_host, _fd| one_by_one::recv_batch(socket, bufs, all),
        batches::recv_batch(socket, bufs, all)
    )
}
