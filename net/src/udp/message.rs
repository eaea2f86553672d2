//! A datagram and what travels beside it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The two bits in which routers tell of congestion (RFC 3168).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// Capable of it, codepoint 1.
    Ect1 = 0b01,
    /// Capable of it, codepoint 0.
    Ect0 = 0b10,
    /// Congestion was experienced.
    Ce = 0b11,
}

impl Ecn {
    /// What the lowest two bits of the type of service, or of the traffic class, say.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::udp::Ecn;
    ///
    /// assert_eq!(Ecn::from_tos(0b1000_0011), Some(Ecn::Ce));
    /// assert_eq!(Ecn::from_tos(0b1000_0000), None);
    /// ```
    pub const fn from_tos(tos: u8) -> Option<Ecn> {
        match tos & 0b11 {
            0b01 => Some(Ecn::Ect1),
            0b10 => Some(Ecn::Ect0),
            0b11 => Some(Ecn::Ce),
            _ => None,
        }
    }
}

/// A datagram to send, or several of one size to one destination.
///
/// # Examples
/// See [`UdpSocket::send_batch`](crate::UdpSocket::send_batch).
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Transmit<'a> {
    /// What to send.
    pub contents: &'a [u8],
    /// Where to; `None` on a connected socket.
    pub destination: Option<SocketAddr>,
    /// The ECN bits of it, with a DSCP of 0; `None` leaves what [`set_tos`](crate::UdpSocket::set_tos) says.
    pub ecn: Option<Ecn>,
    /// Cuts `contents` into datagrams of so many bytes, 1 to 65535, and a last one that may be shorter,
    /// of which there may be [so many](crate::UdpSocket::max_segments).
    pub segment_size: Option<usize>,
    /// The address of ours that it comes from; `None` leaves the choice to the system.
    ///
    /// # Platform notes
    /// FreeBSD takes one for IPv4 only on a socket that is bound to `0.0.0.0`, with a port (ip(4)).
    pub source: Option<IpAddr>,
}

impl<'a> Transmit<'a> {
    /// A datagram for the peer of a connected socket.
    pub fn new(contents: &'a [u8]) -> Transmit<'a> {
        Transmit {
            contents,
            ..Transmit::default()
        }
    }

    /// A datagram for anybody.
    pub fn to(contents: &'a [u8], destination: SocketAddr) -> Transmit<'a> {
        Transmit {
            destination: Some(destination),
            ..Transmit::new(contents)
        }
    }
}

/// What there is to say about a datagram that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// So many bytes of the buffer were written.
    pub len: usize,
    /// Who sent it.
    pub addr: SocketAddr,
    /// Whether the datagram was longer than the buffer; the rest of it is gone.
    pub is_truncated: bool,
    /// Whether something that travels beside the datagram was cut off: then `ecn`, `destination`,
    /// `interface` and `segment_size` may say less than is true. There is room for all that can be
    /// asked for here, so this happens only if others have set options on the socket that bring more,
    /// such as `SO_TIMESTAMPING`. With [`set_gro`](crate::UdpSocket::set_gro) the buffer may then hold several
    /// datagrams whose bounds are not known, and is best thrown away.
    pub is_control_truncated: bool,
    /// Its ECN bits, if [asked for](crate::UdpSocket::set_recv_ecn) and set.
    pub ecn: Option<Ecn>,
    /// The address of ours it was sent to, if [asked for](crate::UdpSocket::set_recv_destination).
    pub destination: Option<IpAddr>,
    /// The index of the interface it came by, if asked for with the destination.
    ///
    /// # Platform notes
    /// Not for IPv4 on the BSDs.
    pub interface: Option<u32>,
    /// The buffer holds datagrams of so many bytes, and a last one that may be shorter. It is `len`,
    /// so that there is one, unless [`set_gro`](crate::UdpSocket::set_gro) was called.
    pub segment_size: usize,
}

/// Nothing, from nobody: a place for what is to come.
impl Default for Received {
    fn default() -> Received {
        Received {
            len: 0,
            addr: (Ipv4Addr::UNSPECIFIED, 0).into(),
            is_truncated: false,
            is_control_truncated: false,
            ecn: None,
            destination: None,
            interface: None,
            segment_size: 0,
        }
    }
}
