//! Packets that are under way.

use std::net::SocketAddr;

use super::record::{HostId, Packet, PacketKind};

/// A packet between two hosts, with its contents.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    pub(super) packet: Packet,
    pub(super) from: HostId,
    pub(super) to: HostId,
    pub(super) contents: Contents,
}

/// The contents of a packet.
#[derive(Debug, Clone)]
pub(super) enum Contents {
    Segment(Segment),
    Datagram {
        data: Vec<u8>,
        tos: u8,
    },
    /// A datagram from `from` of the packet's receiver to `to` reached no socket.
    Unreachable {
        from: SocketAddr,
        to: SocketAddr,
    },
}

impl Contents {
    pub(super) fn kind(&self) -> PacketKind {
        match self {
            Contents::Segment(segment) => segment.kind(),
            Contents::Datagram { .. } => PacketKind::Datagram,
            Contents::Unreachable { .. } => PacketKind::Unreachable,
        }
    }

    /// Returns the number of bytes of the program's data.
    pub(super) fn len(&self) -> usize {
        match self {
            Contents::Segment(segment) => segment.data.len(),
            Contents::Datagram { data, .. } => data.len(),
            Contents::Unreachable { .. } => 0,
        }
    }
}

/// The size of the headers of a TCP packet; those of other packets are taken for as long.
pub(super) const HEADERS: usize = 40;

/// The longest segment within one host.
pub(super) const LOOPBACK_MTU: usize = 65_536;

/// A segment of a TCP connection. Positions count from the first byte of data, without wrapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Segment {
    /// Distinguishes the connections that have the same addresses one after the other.
    pub(super) connection: u64,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    /// Requests an acknowledgment, without data.
    pub(super) probe: bool,
    /// The position of the first byte of `data`.
    pub(super) seq: u64,
    /// The position up to which the sender has received everything; absent in the first segment.
    pub(super) ack: Option<u64>,
    /// The number of bytes from `ack` on that the sender has room for.
    pub(super) window: u64,
    pub(super) data: Vec<u8>,
}

impl Segment {
    pub(super) fn kind(&self) -> PacketKind {
        match self {
            Segment { rst: true, .. } => PacketKind::Reset,
            Segment {
                syn: true,
                ack: Some(_),
                ..
            } => PacketKind::SynAck,
            Segment { syn: true, .. } => PacketKind::Syn,
            Segment { data, .. } if !data.is_empty() => PacketKind::Data,
            Segment { fin: true, .. } => PacketKind::Fin,
            Segment { probe: true, .. } => PacketKind::Probe,
            _ => PacketKind::Ack,
        }
    }

    /// Returns the reset that answers this segment.
    pub(super) fn reset(&self) -> Segment {
        Segment {
            connection: self.connection,
            rst: true,
            ..Segment::default()
        }
    }
}
