//! What travels beside a datagram, and many datagrams in one call.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{MaybeUninitSlice, MsgHdr, MsgHdrMut, SockAddr, SockAddrStorage, SockRef};

use super::control::{Control, space, value};
use crate::udp::{Ecn, Received, Transmit};

/// Room for the messages below, all of them at once.
const ROOM: usize = space(size_of::<libc::in6_pktinfo>()) + 4 * space(16);
type UdpControl = Control<ROOM>;

/// Of what type IP_TOS is in a control message that is sent.
#[cfg(any(target_os = "freebsd", target_os = "netbsd"))]
type TosToSend = u8;
#[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
type TosToSend = libc::c_int;

fn encode(transmit: &Transmit<'_>, is_v4: bool) -> io::Result<UdpControl> {
    let mut control = UdpControl::new();
    if let Some(ecn) = transmit.ecn {
        let bits = ecn as u8;
        match is_v4 {
            true if cfg!(any(
                target_os = "netbsd",
                target_os = "openbsd",
                target_os = "dragonfly"
            )) =>
            {
                return Err(unsupported("setting the ECN bits of an IPv4 datagram"));
            }
            true => control.push(libc::IPPROTO_IP, libc::IP_TOS, &[TosToSend::from(bits)]),
            false => control.push(
                libc::IPPROTO_IPV6,
                libc::IPV6_TCLASS,
                &[libc::c_int::from(bits)],
            ),
        }
    }
    match transmit.source {
        None => {}
        Some(source) if is_v4 => match source.to_canonical() {
            IpAddr::V4(source) => push_source_v4(&mut control, source)?,
            // The system would ignore it.
            IpAddr::V6(_) => return Err(io::ErrorKind::InvalidInput.into()),
        },
        Some(source) => {
            let source = match source {
                IpAddr::V4(source) => source.to_ipv6_mapped(),
                IpAddr::V6(source) => source,
            };
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: source.octets(),
                },
                ipi6_ifindex: 0,
            };
            control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[info]);
        }
    }
    // What is one segment anyway needs no cutting, which works everywhere.
    let size = transmit.segment_size;
    if let Some(size) = size.filter(|&size| size < transmit.contents.len()) {
        push_segment_size(&mut control, size)?;
    }
    Ok(control)
}

fn in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr {
        s_addr: u32::from_ne_bytes(address.octets()),
    }
}

fn from_in_addr(address: libc::in_addr) -> IpAddr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes()).into()
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn push_source_v4(control: &mut UdpControl, source: Ipv4Addr) -> io::Result<()> {
    let info = libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: in_addr(source),
        ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
    };
    control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &[info]);
    Ok(())
}

/// IP_SENDSRCADDR is another name for IP_RECVDSTADDR: ip(4).
#[cfg(any(
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd",
    target_os = "netbsd"
))]
fn push_source_v4(control: &mut UdpControl, source: Ipv4Addr) -> io::Result<()> {
    if cfg!(target_os = "dragonfly") {
        return Err(unsupported("choosing the source address of a datagram"));
    }
    control.push(libc::IPPROTO_IP, libc::IP_RECVDSTADDR, &[in_addr(source)]);
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn push_segment_size(control: &mut UdpControl, size: usize) -> io::Result<()> {
    let size = u16::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
    control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &[size]);
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn push_segment_size(_: &mut UdpControl, _: usize) -> io::Result<()> {
    Err(unsupported("segmentation (GSO)"))
}

#[allow(dead_code, reason = "Linux has it all")]
fn unsupported(what: &str) -> io::Error {
    let text = format!("{what} does not exist on this platform");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

fn decode(control: &UdpControl, received: &mut Received) {
    for (level, kind, data) in control.iter() {
        match (level, kind) {
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                received.ecn = value::<libc::c_int>(data).and_then(|tos| Ecn::from_tos(tos as u8));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                if let Some(info) = value::<libc::in6_pktinfo>(data) {
                    let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    received.destination = Some(IpAddr::from(address).to_canonical());
                    received.interface = Some(info.ipi6_ifindex as _);
                }
            }
            #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                if let Some(info) = value::<libc::in_pktinfo>(data) {
                    received.destination = Some(from_in_addr(info.ipi_addr));
                    received.interface = u32::try_from(info.ipi_ifindex).ok();
                }
            }
            #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
            (libc::IPPROTO_IP, libc::IP_RECVDSTADDR) => {
                received.destination = value(data).map(from_in_addr);
            }
            // Linux says IP_TOS, the others IP_RECVTOS; one byte everywhere.
            (libc::IPPROTO_IP, kind) if is_tos(kind) => {
                received.ecn = value::<u8>(data).and_then(Ecn::from_tos);
            }
            #[cfg(any(target_os = "linux", target_os = "android"))]
            (libc::SOL_UDP, libc::UDP_GRO) => {
                if let Some(size) = value::<libc::c_int>(data) {
                    received.segment_size = size as usize;
                }
            }
            _ => {}
        }
    }
}

#[cfg(any(target_os = "freebsd", target_vendor = "apple"))]
fn is_tos(kind: libc::c_int) -> bool {
    kind == libc::IP_TOS || kind == libc::IP_RECVTOS
}

#[cfg(not(any(target_os = "freebsd", target_vendor = "apple")))]
fn is_tos(kind: libc::c_int) -> bool {
    kind == libc::IP_TOS
}

/// Asks for the ECN bits of received datagrams.
pub(crate) fn set_recv_ecn(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    let (v4, v6) = families(socket)?;
    if v6 {
        let (level, option) = (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
        set_option(socket, level, option, on)?;
    }
    if v4 {
        return set_recv_tos(socket, on);
    }
    Ok(())
}

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
))]
fn set_recv_tos(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, on)
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
)))]
fn set_recv_tos(_: &net::UdpSocket, _: bool) -> io::Result<()> {
    Err(unsupported("telling the ECN bits of an IPv4 datagram"))
}

/// Asks for the address that received datagrams were sent to.
pub(crate) fn set_recv_destination(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    const V4: libc::c_int = libc::IP_PKTINFO;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    const V4: libc::c_int = libc::IP_RECVDSTADDR;
    let (v4, v6) = families(socket)?;
    if v6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, on)?;
    }
    if v4 {
        set_option(socket, libc::IPPROTO_IP, V4, on)?;
    }
    Ok(())
}

/// Lets the kernel join datagrams of one sender.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn set_gro(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO, on)
}

/// Lets the kernel join datagrams of one sender, which this one does not do.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn set_gro(_: &net::UdpSocket, _: bool) -> io::Result<()> {
    Err(unsupported("joining datagrams (GRO)"))
}

/// How many segments one send may have: UDP_MAX_SEGMENTS of Linux 4.18 to 6.8 (it is 128 since),
/// and 1 where UDP_SEGMENT is not known.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn most_segments(socket: &net::UdpSocket) -> usize {
    let off = socket_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT);
    if off.is_ok() { 64 } else { 1 }
}

/// How many segments one send may have.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn most_segments(_: &net::UdpSocket) -> usize {
    1
}

/// Whether datagrams of IPv4 come to the socket, and whether datagrams of IPv6 do. The options of
/// IPv4 can be set on a socket of IPv6 on Linux only; elsewhere mapped addresses go without.
fn families(socket: &net::UdpSocket) -> io::Result<(bool, bool)> {
    let is_v4 = socket.local_addr()?.is_ipv4();
    let both = cfg!(any(target_os = "linux", target_os = "android"))
        && !is_v4
        && !SockRef::from(socket).only_v6()?;
    Ok((is_v4 || both, !is_v4))
}

fn set_option(
    socket: &net::UdpSocket,
    level: libc::c_int,
    option: libc::c_int,
    on: bool,
) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let value = libc::c_int::from(on);
    // SAFETY: setsockopt reads one int, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    super::cvt(result).map(drop)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn socket_option(
    socket: &net::UdpSocket,
    level: libc::c_int,
    option: libc::c_int,
) -> io::Result<libc::c_int> {
    use std::os::fd::AsRawFd;
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: getsockopt writes at most `len` bytes to an int; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw mut value).cast(),
            &mut len,
        )
    };
    super::cvt(result).map(|_| value)
}

/// Whether the control messages are to be those of IPv4: the destination says. On Linux one in IPv6's
/// clothes does too: such a datagram goes the way of IPv4, which looks at IP_TOS.
fn is_v4(transmit: &Transmit<'_>, socket: &net::UdpSocket) -> io::Result<bool> {
    let destination = match transmit.destination {
        Some(destination) => destination.ip(),
        None if transmit.ecn.is_none() && transmit.source.is_none() => return Ok(true),
        None => socket.peer_addr()?.ip(),
    };
    let undressed = cfg!(any(target_os = "linux", target_os = "android"));
    Ok(destination.is_ipv4() || undressed && destination.to_canonical().is_ipv4())
}

pub(crate) fn send(socket: &net::UdpSocket, transmit: &Transmit<'_>) -> io::Result<usize> {
    let control = encode(transmit, is_v4(transmit, socket)?)?;
    let destination = transmit.destination.map(SockAddr::from);
    let contents = [IoSlice::new(transmit.contents)];
    let mut message = MsgHdr::new().with_buffers(&contents);
    if let Some(destination) = &destination {
        message = message.with_addr(destination);
    }
    if !control.as_bytes().is_empty() {
        message = message.with_control(control.as_bytes());
    }
    SockRef::from(socket).sendmsg(&message, super::SEND_FLAGS)
}

pub(crate) fn recv(socket: &net::UdpSocket, buf: &mut [u8]) -> io::Result<Received> {
    let mut control = UdpControl::new();
    let storage = SockAddrStorage::zeroed();
    let size = storage.size_of();
    // SAFETY: `size` is that of the storage, which is an address of no family. The kernel is told by
    // it how much room there is.
    let mut sender = unsafe { SockAddr::new(storage, size) };
    let room = buf.len();
    // SAFETY: the bytes are initialised, and the kernel only writes initialised ones.
    let buf = unsafe { &mut *(std::ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) };
    let mut bufs = [MaybeUninitSlice::new(buf)];
    let mut message = MsgHdrMut::new()
        .with_addr(&mut sender)
        .with_buffers(&mut bufs)
        .with_control(control.room());
    let len = SockRef::from(socket).recvmsg(&mut message, 0)?;
    let (flags, control_len) = (message.flags(), message.control_len());
    // SAFETY: recvmsg has just written so many bytes to the room.
    unsafe { control.set_len(control_len) };
    let sender = sender.as_socket();
    Ok(received(
        len.min(room),
        sender,
        flags.is_truncated(),
        &control,
    ))
}

/// What there is to say about a datagram.
fn received(
    len: usize,
    sender: Option<SocketAddr>,
    is_truncated: bool,
    control: &UdpControl,
) -> Received {
    let mut received = Received {
        len,
        // The kernel gives one with every datagram of UDP.
        addr: sender.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into()),
        is_truncated,
        ..Received::default()
    };
    decode(control, &mut received);
    if received.segment_size == 0 {
        received.segment_size = len;
    }
    received
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn send_batch(socket: &net::UdpSocket, transmits: &[Transmit<'_>]) -> io::Result<usize> {
    for (sent, transmit) in transmits.iter().enumerate() {
        match send(socket, transmit) {
            Ok(_) => {}
            Err(e) if sent == 0 => return Err(e),
            // It comes again, first of the next batch.
            Err(_) => return Ok(sent),
        }
    }
    Ok(transmits.len())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn recv_batch(
    socket: &net::UdpSocket,
    bufs: &mut [IoSliceMut<'_>],
    all: &mut [Received],
) -> io::Result<usize> {
    for (got, (buf, place)) in bufs.iter_mut().zip(&mut *all).enumerate() {
        match recv(socket, buf) {
            Ok(received) => *place = received,
            Err(e) if got == 0 => return Err(e),
            Err(_) => return Ok(got),
        }
    }
    Ok(bufs.len().min(all.len()))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use many::{recv_batch, send_batch};

/// sendmmsg(2) and recvmmsg(2): up to 32 datagrams a call.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod many {
    use std::os::fd::AsRawFd;
    use std::{array, mem, ptr};

    use super::*;

    /// The most datagrams in a call: about 12 kB of headers on the stack.
    const MOST: usize = 32;

    fn empty() -> libc::mmsghdr {
        // SAFETY: it holds integers and pointers, for which zero is a value.
        unsafe { mem::zeroed() }
    }

    pub(crate) fn send_batch(
        socket: &net::UdpSocket,
        transmits: &[Transmit<'_>],
    ) -> io::Result<usize> {
        let transmits = &transmits[..transmits.len().min(MOST)];
        let mut controls: [UdpControl; MOST] = array::from_fn(|_| UdpControl::new());
        let mut addresses: [Option<SockAddr>; MOST] = [const { None }; MOST];
        let mut contents: [IoSlice<'_>; MOST] = array::from_fn(|_| IoSlice::new(&[]));
        let mut messages: [libc::mmsghdr; MOST] = array::from_fn(|_| empty());
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
        let (all, n) = (messages.as_mut_ptr(), transmits.len() as libc::c_uint);
        // SAFETY: the first `n` headers point to addresses, buffers (an IoSlice is an iovec) and
        // control messages, each with its length, which outlive the call; the kernel writes `msg_len`.
        let sent =
            super::super::cvt(unsafe { libc::sendmmsg(fd, all, n, libc::MSG_NOSIGNAL as _) })?;
        Ok(sent as usize)
    }

    pub(crate) fn recv_batch(
        socket: &net::UdpSocket,
        bufs: &mut [IoSliceMut<'_>],
        all: &mut [Received],
    ) -> io::Result<usize> {
        let n = bufs.len().min(all.len()).min(MOST);
        let mut controls: [UdpControl; MOST] = array::from_fn(|_| UdpControl::new());
        let mut addresses: [SockAddrStorage; MOST] = array::from_fn(|_| SockAddrStorage::zeroed());
        let mut messages: [libc::mmsghdr; MOST] = array::from_fn(|_| empty());
        for i in 0..n {
            let head = &mut messages[i].msg_hdr;
            head.msg_name = (&raw mut addresses[i]).cast();
            head.msg_namelen = addresses[i].size_of();
            head.msg_iov = (&raw mut bufs[i]).cast();
            head.msg_iovlen = 1;
            let control = controls[i].room();
            head.msg_control = control.as_mut_ptr().cast();
            head.msg_controllen = control.len() as _;
        }
        let (fd, flags) = (socket.as_raw_fd(), libc::MSG_DONTWAIT as _);
        let count = n as libc::c_uint;
        let heads = messages.as_mut_ptr();
        // SAFETY: the first `count` headers point to room for an address, to a buffer (an IoSliceMut
        // is an iovec) and to room for control messages, each with its length, which outlive the
        // call and are borrowed for writing; there is no time limit.
        let got = unsafe { libc::recvmmsg(fd, heads, count, flags, ptr::null_mut()) };
        let got = super::super::cvt(got)? as usize;
        for i in 0..got {
            let head = &messages[i].msg_hdr;
            let (len, flags) = (messages[i].msg_len as usize, head.msg_flags);
            // SAFETY: the kernel has just written so many bytes to the room.
            unsafe { controls[i].set_len(head.msg_controllen as usize) };
            let storage = mem::replace(&mut addresses[i], SockAddrStorage::zeroed());
            // SAFETY: the kernel has written an address of this length to it.
            let sender = unsafe { SockAddr::new(storage, head.msg_namelen) }.as_socket();
            let is_truncated = flags & libc::MSG_TRUNC != 0;
            all[i] = received(len, sender, is_truncated, &controls[i]);
        }
        Ok(got)
    }
}
