//! The kernel of a simulation: time, hosts, links and faults.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;
use std::{fmt, io};

use super::link::{Gate, Link, LinkState};
use super::packet::{Contents, Segment};
use super::placeholder::SocketId;
use super::record::{Crash, Event, HostId, Reason, Record};
use super::socket::{Body, TcpState};
use super::state::{Due, Owner, State};

/// The simulated kernel of several hosts, and the network between them, in virtual time.
///
/// A clone is the same kernel.
#[derive(Clone)]
pub struct Kernel(Rc<Shared>);

/// A callback that receives each [`Record`].
pub type Observer = Box<dyn FnMut(&Record)>;

struct Shared {
    state: RefCell<State>,
    observer: RefCell<Option<Observer>>,
    /// True if the program may have closed a descriptor since the kernel last looked for that.
    has_run: Cell<bool>,
    /// Set in real time, for a runtime that has a kernel of its own.
    is_real_time: bool,
}

impl Kernel {
    /// Creates a kernel whose time begins at zero and moves by [`advance_to`](Kernel::advance_to)
    /// alone. What is random depends on `seed`.
    pub fn new(seed: u64) -> Kernel {
        Kernel::with_time(seed, false)
    }

    /// Creates a kernel in virtual or in real time.
    pub(super) fn with_time(seed: u64, is_real_time: bool) -> Kernel {
        let mut state = State::new(seed);
        state.names_are_files = is_real_time;
        Kernel(Rc::new(Shared {
            state: RefCell::new(state),
            observer: RefCell::new(None),
            has_run: Cell::new(false),
            is_real_time,
        }))
    }

    /// Returns true if waiting takes real time.
    pub(super) fn is_real_time(&self) -> bool {
        self.0.is_real_time
    }

    /// Notes that the program runs now, and may close descriptors.
    pub(super) fn note_run(&self) {
        self.0.has_run.set(true);
    }

    /// Closes what the program has closed, calls `f` with the state, delivers what arrives at once,
    /// and passes the records to the observer once nothing is borrowed.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        self.with_state(|state| {
            state.close_abandoned();
            f(state)
        })
    }

    /// Does the same for a question of a world, which asks many between two turns of a program: it
    /// looks for closed descriptors only if a program has run since the last question.
    pub(super) fn ask<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        if self.0.has_run.replace(false) || self.0.is_real_time {
            return self.with(f);
        }
        f(&mut self.0.state.borrow_mut())
    }

    /// Does the same as [`with`](Kernel::with), but looks for closed descriptors only if `f` does.
    pub(super) fn with_state<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.0.state.borrow_mut();
        let result = f(&mut state);
        let now = state.now;
        state.run_until(now);
        if state.records.is_empty() {
            return result;
        }
        let mut records = std::mem::take(&mut state.records);
        drop(state);
        self.observe(&records);
        records.clear();
        // Its memory serves the next records, unless the observer has called the kernel.
        let place = &mut self.0.state.borrow_mut().records;
        if place.is_empty() {
            *place = records;
        }
        result
    }

    /// Forgets what a number refers to.
    pub(super) fn forget_number(&self, fd: BorrowedFd<'_>) {
        self.0.state.borrow_mut().placeholders.forget_number(fd);
    }

    fn observe(&self, records: &[Record]) {
        // An observer that calls the kernel misses the records of its own calls.
        let taken = self.0.observer.borrow_mut().take();
        let Some(mut observer) = taken else {
            return;
        };
        records.iter().for_each(&mut observer);
        let mut place = self.0.observer.borrow_mut();
        if place.is_none() && self.0.state.borrow().is_observed {
            *place = Some(observer);
        }
    }

    /// Returns the virtual time since the start.
    pub fn now(&self) -> Duration {
        self.0.state.borrow().now
    }

    /// Returns the time at which the kernel next has something to do, also where no program can see
    /// it.
    pub fn next_event(&self) -> Option<Duration> {
        self.with(|state| state.next_event())
    }

    /// Returns the time at which a packet arrives or a timer of a connection is due. Returns `None`
    /// if the network is at rest.
    pub fn next_visible_event(&self) -> Option<Duration> {
        self.with(|state| state.next_visible_event())
    }

    /// Moves the time forward to `to`, and does in order what is due by then. Does nothing if that
    /// time has passed.
    pub fn advance_to(&self, to: Duration) {
        self.with(|state| {
            state.run_until(to);
            state.now = state.now.max(to);
        });
    }

    /// Sets the link between two hosts for which none is set.
    pub fn set_default_link(&self, link: Link) {
        self.with(|state| state.default_link = link);
    }

    /// Sets the link from one host to another. Packets that are under way keep their times.
    pub fn set_link(&self, from: HostId, to: HostId, link: Link) {
        self.with(|state| state.link(from, to).link = link);
    }

    /// Drops all packets from one host to another from now on, those under way included.
    pub fn partition(&self, from: HostId, to: HostId) {
        self.with(|state| {
            state.set_gate(from, to, Gate::Cut);
            state.record(from, Event::Partitioned { to });
        });
    }

    /// Keeps all packets from one host to another from now on, until the link is
    /// [healed](Kernel::heal).
    pub fn hold(&self, from: HostId, to: HostId) {
        self.with(|state| {
            state.set_gate(from, to, Gate::Held);
            state.record(from, Event::Held { to });
        });
    }

    /// Lets packets from one host to another pass again. Those that were held leave now.
    pub fn heal(&self, from: HostId, to: HostId) {
        self.with(|state| {
            state.set_gate(from, to, Gate::Open);
            state.record(from, Event::Healed { to });
        });
    }

    /// Takes a host down: its sockets are gone at once, and its descriptors refer to nothing.
    pub fn crash(&self, host: HostId, how: Crash) {
        self.with(|state| state.crash(host, how));
    }

    /// Brings a host up again, without sockets. Does nothing if it is up.
    pub fn restart(&self, host: HostId) {
        self.with(|state| {
            if state.host_mut(host).down.take().is_some() {
                state.record(host, Event::Restarted);
            }
        });
    }

    /// Returns true if a host is up.
    pub fn is_up(&self, host: HostId) -> bool {
        self.with(|state| state.host(host).down.is_none())
    }

    /// Returns the addresses of the host with a name, or none if there is no such host.
    pub fn resolve(&self, name: &str) -> Vec<IpAddr> {
        let found = self.with(|state| {
            let named = state.hosts.iter().find(|host| host.name == name);
            named.map(|host| host.addrs.clone())
        });
        found.unwrap_or_default()
    }

    /// Sets or removes the callback that receives the records of all events. It must not unwind.
    pub fn set_observer(&self, observer: Option<Observer>) {
        self.0.state.borrow_mut().is_observed = observer.is_some();
        let before = self.0.observer.replace(observer);
        // Dropped here, where nothing is borrowed.
        drop(before);
    }

    /// Returns a number from the generator of the kernel.
    pub fn random(&self) -> u64 {
        self.with(|state| state.rng.next_u64())
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").finish_non_exhaustive()
    }
}

impl State {
    /// Does in order what is due by `limit`.
    pub(super) fn run_until(&mut self, limit: Duration) {
        while let Some((at, due)) = self.take_due(limit) {
            self.now = self.now.max(at);
            match due {
                Due::Delivery(in_flight) => {
                    let (from, to, packet) = (in_flight.from, in_flight.to, in_flight.packet);
                    let is_cut = |link: &LinkState| link.gate == Gate::Cut;
                    let reason = if self.host(to).down == Some(Crash::Silent) {
                        Some(Reason::HostDown)
                    } else if from != to && self.links.get(&(from, to)).is_some_and(is_cut) {
                        Some(Reason::Partition)
                    } else {
                        None
                    };
                    if let Some(reason) = reason {
                        self.record(from, Event::Dropped(packet, reason));
                        continue;
                    }
                    if from != to
                        && self
                            .links
                            .get(&(from, to))
                            .is_some_and(|l| l.gate == Gate::Held)
                    {
                        self.link(from, to).held.push_back(*in_flight);
                        continue;
                    }
                    self.record(to, Event::Delivered(packet));
                    match in_flight.contents {
                        Contents::Segment(segment) => {
                            self.deliver_segment(to, from, packet, segment);
                        }
                        Contents::Datagram { data, tos } => {
                            self.deliver_datagram(to, from, packet, data, tos);
                        }
                        Contents::Unreachable { from, to: target } => {
                            self.deliver_unreachable(to, from, target);
                        }
                    }
                }
                Due::Timer(id) | Due::OrphanTimer(id) => self.on_tcp_timer(id),
                Due::TimeWaitEnd(host, key) => {
                    let host = self.host_mut(host);
                    if let Some(Owner::TimeWait(_)) = host.connections.get(&key) {
                        host.remove_connection(key);
                    }
                }
            }
        }
    }

    fn set_gate(&mut self, from: HostId, to: HostId, gate: Gate) {
        let link = self.link(from, to);
        link.gate = gate;
        let held = std::mem::take(&mut link.held);
        for in_flight in held {
            match gate {
                Gate::Held => self.link(from, to).held.push_back(in_flight),
                Gate::Open | Gate::Cut => self.send_over_link(in_flight),
            }
        }
    }

    /// Closes the sockets of which the program has closed the last descriptor.
    pub(super) fn close_abandoned(&mut self) {
        loop {
            // Closing one may drop descriptors that were in its queue.
            let closed = self.placeholders.closed();
            if closed.is_empty() {
                return;
            }
            for id in closed {
                self.placeholders.remove(id);
                self.close(id);
            }
        }
    }

    fn close(&mut self, id: SocketId) {
        match self.sockets.get(&id).map(|socket| &socket.body) {
            Some(Body::Tcp(_)) => self.close_tcp(id),
            Some(Body::Udp(_)) => drop(self.remove_socket(id)),
            Some(Body::Stream(_) | Body::Datagram(_)) => self.close_unix(id),
            Some(Body::Pipe(_)) => self.close_pipe(id),
            None => {}
        }
    }

    fn crash(&mut self, host: HostId, how: Crash) {
        self.record(host, Event::Crashed(how));
        let own = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.host == host);
        let own: Vec<SocketId> = own.map(|(id, _)| *id).collect();
        for id in own {
            let Some(socket) = self.remove_socket(id) else {
                continue;
            };
            let Body::Tcp(tcp) = &socket.body else {
                continue;
            };
            let TcpState::Connection {
                connection, timer, ..
            } = &tcp.state
            else {
                continue;
            };
            if let Some(key) = timer {
                self.cancel(*key);
            }
            let (Some(local), Some(peer)) = (tcp.local, tcp.peer) else {
                continue;
            };
            if how == Crash::Reset && tcp.is_connected() {
                let reset = Segment {
                    connection: connection.number(),
                    rst: true,
                    ..Segment::default()
                };
                if let Ok(to) = self.route(host, peer.ip()) {
                    self.send(host, to, (local, peer), Contents::Segment(reset));
                }
            }
        }
        let host = self.host_mut(host);
        host.down = Some(how);
        host.bound.clear();
        host.clear_connections();
        host.names.clear();
        host.changed.clear();
        host.registered.clear();
    }

    /// Returns true for a TCP socket that is connected to another host.
    pub(super) fn has_remote_peer(&self, id: SocketId) -> bool {
        let Some(socket) = self.sockets.get(&id) else {
            return false;
        };
        match &socket.body {
            Body::Tcp(tcp) => tcp
                .peer
                .is_some_and(|peer| !self.host(socket.host).has(peer.ip())),
            _ => false,
        }
    }

    /// Returns the socket of a host that a descriptor of a socket of the program refers to.
    pub(super) fn find(&mut self, host: HostId, fd: BorrowedFd<'_>) -> io::Result<SocketId> {
        let found = self.placeholders.find(fd);
        self.check_found(host, fd.as_raw_fd(), found)
    }

    /// Returns the socket of a host that a number refers to, which need not be open.
    pub(super) fn find_raw(&self, host: HostId, fd: RawFd) -> io::Result<SocketId> {
        self.check_found(host, fd, self.placeholders.find_raw(fd))
    }

    fn check_found(
        &self,
        host: HostId,
        fd: RawFd,
        found: Option<SocketId>,
    ) -> io::Result<SocketId> {
        let socket = found.and_then(|id| self.sockets.get(&id));
        match (found, socket) {
            (Some(id), Some(socket)) if socket.host == host => Ok(id),
            (Some(id), Some(_)) => {
                let (name, what) = (&self.host(host).name, self.describe(id));
                let text = format!("{what} belongs to another host than {name:?}, which uses it");
                Err(io::Error::new(io::ErrorKind::Unsupported, text))
            }
            _ => Err(super::foreign::not_simulated(fd)),
        }
    }

    /// Returns kind and addresses of a socket, for reports.
    pub(super) fn describe(&self, id: SocketId) -> String {
        let Some(socket) = self.sockets.get(&id) else {
            return "a closed socket".to_owned();
        };
        let kind = match &socket.body {
            Body::Tcp(tcp) if matches!(tcp.state, TcpState::Listening(_)) => "TCP listener",
            Body::Tcp(_) => "TCP",
            Body::Udp(_) => "UDP",
            Body::Stream(_) => "Unix stream",
            Body::Datagram(_) => "Unix datagram socket",
            Body::Pipe(end) if end.is_writer => "writer of a pipe",
            Body::Pipe(_) => "reader of a pipe",
        };
        let local = socket
            .local_inet()
            .map_or(String::new(), |local| format!(" {local}"));
        let peer = self
            .peer_inet(id)
            .map_or(String::new(), |peer| format!(" -> {peer}"));
        format!("{kind}{local}{peer}")
    }

    /// Returns and clears the pending error of a socket.
    pub(super) fn take_error(&mut self, id: SocketId) -> Option<io::Error> {
        let socket = self.sockets.get_mut(&id)?;
        let errno = std::mem::replace(&mut socket.error, 0);
        (errno != 0).then(|| io::Error::from_raw_os_error(errno))
    }
}
