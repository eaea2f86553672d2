//! Batches by sendmmsg(2) and recvmmsg(2): up to 32 datagrams a call.

use std::io::{self, IoSlice, IoSliceMut};
use std::net;
use std::os::fd::AsRawFd;
use std::{array, mem, ptr};

use socket2::{SockAddr, SockAddrStorage};

use super::message::{UdpControl, encode, is_v4, received};
use crate::sys::errno::cvt;
use crate::udp::message::{Received, Transmit};

/// The maximum number of datagrams in a call: about 12 KiB of headers on the stack.
const MAX_MESSAGES: usize = 32;

fn zeroed() -> libc::mmsghdr {
    // SAFETY: an mmsghdr holds integers and pointers, for which zero is valid.
    unsafe { mem::zeroed() }
}

pub(crate) fn send_batch(socket: &net::UdpSocket, transmits: &[Transmit<'_>]) -> io::Result<usize> {
    let transmits = &transmits[..transmits.len().min(MAX_MESSAGES)];
    let mut controls: [UdpControl; MAX_MESSAGES] = array::from_fn(|_| UdpControl::new());
    let mut addresses: [Option<SockAddr>; MAX_MESSAGES] = [const { None }; MAX_MESSAGES];
    let mut contents: [IoSlice<'_>; MAX_MESSAGES] = array::from_fn(|_| IoSlice::new(&[]));
    let mut messages: [libc::mmsghdr; MAX_MESSAGES] = array::from_fn(|_| zeroed());
    for (i, transmit) in transmits.iter().enumerate() {
        let control = is_v4(transmit, socket).and_then(|is_v4| encode(transmit, is_v4));
        match control {
            Ok(control) => controls[i] = control,
            Err(e) if i == 0 => return Err(e),
            Err(_) => return send_batch(socket, &transmits[..i]),
        }
        addresses[i] = transmit.destination.map(SockAddr::from);
        contents[i] = IoSlice::new(transmit.contents);
        let head = &mut messages[i].msg_hdr;
        if let Some(address) = &addresses[i] {
            head.msg_name = address.as_ptr().cast_mut().cast();
            head.msg_namelen = address.len();
        }
        head.msg_iov = (&raw mut contents[i]).cast();
        head.msg_iovlen = 1;
        let control = controls[i].as_bytes();
        if !control.is_empty() {
            head.msg_control = control.as_ptr().cast_mut().cast();
            head.msg_controllen = control.len() as _;
        }
    }
    let fd = socket.as_raw_fd();
    let (heads, n) = (messages.as_mut_ptr(), transmits.len() as libc::c_uint);
    // SAFETY: the first `n` headers point to addresses, buffers (an IoSlice is an iovec) and
    // control messages, each with its length, which outlive the call; the kernel writes `msg_len`.
    let sent = cvt(unsafe { libc::sendmmsg(fd, heads, n, libc::MSG_NOSIGNAL as _) })?;
    Ok(sent as usize)
}

pub(crate) fn recv_batch(
    socket: &net::UdpSocket,
    bufs: &mut [IoSliceMut<'_>],
    all: &mut [Received],
) -> io::Result<usize> {
    let n = bufs.len().min(all.len()).min(MAX_MESSAGES);
    let mut controls: [UdpControl; MAX_MESSAGES] = array::from_fn(|_| UdpControl::new());
    let mut addresses: [SockAddrStorage; MAX_MESSAGES] =
        array::from_fn(|_| SockAddrStorage::zeroed());
    let mut messages: [libc::mmsghdr; MAX_MESSAGES] = array::from_fn(|_| zeroed());
    for i in 0..n {
        let head = &mut messages[i].msg_hdr;
        head.msg_name = (&raw mut addresses[i]).cast();
        head.msg_namelen = addresses[i].size_of();
        head.msg_iov = (&raw mut bufs[i]).cast();
        head.msg_iovlen = 1;
        let control = controls[i].spare();
        head.msg_control = control.as_mut_ptr().cast();
        head.msg_controllen = control.len() as _;
    }
    let (fd, flags) = (socket.as_raw_fd(), libc::MSG_DONTWAIT as _);
    let count = n as libc::c_uint;
    let heads = messages.as_mut_ptr();
    // SAFETY: the first `count` headers point to space for an address, to a buffer (an IoSliceMut
    // is an iovec) and to space for control messages, each with its length. They outlive the call
    // and are borrowed mutably. There is no time limit, so its pointer is null.
    let got = unsafe { libc::recvmmsg(fd, heads, count, flags, ptr::null_mut()) };
    let got = cvt(got)? as usize;
    for i in 0..got {
        let head = &messages[i].msg_hdr;
        let (len, flags) = (messages[i].msg_len as usize, head.msg_flags);
        controls[i].set_len(head.msg_controllen as usize);
        let storage = mem::replace(&mut addresses[i], SockAddrStorage::zeroed());
        // SAFETY: recvmmsg has just written an address of this length to the storage.
        let sender = unsafe { SockAddr::new(storage, head.msg_namelen) }.as_socket();
        all[i] = received(len, sender, flags, &controls[i]);
    }
    Ok(got)
}
