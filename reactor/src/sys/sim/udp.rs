//! UDP sockets.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::address::{reported, specific};
use super::packet::Contents;
use super::placeholder::SocketId;
use super::record::{Event, HostId, Packet, Reason};
use super::socket::{Body, Datagram, Socket, SocketOption, UdpSocket};
use super::state::{Protocol, State, os};

/// The longest datagram over IPv4: 65,535 bytes with the headers of IP and UDP.
const MAX_LEN_V4: usize = 65_507;
/// The longest datagram over IPv6, whose length does not count the header of IP.
const MAX_LEN_V6: usize = 65_527;
/// The headers of IPv4 and UDP.
const HEADERS_V4: usize = 28;
/// The headers of IPv6 and UDP.
const HEADERS_V6: usize = 48;
/// The bytes that a queued datagram takes beside its data.
const OVERHEAD: usize = 256;

/// A datagram that was received, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedDatagram {
    /// The number of bytes that were copied.
    pub len: usize,
    /// The length of the datagram.
    pub full_len: usize,
    /// The sender.
    pub from: SocketAddr,
    /// The address that the datagram was sent to.
    pub to: SocketAddr,
    /// The type of service.
    pub tos: u8,
}

impl UdpSocket {
    pub(super) fn new(is_v6: bool) -> UdpSocket {
        UdpSocket {
            is_v6,
            local: None,
            peer: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            is_read_shut: false,
            is_write_shut: false,
        }
    }
}

impl Socket {
    pub(super) fn udp(&self) -> io::Result<&UdpSocket> {
        match &self.body {
            Body::Udp(socket) => Ok(socket),
            _ => Err(os(libc::EOPNOTSUPP)),
        }
    }
}

impl State {
    fn udp_mut(&mut self, id: SocketId) -> io::Result<&mut UdpSocket> {
        match self.sockets.get_mut(&id).map(|socket| &mut socket.body) {
            Some(Body::Udp(socket)) => Ok(socket),
            _ => Err(os(libc::EOPNOTSUPP)),
        }
    }

    pub(super) fn connect_udp(&mut self, id: SocketId, peer: SocketAddr) -> io::Result<()> {
        if peer.is_ipv4() && self.sockets[&id].is_set(SocketOption::OnlyV6) {
            return Err(os(libc::EAFNOSUPPORT));
        }
        let peer = specific(self.checked_address(id, peer)?);
        let host = self.sockets[&id].host;
        self.route(host, peer.ip())?;
        let local = self.bind_for_peer(id, peer)?;
        let socket = self.udp_mut(id)?;
        socket.local = Some(local);
        socket.peer = Some(peer);
        Ok(())
    }

    /// Sends a datagram to an address, or to the one that the socket is connected to.
    pub(super) fn send_udp(
        &mut self,
        id: SocketId,
        data: Vec<u8>,
        to: Option<SocketAddr>,
        tos: Option<u8>,
        source: Option<IpAddr>,
    ) -> io::Result<usize> {
        let socket = &self.sockets[&id];
        let (host, udp) = (socket.host, socket.udp()?);
        let connected = udp.peer;
        if udp.is_write_shut {
            return Err(os(libc::EPIPE));
        }
        let to = match to {
            Some(to) => specific(self.checked_address(id, to)?),
            None => connected.ok_or_else(|| os(libc::EDESTADDRREQ))?,
        };
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        let socket = &self.sockets[&id];
        if is_broadcast(to.ip()) && !socket.is_set(SocketOption::Broadcast) {
            return Err(os(libc::EACCES));
        }
        let (max, headers) = if to.is_ipv4() {
            (MAX_LEN_V4, HEADERS_V4)
        } else {
            (MAX_LEN_V6, HEADERS_V6)
        };
        let tos = tos.unwrap_or(socket.option(SocketOption::Tos) as u8);
        let is_unfragmented = socket.is_set(SocketOption::DontFragment);
        if data.len() > max {
            return Err(os(libc::EMSGSIZE));
        }
        let target = self.route(host, to.ip())?;
        if is_unfragmented
            && target != host
            && data.len() + headers > self.link(host, target).link.mtu
        {
            return Err(os(libc::EMSGSIZE));
        }
        let mut from = self.bind_for_peer(id, to)?;
        if let Some(source) = source.map(|source| source.to_canonical()) {
            if !self.host(host).has(source) {
                return Err(os(libc::EINVAL));
            }
            from.set_ip(source);
        }
        let len = data.len();
        self.send(host, target, (from, to), Contents::Datagram { data, tos });
        Ok(len)
    }

    /// Delivers a datagram to the socket that it is for, or reports that there is none.
    pub(super) fn deliver_datagram(
        &mut self,
        host: HostId,
        from: HostId,
        packet: Packet,
        data: Vec<u8>,
        tos: u8,
    ) {
        let receivers = self.receivers(host, Protocol::Udp, packet.to);
        let peer_of = |id: &SocketId| self.sockets[id].udp().map_or(None, |udp| udp.peer);
        let connected = receivers.iter().find(|id| peer_of(id) == Some(packet.from));
        let any = || receivers.iter().find(|id| peer_of(id).is_none());
        let Some(id) = connected.or_else(any).copied() else {
            self.record(from, Event::Dropped(packet, Reason::NoSocket));
            let unreachable = Contents::Unreachable {
                from: packet.from,
                to: packet.to,
            };
            if self.host(from).has(packet.from.ip()) {
                self.send(host, from, (packet.to, packet.from), unreachable);
            }
            return;
        };
        let capacity = self.sockets[&id].size(SocketOption::ReceiveBuffer);
        let Ok(socket) = self.udp_mut(id) else {
            return;
        };
        if socket.is_read_shut {
            return;
        }
        if socket.queued_bytes + data.len() + OVERHEAD > capacity && !socket.queue.is_empty() {
            return self.record(from, Event::Dropped(packet, Reason::QueueFull));
        }
        socket.queued_bytes += data.len() + OVERHEAD;
        socket.queue.push_back(Datagram {
            from: packet.from,
            to: packet.to,
            tos,
            data,
        });
        self.touch(id);
    }

    /// Delivers the message that a datagram reached no socket to its sender, if that is connected:
    /// others are not notified.
    pub(super) fn deliver_unreachable(&mut self, host: HostId, from: SocketAddr, to: SocketAddr) {
        let receivers = self.receivers(host, Protocol::Udp, from);
        for id in receivers {
            if self.sockets[&id]
                .udp()
                .is_ok_and(|udp| udp.peer == Some(to))
            {
                if let Some(socket) = self.sockets.get_mut(&id) {
                    socket.error = libc::ECONNREFUSED;
                }
                self.touch(id);
            }
        }
    }

    /// Receives a datagram into `bufs`, and removes it unless `peek`.
    pub(super) fn recv_udp(
        &mut self,
        id: SocketId,
        bufs: &mut [&mut [u8]],
        peek: bool,
    ) -> io::Result<ReceivedDatagram> {
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        let socket = self.udp_mut(id)?;
        let Some(datagram) = socket.queue.front() else {
            if socket.is_read_shut {
                let nowhere = SocketAddr::new(super::address::unspecified(socket.is_v6), 0);
                return Ok(ReceivedDatagram {
                    len: 0,
                    full_len: 0,
                    from: nowhere,
                    to: nowhere,
                    tos: 0,
                });
            }
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let received = ReceivedDatagram {
            len: copy_to(&datagram.data, bufs),
            full_len: datagram.data.len(),
            from: reported(datagram.from, socket.is_v6),
            to: reported(datagram.to, socket.is_v6),
            tos: datagram.tos,
        };
        if !peek {
            socket.queue.pop_front();
            socket.queued_bytes -= received.full_len + OVERHEAD;
        }
        Ok(received)
    }

    pub(super) fn shutdown_udp(&mut self, id: SocketId, read: bool, write: bool) -> io::Result<()> {
        let socket = self.udp_mut(id)?;
        if socket.peer.is_none() {
            return Err(os(libc::ENOTCONN));
        }
        socket.is_read_shut |= read;
        socket.is_write_shut |= write;
        self.touch(id);
        Ok(())
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(_) => false,
    }
}

/// Copies the start of `data` to buffers, and returns the number of bytes.
pub(super) fn copy_to(data: &[u8], bufs: &mut [&mut [u8]]) -> usize {
    let mut rest = data;
    for buf in bufs {
        let n = buf.len().min(rest.len());
        buf[..n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
    }
    data.len() - rest.len()
}
