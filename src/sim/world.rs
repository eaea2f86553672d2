//! The simulated world: hosts, the network between them, and their time.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_reactor::internal::{Rng, now};
use runtime_reactor::sim::{Crash, HostId, Kernel};

use super::current::Current;
use super::failure::{Failure, FailureKind};
use super::faults::{Fault, FaultKind};
use super::host::{Host, Problem, Program, Result};
use super::options::Options;
use super::record;
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
    kernel: Kernel,
    /// The instant of virtual time zero.
    start: Instant,
    hosts: Vec<Host>,
    names: Rc<RefCell<Vec<Arc<str>>>>,
    trace: Rc<RefCell<Trace>>,
    /// Decides the order of the hosts.
    order: Rng,
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
const HOSTS: u64 = 1_000;

impl World {
    pub(super) fn new(options: Options) -> World {
        let rng = Rng::new(options.seed);
        let kernel = Kernel::new(rng.fork(KERNEL).seed());
        kernel.set_default_link(options.link.clone());
        let world = World {
            kernel,
            start: now(),
            hosts: Vec::new(),
            names: Rc::default(),
            trace: Rc::default(),
            order: rng.fork(ORDER),
            rng: rng.fork(PROGRAM),
            plan: None,
            options,
        };
        world.observe();
        world
    }

    /// Lets the kernel write its records into the trace.
    fn observe(&self) {
        let (trace, names) = (self.trace.clone(), self.names.clone());
        self.kernel.set_observer(Some(Box::new(move |it| {
            let names = names.borrow();
            let name = |host: HostId| names[host.index()].to_string();
            let host = names[it.host.index()].clone();
            let event = record::event(&it.event, name);
            trace.borrow_mut().push(it.at, host, event);
        })));
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
            self.find(name).is_none(),
            "a host with the name {name:?} exists already: names are unique"
        );
        let number = self.hosts.len();
        let low = u8::try_from(number % 250 + 1).unwrap_or(u8::MAX);
        let high = u8::try_from(number / 250).expect("a world has at most 64,000 hosts");
        let addr = IpAddr::V4(Ipv4Addr::new(10, 0, high, low));
        let shared: Arc<str> = Arc::from(name);
        self.names.borrow_mut().push(shared.clone());
        let net = match self.kernel.add_host(name, [addr]) {
            Ok(net) => net,
            Err(e) => panic!("cannot add the host {name:?}: {e}"),
        };
        let current = Current {
            host: shared,
            kernel: self.kernel.clone(),
            trace: self.trace.clone(),
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

    fn find(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| &*host.name == name)
    }

    #[track_caller]
    fn index(&self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| {
            let names: Vec<&str> = self.hosts.iter().map(|host| &*host.name).collect();
            panic!("no host has the name {name:?}: the hosts are {names:?}")
        })
    }

    /// Runs the hosts until all clients have finished.
    ///
    /// # Errors
    /// Returns a [`Failure`] if a host fails or panics, if virtual time or the number of turns
    /// reaches its limit, or if nothing is left that could let the clients finish.
    ///
    /// # Panics
    /// Panics if the world has no client.
    #[track_caller]
    pub fn run(&mut self) -> std::result::Result<(), Failure> {
        assert!(
            self.hosts.iter().any(Host::is_client),
            "the world has no client, so `run` would not end: add one, or call `run_for`"
        );
        self.drive(|world| !world.hosts.iter().any(Host::is_awaited))
    }

    /// Runs the hosts until a condition is true. It is asked whenever no host has anything to do.
    ///
    /// # Errors
    /// Returns the same errors as [`run`](World::run), for the condition instead of the clients.
    ///
    /// # Examples
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use std::time::Duration;
    ///
    /// let mut world = runtime::sim::Builder::new().build();
    /// let ticks = Rc::new(Cell::new(0));
    /// let counted = ticks.clone();
    /// world.host("clock", move || {
    ///     let ticks = counted.clone();
    ///     async move {
    ///         loop {
    ///             runtime::time::sleep(Duration::from_secs(1)).await;
    ///             ticks.set(ticks.get() + 1);
    ///         }
    ///     }
    /// });
    /// world.run_until(|_| ticks.get() == 5).unwrap();
    /// assert_eq!(world.elapsed(), Duration::from_secs(5));
    /// ```
    pub fn run_until(
        &mut self,
        mut condition: impl FnMut(&World) -> bool,
    ) -> std::result::Result<(), Failure> {
        self.drive(|world| condition(world))
    }

    fn drive(
        &mut self,
        mut is_done: impl FnMut(&World) -> bool,
    ) -> std::result::Result<(), Failure> {
        loop {
            self.settle()?;
            if is_done(self) {
                return Ok(());
            }
            let Some(next) = self.next_time() else {
                let text = "nothing is left that a host waits for";
                return Err(self.failure_with_tasks(FailureKind::Stuck, text));
            };
            if next > self.options.max_time {
                let text = format!("the limit of {:?} is reached", self.options.max_time);
                return Err(self.failure_with_tasks(FailureKind::TimeLimit, &text));
            }
            self.advance_to(next);
        }
    }

    /// Runs the hosts for a time.
    ///
    /// # Errors
    /// Returns a [`Failure`] if a host fails or panics, or the number of turns reaches its limit.
    pub fn run_for(&mut self, time: Duration) -> std::result::Result<(), Failure> {
        let end = self.elapsed().saturating_add(time);
        loop {
            self.settle()?;
            match self.next_time() {
                Some(next) if next <= end => self.advance_to(next),
                _ => break,
            }
        }
        self.kernel.advance_to(end);
        self.settle()
    }

    /// Runs the hosts until none has anything to do, and moves time to the next event. Returns
    /// false if there is none.
    ///
    /// # Errors
    /// Returns a [`Failure`] if a host fails or panics, or the number of turns reaches its limit.
    pub fn step(&mut self) -> std::result::Result<bool, Failure> {
        self.settle()?;
        let next = self.next_time();
        if let Some(next) = next {
            self.advance_to(next);
        }
        Ok(next.is_some())
    }

    /// Turns the hosts, in an order that the seed decides, until none has anything to do.
    fn settle(&mut self) -> std::result::Result<(), Failure> {
        self.make_plan();
        let now = self.elapsed();
        let mut turns = 0;
        let mut busy = Vec::new();
        loop {
            let is_due = |host: &Host| host.next_deadline().is_some_and(|due| due <= now);
            busy.clear();
            busy.extend((0..self.hosts.len()).filter(|index| is_due(&self.hosts[*index])));
            self.order.shuffle(&mut busy);
            for index in &busy {
                self.turn(*index)?;
            }
            if busy.is_empty() && !self.run_blocking_job() {
                return Ok(());
            }
            turns += busy.len().max(1) as u64;
            if turns > self.options.max_turns {
                let text = format!("no rest after {turns} turns at one instant of virtual time");
                return Err(self.failure_with_tasks(FailureKind::NeverQuiet, &text));
            }
        }
    }

    fn turn(&mut self, index: usize) -> std::result::Result<(), Failure> {
        let host = &mut self.hosts[index];
        let turned = host.turn();
        let output = turned.map(|()| host.take_output()).transpose();
        match output {
            None => Ok(()),
            Some(result) => self.note_end(index, result.and_then(|output| output)),
        }
    }

    /// Writes the end of a main future into the trace.
    fn note_end(
        &mut self,
        index: usize,
        output: std::result::Result<(), Problem>,
    ) -> std::result::Result<(), Failure> {
        let text = match &output {
            Ok(()) => "finished".to_owned(),
            Err((_, text)) => format!("failed: {text}"),
        };
        let name = self.hosts[index].name.clone();
        let now = self.elapsed();
        let event = super::Event::Host(text);
        self.trace.borrow_mut().push(now, name.clone(), event);
        output.map_err(|(kind, text)| Failure {
            seed: self.options.seed,
            at: now,
            kind,
            host: Some(name.to_string()),
            text,
        })
    }

    /// Runs a blocking job of some host. Returns false if there is none.
    fn run_blocking_job(&mut self) -> bool {
        let count = self.hosts.len();
        let first = self.order.below(count as u64) as usize;
        (0..count).any(|offset| self.hosts[(first + offset) % count].run_blocking_job())
    }

    /// Returns the virtual time of the next event, timer or fault.
    fn next_time(&self) -> Option<Duration> {
        let timers = self.hosts.iter().filter_map(Host::next_deadline);
        let planned = self.plan.as_ref().and_then(|plan| plan.last());
        timers
            .chain(self.kernel.next_visible_event())
            .chain(planned.map(|(at, _)| *at))
            .min()
    }

    fn advance_to(&mut self, time: Duration) {
        self.kernel.advance_to(time);
        while let Some((at, change)) = self.plan.as_mut().and_then(Vec::pop) {
            if at > time {
                self.plan.get_or_insert_default().push((at, change));
                break;
            }
            self.apply(change);
        }
    }

    /// Draws the faults, once the hosts are known.
    fn make_plan(&mut self) {
        if self.plan.is_some() {
            return;
        }
        let mut changes: Vec<(Duration, Change)> = self
            .fault_plan()
            .into_iter()
            .flat_map(|fault| {
                let begin = (fault.begins, Change::Begin(fault.kind.clone()));
                [begin, (fault.ends, Change::End(fault.kind))]
            })
            .collect();
        changes.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        self.plan = Some(changes);
    }

    /// Returns the faults that this seed has, for the hosts that were added so far.
    pub fn fault_plan(&self) -> Vec<Fault> {
        let Some(faults) = &self.options.faults else {
            return Vec::new();
        };
        let names = |keep: fn(&Host) -> bool| -> Vec<&str> {
            let kept = self.hosts.iter().filter(|host| keep(host));
            kept.map(|host| &*host.name).collect()
        };
        let (servers, all) = (names(|host| !host.is_client()), names(|_| true));
        faults.plan_for(&Rng::new(self.options.seed).fork(PLAN), &servers, &all)
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Begin(FaultKind::Crash { host, silent }) => {
                let how = if silent { Crash::Silent } else { Crash::Reset };
                if self.is_up(&host) {
                    self.crash(&host, how);
                }
            }
            Change::End(FaultKind::Crash { host, .. }) => {
                if !self.is_up(&host) {
                    self.restart(&host);
                }
            }
            Change::Begin(FaultKind::Partition { one, other }) => self.partition(&one, &other),
            Change::Begin(FaultKind::Hold { one, other }) => self.hold(&one, &other),
            Change::End(FaultKind::Partition { one, other } | FaultKind::Hold { one, other }) => {
                self.heal(&one, &other);
            }
        }
    }

    /// Crashes a host: its tasks are dropped, and its sockets vanish.
    ///
    /// With [`Crash::Reset`] its peers' connections are reset, as if the process had been killed.
    /// With [`Crash::Silent`] they get no answer, as if the machine had failed.
    ///
    /// # Panics
    /// Panics if there is no such host, or it is down already.
    #[track_caller]
    pub fn crash(&mut self, host: &str, how: Crash) {
        let index = self.index(host);
        assert!(
            self.hosts[index].is_up(),
            "the host {host:?} cannot crash: it is down already"
        );
        self.kernel.crash(self.hosts[index].net.id(), how);
        self.hosts[index].stop();
    }

    /// Starts a host again that has crashed, with a new future of its program.
    ///
    /// # Panics
    /// Panics if there is no such host, if it is up, or if it is a client, whose program runs once.
    #[track_caller]
    pub fn restart(&mut self, host: &str) {
        let index = self.index(host);
        assert!(
            !self.hosts[index].is_client(),
            "the client {host:?} cannot be restarted: its program runs once; use `host`"
        );
        assert!(
            !self.hosts[index].is_up(),
            "the host {host:?} cannot be restarted: it is up"
        );
        self.kernel.restart(self.hosts[index].net.id());
        self.start_host(index);
    }

    /// Returns true if a host is up: it has not crashed, or was restarted.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn is_up(&self, host: &str) -> bool {
        self.hosts[self.index(host)].is_up()
    }

    /// Drops all packets between two hosts, in both directions, until [`heal`](World::heal).
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn partition(&mut self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::partition);
    }

    /// Keeps all packets between two hosts back, in both directions, until [`heal`](World::heal).
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn hold(&mut self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::hold);
    }

    /// Lets packets between two hosts pass again, those that were held included.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn heal(&mut self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::heal);
    }

    #[track_caller]
    fn both_ways(&self, one: &str, other: &str, set: fn(&Kernel, HostId, HostId)) {
        let id = |name| self.hosts[self.index(name)].net.id();
        let (one, other) = (id(one), id(other));
        set(&self.kernel, one, other);
        set(&self.kernel, other, one);
    }

    /// Returns the address of a host.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn addr(&self, host: &str) -> IpAddr {
        self.hosts[self.index(host)].net.addrs()[0]
    }

    /// Returns the virtual time since the start of the world.
    pub fn elapsed(&self) -> Duration {
        self.kernel.now()
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
        self.trace.borrow().clone()
    }

    fn failure_with_tasks(&self, kind: FailureKind, text: &str) -> Failure {
        let mut text = text.to_owned();
        for host in &self.hosts {
            let what = match (host.is_client(), host.is_awaited()) {
                (true, true) => " (a client that has not finished)",
                (true, false) => " (a client that has finished)",
                (false, _) => "",
            };
            let described = host.describe().replace('\n', "\n  ");
            // Writing to a string does not fail.
            let _ = write!(text, "\nhost {:?}{what}:\n  {described}", host.name);
        }
        Failure {
            seed: self.options.seed,
            at: self.elapsed(),
            kind,
            host: None,
            text,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The actions of the tasks' destructors are no part of the run.
        self.kernel.set_observer(None);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.options.seed)
            .field("elapsed", &self.elapsed())
            .field("hosts", &self.names.borrow())
            .finish_non_exhaustive()
    }
}
