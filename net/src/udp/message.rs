//! A datagram and its ancillary data.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The two bits by which routers signal congestion (RFC 3168).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// The transport is ECN-capable: codepoint ECT(1).
    Ect1 = 0b01,
    /// The transport is ECN-capable: codepoint ECT(0).
    Ect0 = 0b10,
    /// Congestion was experienced.
    Ce = 0b11,
}

impl Ecn {
    /// Returns the codepoint in the lowest two bits of a type of service or traffic class, and
    /// `None` for one that is not ECN-capable.
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
    /// The bytes to send.
    pub contents: &'a [u8],
    /// The destination; `None` on a connected socket.
    pub destination: Option<SocketAddr>,
    /// The ECN bits, with a DSCP of 0; `None` leaves the
    /// [type of service](crate::UdpSocket::set_tos) of the socket.
    pub ecn: Option<Ecn>,
    /// The size in bytes, 1 to 65535, of the datagrams that `contents` is cut into; the last one
    /// may be shorter. There may be up to [`max_segments`](crate::UdpSocket::max_segments) of them.
    pub segment_size: Option<usize>,
    /// The local address to send from; `None` lets the system choose.
    ///
    /// # Platform-specific behavior
    /// FreeBSD accepts it for IPv4 only on a socket that is bound to `0.0.0.0` and a port (ip(4)).
    pub source: Option<IpAddr>,
}

impl<'a> Transmit<'a> {
    /// Creates a datagram for the peer of a connected socket.
    pub fn new(contents: &'a [u8]) -> Transmit<'a> {
        Transmit {
            contents,
            ..Transmit::default()
        }
    }

    /// Creates a datagram for `destination`.
    pub fn to(contents: &'a [u8], destination: SocketAddr) -> Transmit<'a> {
        Transmit {
            destination: Some(destination),
            ..Transmit::new(contents)
        }
    }
}

/// The description of a received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The number of bytes written to the buffer.
    pub len: usize,
    /// The sender.
    pub addr: SocketAddr,
    /// True if the datagram was longer than the buffer; the rest of it is lost.
    pub is_truncated: bool,
    /// True if ancillary data was truncated: then `ecn`, `destination`, `interface` and
    /// `segment_size` may be missing. There is room for all that this crate can enable, so it
    /// happens only if other code has enabled more, such as `SO_TIMESTAMPING`. With
    /// [`set_gro`](crate::UdpSocket::set_gro) the buffer may then hold several datagrams of unknown
    /// size, and should be discarded.
    pub is_control_truncated: bool,
    /// The ECN bits, if [enabled](crate::UdpSocket::set_recv_ecn) and set.
    pub ecn: Option<Ecn>,
    /// The local address that it was sent to, if
    /// [enabled](crate::UdpSocket::set_recv_destination).
    pub destination: Option<IpAddr>,
    /// The index of the interface that it arrived on, if enabled with the destination.
    ///
    /// # Platform-specific behavior
    /// `None` for IPv4 on the BSDs.
    pub interface: Option<u32>,
    /// The size in bytes of the datagrams in the buffer; the last one may be shorter. Equal to
    /// `len`, so that there is one, unless [`set_gro`](crate::UdpSocket::set_gro) was called.
    pub segment_size: usize,
}

impl Default for Received {
    /// Returns the description of an empty datagram, to be overwritten.
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
