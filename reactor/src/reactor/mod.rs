//! The reactor: waits for descriptors and deadlines, and wakes tasks.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{env, fmt, io};

use crate::clock::{self, Clock};
use crate::error::{forked, with_context};
use crate::inbox::Inbox;
use crate::paused::Paused;
use crate::registrations::{Registrations, WakeLocal};
use crate::rng::Rng;
use crate::stats::{Counters, Stats};
use crate::sys::{self, Backend, Event, Selector, Shuffled};
use crate::tick;
use crate::timers::{Nanos, Timers};
use crate::token::Token;
use crate::wake_list::{WakeList, wake_all};

mod deadlines;
mod fork;
mod listening;
mod messages;
mod pausing;
mod register;
mod waiting;
mod writing;

/// The time after which a wait is tried again for which the kernel had no memory.
const MEMORY_PAUSE: Duration = Duration::from_millis(10);

/// A function that takes the place of a turn, or returns `None`.
type BeforeTurn = fn(&Reactor, Option<Duration>) -> Option<io::Result<()>>;

/// A reactor: waits for descriptors and deadlines, and wakes the tasks that wait for them.
///
/// A reactor belongs to the thread that made it. It does nothing by itself: its owner calls
/// [`turn`](Reactor::turn) whenever there is nothing else to do. A [`Source`](crate::Source) or
/// [`Timer`](crate::Timer) waits in the reactor that its thread has [entered](Reactor::enter).
/// Other threads reach a reactor by messages.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime_reactor::Reactor;
///
/// # fn main() -> std::io::Result<()> {
/// let reactor = Reactor::new()?;
/// let _guard = reactor.enter();
/// reactor.turn(Some(Duration::ZERO))?; // does not block
/// assert_eq!(reactor.stats().waits, 1);
/// # Ok(())
/// # }
/// ```
pub struct Reactor {
    selector: RefCell<Box<dyn Selector>>,
    registrations: RefCell<Registrations>,
    /// The registrations that the next wait passes to the selector.
    queued: RefCell<Vec<Token>>,
    timers: RefCell<Timers>,
    events: RefCell<Vec<Event>>,
    /// Filled while the state is borrowed, and emptied once it is not.
    woken: RefCell<WakeList>,
    inbox: Arc<Inbox>,
    wake_local: Cell<WakeLocal>,
    /// The instant from which `Nanos` count.
    epoch: Instant,
    /// The clock as of the last turn that needed it.
    now: Cell<Nanos>,
    /// Counts turns, for the quotas of sources.
    turn: Cell<u32>,
    /// Set by a source that used up its quota, cleared by the turn that grants a new one.
    turn_wanted: Cell<bool>,
    closed: Cell<bool>,
    /// True if another loop polls our descriptor between turns.
    embedded: Cell<bool>,
    /// Called at the beginning of a turn, instead of the rest of it if it returns a result. Set if
    /// the reactor is embedded or its clock is paused, so that other turns compare a pointer.
    before_turn: Cell<Option<BeforeTurn>>,
    /// The clock of this reactor: that of its thread, unless it was paused.
    clock: Cell<Clock>,
    paused: RefCell<Option<Rc<Paused>>>,
    /// True if that loop runs futures of its own now, which may use this reactor.
    host_runs: Cell<bool>,
    /// True if the selector reports each change once, without being armed again.
    is_edge: bool,
    /// The simulated host that the reactor belongs to.
    #[cfg(feature = "sim")]
    host: Option<sys::sim::Host>,
}

impl Reactor {
    /// Creates a reactor on the backend that the environment variable `RUNTIME_BACKEND` names, or
    /// on the best one of the platform. The variable is read here and nowhere else.
    ///
    /// # Errors
    /// Returns `InvalidInput` if the variable names no backend, and the errors of
    /// [`with_backend`](Reactor::with_backend).
    pub fn new() -> io::Result<Rc<Reactor>> {
        Reactor::with_backend(default_backend()?)
    }

    /// Creates a reactor on `backend`.
    ///
    /// # Errors
    /// Returns `Unsupported` if the platform has no such backend, and the system's error if no
    /// descriptor or memory is available.
    pub fn with_backend(backend: Backend) -> io::Result<Rc<Reactor>> {
        let opened = || {
            #[cfg(feature = "sim")]
            if backend == Backend::Sim {
                return Reactor::on_host(&sys::open_host()?);
            }
            Reactor::with_selector(sys::open(backend)?)
        };
        opened().map_err(|e| with_context(format!("opening the reactor on {backend}"), e))
    }

    /// Creates the reactor of a simulated host. While it is [entered](Reactor::enter), the thread
    /// is inside the simulation.
    ///
    /// A [`turn`](Reactor::turn) neither blocks nor moves the time of the simulation.
    ///
    /// # Errors
    /// Returns the system's error if no descriptor is available.
    #[cfg(feature = "sim")]
    pub fn on_host(host: &sys::sim::Host) -> io::Result<Rc<Reactor>> {
        let mut reactor = Reactor::with_selector(sys::open_on(host)?)?;
        if let Some(reactor) = Rc::get_mut(&mut reactor) {
            reactor.host = Some(host.clone());
        }
        Ok(reactor)
    }

    /// Returns the simulated host that the reactor belongs to.
    #[cfg(feature = "sim")]
    pub(crate) fn host(&self) -> Option<&sys::sim::Host> {
        self.host.as_ref()
    }

    /// Creates a reactor on `backend`, or on that of [`new`](Reactor::new), which delivers the
    /// events of a wait in an order that `rng` decides. A simulation decides it by itself.
    pub(crate) fn shuffled(backend: Option<Backend>, rng: Rng) -> io::Result<Rc<Reactor>> {
        let backend = match backend {
            Some(backend) => backend,
            None => default_backend()?,
        };
        #[cfg(feature = "sim")]
        if backend == Backend::Sim {
            return Reactor::with_backend(backend);
        }
        let open = |selector| Reactor::with_selector(Box::new(Shuffled::new(selector, rng)));
        sys::open(backend)
            .and_then(open)
            .map_err(|e| with_context(format!("opening the reactor on {backend}"), e))
    }

    pub(crate) fn with_selector(selector: Box<dyn Selector>) -> io::Result<Rc<Reactor>> {
        sys::start_counting_forks()?;
        let inbox = Inbox::open(selector.notifier(), Arc::new(Counters::default()))?;
        Ok(Rc::new(Reactor {
            is_edge: selector.is_edge(),
            #[cfg(feature = "sim")]
            host: None,
            selector: RefCell::new(selector),
            registrations: RefCell::default(),
            queued: RefCell::default(),
            timers: RefCell::default(),
            events: RefCell::default(),
            woken: RefCell::default(),
            inbox,
            wake_local: Cell::new(|_| false),
            epoch: clock::now(),
            now: Cell::new(0),
            turn: Cell::new(0),
            turn_wanted: Cell::new(false),
            closed: Cell::new(false),
            embedded: Cell::new(false),
            before_turn: Cell::new(None),
            clock: Cell::new(Clock::System),
            paused: RefCell::default(),
            host_runs: Cell::new(false),
        }))
    }

    /// Returns the backend, which names the system calls that the reactor makes.
    pub fn backend(&self) -> Backend {
        self.selector.borrow().backend()
    }

    /// Returns the reactor's counters. O(1).
    pub fn stats(&self) -> Stats {
        self.update_gauges();
        self.inbox.counters.read()
    }

    /// Returns a handle with which other threads end a wait of this reactor and read its counters.
    pub fn notifier(&self) -> Notifier {
        Notifier {
            inbox: Arc::downgrade(&self.inbox),
            counters: self.inbox.counters.clone(),
        }
    }

    /// Returns true if a source waits for nothing but the next turn, because it used up its quota
    /// in this one. Then `turn` should be called soon, with a limit of zero.
    pub fn wants_turn(&self) -> bool {
        self.turn_wanted.get()
    }

    /// Returns a descriptor that becomes readable when [`turn`](Reactor::turn) has something to do,
    /// for a program with a loop of its own. Timers do not show in it: see
    /// [`next_deadline`](Reactor::next_deadline). Each call makes a new duplicate.
    ///
    /// # Errors
    /// Returns `Unsupported` on poll and select, whose kernels remember nothing between two waits,
    /// and the system's error if no descriptor is available.
    ///
    /// # Platform-specific behavior
    /// macOS cannot `poll(2)` a kqueue; use `select(2)` or another kqueue.
    pub fn pollable_fd(&self) -> io::Result<OwnedFd> {
        let selector = self.selector.borrow();
        let fd = selector.pollable_fd().ok_or_else(|| {
            let backend = selector.backend();
            let why =
                format!("a reactor on {backend} has no descriptor that another loop could poll");
            io::Error::new(io::ErrorKind::Unsupported, why)
        })?;
        let fd = fd.try_clone_to_owned()?;
        drop(selector);
        self.set_embedded(true);
        self.flush_registrations_now();
        self.inbox.prepare_wait();
        Ok(fd)
    }

    /// Returns the number of events that the last turn took.
    pub(crate) fn event_count(&self) -> usize {
        self.events.borrow().len()
    }

    /// Sets the function that wakes tasks of this thread.
    pub(crate) fn set_wake_local(&self, wake_local: WakeLocal) {
        self.wake_local.set(wake_local);
    }

    /// Sets whether a host's loop, which watches the [descriptor](Reactor::pollable_fd), now runs
    /// futures of its own with this reactor entered.
    ///
    /// While it does, whatever needs a turn makes the descriptor readable, which costs at most one
    /// system call until the next turn: a timer, a source whose quota is used up, a registration
    /// that is not made yet. At other times the host asks [`wants_turn`](Reactor::wants_turn) and
    /// [`next_deadline`](Reactor::next_deadline).
    pub(crate) fn set_host_runs(&self, runs: bool) {
        self.host_runs.set(runs);
    }

    /// Waits until something happens, at most for `limit` (`None`: without a limit; zero: does not
    /// block), and then wakes the tasks whose source became ready, whose deadline has passed, or
    /// about which messages came from other threads.
    ///
    /// This is the only place where the thread blocks. It returns early after [`Notifier::notify`],
    /// and may return spuriously.
    ///
    /// # Errors
    /// Returns the error of the waiting system call if the reactor's own descriptor was closed or
    /// replaced (`EBADF`, `EINVAL`). The reactor can still be dropped, and tasks whose events were
    /// delivered have been woken. Returns an error in a child of fork(2) before
    /// [`after_fork_child`](Reactor::after_fork_child).
    ///
    /// The other errors that the system calls document are not returned. Interruption by a signal
    /// ends the turn early. If the kernel has no memory for the wait (`ENOMEM`), the turn ends
    /// after a pause of at most 10 milliseconds, and the next one tries again. If poll(2) rejects a
    /// list for its length, the turn waits in select(2) instead, and the reverse.
    ///
    /// # Panics
    /// Panics if a waker panics, after all the others have been called.
    ///
    /// # Complexity
    /// O(ready + due), plus O(log n) for each due timer.
    pub fn turn(&self, limit: Option<Duration>) -> io::Result<()> {
        if self.is_forked() {
            return Err(forked());
        }
        if let Some(before_turn) = self.before_turn.get() {
            if let Some(turned) = before_turn(self, limit) {
                return turned;
            }
        }
        self.pass(limit, Reactor::until_next_deadline, |_, _| ())
    }

    /// The turn itself. `until_deadline` shortens the limit to the time until the earliest
    /// deadline. `outcome` gets the wakers, before they are called, and whether the wait was ended
    /// by a notification.
    #[inline(always)]
    fn pass<T>(
        &self,
        limit: Option<Duration>,
        until_deadline: impl FnOnce(&Reactor, Option<Duration>) -> Option<Duration>,
        outcome: impl FnOnce(&WakeList, bool) -> T,
    ) -> io::Result<T> {
        self.turn.set(self.turn.get().wrapping_add(1));
        tick::begin_turn(self.number(), self.turn.get());
        self.turn_wanted.set(false);
        let mut woken = self.woken.borrow_mut();
        woken.set_woke(false);
        self.drain_inbox(&mut woken);
        self.flush_registrations(&mut woken);
        let limit = if woken.has_nothing() {
            limit
        } else {
            Some(Duration::ZERO)
        };
        let waited = self.wait(until_deadline(self, limit), &mut woken);
        let waited = waited.map(|notified| outcome(&woken, notified));
        drop(woken);
        self.update_gauges();
        if self.embedded.get() {
            self.inbox.prepare_wait();
        }
        // Nothing is borrowed from here on: wakers are foreign code.
        wake_all(&self.woken);
        waited
    }

    /// Waits, delivers the events to their registrations, and fires the timers that are due. An
    /// event for an earlier occupant of a slot is stale, and dropped. Returns true if the wait was
    /// ended by a notification.
    #[inline(always)]
    fn wait(&self, limit: Option<Duration>, woken: &mut WakeList) -> io::Result<bool> {
        let blocking = limit != Some(Duration::ZERO);
        let parked = blocking && self.inbox.try_park();
        let limit = if parked { limit } else { Some(Duration::ZERO) };
        let counters = &self.inbox.counters;
        counters.waits.add(1);
        let mut events = self.events.borrow_mut();
        let mut waited = self.selector.borrow_mut().wait(&mut events, limit);
        if waited.as_ref().is_err_and(is_out_of_memory) {
            // Timers fire in the meantime, and the next turn tries again. The pause keeps that from
            // taking the processor from the processes that may free memory.
            sys::pause(limit.map_or(MEMORY_PAUSE, |limit| limit.min(MEMORY_PAUSE)));
            waited = Ok(());
        }
        let notified = blocking && self.inbox.unpark();
        if let Err(e) = waited {
            self.fire_timers(woken);
            return Err(e);
        }
        counters.events.add(events.len() as u64);
        let wake_local = self.wake_local.get();
        let mut registrations = self.registrations.borrow_mut();
        for event in &*events {
            match registrations.get(event.token) {
                Some(registration) => {
                    registration.scheduled.set_unread(event.unread);
                    registration.deliver(event.readiness, event.errno, wake_local, woken);
                }
                None => counters.stale_events.add(1),
            }
        }
        drop(registrations);
        if let Some(token) = woken.unattended.take() {
            if blocking || self.embedded.get() {
                self.watch_less(token);
            }
        }
        if parked && !notified && limit.is_none() && woken.wakes_none() {
            counters.spurious_wakes.add(1);
        }
        // An event has ended a wait that blocked before the earliest deadline.
        if !parked || events.is_empty() {
            self.fire_timers(woken);
        }
        Ok(notified)
    }

    /// Updates the counters that are gauges: the numbers of sources and timers.
    fn update_gauges(&self) {
        let counters = &self.inbox.counters;
        counters
            .sources
            .set(self.registrations.borrow().len() as u64);
        counters.timers.set(self.timers.borrow().len() as u64);
    }

    /// Wakes all tasks and refuses all further waits, from any thread: sources and timers that
    /// waited here return an error from now on. The runtime calls it when it is dropped.
    ///
    /// # Panics
    /// Panics if a waker panics, after all the others have been called.
    pub fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let mut woken = self.woken.borrow_mut();
        for message in self.inbox.close() {
            if let Some(waker) = message.into_waker() {
                woken.push(waker);
            }
        }
        self.registrations.borrow_mut().clear(&mut woken);
        self.timers.borrow_mut().clear(&mut woken);
        self.update_gauges();
        drop(woken);
        wake_all(&self.woken);
    }

    pub(crate) fn number(&self) -> u32 {
        self.inbox.number
    }

    pub(crate) fn registrations(&self) -> Ref<'_, Registrations> {
        self.registrations.borrow()
    }

    pub(crate) fn timers(&self) -> Ref<'_, Timers> {
        self.timers.borrow()
    }

    pub(crate) fn timers_mut(&self) -> RefMut<'_, Timers> {
        self.timers.borrow_mut()
    }

    /// Returns the time since the reactor was made.
    pub(crate) fn age(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Returns the instant from which [`Nanos`] count.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    pub(crate) fn turn_number(&self) -> u32 {
        self.turn.get()
    }

    /// Requests a turn soon, for a source that used up its quota.
    pub(crate) fn request_turn(&self) {
        self.turn_wanted.set(true);
        self.notify_host();
    }

    /// Makes the descriptor readable if the host's loop runs, which asks nothing before it waits.
    #[inline]
    pub(super) fn notify_host(&self) {
        if self.host_runs.get() {
            self.inbox.notify();
        }
    }
}

/// Returns the backend that the environment variable `RUNTIME_BACKEND` names, or the best one.
fn default_backend() -> io::Result<Backend> {
    let Some(name) = env::var_os("RUNTIME_BACKEND") else {
        return Ok(Backend::available()[0]);
    };
    name.to_string_lossy().parse().map_err(|e: io::Error| {
        io::Error::new(e.kind(), format!("the variable RUNTIME_BACKEND: {e}"))
    })
}

/// Returns true if the kernel had no memory for the wait (ENOMEM, and EAGAIN in POSIX).
#[cold]
fn is_out_of_memory(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock
    )
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("number", &self.number())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A handle that ends the wait of a [`Reactor`] from any thread, and reads its counters.
#[derive(Clone)]
pub struct Notifier {
    /// Weak, so that it keeps no descriptor of the reactor open.
    inbox: Weak<Inbox>,
    counters: Arc<Counters>,
}

impl Notifier {
    /// Ends the current wait, or keeps the next one from blocking.
    ///
    /// Calls coalesce: until the reactor waits again, only the first one makes a system call, and
    /// that one only if the reactor is waiting. Does nothing if the reactor was dropped.
    pub fn notify(&self) {
        if let Some(inbox) = self.inbox.upgrade() {
            inbox.notify();
        }
    }

    /// Returns the reactor's counters; `sources` and `timers` are those of its last turn. O(1).
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
