//! An entry of a trace.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::hash::StableHash;

/// An entry of a [`Trace`](super::Trace).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The virtual time since the start of the world.
    pub at: Duration,
    /// The host at which it happened. Empty if it concerns the whole world.
    pub host: Arc<str>,
    /// The event itself.
    pub event: Event,
}

/// An event of a simulated world.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The host sent a packet.
    Sent(Packet),
    /// The host received a packet.
    Delivered(Packet),
    /// A packet of the host was lost, for this reason.
    Dropped(Packet, &'static str),
    /// A socket of the host changed: it listens, is connected, or was closed.
    Socket(String),
    /// The host began, ended, crashed or restarted, or the network around it changed.
    Host(String),
    /// A note of the program.
    Note(String),
}

/// A packet on the simulated network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet {
    /// The number of the packet, unique in the run.
    pub id: u64,
    /// The kind of the packet, such as `SYN` or `data`.
    pub kind: &'static str,
    /// The address of the sending socket.
    pub from: SocketAddr,
    /// The address of the receiving socket.
    pub to: SocketAddr,
    /// The number of bytes that it carries for the program.
    pub len: usize,
}

impl Entry {
    pub(super) fn hash(&self, hash: &mut StableHash) {
        hash.time(self.at);
        hash.text(&self.host);
        match &self.event {
            Event::Sent(packet) => packet.hash(1, hash),
            Event::Delivered(packet) => packet.hash(2, hash),
            Event::Dropped(packet, reason) => {
                packet.hash(3, hash);
                hash.text(reason);
            }
            Event::Socket(text) => hash_text(4, text, hash),
            Event::Host(text) => hash_text(5, text, hash),
            Event::Note(text) => hash_text(6, text, hash),
        }
    }
}

fn hash_text(kind: u64, text: &str, hash: &mut StableHash) {
    hash.number(kind);
    hash.text(text);
}

impl Packet {
    fn hash(&self, kind: u64, hash: &mut StableHash) {
        hash.number(kind);
        hash.number(self.id);
        hash.text(self.kind);
        for addr in [self.from, self.to] {
            match addr {
                SocketAddr::V4(addr) => hash.number(u64::from(addr.ip().to_bits())),
                SocketAddr::V6(addr) => {
                    let bits = addr.ip().to_bits();
                    hash.number((bits >> 64) as u64);
                    hash.number(bits as u64);
                }
            }
            hash.number(u64::from(addr.port()));
        }
        hash.number(self.len as u64);
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.at.as_secs(), self.at.subsec_nanos());
        write!(f, "{secs}.{nanos:09}")?;
        if !self.host.is_empty() {
            write!(f, " {}", self.host)?;
        }
        write!(f, ": {}", self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Sent(packet) => write!(f, "sent {packet}"),
            Event::Delivered(packet) => write!(f, "received {packet}"),
            Event::Dropped(packet, reason) => write!(f, "lost {packet}: {reason}"),
            Event::Socket(text) | Event::Host(text) | Event::Note(text) => f.write_str(text),
        }
    }
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
        write!(f, "{kind} #{id} {from} -> {to}")?;
        if *len > 0 {
            write!(f, ", {len} byte{}", if *len == 1 { "" } else { "s" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::sim) fn packet(id: u64, len: usize) -> Packet {
        Packet {
            id,
            kind: "data",
            from: ([10, 0, 0, 1], 4000).into(),
            to: ([10, 0, 0, 2], 80).into(),
            len,
        }
    }
}
