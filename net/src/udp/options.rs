//! What can be set on a socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use socket2::SockRef;

use super::socket::UdpSocket;
use crate::error::invalid;
use crate::sys::udp;

macro_rules! options {
    ($(
        $(#[doc = $doc:literal])*
        $get:ident, $set:ident: $type:ty = $socket_get:ident, $socket_set:ident;
    )*) => {
        /// Options.
        impl UdpSocket {$(
            $(#[doc = $doc])*
            ///
            /// # Errors
            /// What getsockopt(2) says.
            pub fn $get(&self) -> io::Result<$type> {
                SockRef::from(self).$socket_get()
            }

            #[doc = concat!("Sets [`", stringify!($get), "`](UdpSocket::", stringify!($get), ").")]
            ///
            /// # Errors
            /// `InvalidInput` for a number out of its range; what setsockopt(2) says.
            pub fn $set(&self, value: $type) -> io::Result<()> {
                SockRef::from(self).$socket_set(value)
            }
        )*}
    };
}

options! {
    /// Whether sending to a broadcast address is allowed (`SO_BROADCAST`). At first it is not, and
    /// fails with `PermissionDenied`.
    broadcast, set_broadcast: bool = broadcast, set_broadcast;

    /// How many routers an IPv4 datagram may pass (`IP_TTL`), 1 to 255; 64 at first on most systems.
    ttl, set_ttl: u32 = ttl_v4, set_ttl_v4;

    /// Whether IPv4 multicasts that we send come to this machine too. At first they do.
    multicast_loop_v4, set_multicast_loop_v4: bool = multicast_loop_v4, set_multicast_loop_v4;

    /// How many routers an IPv4 multicast may pass, 0 to 255: 0 keeps it on this machine, 1, as at
    /// first, in this network.
    multicast_ttl_v4, set_multicast_ttl_v4: u32 = multicast_ttl_v4, set_multicast_ttl_v4;

    /// Whether IPv6 multicasts that we send come to this machine too. At first they do.
    multicast_loop_v6, set_multicast_loop_v6: bool = multicast_loop_v6, set_multicast_loop_v6;

    /// How many routers an IPv6 multicast may pass, 0 to 255, as with IPv4.
    multicast_hops_v6, set_multicast_hops_v6: u32 = multicast_hops_v6, set_multicast_hops_v6;

    /// How much the system keeps of what was not received yet, in bytes; what comes beyond that is
    /// dropped. Linux doubles what is set, for its own use.
    recv_buffer_size, set_recv_buffer_size: usize = recv_buffer_size, set_recv_buffer_size;

    /// How much the system keeps of what was not sent yet, in bytes. Linux doubles what is set, for
    /// its own use.
    send_buffer_size, set_send_buffer_size: usize = send_buffer_size, set_send_buffer_size;
}

/// Multicast groups, and the type of service.
impl UdpSocket {
    /// Receives what is sent to an IPv4 group, by the interface that has the address `interface`, or
    /// one that the system chooses if it is `0.0.0.0`.
    ///
    /// # Errors
    /// `InvalidInput` if `group` is no multicast address, `AddrInUse` if it is joined already, ENODEV if
    /// no interface has that address or the system has none to choose; what setsockopt(2) says.
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
        self.source.get_ref().join_multicast_v4(&group, &interface)
    }

    /// Ends [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    ///
    /// # Errors
    /// `AddrNotAvailable` if it was not joined; what setsockopt(2) says.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.source.get_ref().leave_multicast_v4(&group, &interface)
    }

    /// Receives what is sent to an IPv6 group, by the interface of this index, or one that the system
    /// chooses if it is 0.
    ///
    /// # Errors
    /// As [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.source.get_ref().join_multicast_v6(group, interface)
    }

    /// Ends [`join_multicast_v6`](UdpSocket::join_multicast_v6).
    ///
    /// # Errors
    /// As [`leave_multicast_v4`](UdpSocket::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.source.get_ref().leave_multicast_v6(group, interface)
    }

    /// The type of service of what is sent (`IP_TOS`), or its traffic class on a socket of IPv6
    /// (`IPV6_TCLASS`): 0 to 255, of which the upper six bits are the DSCP and the lower two ECN.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn tos(&self) -> io::Result<u32> {
        match self.local_addr()?.is_ipv4() {
            true => SockRef::from(self).tos_v4(),
            false => SockRef::from(self).tclass_v6(),
        }
    }

    /// Sets [`tos`](UdpSocket::tos).
    ///
    /// # Errors
    /// `InvalidInput` if it is more than 255; what setsockopt(2) says.
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        if tos > 255 {
            // Linux would cut it.
            return Err(invalid(format!("a type of service is 0 to 255, not {tos}")));
        }
        match self.local_addr()?.is_ipv4() {
            true => SockRef::from(self).set_tos_v4(tos),
            false => SockRef::from(self).set_tclass_v6(tos),
        }
    }

    /// Whether datagrams that are too long for the way fail instead of being cut into fragments (IPv4's
    /// "don't fragment"; IPv6 knows cutting by the sender only). Who finds out by himself how much the
    /// way takes, as QUIC does (RFC 8899), needs this. At first it is the system's choice.
    ///
    /// What is too long for the interface then fails with EMSGSIZE; what is too long for the rest of the
    /// way is lost without a word.
    ///
    /// # Errors
    /// `Unsupported` for IPv4 on NetBSD, OpenBSD and DragonFly; what setsockopt(2) says.
    ///
    /// # Platform notes
    /// Linux and Android: `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER` become `PMTUDISC_PROBE` (ip(7)), and
    /// `false` is `PMTUDISC_WANT`, with which the system finds out itself. Elsewhere `IP_DONTFRAG` and
    /// `IPV6_DONTFRAG`.
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
    pub fn set_dont_fragment(&self, whole: bool) -> io::Result<()> {
        udp::set_dont_fragment(self.source.get_ref(), whole)
    }
}
