//! Datagrams with ancillary data, one by one.

use std::io::{self, IoSlice};
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

#[cfg(feature = "sim")]
use std::os::fd::BorrowedFd;

#[cfg(feature = "sim")]
use runtime_reactor::sim::{Host, SocketOption};
use socket2::{MsgHdr, SockAddr, SockAddrStorage, SockRef};

use crate::sys::call::call;
use crate::sys::control::{Control, space, value};
use crate::sys::socket::SEND_FLAGS;
use crate::sys::unsupported::unsupported;
use crate::udp::message::{Ecn, Received, Transmit};

/// The space for all control messages that this crate can enable at once, at most 120 bytes on
/// Linux: a mapped IPv4 address has both kinds. If other code has enabled more, truncation is
/// reported.
const SPACE: usize = space(size_of::<libc::in6_pktinfo>()) + 4 * space(16);
pub(super) type UdpControl = Control<SPACE>;

/// The type of IP_TOS in a control message that is sent.
#[cfg(any(target_os = "freebsd", target_os = "netbsd"))]
type TosToSend = u8;
#[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
type TosToSend = libc::c_int;

pub(super) fn encode(transmit: &Transmit<'_>, is_v4: bool) -> io::Result<UdpControl> {
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
    // A single segment needs no cutting, and so works everywhere.
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

/// Adds the source address. IP_SENDSRCADDR is another name for IP_RECVDSTADDR: ip(4).
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
    // 0 would mean no segmentation to the system.
    match u16::try_from(size) {
        Ok(1..) => control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &[size as u16]),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn push_segment_size(_: &mut UdpControl, _: usize) -> io::Result<()> {
    Err(unsupported("segmentation (GSO)"))
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
            // IP_TOS on Linux, IP_RECVTOS elsewhere; one byte everywhere.
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

/// Returns true if the datagram needs the control messages of IPv4, which depends on its
/// destination. On Linux a mapped IPv4 address does too: such a datagram is sent by IPv4, which
/// reads IP_TOS.
pub(super) fn is_v4(transmit: &Transmit<'_>, socket: &net::UdpSocket) -> io::Result<bool> {
    let destination = match transmit.destination {
        Some(destination) => destination.ip(),
        None if transmit.ecn.is_none() && transmit.source.is_none() => return Ok(true),
        None => socket.peer_addr()?.ip(),
    };
    let maps_v4 = cfg!(any(target_os = "linux", target_os = "android"));
    Ok(destination.is_ipv4() || maps_v4 && destination.to_canonical().is_ipv4())
}

pub(crate) fn send(socket: &net::UdpSocket, transmit: &Transmit<'_>) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| send_simulated(&host, fd, transmit),
        send_real(socket, transmit)
    )
}

/// Sends the segments of a datagram one by one.
#[cfg(feature = "sim")]
fn send_simulated(host: &Host, fd: BorrowedFd<'_>, transmit: &Transmit<'_>) -> io::Result<usize> {
    let tos = transmit.ecn.map(|ecn| ecn as u8);
    let send =
        |data: &[u8]| host.send_datagram(fd, data, transmit.destination, tos, transmit.source);
    match transmit.segment_size {
        Some(0) => Err(io::ErrorKind::InvalidInput.into()),
        Some(size) if size < transmit.contents.len() => {
            u16::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
            let segments = transmit.contents.chunks(size);
            segments.map(send).sum()
        }
        _ => send(transmit.contents),
    }
}

/// Receives a datagram, with what the options of the socket request.
#[cfg(feature = "sim")]
fn recv_simulated(host: &Host, fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Received> {
    let datagram = host.recv_datagram(fd, buf, false)?;
    let reports = |option| Ok::<_, io::Error>(host.option(fd, option)? != 0);
    let destination = reports(SocketOption::ReportDestination)?;
    let ecn = reports(SocketOption::ReportTos)?;
    Ok(Received {
        len: datagram.len,
        addr: datagram.from,
        is_truncated: datagram.full_len > datagram.len,
        ecn: Ecn::from_tos(datagram.tos).filter(|_| ecn),
        destination: destination.then(|| datagram.to.ip().to_canonical()),
        interface: destination.then_some(1),
        segment_size: datagram.len,
        ..Received::default()
    })
}

fn send_real(socket: &net::UdpSocket, transmit: &Transmit<'_>) -> io::Result<usize> {
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
    SockRef::from(socket).sendmsg(&message, SEND_FLAGS)
}

pub(crate) fn recv(socket: &net::UdpSocket, buf: &mut [u8]) -> io::Result<Received> {
    call!(
        socket,
        |host, fd| recv_simulated(&host, fd, buf),
        recv_real(socket, buf)
    )
}

fn recv_real(socket: &net::UdpSocket, buf: &mut [u8]) -> io::Result<Received> {
    let mut control = UdpControl::new();
    let mut sender = SockAddrStorage::zeroed();
    let (len, name_len, flags) = control.recv(socket, Some(&mut sender), buf, 0)?;
    // SAFETY: recvmsg has just written an address of this length to the storage.
    let sender = unsafe { SockAddr::new(sender, name_len) };
    Ok(received(len, sender.as_socket(), flags, &control))
}

/// Describes a received datagram.
pub(super) fn received(
    len: usize,
    sender: Option<SocketAddr>,
    flags: libc::c_int,
    control: &UdpControl,
) -> Received {
    let mut received = Received {
        len,
        // The kernel returns one with every UDP datagram.
        addr: sender.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into()),
        is_truncated: flags & libc::MSG_TRUNC != 0,
        is_control_truncated: flags & libc::MSG_CTRUNC != 0,
        ..Received::default()
    };
    decode(control, &mut received);
    if received.segment_size == 0 {
        received.segment_size = len;
    }
    received
}

/// Reads `data` as the control messages of a datagram, and writes them again.
///
/// # Panics
/// Panics if a message is longer than the data, or if it changes when it is written and read.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    let mut control = UdpControl::new();
    let len = data.len().min(SPACE);
    control.spare()[..len].copy_from_slice(&data[..len]);
    control.set_len(data.len());
    assert_eq!(control.as_bytes().len(), len);

    let messages: Vec<(libc::c_int, libc::c_int, &[u8])> = control.iter().collect();
    let total: usize = messages.iter().map(|(_, _, data)| data.len()).sum();
    assert!(total <= len);
    let description = received(len, None, 0, &control);
    assert_eq!((description.len, description.is_truncated), (len, false));

    // The padding of the last message may not fit.
    let mut written = UdpControl::new();
    let needed: usize = messages.iter().map(|(_, _, data)| space(data.len())).sum();
    if needed > SPACE {
        return;
    }
    for &(level, kind, data) in &messages {
        written.push(level, kind, data);
    }
    assert!(written.iter().eq(messages));
    assert_eq!(received(len, None, 0, &written), description);
}
