//! The readiness of simulated sockets, as the real kernel reports it.

use super::placeholder::SocketId;
use super::socket::{
    Body, DatagramSocket, PipeEnd, Socket, SocketOption, StreamSocket, StreamState, TcpSocket,
    TcpState, UdpSocket,
};
use super::state::State;
use super::tcp::Phase;
use crate::interest::Readiness;

/// The report that poll(2) would give, before it is translated.
#[derive(Default)]
struct Report {
    readable: bool,
    writable: bool,
    /// The peer sends no more.
    read_closed: bool,
    /// Both directions are over.
    hung_up: bool,
    /// A hang-up of the peer that only matters to the writer of a pipe.
    write_error: bool,
}

impl State {
    /// Returns what of a socket is ready.
    pub(super) fn readiness(&self, id: SocketId) -> Readiness {
        let Some(socket) = self.sockets.get(&id) else {
            return Readiness::EMPTY;
        };
        let report = match &socket.body {
            Body::Tcp(tcp) => report_tcp(tcp),
            Body::Udp(udp) => report_udp(udp),
            Body::Stream(stream) => self.report_stream(socket, stream),
            Body::Datagram(datagram) => self.report_datagram(datagram),
            Body::Pipe(end) => self.report_pipe(end),
        };
        let has_error = socket.error != 0;
        let mut readiness = Readiness::EMPTY;
        if report.readable || report.read_closed || report.hung_up || has_error {
            readiness |= Readiness::READABLE;
        }
        if report.writable || report.hung_up || report.write_error || has_error {
            readiness |= Readiness::WRITABLE;
        }
        if report.read_closed || report.hung_up {
            readiness |= Readiness::READ_CLOSED;
        }
        if report.hung_up {
            readiness |= Readiness::WRITE_CLOSED;
        }
        if has_error || report.write_error {
            readiness |= Readiness::ERROR;
        }
        readiness
    }

    /// Returns the number of connections in the queue of a listener, and 0 for other sockets.
    pub(super) fn queue_len(&self, id: SocketId) -> u32 {
        let listener = match self.sockets.get(&id).map(|socket| &socket.body) {
            Some(Body::Tcp(TcpSocket {
                state: TcpState::Listening(listener),
                ..
            })) => listener,
            Some(Body::Stream(StreamSocket {
                state: StreamState::Listening(listener),
                ..
            })) => listener,
            _ => return 0,
        };
        u32::try_from(listener.queue.len()).unwrap_or(u32::MAX)
    }

    fn report_stream(&self, socket: &Socket, stream: &StreamSocket) -> Report {
        match &stream.state {
            StreamState::Idle => Report {
                writable: true,
                hung_up: true,
                ..Report::default()
            },
            StreamState::Listening(listener) => Report {
                readable: !listener.queue.is_empty(),
                ..Report::default()
            },
            StreamState::Connected { peer, .. } => {
                let peer = peer.and_then(|peer| self.sockets.get(&peer));
                let peer = match peer.map(|peer| &peer.body) {
                    Some(Body::Stream(peer)) => Some(peer),
                    _ => None,
                };
                let ended = stream.is_read_shut || peer.is_none_or(|peer| peer.is_write_shut);
                let write_ended = stream.is_write_shut || peer.is_none_or(|peer| peer.is_read_shut);
                let capacity = socket.size(SocketOption::SendBuffer);
                // At most a quarter is taken: `unix_writable` of Linux.
                let has_room =
                    peer.is_none_or(|peer| peer.received.len().saturating_mul(4) <= capacity);
                Report {
                    readable: !stream.received.is_empty() || ended,
                    writable: has_room || write_ended,
                    read_closed: ended,
                    hung_up: ended && write_ended,
                    write_error: false,
                }
            }
        }
    }

    fn report_datagram(&self, socket: &DatagramSocket) -> Report {
        let peer = socket
            .peer
            .as_ref()
            .and_then(|(peer, _)| self.sockets.get(peer));
        let has_room = match peer.map(|peer| &peer.body) {
            Some(Body::Datagram(peer)) => peer.queue.len() < super::unix::MAX_QUEUED,
            _ => true,
        };
        Report {
            readable: !socket.queue.is_empty() || socket.is_read_shut,
            writable: has_room || socket.is_write_shut,
            read_closed: socket.is_read_shut,
            hung_up: socket.is_read_shut && socket.is_write_shut,
            write_error: false,
        }
    }

    fn report_pipe(&self, end: &PipeEnd) -> Report {
        if !end.is_writer {
            return Report {
                readable: !end.data.is_empty(),
                hung_up: end.other.is_none(),
                ..Report::default()
            };
        }
        let reader = end.other.and_then(|reader| self.sockets.get(&reader));
        let taken = match reader.map(|reader| &reader.body) {
            Some(Body::Pipe(reader)) => reader.data.len(),
            _ => 0,
        };
        Report {
            writable: taken + super::pipe::ATOMIC <= super::pipe::CAPACITY,
            write_error: end.other.is_none(),
            ..Report::default()
        }
    }
}

fn report_tcp(tcp: &TcpSocket) -> Report {
    let connection = match &tcp.state {
        // epoll reports this of a socket that never connected, or failed to.
        TcpState::Idle => {
            return Report {
                writable: true,
                hung_up: true,
                ..Report::default()
            };
        }
        TcpState::Listening(listener) => {
            return Report {
                readable: !listener.queue.is_empty(),
                ..Report::default()
            };
        }
        TcpState::Connection { connection, .. } => connection,
    };
    let is_over = matches!(connection.phase, Phase::Finished | Phase::Dead);
    if matches!(connection.phase, Phase::SynSent | Phase::SynReceived) {
        return Report::default();
    }
    let ended = connection.is_peer_finished() || connection.is_read_shut || is_over;
    let write_ended = connection.is_finishing() || is_over;
    Report {
        readable: connection.readable() > 0 || ended,
        writable: connection.has_room() || write_ended,
        read_closed: ended,
        hung_up: ended && write_ended,
        write_error: false,
    }
}

fn report_udp(udp: &UdpSocket) -> Report {
    Report {
        readable: !udp.queue.is_empty() || udp.is_read_shut,
        writable: true,
        read_closed: udp.is_read_shut,
        hung_up: udp.is_read_shut && udp.is_write_shut,
        write_error: false,
    }
}
