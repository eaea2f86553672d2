//! The options of a UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::socket::UdpSocket;
use crate::methods;
use crate::sys::options::Options;
use crate::sys::udp;

/// Defines a getter and a setter for each option. The documentation is that of the setter; the text
/// of the getter follows `Returns`.
macro_rules! options {
    ($(
        $(#[doc = $doc:literal])*
        $get:ident, $returns:literal; $set:ident: $type:ty = $socket_get:ident, $socket_set:ident;
    )*) => {
        impl UdpSocket {$(
            #[doc = concat!(
                "Returns ", $returns,
                ": see [`", stringify!($set), "`](UdpSocket::", stringify!($set), ").",
            )]
            ///
            /// # Errors
            /// Returns the errors of getsockopt(2).
            pub fn $get(&self) -> io::Result<$type> {
                Options::of(self).$socket_get()
            }

            $(#[doc = $doc])*
            ///
            /// # Errors
            /// Returns `InvalidInput` if the value is out of range, and the errors of
            /// setsockopt(2).
            pub fn $set(&self, value: $type) -> io::Result<()> {
                Options::of(self).$socket_set(value)
            }
        )*}
    };
}

options! {
    /// Sets whether sending to a broadcast address is allowed (`SO_BROADCAST`). Off by default:
    /// then it fails with `PermissionDenied`.
    broadcast, "true if sending to a broadcast address is allowed";
    set_broadcast: bool = broadcast, set_broadcast;

    /// Sets the time to live of IPv4 datagrams (`IP_TTL`): the number of routers that one may pass,
    /// 1 to 255. The default of most systems is 64.
    ttl, "the time to live of IPv4 datagrams"; set_ttl: u32 = ttl_v4, set_ttl_v4;

    /// Sets whether this machine receives its own IPv4 multicasts (`IP_MULTICAST_LOOP`). On by
    /// default.
    multicast_loop_v4, "true if this machine receives its own IPv4 multicasts";
    set_multicast_loop_v4: bool = loop_v4, set_loop_v4;

    /// Sets the time to live of IPv4 multicasts (`IP_MULTICAST_TTL`), 0 to 255: 0 keeps them on
    /// this machine, 1, the default, in the local network.
    multicast_ttl_v4, "the time to live of IPv4 multicasts";
    set_multicast_ttl_v4: u32 = hops_v4, set_hops_v4;

    /// Sets whether this machine receives its own IPv6 multicasts (`IPV6_MULTICAST_LOOP`). On by
    /// default.
    multicast_loop_v6, "true if this machine receives its own IPv6 multicasts";
    set_multicast_loop_v6: bool = multicast_loop_v6, set_multicast_loop_v6;

    /// Sets the hop limit of IPv6 multicasts (`IPV6_MULTICAST_HOPS`), 0 to 255: 0 keeps them on
    /// this machine, 1, the default, in the local network.
    multicast_hops_v6, "the hop limit of IPv6 multicasts";
    set_multicast_hops_v6: u32 = multicast_hops_v6, set_multicast_hops_v6;

    /// Sets the size of the receive buffer in bytes (`SO_RCVBUF`); datagrams that do not fit are
    /// dropped. Linux doubles the number, for its own bookkeeping, and limits it (socket(7)).
    recv_buffer_size, "the size of the receive buffer in bytes";
    set_recv_buffer_size: usize = recv_buffer_size, set_recv_buffer_size;

    /// Sets the size of the send buffer in bytes (`SO_SNDBUF`). Linux doubles the number, for its
    /// own bookkeeping, and limits it (socket(7)).
    send_buffer_size, "the size of the send buffer in bytes";
    set_send_buffer_size: usize = send_buffer_size, set_send_buffer_size;
}

impl UdpSocket {
    /// Joins an IPv4 multicast group on the interface with the address `interface`, or on one that
    /// the system chooses for `0.0.0.0`.
    ///
    /// # Errors
    /// Returns `InvalidInput` if `group` is not a multicast address, `AddrInUse` if it is joined
    /// already, ENODEV if no interface has that address or there is none to choose, and other
    /// errors of setsockopt(2).
    ///
    /// # Examples
    /// ```
    /// use std::net::Ipv4Addr;
    /// use runtime::net::UdpSocket;
    ///
    /// # runtime::block_on(async {
    /// let socket = UdpSocket::bind("0.0.0.0:0").await?;
    /// let group = Ipv4Addr::new(239, 255, 0, 1);
    /// socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    /// socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        udp::join_multicast_v4(self, &group, &interface)
    }

    /// Leaves a group that was joined by [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    ///
    /// # Errors
    /// Returns `AddrNotAvailable` if it was not joined, and other errors of setsockopt(2).
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        udp::leave_multicast_v4(self, &group, &interface)
    }

    /// Joins an IPv6 multicast group on the interface with the index `interface`, or on one that
    /// the system chooses for 0.
    ///
    /// # Errors
    /// Returns the errors of [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        udp::join_multicast_v6(self, group, interface)
    }

    /// Leaves a group that was joined by [`join_multicast_v6`](UdpSocket::join_multicast_v6).
    ///
    /// # Errors
    /// Returns the errors of [`leave_multicast_v4`](UdpSocket::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        udp::leave_multicast_v6(self, group, interface)
    }

    methods::tos!();
    methods::device!();

    /// Sets the don't-fragment flag, which path-MTU discovery as in QUIC needs (RFC 8899). The
    /// default is the system's.
    ///
    /// A datagram that is longer than the interface's MTU then fails with EMSGSIZE; one that is
    /// longer than the path's MTU is dropped on the way.
    ///
    /// # Errors
    /// Returns `Unsupported` for IPv4 on NetBSD, OpenBSD and DragonFly, and the errors of
    /// setsockopt(2).
    ///
    /// # Platform-specific behavior
    /// On Linux and Android `true` sets `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER` to
    /// `PMTUDISC_PROBE` (ip(7)), and `false` to `PMTUDISC_WANT`, with which the system discovers
    /// the MTU itself. Elsewhere it is `IP_DONTFRAG` and `IPV6_DONTFRAG`.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::UdpSocket;
    ///
    /// # runtime::block_on(async {
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let may_fragment = socket.set_dont_fragment(true).is_err();
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn set_dont_fragment(&self, dont_fragment: bool) -> io::Result<()> {
        udp::set_dont_fragment(self.source.get_ref(), dont_fragment)
    }
}
