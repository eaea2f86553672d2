//! Options that socket2 lacks, or has only on some systems.

use std::io;
use std::net;
use std::os::fd::AsRawFd;

use socket2::SockRef;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::unsupported::unsupported;
use crate::sys::errno::cvt;

/// Enables or disables the ECN bits of received datagrams.
pub(crate) fn set_recv_ecn(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
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
pub(crate) fn set_recv_destination(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
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
pub(crate) fn set_dont_fragment(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    let (v4, v6) = families(socket)?;
    if v6 {
        let how = if on {
            libc::IPV6_PMTUDISC_PROBE
        } else {
            libc::IPV6_PMTUDISC_WANT
        };
        set_int(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, how)?;
        // Needed too: `__ip6_append_data` fragments by the discovered MTU otherwise.
        set_bool(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, on)?;
    }
    if v4 {
        let how = if on {
            libc::IP_PMTUDISC_PROBE
        } else {
            libc::IP_PMTUDISC_WANT
        };
        set_int(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how)?;
    }
    Ok(())
}

/// Sets the don't-fragment flag.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn set_dont_fragment(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
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
pub(crate) fn set_gro(socket: &net::UdpSocket, on: bool) -> io::Result<()> {
    set_bool(socket, libc::SOL_UDP, libc::UDP_GRO, on)
}

/// Fails: this kernel does not join datagrams.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn set_gro(_: &net::UdpSocket, _: bool) -> io::Result<()> {
    Err(unsupported("joining datagrams (GRO)"))
}

/// Returns the maximum number of segments of a send: UDP_MAX_SEGMENTS of Linux 4.18 to 6.8 (128
/// since then), and 1 where UDP_SEGMENT does not exist.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn max_segments(socket: &net::UdpSocket) -> usize {
    let off = get_int(socket, libc::SOL_UDP, libc::UDP_SEGMENT);
    if off.is_ok() { 64 } else { 1 }
}

/// Returns the maximum number of segments of a send.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn max_segments(_: &net::UdpSocket) -> usize {
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
    set_int(socket, level, option, libc::c_int::from(on))
}

fn set_int(
    socket: &net::UdpSocket,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
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
    cvt(result).map(drop)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn get_int(
    socket: &net::UdpSocket,
    level: libc::c_int,
    option: libc::c_int,
) -> io::Result<libc::c_int> {
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
    cvt(result).map(|_| value)
}
