//! The kernel's records as entries of a trace.

use runtime_reactor::sim as kernel;

use super::entry::{Event, Packet};

/// Returns the event of a kernel's record. `name` returns the name of a host.
pub(super) fn event(event: &kernel::Event, name: impl Fn(kernel::HostId) -> String) -> Event {
    use kernel::Event as Kernel;

    match event {
        Kernel::Sent(it) => Event::Sent(packet(it)),
        Kernel::Delivered(it) => Event::Delivered(packet(it)),
        Kernel::Dropped(it, reason) => Event::Dropped(packet(it), reason_text(*reason)),
        Kernel::Crashed(kernel::Crash::Reset) => Event::Host("crashed".to_owned()),
        Kernel::Crashed(kernel::Crash::Silent) => Event::Host("crashed silently".to_owned()),
        Kernel::Restarted => Event::Host("restarted".to_owned()),
        Kernel::Partitioned { to } => Event::Host(format!("partitioned from {}", name(*to))),
        Kernel::Held { to } => Event::Host(format!("packets to {} are held", name(*to))),
        Kernel::Healed { to } => Event::Host(format!("packets to {} pass again", name(*to))),
        socket => Event::Socket(socket.to_string()),
    }
}

fn packet(packet: &kernel::Packet) -> Packet {
    Packet {
        id: packet.id,
        kind: kind_text(packet.kind),
        from: packet.from,
        to: packet.to,
        len: packet.len,
    }
}

fn kind_text(kind: kernel::PacketKind) -> &'static str {
    use kernel::PacketKind;

    match kind {
        PacketKind::Syn => "SYN",
        PacketKind::SynAck => "SYN-ACK",
        PacketKind::Data => "data",
        PacketKind::Ack => "ACK",
        PacketKind::Fin => "FIN",
        PacketKind::Reset => "RST",
        PacketKind::Probe => "probe",
        PacketKind::Datagram => "datagram",
        PacketKind::Unreachable => "unreachable",
        _ => "packet",
    }
}

fn reason_text(reason: kernel::Reason) -> &'static str {
    use kernel::Reason;

    match reason {
        Reason::Loss => "the link lost it",
        Reason::Partition => "partition",
        Reason::HostDown => "the host is down",
        Reason::NoSocket => "no socket has the address",
        Reason::TooLong => "too long for the link",
        Reason::Stale => "its connection has ended",
        _ => "the queue is full",
    }
}
