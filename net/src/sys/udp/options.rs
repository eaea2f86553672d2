//! Options that socket2 lacks, or has only on some systems.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

#[cfg(feature = "sim")]
use runtime_reactor::sim::SocketOption;
use socket2::{SockRef, Socket};

use crate::error::invalid;
use crate::sys::call::call;
use crate::sys::socket::{option, set_option};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use crate::sys::unsupported::unsupported;

macro_rules! switches {
    ($($(#[$docs:meta])* $name:ident = $real:ident, $option:ident;)*) => {$(
        $(#[$docs])*
        pub(crate) fn $name(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
            call!(
                socket,
                |host, fd| host.set_option(fd, SocketOption::$option, on.into()),
                $real(socket, on)
            )
        }
    )*};
}

switches! {
    /// Sets whether the ECN bits of received datagrams are reported.
    set_recv_ecn = set_recv_ecn_real, ReportTos;
    /// Sets whether the destination of received datagrams is reported.
    set_recv_destination = set_recv_destination_real, ReportDestination;
    /// Sets whether datagrams are sent whole or not at all.
    set_dont_fragment = set_dont_fragment_real, DontFragment;
    /// Sets whether received datagrams may be joined, which the simulated kernel never does.
    set_gro = set_gro_real, Gro;
}

/// Returns how many segments a datagram may have.
#[cfg_attr(
    not(feature = "sim"),
    allow(clippy::unnecessary_literal_unwrap, reason = "a simulation can fail")
)]
pub(crate) fn max_segments(socket: &net::UdpSocket) -> usize {
    #[cfg(feature = "sim")]
    if runtime_reactor::sim::current_host().is_some() {
        return 64;
    }
    max_segments_real(socket)
}

/// Returns the error of joining a group, which the simulated kernel has none of.
#[cfg(feature = "sim")]
fn no_groups(is_multicast: bool) -> io::Error {
    if !is_multicast {
        return io::Error::from_raw_os_error(libc::EINVAL);
    }
    let text = "the simulated kernel has no multicast";
    io::Error::new(io::ErrorKind::Unsupported, text)
}

/// Returns the error of leaving a group that was not joined.
#[cfg(feature = "sim")]
fn not_joined(_: bool) -> io::Error {
    io::Error::from_raw_os_error(libc::EADDRNOTAVAIL)
}

macro_rules! groups {
    ($($name:ident($group:ty, $interface:ty), $error:ident;)*) => {$(
        pub(crate) fn $name(
            socket: &impl AsFd,
            group: $group,
            interface: $interface,
        ) -> io::Result<()> {
            call!(
                socket,
                |_host, _fd| Err($error(group.is_multicast())),
                SockRef::from(socket).$name(group, interface)
            )
        }
    )*};
}

groups! {
    join_multicast_v4(&Ipv4Addr, &Ipv4Addr), no_groups;
    leave_multicast_v4(&Ipv4Addr, &Ipv4Addr), not_joined;
    join_multicast_v6(&Ipv6Addr, u32), no_groups;
    leave_multicast_v6(&Ipv6Addr, u32), not_joined;
}

/// Enables or disables the ECN bits of received datagrams.
fn set_recv_ecn_real(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    let (v4, v6) = families(socket)?;
    if v6 {
        let (level, option) = (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
        set_bool(socket, level, option, on)?;
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
    set_bool(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, on)
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
)))]
fn set_recv_tos(_: &net::UdpSocket, _: bool) -> io::Result<()> {
    Err(unsupported("receiving the ECN bits of an IPv4 datagram"))
}

/// Enables or disables the destination address of received datagrams.
fn set_recv_destination_real(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    const V4: libc::c_int = libc::IP_PKTINFO;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    const V4: libc::c_int = libc::IP_RECVDSTADDR;
    let (v4, v6) = families(socket)?;
    if v6 {
        set_bool(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, on)?;
    }
    if v4 {
        set_bool(socket, libc::IPPROTO_IP, V4, on)?;
    }
    Ok(())
}

/// Sets the don't-fragment flag. PMTUDISC_PROBE (ip(7)) sends what the interface accepts, whatever
/// MTU the kernel has discovered for the path.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_dont_fragment_real(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    let (v4, v6) = families(socket)?;
    if v6 {
        let how = if on {
            libc::IPV6_PMTUDISC_PROBE
        } else {
            libc::IPV6_PMTUDISC_WANT
        };
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, how)?;
        // Needed too: `__ip6_append_data` fragments by the discovered MTU otherwise.
        set_bool(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, on)?;
    }
    if v4 {
        let how = if on {
            libc::IP_PMTUDISC_PROBE
        } else {
            libc::IP_PMTUDISC_WANT
        };
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how)?;
    }
    Ok(())
}

/// Sets the don't-fragment flag.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_dont_fragment_real(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    if !socket.local_addr()?.is_ipv4() {
        return set_bool(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, on);
    }
    #[cfg(any(target_os = "freebsd", target_vendor = "apple"))]
    return set_bool(socket, libc::IPPROTO_IP, libc::IP_DONTFRAG, on);
    #[cfg(not(any(target_os = "freebsd", target_vendor = "apple")))]
    Err(unsupported("forbidding fragments of an IPv4 datagram"))
}

/// Sets whether the kernel joins datagrams of one sender.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_gro_real(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    set_bool(socket, libc::SOL_UDP, libc::UDP_GRO, on)
}

/// Fails: this kernel does not join datagrams.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_gro_real(_: &net::UdpSocket, _: bool) -> io::Result<()> {
    Err(unsupported("joining datagrams (GRO)"))
}

/// Returns the maximum number of segments of a send: UDP_MAX_SEGMENTS of Linux 4.18 to 6.8 (128
/// since then), and 1 where UDP_SEGMENT does not exist.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn max_segments_real(socket: &net::UdpSocket) -> usize {
    let off = option::<libc::c_int>(socket, libc::SOL_UDP, libc::UDP_SEGMENT);
    if off.is_ok() { 64 } else { 1 }
}

/// Returns the maximum number of segments of a send.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn max_segments_real(_: &net::UdpSocket) -> usize {
    1
}

/// Returns whether the options of IPv4 and those of IPv6 apply to the socket. Both apply to a
/// dual-stack socket on Linux; elsewhere such a socket rejects those of IPv4.
fn families(socket: &net::UdpSocket) -> io::Result<(bool, bool)> {
    let is_v4 = socket.local_addr()?.is_ipv4();
    let both = cfg!(any(target_os = "linux", target_os = "android"))
        && !is_v4
        && !SockRef::from(socket).only_v6()?;
    Ok((is_v4 || both, !is_v4))
}

fn set_bool(
    socket: &net::UdpSocket,
    level: libc::c_int,
    option: libc::c_int,
    on: bool,
) -> io::Result<()> {
    set_option(socket, level, option, libc::c_int::from(on))
}

/// The type of IP_MULTICAST_LOOP and IP_MULTICAST_TTL: one byte on NetBSD and OpenBSD (ip(4)),
/// which reject or fill in part an integer.
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
type MulticastOption = u8;
#[cfg(not(any(target_os = "netbsd", target_os = "openbsd")))]
type MulticastOption = libc::c_int;

/// The options of IPv4 multicasts, in the size that the system has.
pub(crate) trait MulticastV4: AsFd + Sized {
    fn loop_v4(&self) -> io::Result<bool> {
        let on: MulticastOption = option(self, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP)?;
        Ok(on != 0)
    }

    fn set_loop_v4(&self, on: bool) -> io::Result<()> {
        let on = MulticastOption::from(on);
        set_option(self, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, on)
    }

    fn hops_v4(&self) -> io::Result<u32> {
        let ttl: MulticastOption = option(self, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL)?;
        Ok(ttl as u32)
    }

    fn set_hops_v4(&self, ttl: u32) -> io::Result<()> {
        let Ok(ttl) = u8::try_from(ttl) else {
            return Err(invalid(format!("a time to live is 0 to 255, not {ttl}")));
        };
        let ttl = MulticastOption::from(ttl);
        set_option(self, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, ttl)
    }
}

impl MulticastV4 for Socket {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux accepts both sizes, so that of the other systems is tested here too.
    #[test]
    fn options_of_one_byte_and_of_an_integer_are_set_and_read() {
        let socket = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (level, ttl) = (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL);
        set_option(&socket, level, ttl, 200_u8).unwrap();
        assert_eq!(option::<u8>(&socket, level, ttl).unwrap(), 200);
        let socket = SockRef::from(&socket);
        assert_eq!(socket.hops_v4().unwrap(), 200);
        socket.set_hops_v4(7).unwrap();
        assert_eq!(option::<u8>(&*socket, level, ttl).unwrap(), 7);
        assert_eq!(
            socket.set_hops_v4(256).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        for on in [false, true] {
            socket.set_loop_v4(on).unwrap();
            assert_eq!(socket.loop_v4().unwrap(), on);
            let byte: u8 = option(&*socket, level, libc::IP_MULTICAST_LOOP).unwrap();
            assert_eq!(byte, u8::from(on));
        }
    }
}
