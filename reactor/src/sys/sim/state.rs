//! The state of a simulated kernel: hosts, links, sockets, and the queue of what is to come.
//!
//! The other files of this folder extend [`State`] by one protocol each. Nothing here reads a
//! clock, and nothing depends on the order of a hash map, so the same calls give the same history.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::address::UnixName;
use super::link::{Gate, Link, LinkState};
use super::packet::{Contents, HEADERS, InFlight};
use super::placeholder::{Placeholders, SocketId};
use super::record::{Crash, Event, HostId, Packet, Reason, Record};
use super::socket::{Body, Socket};
use crate::rng::Rng;
use crate::token::Token;

/// The time for which the addresses of a finished connection are kept (`TCP_TIMEWAIT_LEN`).
pub(super) const TIME_WAIT: Duration = Duration::from_secs(60);

/// The ports that the kernel chooses from (`net.ipv4.ip_local_port_range`).
const FIRST_PORT: u16 = 32_768;
const LAST_PORT: u16 = 60_999;

/// A transport protocol, which has ports of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// A key of the queue of events: the time, and a number that keeps the order of those at one time.
pub(super) type DueKey = (Duration, u64);

/// Something that happens at its time.
#[derive(Debug)]
pub(super) enum Due {
    /// Boxed, because the queue moves its entries.
    Delivery(Box<InFlight>),
    /// The timers of a connection.
    Timer(SocketId),
    /// The same of a closed one, which waits for nothing but the end of its peer.
    OrphanTimer(SocketId),
    /// The addresses of a finished connection are free again.
    TimeWaitEnd(HostId, (SocketAddr, SocketAddr)),
}

/// An owner of the addresses of a connection.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    Socket(SocketId),
    /// A finished connection; the segment answers stray ones.
    TimeWait(super::packet::Segment),
}

/// A host.
#[derive(Debug)]
pub(super) struct HostState {
    pub(super) name: String,
    pub(super) addrs: Vec<IpAddr>,
    pub(super) down: Option<Crash>,
    /// The sockets that are bound to a port, also those that connecting has bound.
    pub(super) bound: BTreeMap<(Protocol, u16), Vec<SocketId>>,
    /// TCP connections by local and remote address.
    pub(super) connections: BTreeMap<(SocketAddr, SocketAddr), Owner>,
    /// The number of connections of each local port.
    connection_ports: BTreeMap<u16, usize>,
    pub(super) names: BTreeMap<UnixName, SocketId>,
    next_port: u16,
    next_name: u32,
    /// The registered sockets that changed, in this order.
    pub(super) changed: VecDeque<SocketId>,
    /// The sockets of registrations, by their tokens.
    pub(super) registered: BTreeMap<u64, SocketId>,
}

impl HostState {
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addrs.contains(&ip)
    }

    pub(super) fn insert_connection(&mut self, key: (SocketAddr, SocketAddr), owner: Owner) {
        if self.connections.insert(key, owner).is_none() {
            *self.connection_ports.entry(key.0.port()).or_insert(0) += 1;
        }
    }

    pub(super) fn remove_connection(&mut self, key: (SocketAddr, SocketAddr)) {
        if self.connections.remove(&key).is_some() {
            if let Some(count) = self.connection_ports.get_mut(&key.0.port()) {
                *count -= 1;
                if *count == 0 {
                    self.connection_ports.remove(&key.0.port());
                }
            }
        }
    }

    pub(super) fn clear_connections(&mut self) {
        self.connections.clear();
        self.connection_ports.clear();
    }

    /// Returns true if a connection has the local port.
    pub(super) fn has_connections(&self, port: u16) -> bool {
        self.connection_ports.contains_key(&port)
    }

    /// Returns a port that no socket has, or one for which `is_usable` holds if there is none.
    pub(super) fn free_port(
        &mut self,
        protocol: Protocol,
        is_usable: impl Fn(&HostState, u16) -> bool,
    ) -> io::Result<u16> {
        for strict in [true, false] {
            for _ in FIRST_PORT..=LAST_PORT {
                let port = self.next_port;
                self.next_port = if port == LAST_PORT {
                    FIRST_PORT
                } else {
                    port + 1
                };
                let is_bound = self.bound.contains_key(&(protocol, port));
                let is_connected = protocol == Protocol::Tcp && self.has_connections(port);
                if !is_bound && (!is_connected || (!strict && is_usable(self, port))) {
                    return Ok(port);
                }
            }
        }
        Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))
    }

    /// Returns a name that the kernel chooses for a Unix socket.
    pub(super) fn free_name(&mut self) -> UnixName {
        self.next_name += 1;
        UnixName::Abstract(format!("{:05x}", self.next_name).into_bytes())
    }
}

/// The state of a simulated kernel.
pub(super) struct State {
    pub(super) now: Duration,
    pub(super) rng: Rng,
    sequence: u64,
    next_socket: SocketId,
    next_packet: u64,
    queue: BTreeMap<DueKey, Due>,
    /// Events that no program can see.
    background: BTreeMap<DueKey, Due>,
    pub(super) hosts: Vec<HostState>,
    hosts_by_addr: BTreeMap<IpAddr, HostId>,
    pub(super) links: BTreeMap<(HostId, HostId), LinkState>,
    pub(super) default_link: Link,
    /// True if a path that names a Unix socket is a file, as in the real kernel. In a world each
    /// host has names of its own, and leaves no files.
    pub(super) names_are_files: bool,
    pub(super) sockets: BTreeMap<SocketId, Socket>,
    pub(super) placeholders: Placeholders,
    pub(super) is_observed: bool,
    pub(super) records: Vec<Record>,
}

/// Returns an error of the system.
pub(super) fn os(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl State {
    pub(super) fn new(seed: u64) -> State {
        State {
            now: Duration::ZERO,
            rng: Rng::new(seed),
            sequence: 0,
            next_socket: 0,
            next_packet: 0,
            queue: BTreeMap::new(),
            background: BTreeMap::new(),
            hosts: Vec::new(),
            hosts_by_addr: BTreeMap::new(),
            links: BTreeMap::new(),
            default_link: Link::default(),
            names_are_files: false,
            sockets: BTreeMap::new(),
            placeholders: Placeholders::new(),
            is_observed: false,
            records: Vec::new(),
        }
    }

    pub(super) fn record(&mut self, host: HostId, event: Event) {
        if self.is_observed {
            let at = self.now;
            self.records.push(Record { at, host, event });
        }
    }

    pub(super) fn add_host(&mut self, name: &str, addrs: Vec<IpAddr>) -> io::Result<HostId> {
        let taken = |kind, what: String| {
            let text = format!("add the host {name:?}: another host has {what}");
            Err(io::Error::new(kind, text))
        };
        for host in &self.hosts {
            if host.name == name {
                return taken(io::ErrorKind::AlreadyExists, "this name".to_owned());
            }
            if let Some(addr) = addrs.iter().find(|addr| host.addrs.contains(addr)) {
                return taken(io::ErrorKind::AddrInUse, format!("the address {addr}"));
            }
        }
        let id = HostId(self.hosts.len() as u32);
        self.hosts_by_addr
            .extend(addrs.iter().map(|addr| (*addr, id)));
        self.hosts.push(HostState {
            name: name.to_owned(),
            addrs,
            down: None,
            bound: BTreeMap::new(),
            connections: BTreeMap::new(),
            connection_ports: BTreeMap::new(),
            names: BTreeMap::new(),
            next_port: FIRST_PORT,
            next_name: 0,
            changed: VecDeque::new(),
            registered: BTreeMap::new(),
        });
        Ok(id)
    }

    pub(super) fn host(&self, id: HostId) -> &HostState {
        &self.hosts[id.index()]
    }

    pub(super) fn host_mut(&mut self, id: HostId) -> &mut HostState {
        &mut self.hosts[id.index()]
    }

    /// Returns the host that receives what `from` sends to an address.
    ///
    /// # Errors
    /// Returns `ENETUNREACH` if no host has the address.
    pub(super) fn route(&self, from: HostId, to: IpAddr) -> io::Result<HostId> {
        if self.host(from).has(to) || to.is_unspecified() {
            return Ok(from);
        }
        let found = self.hosts_by_addr.get(&to);
        found.copied().ok_or_else(|| os(libc::ENETUNREACH))
    }

    pub(super) fn link(&mut self, from: HostId, to: HostId) -> &mut LinkState {
        let default = &self.default_link;
        let new = || LinkState::new(default.clone());
        self.links.entry((from, to)).or_insert_with(new)
    }

    /// Puts something into the queue, and returns its key.
    pub(super) fn schedule(&mut self, at: Duration, due: Due) -> DueKey {
        self.sequence += 1;
        let key = (at.max(self.now), self.sequence);
        let queue = match due {
            Due::TimeWaitEnd(..) | Due::OrphanTimer(_) => &mut self.background,
            _ => &mut self.queue,
        };
        queue.insert(key, due);
        key
    }

    pub(super) fn cancel(&mut self, key: DueKey) {
        if self.queue.remove(&key).is_none() {
            self.background.remove(&key);
        }
    }

    pub(super) fn next_visible_event(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|(key, _)| key.0)
    }

    pub(super) fn next_event(&self) -> Option<Duration> {
        let background = self.background.first_key_value().map(|(key, _)| key.0);
        self.next_visible_event()
            .into_iter()
            .chain(background)
            .min()
    }

    /// Takes the next event out of the queue, if it is due by `limit`.
    pub(super) fn take_due(&mut self, limit: Duration) -> Option<(Duration, Due)> {
        let next = |queue: &BTreeMap<DueKey, Due>| queue.first_key_value().map(|(key, _)| *key);
        let (visible, background) = (next(&self.queue), next(&self.background));
        let key = visible.into_iter().chain(background).min()?;
        if key.0 > limit {
            return None;
        }
        let queue = if visible == Some(key) {
            &mut self.queue
        } else {
            &mut self.background
        };
        queue.pop_first().map(|(key, due)| (key.0, due))
    }

    /// Sends a packet, which arrives at once within a host.
    pub(super) fn send(
        &mut self,
        from: HostId,
        to: HostId,
        (source, target): (SocketAddr, SocketAddr),
        contents: Contents,
    ) {
        self.next_packet += 1;
        let packet = Packet {
            id: self.next_packet,
            kind: contents.kind(),
            from: source,
            to: target,
            len: contents.len(),
        };
        self.record(from, Event::Sent(packet));
        let packet = InFlight {
            packet,
            from,
            to,
            contents,
        };
        if from == to {
            self.schedule(self.now, Due::Delivery(Box::new(packet)));
        } else {
            self.send_over_link(packet);
        }
    }

    /// Sends a packet over the link between two hosts.
    pub(super) fn send_over_link(&mut self, in_flight: InFlight) {
        let InFlight {
            packet, from, to, ..
        } = in_flight;
        let now = self.now;
        self.link(from, to);
        let Some(link) = self.links.get_mut(&(from, to)) else {
            return;
        };
        let size = packet.len + HEADERS;
        let is_datagram = matches!(in_flight.contents, Contents::Datagram { .. });
        // Each fragment can be lost.
        let fragments = size.div_ceil(link.link.mtu.max(1));
        let loss = link.link.loss;
        let is_lost = (0..fragments).any(|_| self.rng.chance(loss));
        let reason = match link.gate {
            Gate::Held => return link.held.push_back(in_flight),
            Gate::Cut => Some(Reason::Partition),
            Gate::Open if is_lost => Some(Reason::Loss),
            Gate::Open if is_datagram && link.is_congested(now) => Some(Reason::QueueFull),
            Gate::Open => None,
        };
        if let Some(reason) = reason {
            return self.record(from, Event::Dropped(packet, reason));
        }
        let flow = (packet.from, packet.to);
        let arrives = link.arrival(flow, size, now, &mut self.rng);
        let again = is_datagram && self.rng.chance(link.link.duplication);
        let again = again.then(|| link.arrival(flow, size, now, &mut self.rng));
        if let Some(at) = again {
            self.schedule(at, Due::Delivery(Box::new(in_flight.clone())));
        }
        self.schedule(arrives, Due::Delivery(Box::new(in_flight)));
    }

    /// Adds a socket.
    pub(super) fn add_socket(&mut self, host: HostId, body: Body) -> SocketId {
        self.next_socket += 1;
        self.sockets
            .insert(self.next_socket, Socket::new(host, body));
        self.next_socket
    }

    /// Adds a socket that the program holds by the descriptor that is returned.
    pub(super) fn open_socket(
        &mut self,
        host: HostId,
        body: Body,
    ) -> io::Result<(SocketId, OwnedFd)> {
        let id = self.add_socket(host, body);
        match self.hold(id) {
            Ok(fd) => Ok((id, fd)),
            Err(e) => {
                self.sockets.remove(&id);
                Err(e)
            }
        }
    }

    /// Gives the program a descriptor of a socket.
    pub(super) fn hold(&mut self, id: SocketId) -> io::Result<OwnedFd> {
        let fd = self.placeholders.create(id)?;
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.is_held = true;
        }
        Ok(fd)
    }

    /// Notes that a socket may have become ready.
    pub(super) fn touch(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            if !socket.is_changed && !socket.registrations.is_empty() {
                socket.is_changed = true;
                self.hosts[socket.host.index()].changed.push_back(id);
            }
        }
    }

    /// Removes a socket with all that refers to it.
    pub(super) fn remove_socket(&mut self, id: SocketId) -> Option<Socket> {
        self.placeholders.remove(id);
        let socket = self.sockets.remove(&id)?;
        let host = &mut self.hosts[socket.host.index()];
        for (_, token) in &socket.registrations {
            host.registered.remove(&token.to_bits());
        }
        if socket.is_changed {
            host.changed.retain(|changed| *changed != id);
        }
        let protocol = match socket.body {
            Body::Udp(_) => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        if let Some(local) = socket.local_inet() {
            self.unbind(socket.host, protocol, local.port(), id);
        }
        Some(socket)
    }

    /// Forgets that a socket is bound to a port.
    pub(super) fn unbind(&mut self, host: HostId, protocol: Protocol, port: u16, id: SocketId) {
        let bound = &mut self.host_mut(host).bound;
        if let Some(sockets) = bound.get_mut(&(protocol, port)) {
            sockets.retain(|socket| *socket != id);
            if sockets.is_empty() {
                bound.remove(&(protocol, port));
            }
        }
    }

    /// Registers a descriptor of a socket with the selector of its host.
    pub(super) fn register(&mut self, id: SocketId, fd: i32, token: Token) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.registrations.retain(|(_, known)| *known != token);
        socket.registrations.push((fd, token));
        let host = &mut self.hosts[socket.host.index()];
        host.registered.insert(token.to_bits(), id);
        self.touch(id);
    }

    /// Forgets a registration.
    pub(super) fn deregister(&mut self, host: HostId, token: Token) {
        let host = &mut self.hosts[host.index()];
        let Some(id) = host.registered.remove(&token.to_bits()) else {
            return;
        };
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.registrations.retain(|(_, known)| *known != token);
            if socket.registrations.is_empty() && socket.is_changed {
                socket.is_changed = false;
                host.changed.retain(|changed| *changed != id);
            }
        }
    }
}
