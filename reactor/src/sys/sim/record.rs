//! The records that an observer of a simulation receives, one for each event.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A number that names a host of a simulation, in the order in which the hosts were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(super) u32);

impl HostId {
    /// Returns the number as an index into the list of hosts.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An event of a simulation, with its time and its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The virtual time since the start of the simulation.
    pub at: Duration,
    /// The host at which the event happened. A packet that is sent or dropped counts for its
    /// sender, one that is delivered for its receiver.
    pub host: HostId,
    /// The event.
    pub event: Event,
}

impl fmt::Display for Record {
    /// Writes one line without a newline, which depends on the history alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.at.as_secs(), self.at.subsec_nanos());
        write!(
            f,
            "{seconds}.{nanos:09} host {} {}",
            self.host.0, self.event
        )
    }
}

/// An event of a simulated network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A TCP socket listens.
    Listening {
        /// The address of the socket.
        local: SocketAddr,
    },
    /// A connection was begun.
    Connecting {
        /// The address of the socket.
        local: SocketAddr,
        /// The address of the peer.
        peer: SocketAddr,
    },
    /// A connection that this host began is established.
    Connected {
        /// The address of the socket.
        local: SocketAddr,
        /// The address of the peer.
        peer: SocketAddr,
    },
    /// A connection was accepted by the program.
    Accepted {
        /// The address of the socket.
        local: SocketAddr,
        /// The address of the peer.
        peer: SocketAddr,
    },
    /// A connection failed.
    Failed {
        /// The address of the socket.
        local: SocketAddr,
        /// The address of the peer.
        peer: SocketAddr,
        /// The error that the socket reports.
        errno: i32,
    },
    /// The peer reset a connection.
    Reset {
        /// The address of the socket.
        local: SocketAddr,
        /// The address of the peer.
        peer: SocketAddr,
    },
    /// The program closed a connection.
    Closed {
        /// The address of the socket.
        local: SocketAddr,
        /// The address of the peer.
        peer: SocketAddr,
    },
    /// A packet left the host.
    Sent(Packet),
    /// A packet reached the host.
    Delivered(Packet),
    /// A packet that the host sent was lost.
    Dropped(Packet, Reason),
    /// The host crashed.
    Crashed(Crash),
    /// The host is up again.
    Restarted,
    /// Packets from this host to another are dropped from now on.
    Partitioned {
        /// The other host.
        to: HostId,
    },
    /// Packets from this host to another wait from now on.
    Held {
        /// The other host.
        to: HostId,
    },
    /// Packets from this host to another arrive again.
    Healed {
        /// The other host.
        to: HostId,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listening { local } => write!(f, "listening {local}"),
            Event::Connecting { local, peer } => write!(f, "connecting {local} -> {peer}"),
            Event::Connected { local, peer } => write!(f, "connected {local} -> {peer}"),
            Event::Accepted { local, peer } => write!(f, "accepted {local} <- {peer}"),
            Event::Failed { local, peer, errno } => {
                write!(f, "failed {local} -> {peer} errno {errno}")
            }
            Event::Reset { local, peer } => write!(f, "reset {local} -> {peer}"),
            Event::Closed { local, peer } => write!(f, "closed {local} -> {peer}"),
            Event::Sent(packet) => write!(f, "sent {packet}"),
            Event::Delivered(packet) => write!(f, "delivered {packet}"),
            Event::Dropped(packet, reason) => write!(f, "dropped {packet} ({reason:?})"),
            Event::Crashed(how) => write!(f, "crashed ({how:?})"),
            Event::Restarted => f.write_str("restarted"),
            Event::Partitioned { to } => write!(f, "partitioned from host {}", to.0),
            Event::Held { to } => write!(f, "held to host {}", to.0),
            Event::Healed { to } => write!(f, "healed to host {}", to.0),
        }
    }
}

/// A packet of a simulated network. Its records carry the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The number of the packet, in the order of sending.
    pub id: u64,
    /// The kind of the packet.
    pub kind: PacketKind,
    /// The address of the sender.
    pub from: SocketAddr,
    /// The address of the receiver.
    pub to: SocketAddr,
    /// The number of bytes of the program's data in it.
    pub len: usize,
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packet {
            id,
            kind,
            from,
            to,
            len,
        } = self;
        write!(f, "#{id} {kind:?} {from} -> {to} {len} bytes")
    }
}

/// The kind of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketKind {
    /// A TCP segment that requests a connection.
    Syn,
    /// A TCP segment that accepts a connection.
    SynAck,
    /// A TCP segment with data.
    Data,
    /// A TCP segment without data.
    Ack,
    /// A TCP segment that ends the data of its sender.
    Fin,
    /// A TCP segment that resets a connection.
    Reset,
    /// A TCP segment that requests an acknowledgment.
    Probe,
    /// A UDP datagram.
    Datagram,
    /// A message of ICMP that no socket received a datagram.
    Unreachable,
}

/// The reason why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The link lost it.
    Loss,
    /// The hosts are partitioned.
    Partition,
    /// The receiving host is down.
    HostDown,
    /// No socket of the receiving host has the address.
    NoSocket,
    /// The queue of the receiver is full.
    QueueFull,
    /// The packet is longer than the link carries.
    TooLong,
    /// The packet belongs to a connection that does not exist any more.
    Stale,
}

/// The way in which a host crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The processes of the host die and its kernel lives: connections are reset, and new ones are
    /// refused.
    Reset,
    /// The machine fails: packets to it are lost.
    Silent,
}
