//! TCP sockets: the segments and timers of their connections.

use super::packet::{Contents, Segment};
use super::placeholder::SocketId;
use super::record::{Event, HostId, Packet, Reason};
use super::socket::{Body, Socket, TcpSocket, TcpState};
use super::state::{Due, Owner, Protocol, State, TIME_WAIT};
use super::tcp::{Change, Connection, Phase};

impl State {
    /// Processes a segment that has reached a host.
    pub(super) fn deliver_segment(
        &mut self,
        host: HostId,
        from: HostId,
        packet: Packet,
        segment: Segment,
    ) {
        let key = (packet.to, packet.from);
        match self.host(host).connections.get(&key).cloned() {
            Some(Owner::Socket(id)) => {
                let known = self
                    .tcp_mut(id)
                    .and_then(|tcp| tcp.connection_mut().map(|c| c.number()));
                if known == Some(segment.connection) {
                    return self.on_segment(id, segment);
                }
                // A simultaneous request, as both ends of a connection to itself make it.
                let begun = self.tcp_mut(id).and_then(|tcp| tcp.connection_mut());
                if begun.is_some_and(|c| c.phase == Phase::SynSent)
                    && segment.syn
                    && segment.ack.is_none()
                {
                    return self.on_segment(id, segment);
                }
                if !segment.syn || segment.ack.is_some() {
                    return self.answer_stray(host, from, packet, &segment);
                }
                // The peer has lost its end, and begins another: it was restarted.
                let reset = Segment {
                    connection: known.unwrap_or(0),
                    rst: true,
                    ..Segment::default()
                };
                self.on_segment(id, reset);
            }
            Some(Owner::TimeWait(answer)) => {
                if answer.connection == segment.connection {
                    if segment.fin {
                        self.send(host, from, key, Contents::Segment(answer));
                    }
                    return;
                }
                if segment.syn && segment.ack.is_none() {
                    self.host_mut(host).remove_connection(key);
                }
            }
            None => {}
        }
        let is_request = segment.syn && segment.ack.is_none();
        let listener = is_request
            .then(|| self.find_listener(host, packet))
            .flatten();
        match listener {
            Some(listener) => self.begin_incoming(listener, from, packet, &segment),
            None => self.answer_stray(host, from, packet, &segment),
        }
    }

    fn find_listener(&self, host: HostId, packet: Packet) -> Option<SocketId> {
        let receivers = self.receivers(host, Protocol::Tcp, packet.to);
        let listening = |id: &SocketId| {
            let tcp = self.sockets.get(id).map(Socket::tcp);
            matches!(
                tcp,
                Some(Ok(TcpSocket {
                    state: TcpState::Listening(_),
                    ..
                }))
            )
        };
        let mut listening: Vec<SocketId> = receivers.into_iter().filter(listening).collect();
        if listening.len() > 1 {
            // Listeners that share an address: the client's port chooses, as a hash does.
            let is_exact = |id: &SocketId| {
                self.sockets[id].local_inet().map(|l| l.ip()) == Some(packet.to.ip())
            };
            if listening.iter().any(is_exact) {
                listening.retain(is_exact);
            }
            let chosen = usize::from(packet.from.port()) % listening.len();
            return Some(listening[chosen]);
        }
        listening.first().copied()
    }

    /// Answers a segment that belongs to no connection.
    fn answer_stray(&mut self, host: HostId, from: HostId, packet: Packet, segment: &Segment) {
        if self.host(from).has(packet.from.ip()) && !segment.rst {
            let reset = Contents::Segment(segment.reset());
            self.send(host, from, (packet.to, packet.from), reset);
        }
    }

    /// Begins a connection that a peer has requested, unless the queue is full: then the request is
    /// dropped, and the peer repeats it.
    fn begin_incoming(&mut self, listener: SocketId, from: HostId, packet: Packet, syn: &Segment) {
        let socket = &self.sockets[&listener];
        let host = socket.host;
        let (options, buffers) = (socket.options.clone(), socket.buffers());
        let segment_size = self.segment_size(host, from);
        let now = self.now;
        let Some(tcp) = self.tcp_mut(listener) else {
            return;
        };
        let is_v6 = tcp.is_v6;
        let TcpState::Listening(queue) = &mut tcp.state else {
            return;
        };
        if queue.queue.len() + queue.begun > queue.backlog {
            return self.record(from, Event::Dropped(packet, Reason::QueueFull));
        }
        queue.begun += 1;
        let connection = Connection::answer(syn, now, segment_size, buffers);
        let id = self.add_socket(
            host,
            Body::Tcp(TcpSocket {
                is_v6,
                local: Some(packet.to),
                peer: Some(packet.from),
                state: TcpState::Connection {
                    connection: Box::new(connection),
                    listener: Some(listener),
                    timer: None,
                },
            }),
        );
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.options = options;
        }
        let key = (packet.to, packet.from);
        self.host_mut(host)
            .insert_connection(key, Owner::Socket(id));
        self.apply_tcp_options(id);
        self.flush_connection(id);
    }

    fn on_segment(&mut self, id: SocketId, segment: Segment) {
        let now = self.now;
        let connection = self.tcp_mut(id).and_then(TcpSocket::connection_mut);
        if let Some(connection) = connection {
            let change = connection.on_segment(segment, now);
            self.apply_change(id, change);
        }
    }

    /// Processes the timers of a connection.
    pub(super) fn on_tcp_timer(&mut self, id: SocketId) {
        let now = self.now;
        let Some(tcp) = self.tcp_mut(id) else {
            return;
        };
        if let TcpState::Connection {
            timer, connection, ..
        } = &mut tcp.state
        {
            *timer = None;
            let change = connection.on_timer(now);
            self.apply_change(id, change);
        }
    }

    fn apply_change(&mut self, id: SocketId, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Readiness => self.touch(id),
            Change::Established => self.on_established(id),
            Change::Failed(errno) => self.on_failed(id, errno),
        }
        self.flush_connection(id);
    }

    fn on_established(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let host = socket.host;
        let Ok(tcp) = socket.tcp_mut() else {
            return;
        };
        let key = tcp.key();
        let TcpState::Connection { listener, .. } = &tcp.state else {
            return;
        };
        match *listener {
            None => {
                if let Some((local, peer)) = key {
                    self.record(host, Event::Connected { local, peer });
                }
                self.touch(id);
            }
            Some(listener) => {
                if let Some(TcpState::Listening(queue)) =
                    self.tcp_mut(listener).map(|tcp| &mut tcp.state)
                {
                    queue.begun = queue.begun.saturating_sub(1);
                    queue.queue.push_back(id);
                    self.touch(listener);
                }
            }
        }
    }

    fn on_failed(&mut self, id: SocketId, errno: i32) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.error = errno;
        let host = socket.host;
        let Ok(tcp) = socket.tcp_mut() else {
            return;
        };
        let Some((local, peer)) = tcp.key() else {
            return;
        };
        let TcpState::Connection { listener, .. } = &tcp.state else {
            return;
        };
        let listener = *listener;
        self.host_mut(host).remove_connection((local, peer));
        if errno == libc::ECONNRESET || errno == libc::EPIPE {
            self.record(host, Event::Reset { local, peer });
        } else {
            self.record(host, Event::Failed { local, peer, errno });
        }
        self.touch(id);
        let Some(listener) = listener else {
            return;
        };
        // One that was established stays in the queue, as on Linux.
        if let Some(TcpState::Listening(queue)) = self.tcp_mut(listener).map(|tcp| &mut tcp.state) {
            if !queue.queue.contains(&id) {
                queue.begun = queue.begun.saturating_sub(1);
                self.remove_socket(id);
            }
        }
    }

    /// Sends what a connection has to send, sets its timer, and removes it once it is over.
    pub(super) fn flush_connection(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let (host, is_held) = (socket.host, socket.is_held);
        let Ok(tcp) = socket.tcp_mut() else {
            return;
        };
        let Some((local, peer)) = tcp.key() else {
            return;
        };
        let TcpState::Connection {
            connection, timer, ..
        } = &mut tcp.state
        else {
            return;
        };
        let out = std::mem::take(&mut connection.out);
        let (is_over, needs_time_wait) = (connection.is_over(), connection.needs_time_wait());
        let final_ack = connection.final_ack();
        let deadline = connection.deadline().filter(|_| !is_over);
        let is_forgotten = connection.waits_for_end();
        let armed = *timer;
        let is_same = armed.map(|key| key.0) == deadline;
        if !is_same {
            *timer = None;
        }
        if let Ok(to) = self.route(host, peer.ip()) {
            for segment in out {
                self.send(host, to, (local, peer), Contents::Segment(segment));
            }
        }
        if !is_same {
            if let Some(key) = armed {
                self.cancel(key);
            }
            let due = if is_forgotten {
                Due::OrphanTimer
            } else {
                Due::Timer
            };
            let key = deadline.map(|at| self.schedule(at, due(id)));
            if let Some(TcpState::Connection { timer, .. }) =
                self.tcp_mut(id).map(|tcp| &mut tcp.state)
            {
                *timer = key;
            }
        }
        if is_over && !is_held {
            if needs_time_wait {
                let owner = Owner::TimeWait(final_ack);
                self.host_mut(host).insert_connection((local, peer), owner);
                let end = Due::TimeWaitEnd(host, (local, peer));
                self.schedule(self.now + TIME_WAIT, end);
            } else {
                self.host_mut(host).remove_connection((local, peer));
            }
            self.remove_socket(id);
        }
    }
}
