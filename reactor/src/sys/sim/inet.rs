//! Addresses and ports of TCP and UDP sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::{canonical, covers, reported, unspecified};
use super::placeholder::SocketId;
use super::record::HostId;
use super::socket::{Body, Socket, SocketOption, TcpState};
use super::state::{Owner, Protocol, State, os};

impl State {
    /// Returns protocol and family of an Internet socket.
    fn inet_kind(&self, id: SocketId) -> io::Result<(Protocol, bool)> {
        match self.sockets.get(&id).map(|socket| &socket.body) {
            Some(Body::Tcp(socket)) => Ok((Protocol::Tcp, socket.is_v6)),
            Some(Body::Udp(socket)) => Ok((Protocol::Udp, socket.is_v6)),
            _ => Err(os(libc::EAFNOSUPPORT)),
        }
    }

    /// Checks that a socket can reach addresses of the family of `addr`, and returns `addr` in its
    /// plain form. The errors are those of Linux.
    pub(super) fn checked_address(&self, id: SocketId, addr: SocketAddr) -> io::Result<SocketAddr> {
        let (protocol, is_v6) = self.inet_kind(id)?;
        let plain = canonical(addr);
        match (is_v6, addr.is_ipv6()) {
            (false, true) => Err(os(libc::EAFNOSUPPORT)),
            // It is shorter than one of IPv6. UDP takes it for the mapped one.
            (true, false) if protocol == Protocol::Tcp => Err(os(libc::EINVAL)),
            (true, _) if plain.is_ipv4() && self.sockets[&id].is_set(SocketOption::OnlyV6) => {
                Err(os(libc::ENETUNREACH))
            }
            _ => Ok(plain),
        }
    }

    /// Binds a socket to an address, and to a port that is chosen if it is 0.
    pub(super) fn bind_inet(&mut self, id: SocketId, addr: SocketAddr) -> io::Result<()> {
        let (protocol, is_v6) = self.inet_kind(id)?;
        let socket = &self.sockets[&id];
        let is_mapped = canonical(addr).is_ipv4();
        if is_v6 && (addr.is_ipv4() || is_mapped && socket.is_set(SocketOption::OnlyV6)) {
            return Err(os(libc::EINVAL));
        }
        let mut addr = self.checked_address(id, addr)?;
        if socket.local_inet().is_some() {
            return Err(os(libc::EINVAL));
        }
        let host = socket.host;
        if !addr.ip().is_unspecified() && !self.host(host).has(addr.ip()) {
            return Err(os(libc::EADDRNOTAVAIL));
        }
        if addr.port() == 0 {
            let port = self.host_mut(host).free_port(protocol, |_, _| false)?;
            addr.set_port(port);
        } else if self.is_in_use(protocol, addr, id) {
            return Err(os(libc::EADDRINUSE));
        }
        self.set_local(id, protocol, addr);
        Ok(())
    }

    fn set_local(&mut self, id: SocketId, protocol: Protocol, addr: SocketAddr) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        match &mut socket.body {
            Body::Tcp(socket) => socket.local = Some(addr),
            Body::Udp(socket) => socket.local = Some(addr),
            _ => {}
        }
        let host = socket.host;
        let bound = &mut self.host_mut(host).bound;
        bound.entry((protocol, addr.port())).or_default().push(id);
    }

    /// Returns true if another socket keeps `id` from being bound to an address.
    fn is_in_use(&self, protocol: Protocol, addr: SocketAddr, id: SocketId) -> bool {
        let socket = &self.sockets[&id];
        let host = self.host(socket.host);
        let only_v6 = socket.is_set(SocketOption::OnlyV6);
        let overlaps = |other: IpAddr, other_only_v6: bool| {
            covers(addr.ip(), only_v6, other) || covers(other, other_only_v6, addr.ip())
        };
        let bound = host.bound.get(&(protocol, addr.port()));
        let others = bound
            .into_iter()
            .flatten()
            .filter_map(|other| self.sockets.get(other));
        for other in others {
            let Some(local) = other.local_inet() else {
                continue;
            };
            let shares = |option| socket.is_set(option) && other.is_set(option);
            let may_share = shares(SocketOption::ReusePort)
                || (shares(SocketOption::ReuseAddress) && !is_listening(other));
            if overlaps(local.ip(), other.is_set(SocketOption::OnlyV6)) && !may_share {
                return true;
            }
        }
        let reuses =
            socket.is_set(SocketOption::ReuseAddress) || socket.is_set(SocketOption::ReusePort);
        if protocol == Protocol::Udp || reuses || !host.has_connections(addr.port()) {
            return false;
        }
        let mut connections = host.connections.keys();
        connections.any(|(local, _)| local.port() == addr.port() && overlaps(local.ip(), true))
    }

    /// Binds a socket that connects to `peer` or sends to it, unless it is bound. Returns the local
    /// address, which is the one that the peer sees.
    pub(super) fn bind_for_peer(
        &mut self,
        id: SocketId,
        peer: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let (protocol, is_v6) = self.inet_kind(id)?;
        let socket = &self.sockets[&id];
        let (host, local) = (socket.host, socket.local_inet());
        let source = self.source_ip(host, peer.ip())?;
        match local {
            Some(local) if local.ip().is_unspecified() => Ok(SocketAddr::new(source, local.port())),
            Some(local) if local.is_ipv4() == peer.is_ipv4() => Ok(local),
            Some(local) if local.is_ipv4() => Err(os(libc::EAFNOSUPPORT)),
            Some(_) => Err(os(libc::ENETUNREACH)),
            None => {
                let port = self.host_mut(host).free_port(protocol, |host, port| {
                    let local = SocketAddr::new(source, port);
                    !matches!(host.connections.get(&(local, peer)), Some(Owner::Socket(_)))
                })?;
                let ip = match protocol {
                    Protocol::Tcp => source,
                    Protocol::Udp => unspecified(is_v6),
                };
                self.set_local(id, protocol, SocketAddr::new(ip, port));
                Ok(SocketAddr::new(source, port))
            }
        }
    }

    /// Returns the address from which a host sends to `peer`.
    fn source_ip(&self, host: HostId, peer: IpAddr) -> io::Result<IpAddr> {
        let own = &self.host(host).addrs;
        if own.contains(&peer) {
            return Ok(peer);
        }
        if peer.is_loopback() || peer.is_unspecified() {
            return Ok(match peer {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let same_family = own.iter().find(|ip| ip.is_ipv4() == peer.is_ipv4());
        same_family.copied().ok_or_else(|| os(libc::ENETUNREACH))
    }

    /// Returns the local address of a socket as getsockname(2) does.
    pub(super) fn local_inet(&self, id: SocketId) -> io::Result<SocketAddr> {
        let (_, is_v6) = self.inet_kind(id)?;
        let local = self.sockets[&id].local_inet();
        let local = local.unwrap_or(SocketAddr::new(unspecified(is_v6), 0));
        let local = match local.ip() {
            ip if ip.is_unspecified() => SocketAddr::new(unspecified(is_v6), local.port()),
            _ => local,
        };
        Ok(reported(local, is_v6))
    }

    /// Returns the peer's address as getpeername(2) does.
    pub(super) fn peer_inet(&self, id: SocketId) -> io::Result<SocketAddr> {
        let (_, is_v6) = self.inet_kind(id)?;
        let peer = match &self.sockets[&id].body {
            Body::Tcp(socket) if socket.is_connected() => socket.peer,
            Body::Udp(socket) => socket.peer,
            _ => None,
        };
        let peer = peer.ok_or_else(|| os(libc::ENOTCONN))?;
        Ok(reported(peer, is_v6))
    }

    /// Returns the sockets of a host that receive what is sent to a port at `ip`, those that are
    /// bound to this very address first.
    pub(super) fn receivers(
        &self,
        host: HostId,
        protocol: Protocol,
        to: SocketAddr,
    ) -> Vec<SocketId> {
        let bound = self.host(host).bound.get(&(protocol, to.port()));
        let mut found: Vec<(bool, SocketId)> = Vec::new();
        for id in bound.into_iter().flatten() {
            let Some(socket) = self.sockets.get(id) else {
                continue;
            };
            let Some(local) = socket.local_inet() else {
                continue;
            };
            if covers(local.ip(), socket.is_set(SocketOption::OnlyV6), to.ip()) {
                found.push((local.ip() != to.ip(), *id));
            }
        }
        found.sort();
        found.into_iter().map(|(_, id)| id).collect()
    }
}

fn is_listening(socket: &Socket) -> bool {
    match &socket.body {
        Body::Tcp(socket) => matches!(socket.state, TcpState::Listening(_)),
        _ => false,
    }
}
