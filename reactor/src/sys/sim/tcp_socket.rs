//! TCP sockets: the calls of the program.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::address::{reported, specific};
use super::packet::{HEADERS, LOOPBACK_MTU};
use super::placeholder::SocketId;
use super::record::{Event, HostId};
use super::socket::{Body, Listener, Socket, SocketOption, TcpSocket, TcpState};
use super::state::{Owner, Protocol, State, os};
use super::tcp::{Connection, Keepalive, Phase};

impl TcpSocket {
    pub(super) fn new(is_v6: bool) -> TcpSocket {
        TcpSocket {
            is_v6,
            local: None,
            peer: None,
            state: TcpState::Idle,
        }
    }

    pub(super) fn connection(&self) -> Option<&Connection> {
        match &self.state {
            TcpState::Connection { connection, .. } => Some(connection),
            _ => None,
        }
    }

    pub(super) fn connection_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.state {
            TcpState::Connection { connection, .. } => Some(connection),
            _ => None,
        }
    }

    /// Returns true if a connection was established and has not failed.
    pub(super) fn is_connected(&self) -> bool {
        let phase = self.connection().map(|connection| connection.phase);
        matches!(phase, Some(Phase::Open | Phase::Finished))
    }

    pub(super) fn key(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.local.zip(self.peer)
    }
}

impl Socket {
    pub(super) fn tcp(&self) -> io::Result<&TcpSocket> {
        match &self.body {
            Body::Tcp(socket) => Ok(socket),
            _ => Err(os(libc::EOPNOTSUPP)),
        }
    }

    pub(super) fn tcp_mut(&mut self) -> io::Result<&mut TcpSocket> {
        match &mut self.body {
            Body::Tcp(socket) => Ok(socket),
            _ => Err(os(libc::EOPNOTSUPP)),
        }
    }

    pub(super) fn buffers(&self) -> (usize, usize) {
        let size = |option| self.size(option);
        (
            size(SocketOption::SendBuffer),
            size(SocketOption::ReceiveBuffer),
        )
    }
}

impl State {
    pub(super) fn tcp_mut(&mut self, id: SocketId) -> Option<&mut TcpSocket> {
        self.sockets.get_mut(&id)?.tcp_mut().ok()
    }

    pub(super) fn listen_tcp(&mut self, id: SocketId, backlog: usize) -> io::Result<()> {
        let socket = &self.sockets[&id];
        let host = socket.host;
        let tcp = socket.tcp()?;
        let is_v6 = tcp.is_v6;
        match &tcp.state {
            TcpState::Idle => {}
            TcpState::Listening(_) => {
                if let Some(TcpState::Listening(listener)) =
                    self.tcp_mut(id).map(|tcp| &mut tcp.state)
                {
                    listener.backlog = backlog;
                }
                return Ok(());
            }
            TcpState::Connection { .. } => return Err(os(libc::EINVAL)),
        }
        if tcp.local.is_none() {
            self.bind_inet(id, SocketAddr::new(super::address::unspecified(is_v6), 0))?;
        }
        let local = self.sockets[&id].local_inet();
        // Two sockets may be bound to one address, but only one may listen.
        let local = local.ok_or_else(|| os(libc::EINVAL))?;
        let shares = self.sockets[&id].is_set(SocketOption::ReusePort);
        let others = self.receivers(host, Protocol::Tcp, local);
        let taken = |other: &SocketId| {
            *other != id
                && self.sockets.get(other).is_some_and(|other| {
                    matches!(
                        other.tcp().map(|tcp| &tcp.state),
                        Ok(TcpState::Listening(_))
                    ) && !(shares && other.is_set(SocketOption::ReusePort))
                })
        };
        if others.iter().any(taken) {
            return Err(os(libc::EADDRINUSE));
        }
        if let Some(tcp) = self.tcp_mut(id) {
            tcp.state = TcpState::Listening(Listener {
                backlog,
                begun: 0,
                queue: VecDeque::new(),
            });
        }
        self.record(host, Event::Listening { local });
        self.touch(id);
        Ok(())
    }

    /// Begins to connect. The answer comes later, also within a host.
    pub(super) fn connect_tcp(&mut self, id: SocketId, peer: SocketAddr) -> io::Result<()> {
        let socket = &self.sockets[&id];
        let tcp = socket.tcp()?;
        match tcp.connection().map(|connection| connection.phase) {
            None if matches!(tcp.state, TcpState::Listening(_)) => return Err(os(libc::EISCONN)),
            None | Some(Phase::Dead) => {}
            Some(Phase::SynSent | Phase::SynReceived) => return Err(os(libc::EALREADY)),
            Some(Phase::Open | Phase::Finished) => return Err(os(libc::EISCONN)),
        }
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        let host = self.sockets[&id].host;
        let peer = specific(peer);
        let to = self.route(host, peer.ip())?;
        let local = self.bind_for_peer(id, peer)?;
        if let Some(Owner::Socket(_)) = self.host(host).connections.get(&(local, peer)) {
            return Err(os(libc::EADDRNOTAVAIL));
        }
        let segment_size = self.segment_size(host, to);
        let buffers = self.sockets[&id].buffers();
        let connection = Connection::connect(id, self.now, segment_size, buffers);
        self.record(host, Event::Connecting { local, peer });
        self.host_mut(host)
            .insert_connection((local, peer), Owner::Socket(id));
        if let Some(tcp) = self.tcp_mut(id) {
            tcp.local = Some(local);
            tcp.peer = Some(peer);
            tcp.state = TcpState::Connection {
                connection: Box::new(connection),
                listener: None,
                timer: None,
            };
        }
        self.apply_tcp_options(id);
        self.flush_connection(id);
        Err(os(libc::EINPROGRESS))
    }

    pub(super) fn segment_size(&mut self, from: HostId, to: HostId) -> usize {
        let mtu = if from == to {
            LOOPBACK_MTU
        } else {
            self.link(from, to).link.mtu
        };
        mtu.saturating_sub(HEADERS).max(1)
    }

    /// Passes the options of a socket to its connection.
    pub(super) fn apply_tcp_options(&mut self, id: SocketId) {
        let now = self.now;
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let seconds = |option| Duration::from_secs(socket.option(option).max(1) as u64);
        let keepalive = socket.is_set(SocketOption::Keepalive).then(|| Keepalive {
            time: seconds(SocketOption::KeepaliveTime),
            interval: seconds(SocketOption::KeepaliveInterval),
            retries: socket.option(SocketOption::KeepaliveRetries).max(1) as u32,
            due: now,
        });
        let nodelay = socket.is_set(SocketOption::NoDelay);
        let (send, receive) = socket.buffers();
        if let Ok(Some(connection)) = socket.tcp_mut().map(TcpSocket::connection_mut) {
            connection.nodelay = nodelay;
            connection.send_capacity = send;
            connection.receive_capacity = receive;
            connection.set_keepalive(keepalive, now);
        }
    }

    pub(super) fn accept_tcp(&mut self, id: SocketId) -> io::Result<(OwnedFd, SocketAddr)> {
        let tcp = self.sockets[&id].tcp()?;
        let TcpState::Listening(listener) = &tcp.state else {
            return Err(os(libc::EINVAL));
        };
        let is_v6 = tcp.is_v6;
        let accepted = *listener.queue.front().ok_or(io::ErrorKind::WouldBlock)?;
        // Without a descriptor the connection stays in the queue.
        let fd = self.hold(accepted)?;
        if let Some(TcpState::Listening(listener)) = self.tcp_mut(id).map(|tcp| &mut tcp.state) {
            listener.queue.pop_front();
        }
        let host = self.sockets[&id].host;
        let mut key = None;
        if let Some(tcp) = self.tcp_mut(accepted) {
            key = tcp.key();
            if let TcpState::Connection { listener, .. } = &mut tcp.state {
                *listener = None;
            }
        }
        let (local, peer) = key.ok_or_else(|| os(libc::ECONNABORTED))?;
        self.record(host, Event::Accepted { local, peer });
        Ok((fd, reported(peer, is_v6)))
    }

    /// Closes a TCP socket whose last descriptor is closed.
    pub(super) fn close_tcp(&mut self, id: SocketId) {
        let now = self.now;
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.is_held = false;
        let host = socket.host;
        let abort = socket.option(SocketOption::Linger) == 0;
        let Ok(tcp) = socket.tcp_mut() else {
            return;
        };
        let key = tcp.key();
        match &mut tcp.state {
            TcpState::Idle => drop(self.remove_socket(id)),
            TcpState::Listening(listener) => {
                let queue = std::mem::take(&mut listener.queue);
                let begun = self.begun_connections(id);
                self.remove_socket(id);
                for id in queue.into_iter().chain(begun) {
                    self.abort_connection(id);
                }
            }
            TcpState::Connection { connection, .. } => {
                let was_dead = connection.phase == Phase::Dead;
                connection.close(abort, now);
                if let Some((local, peer)) = key.filter(|_| !was_dead) {
                    self.record(host, Event::Closed { local, peer });
                }
                if was_dead {
                    // Its addresses may belong to another connection by now.
                    self.remove_socket(id);
                } else {
                    self.free_port_of(id);
                    self.flush_connection(id);
                }
            }
        }
    }

    /// Frees the port of a closed socket, which its connection still uses.
    fn free_port_of(&mut self, id: SocketId) {
        let socket = &self.sockets[&id];
        if let Some(local) = socket.local_inet() {
            self.unbind(socket.host, Protocol::Tcp, local.port(), id);
        }
    }

    /// Returns the connections that a listener has answered and that are not established.
    fn begun_connections(&self, listener: SocketId) -> Vec<SocketId> {
        let is_begun = |socket: &Socket| match socket.tcp().map(|tcp| &tcp.state) {
            Ok(TcpState::Connection {
                listener: Some(of),
                connection,
                ..
            }) => *of == listener && connection.phase == Phase::SynReceived,
            _ => false,
        };
        let begun = self.sockets.iter().filter(|(_, socket)| is_begun(socket));
        begun.map(|(id, _)| *id).collect()
    }

    /// Resets a connection that no program holds.
    fn abort_connection(&mut self, id: SocketId) {
        let now = self.now;
        if let Some(connection) = self.tcp_mut(id).and_then(TcpSocket::connection_mut) {
            connection.close(true, now);
            self.flush_connection(id);
            self.remove_socket(id);
        }
    }

    pub(super) fn send_tcp(&mut self, id: SocketId, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let now = self.now;
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        let tcp = self.tcp_mut(id).ok_or_else(|| os(libc::EOPNOTSUPP))?;
        let Some(connection) = tcp.connection_mut() else {
            return Err(os(libc::EPIPE));
        };
        match connection.phase {
            Phase::SynSent | Phase::SynReceived => return Err(io::ErrorKind::WouldBlock.into()),
            Phase::Finished | Phase::Dead => return Err(os(libc::EPIPE)),
            Phase::Open if connection.is_finishing() => return Err(os(libc::EPIPE)),
            Phase::Open => {}
        }
        if connection.is_full() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = connection.write(bufs.iter().map(|buf| &**buf), now);
        self.flush_connection(id);
        Ok(written)
    }

    pub(super) fn recv_tcp(
        &mut self,
        id: SocketId,
        bufs: &mut [&mut [u8]],
        peek: bool,
    ) -> io::Result<usize> {
        let tcp = self.tcp_mut(id).ok_or_else(|| os(libc::EOPNOTSUPP))?;
        let Some(connection) = tcp.connection_mut() else {
            return Err(os(libc::ENOTCONN));
        };
        if connection.readable() > 0 {
            let n = connection.read(bufs, peek);
            self.flush_connection(id);
            return Ok(n);
        }
        let is_at_end = connection.is_peer_finished() || connection.is_read_shut;
        let phase = connection.phase;
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        match phase {
            Phase::Dead | Phase::Finished => Ok(0),
            _ if is_at_end => Ok(0),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(super) fn shutdown_tcp(&mut self, id: SocketId, read: bool, write: bool) -> io::Result<()> {
        let now = self.now;
        let tcp = self.tcp_mut(id).ok_or_else(|| os(libc::EOPNOTSUPP))?;
        let Some(connection) = tcp.connection_mut() else {
            return Err(os(libc::ENOTCONN));
        };
        if !matches!(connection.phase, Phase::Open | Phase::Finished) {
            return Err(os(libc::ENOTCONN));
        }
        if read {
            connection.shut_read();
        }
        if write {
            connection.finish(now);
        }
        self.touch(id);
        self.flush_connection(id);
        Ok(())
    }
}
