//! The simulated world: hosts, the network between them, and their time.

mod faults;
mod run;

use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_reactor::internal::{Rng, now};
use runtime_reactor::sim::Kernel;

use super::current::Current;
use super::faults::FaultKind;
use super::handle::Handle;
use super::host::{Host, Program, Result};
use super::options::Options;
use super::trace::Trace;

/// A simulated world: hosts that run on this thread, a network between them, and virtual time.
///
/// Each host has a runtime, an address, ports and a clock of its own. Its program uses
/// [`net`](crate::net), [`time`](crate::time) and all other modules as it does outside. The hosts
/// run in turn until none has anything to do; then time moves to the next event. So a run takes
/// only the time that the programs compute, and it depends on the seed alone.
///
/// # Examples
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{TcpListener, TcpStream};
/// use runtime::sim;
///
/// let mut world = sim::Builder::new().seed(7).build();
/// world.host("server", || async {
///     let listener = TcpListener::bind("0.0.0.0:80").await?;
///     loop {
///         let (stream, _) = listener.accept().await?;
///         let (reader, writer) = stream.split();
///         runtime::io::copy(reader, writer).await?;
///     }
/// });
/// world.client("client", async {
///     let mut stream = TcpStream::connect("server:80").await?;
///     stream.write_all(b"hello").await?;
///     let mut echo = [0; 5];
///     stream.read_exact(&mut echo).await?;
///     assert_eq!(&echo, b"hello");
///     Ok(())
/// });
/// world.run().unwrap();
/// ```
pub struct World {
    options: Options,
    handle: Handle,
    /// The instant of virtual time zero.
    start: Instant,
    hosts: Vec<Host>,
    /// Decides the order of the hosts.
    order: Rng,
    /// Decides the order of blocking jobs.
    jobs: Rng,
    rng: Rng,
    /// The planned changes, latest first. `None` before the first step.
    plan: Option<Vec<(Duration, Change)>>,
}

/// A planned change.
enum Change {
    Begin(FaultKind),
    End(FaultKind),
}

/// The labels of the generators that are derived from the seed.
const ORDER: u64 = 1;
const KERNEL: u64 = 2;
const PLAN: u64 = 3;
const PROGRAM: u64 = 4;
const JOBS: u64 = 5;
const HOSTS: u64 = 1_000;

impl World {
    pub(in crate::sim) fn new(options: Options) -> World {
        let rng = Rng::new(options.seed);
        let kernel = Kernel::new(rng.fork(KERNEL).seed());
        kernel.set_default_link(options.link.clone());
        World {
            handle: Handle::new(options.seed, kernel),
            start: now(),
            hosts: Vec::new(),
            order: rng.fork(ORDER),
            jobs: rng.fork(JOBS),
            rng: rng.fork(PROGRAM),
            plan: None,
            options,
        }
    }

    /// Adds a host with a program that begins again when the host is
    /// [restarted](World::restart) after a crash.
    ///
    /// Its name is resolved by all hosts. The program may end, or run for ever. A returned error or
    /// a panic ends the run. State that must survive a crash, such as a disk, is kept outside the
    /// future, for example in an `Rc` that the closure clones.
    ///
    /// # Panics
    /// Panics if a host has the name already, or the name is empty.
    #[track_caller]
    pub fn host<F, Fut>(&mut self, name: &str, mut program: F)
    where
        F: FnMut() -> Fut + 'static,
        Fut: Future<Output = Result> + 'static,
    {
        self.add(name, Program::Server(Box::new(move || Box::pin(program()))));
    }

    /// Adds a host with a program that runs once. [`run`](World::run) ends when all clients have
    /// finished.
    ///
    /// # Panics
    /// Panics if a host has the name already, or the name is empty.
    #[track_caller]
    pub fn client(&mut self, name: &str, program: impl Future<Output = Result> + 'static) {
        self.add(name, Program::Client(Some(Box::pin(program))));
    }

    #[track_caller]
    fn add(&mut self, name: &str, program: Program) {
        assert!(!name.is_empty(), "a host needs a name that is not empty");
        assert!(
            self.handle.find(name).is_none(),
            "a host with the name {name:?} exists already: names are unique"
        );
        let number = self.hosts.len();
        let shared: Arc<str> = Arc::from(name);
        let is_client = matches!(program, Program::Client(_));
        let net = self.handle.add_host(&shared, is_client);
        let current = Current {
            host: shared,
            world: self.handle.clone(),
            index: number,
            crashes: 0,
        };
        let skew = self.options.skews.get(name).copied().unwrap_or_default();
        let clock = (self.start, skew);
        let rng = Rng::new(self.options.seed).fork(HOSTS + number as u64);
        self.hosts
            .push(Host::new(net, program, clock, rng, current));
        self.start_host(number);
    }

    #[track_caller]
    fn start_host(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if let Err(e) = host.start() {
            panic!("cannot start the host {:?}: {e}", host.name);
        }
    }

    /// Returns a handle to the world, with which its hosts and links are changed while it runs.
    ///
    /// A task of a host calls [`Handle::current`] instead.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Returns the IPv4 address of a host.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn ipv4_addr(&self, host: &str) -> Ipv4Addr {
        self.handle.ipv4_addr(host)
    }

    /// Returns the IPv6 address of a host.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn ipv6_addr(&self, host: &str) -> Ipv6Addr {
        self.handle.ipv6_addr(host)
    }

    /// Returns the virtual time since the start of the world.
    pub fn elapsed(&self) -> Duration {
        self.handle.elapsed()
    }

    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// Returns a number for the test itself, such as a time of a fault. The seed decides it, and
    /// drawing one changes nothing else.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Returns a copy of what happened so far.
    pub fn trace(&self) -> Trace {
        self.handle.trace().borrow().clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The actions of the tasks' destructors are no part of the run.
        self.handle.kernel().set_observer(None);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.options.seed)
            .field("elapsed", &self.elapsed())
            .field("hosts", &self.handle.names())
            .finish_non_exhaustive()
    }
}
