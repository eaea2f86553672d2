//! A handle to a world, with which its hosts and links are changed while it runs.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime_reactor::sim as kernel;
use runtime_reactor::sim::{Crash, Kernel, Link};

use super::entry::Event;
use super::record;
use super::trace::Trace;

/// A handle to a world, for tasks that change its hosts and links while it runs.
///
/// [`Handle::current`] returns it in a task of a host. A clone is a handle to the same world. The
/// methods of the same names of [`World`](super::World) do the same from outside.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime::io::ErrorKind;
/// use runtime::net::TcpStream;
/// use runtime::sim::{self, Crash};
/// use runtime::time::timeout;
///
/// let mut world = sim::Builder::new().build();
/// world.host("server", || std::future::pending());
/// world.client("client", async {
///     let world = sim::Handle::current();
///     world.partition("client", "server");
///     let connect = TcpStream::connect("server:80");
///     assert!(timeout(Duration::from_secs(1), connect).await.is_err());
///     world.heal("client", "server");
///     world.crash("server", Crash::Reset);
///     let error = TcpStream::connect("server:80").await.unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
///     world.restart("server");
///     Ok(())
/// });
/// world.run().unwrap();
/// assert!(world.is_up("server"));
/// ```
#[derive(Clone)]
pub struct Handle(Rc<Shared>);

struct Shared {
    seed: u64,
    kernel: Kernel,
    hosts: Rc<RefCell<Vec<KnownHost>>>,
    trace: Rc<RefCell<Trace>>,
    /// True if a host has crashed or was restarted since the world last looked.
    is_changed: Cell<bool>,
}

/// The part of a host that its world and all handles know.
struct KnownHost {
    name: Arc<str>,
    net: kernel::Host,
    is_client: bool,
    state: HostState,
}

/// The state of a host for its peers. The world, which owns the runtimes, brings it about: it drops
/// the tasks of a host that has crashed and begins the program of one that is up.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostState {
    pub(super) is_up: bool,
    /// The number of times that the host has crashed.
    pub(super) crashes: u64,
}

impl Handle {
    pub(super) fn new(seed: u64, kernel: Kernel) -> Handle {
        let handle = Handle(Rc::new(Shared {
            seed,
            kernel,
            hosts: Rc::default(),
            trace: Rc::default(),
            is_changed: Cell::new(false),
        }));
        handle.observe();
        handle
    }

    /// Lets the kernel write its records into the trace.
    fn observe(&self) {
        let (trace, hosts) = (self.0.trace.clone(), self.0.hosts.clone());
        self.kernel().set_observer(Some(Box::new(move |it| {
            let hosts = hosts.borrow();
            let name = |host: kernel::HostId| hosts[host.index()].name.to_string();
            let host = hosts[it.host.index()].name.clone();
            let event = record::event(&it.event, name);
            trace.borrow_mut().push(it.at, host, event);
        })));
    }

    pub(super) fn kernel(&self) -> &Kernel {
        &self.0.kernel
    }

    pub(super) fn trace(&self) -> &RefCell<Trace> {
        &self.0.trace
    }

    /// Writes an event that happens now into the trace.
    pub(super) fn record(&self, host: &Arc<str>, event: Event) {
        let now = self.elapsed();
        self.0.trace.borrow_mut().push(now, host.clone(), event);
    }

    /// Adds a host to the network.
    #[track_caller]
    pub(super) fn add_host(&self, name: &Arc<str>, is_client: bool) -> kernel::Host {
        let number = self.0.hosts.borrow().len();
        let net = match self.kernel().add_host(name, addrs(number)) {
            Ok(net) => net,
            Err(e) => panic!("cannot add the host {name:?}: {e}"),
        };
        self.0.hosts.borrow_mut().push(KnownHost {
            name: name.clone(),
            net: net.clone(),
            is_client,
            state: HostState {
                is_up: true,
                crashes: 0,
            },
        });
        net
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        let hosts = self.0.hosts.borrow();
        hosts.iter().map(|host| host.name.clone()).collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let hosts = self.0.hosts.borrow();
        hosts.iter().position(|host| &*host.name == name)
    }

    #[track_caller]
    fn index(&self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| {
            let names = self.names();
            panic!("no host has the name {name:?}: the hosts are {names:?}")
        })
    }

    fn with_host<R>(&self, index: usize, f: impl FnOnce(&mut KnownHost) -> R) -> R {
        f(&mut self.0.hosts.borrow_mut()[index])
    }

    /// Returns true if a host has crashed or was restarted since the last call.
    pub(super) fn take_change(&self) -> bool {
        self.0.is_changed.replace(false)
    }

    /// Returns the state of the host with a number.
    pub(super) fn state(&self, index: usize) -> HostState {
        self.with_host(index, |host| host.state)
    }

    /// Crashes a host: its tasks are dropped, and its sockets vanish.
    ///
    /// With [`Crash::Reset`] its peers' connections are reset, as if the process had been killed.
    /// With [`Crash::Silent`] they get no answer, as if the machine had failed.
    ///
    /// The sockets vanish at once. The tasks are dropped before any host runs again. A task that
    /// crashes its own host runs on until it returns to its runtime, with sockets that fail; no
    /// other task of the host runs, and neither an error nor a panic of the host ends the run.
    ///
    /// # Panics
    /// Panics if there is no such host, or it is down already.
    #[track_caller]
    pub fn crash(&self, host: &str, how: Crash) {
        let index = self.index(host);
        let (state, id) = self.with_host(index, |known| (known.state, known.net.id()));
        assert!(
            state.is_up,
            "the host {host:?} cannot crash: it is down already"
        );
        self.kernel().crash(id, how);
        let crashes = state.crashes + 1;
        self.set_state(
            index,
            HostState {
                is_up: false,
                crashes,
            },
        );
    }

    /// Starts a host again that has crashed, with a new future of its program.
    ///
    /// A task that calls it has returned to its runtime before the program begins, at the same
    /// virtual time. A task may also crash its own host and restart it.
    ///
    /// # Panics
    /// Panics if there is no such host, if it is up, or if it is a client, whose program runs once.
    #[track_caller]
    pub fn restart(&self, host: &str) {
        let index = self.index(host);
        let (is_client, state) = self.with_host(index, |known| (known.is_client, known.state));
        assert!(
            !is_client,
            "the client {host:?} cannot be restarted: its program runs once; use `host`"
        );
        assert!(
            !state.is_up,
            "the host {host:?} cannot be restarted: it is up"
        );
        self.set_state(
            index,
            HostState {
                is_up: true,
                ..state
            },
        );
    }

    fn set_state(&self, index: usize, state: HostState) {
        self.with_host(index, |host| host.state = state);
        self.0.is_changed.set(true);
    }

    /// Returns true if a host is up: it has not crashed, or was restarted.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn is_up(&self, host: &str) -> bool {
        self.state(self.index(host)).is_up
    }

    /// Drops all packets between two hosts, in both directions, until [`heal`](Handle::heal).
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn partition(&self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::partition);
    }

    /// Keeps all packets between two hosts back, in both directions, until [`heal`](Handle::heal).
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn hold(&self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::hold);
    }

    /// Lets packets between two hosts pass again, those that were held included.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn heal(&self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::heal);
    }

    /// Sets latency, loss, bandwidth and the other properties of the way between two hosts, in both
    /// directions. Packets that are under way keep their times.
    ///
    /// # Panics
    /// Panics if there is no such host.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::net::TcpStream;
    /// use runtime::sim::{self, Latency, Link};
    /// use runtime::time::Instant;
    ///
    /// let mut world = sim::Builder::new().build();
    /// world.host("server", || std::future::pending());
    /// world.client("client", async {
    ///     let latency = Latency::Fixed(Duration::from_millis(40));
    ///     let link = Link { latency, ..Link::default() };
    ///     sim::Handle::current().set_link("client", "server", link);
    ///     let start = Instant::now();
    ///     let addr = sim::Handle::current().ipv6_addr("server");
    ///     TcpStream::connect((addr, 80)).await.unwrap_err(); // refused
    ///     assert_eq!(start.elapsed(), Duration::from_millis(80));
    ///     Ok(())
    /// });
    /// world.run().unwrap();
    /// ```
    #[track_caller]
    pub fn set_link(&self, one: &str, other: &str, link: Link) {
        self.both_ways(one, other, |kernel, from, to| {
            kernel.set_link(from, to, link.clone());
            let (from, to) = (from.index(), to.index());
            let name = |index| self.with_host(index, |host| host.name.clone());
            let text = format!("the link to {} was replaced", name(to));
            self.record(&name(from), Event::Host(text));
        });
    }

    #[track_caller]
    fn both_ways(
        &self,
        one: &str,
        other: &str,
        set: impl Fn(&Kernel, kernel::HostId, kernel::HostId),
    ) {
        let [one, other] = [one, other].map(|name| self.index(name));
        let [one, other] = [one, other].map(|at| self.with_host(at, |host| host.net.id()));
        set(self.kernel(), one, other);
        set(self.kernel(), other, one);
    }

    /// Returns the IPv4 address of a host.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn ipv4_addr(&self, host: &str) -> Ipv4Addr {
        ipv4(self.index(host))
    }

    /// Returns the IPv6 address of a host.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn ipv6_addr(&self, host: &str) -> Ipv6Addr {
        ipv6(self.index(host))
    }

    /// Returns the virtual time since the start of the world.
    pub fn elapsed(&self) -> Duration {
        self.kernel().now()
    }

    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }
}

/// Returns the addresses of the host with a number, in the order of a lookup.
fn addrs(number: usize) -> [std::net::IpAddr; 2] {
    [ipv4(number).into(), ipv6(number).into()]
}

fn ipv4(number: usize) -> Ipv4Addr {
    let [high, low] = low_bytes(number);
    Ipv4Addr::new(10, 0, high, low)
}

/// Returns an address of `fd00::/8`, whose end is that of the IPv4 address.
fn ipv6(number: usize) -> Ipv6Addr {
    let [high, low] = low_bytes(number).map(u16::from);
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, high, low)
}

/// Returns the last two bytes of the addresses of a host.
fn low_bytes(number: usize) -> [u8; 2] {
    let low = u8::try_from(number % 250 + 1).unwrap_or(u8::MAX);
    let high = u8::try_from(number / 250).expect("a world has at most 64,000 hosts");
    [high, low]
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("seed", &self.seed())
            .field("elapsed", &self.elapsed())
            .field("hosts", &self.names())
            .finish_non_exhaustive()
    }
}
