//! The loop's other half: what waits, and who is woken.

use std::cell::{Cell, RefCell};
use std::env;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::context::{self, EnterGuard};
use crate::error::with_context;
use crate::interest::{Direction, Interest, Readiness};
use crate::mailbox::{Mailbox, Message};
use crate::slot::{Registration, Registrations};
use crate::stats::{Counters, Stats};
use crate::sys::{self, Backend, Event, Selector};
use crate::timer::Armed;
use crate::timers::{Nanos, TimerKey, Timers};
use crate::token::Token;
use crate::wake_list::{WakeList, wake_all};

mod fork;
mod inbox;
mod register;

/// No wait is longer, whatever the deadlines say: some kernels take no longer ones.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Waits for descriptors and deadlines, and wakes those who asked for them.
///
/// A reactor belongs to the thread that made it. It does nothing by itself: its owner calls
/// [`turn`](Reactor::turn) whenever there is nothing else to do. [`Source`](crate::Source)s and
/// [`Timer`](crate::Timer)s find it as the one that was [entered](Reactor::enter) on their thread;
/// other threads reach it by mail.
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use std::time::Duration;
/// use runtime_reactor::Reactor;
///
/// # fn main() -> std::io::Result<()> {
/// let reactor = Reactor::new()?;
/// let _entered = reactor.enter();
/// reactor.turn(Some(Duration::ZERO))?; // looks, and does not block
/// assert_eq!(reactor.stats().waits, 1);
/// # Ok(())
/// # }
/// ```
pub struct Reactor {
    selector: RefCell<Box<dyn Selector>>,
    registrations: RefCell<Registrations>,
    /// Whom the next wait registers.
    pending: RefCell<Vec<Token>>,
    timers: RefCell<Timers>,
    events: RefCell<Vec<Event>>,
    /// Filled while things are borrowed, emptied as soon as they are not.
    woken: RefCell<WakeList>,
    mailbox: Arc<Mailbox>,
    /// What `Nanos` count from.
    epoch: Instant,
    /// The clock as of the last turn that needed it.
    now: Cell<Nanos>,
    /// Counts turns, for the sources' quotas.
    turn: Cell<u32>,
    /// Set by a source that used up its quota, cleared by the turn that gives it a new one.
    turn_wanted: Cell<bool>,
    closed: Cell<bool>,
    /// Whether somebody else's loop watches our descriptor between turns.
    embedded: Cell<bool>,
    /// Whether the kernel tells each change once, without being asked again.
    is_edge: bool,
}

impl Reactor {
    /// Makes a reactor on the backend that the variable `RUNTIME_BACKEND` names, which is read here
    /// and nowhere else, or on the best there is.
    ///
    /// # Errors
    /// As [`with_backend`](Reactor::with_backend), and `InvalidInput` if the variable names no
    /// backend.
    pub fn new() -> io::Result<Rc<Reactor>> {
        let Some(name) = env::var_os("RUNTIME_BACKEND") else {
            return Reactor::with_backend(Backend::available()[0]);
        };
        let backend = name.to_string_lossy().parse().map_err(|e: io::Error| {
            io::Error::new(e.kind(), format!("the variable RUNTIME_BACKEND: {e}"))
        })?;
        Reactor::with_backend(backend)
    }

    /// Makes a reactor on `backend`.
    ///
    /// # Errors
    /// `Unsupported` if the platform has no such backend, and what the system says when it has no
    /// descriptor or memory left.
    pub fn with_backend(backend: Backend) -> io::Result<Rc<Reactor>> {
        let selector = sys::open(backend)
            .map_err(|e| with_context(format!("opening the reactor on {backend}"), e))?;
        Reactor::with_selector(selector)
    }

    pub(crate) fn with_selector(selector: Box<dyn Selector>) -> io::Result<Rc<Reactor>> {
        sys::watch_forks()?;
        let mailbox = Mailbox::open(selector.notifier(), Arc::new(Counters::default()))?;
        Ok(Rc::new(Reactor {
            is_edge: selector.is_edge(),
            selector: RefCell::new(selector),
            registrations: RefCell::default(),
            pending: RefCell::default(),
            timers: RefCell::default(),
            events: RefCell::default(),
            woken: RefCell::default(),
            mailbox,
            epoch: Instant::now(),
            now: Cell::new(0),
            turn: Cell::new(0),
            turn_wanted: Cell::new(false),
            closed: Cell::new(false),
            embedded: Cell::new(false),
        }))
    }

    /// Makes this the reactor of the calling thread until the guard is dropped.
    pub fn enter(self: &Rc<Self>) -> EnterGuard {
        context::enter(self.clone())
    }

    /// The system calls this reactor is built on.
    pub fn backend(&self) -> Backend {
        self.selector.borrow().backend()
    }

    /// What it counted so far. O(1).
    pub fn stats(&self) -> Stats {
        self.count_what_is_there();
        self.mailbox.counters.read()
    }

    /// What other threads use to end a wait of this reactor, and to read its figures.
    pub fn notifier(&self) -> Notifier {
        Notifier {
            mailbox: Arc::downgrade(&self.mailbox),
            counters: self.mailbox.counters.clone(),
        }
    }

    /// Whether some source waits for nothing but the next turn, since it used up its quota in this
    /// one: then `turn` should come soon, with a zero limit.
    pub fn wants_turn(&self) -> bool {
        self.turn_wanted.get()
    }

    /// When the earliest timer is due. O(1), or O(log n) for each timer that was moved.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.timers.borrow_mut().next_deadline()?;
        self.epoch.checked_add(Duration::from_nanos(deadline))
    }

    /// A descriptor that becomes readable when [`turn`](Reactor::turn) has something to do, for
    /// those who have a loop of their own. Timers do not show in it: see
    /// [`next_deadline`](Reactor::next_deadline).
    ///
    /// # Errors
    /// When no descriptor is left: this is a duplicate, made anew by each call. `Unsupported` on
    /// poll and select, which have no such descriptor: the kernel knows nothing between their waits.
    ///
    /// # Platform notes
    /// macOS cannot `poll(2)` a kqueue; use `select(2)` or another kqueue.
    pub fn pollable_fd(&self) -> io::Result<OwnedFd> {
        let selector = self.selector.borrow();
        let fd = selector.pollable_fd().ok_or_else(|| {
            let backend = selector.backend();
            let why =
                format!("a reactor on {backend} has no descriptor that another loop could watch");
            io::Error::new(io::ErrorKind::Unsupported, why)
        })?;
        let fd = fd.try_clone_to_owned()?;
        drop(selector);
        self.embedded.set(true);
        self.flush_registrations_now();
        self.mailbox.prepare_wait();
        Ok(fd)
    }

    /// Waits at most `limit` for something to happen (`None`: for as long as it takes; zero: not at
    /// all), then wakes everybody whom it concerns: those whose source became ready, those whose
    /// deadline has passed, and those about whom mail came from other threads.
    ///
    /// This is the only place where the thread blocks. It returns early when a
    /// [`Notifier`] says so, and may return early for no reason at all.
    ///
    /// # Errors
    /// What the waiting system call says, which is a defect of the program (somebody closed our
    /// descriptor) or of this one. Interruption by a signal is none. In a child of fork(2), that
    /// [`after_fork_child`](Reactor::after_fork_child) has to be called first.
    ///
    /// # Panics
    /// If a waker panics, after all the others have been called.
    ///
    /// # Complexity
    /// O(ready + due), plus O(log n) for each due timer.
    pub fn turn(&self, limit: Option<Duration>) -> io::Result<()> {
        if self.is_forked() {
            return Err(fork::forked());
        }
        self.turn.set(self.turn.get().wrapping_add(1));
        context::begin_turn(self.number(), self.turn.get());
        self.turn_wanted.set(false);
        if self.embedded.get() {
            self.mailbox.unpark();
        }
        let mut woken = self.woken.borrow_mut();
        self.drain_inbox(&mut woken);
        self.flush_registrations(&mut woken);
        let limit = if woken.has_nothing() {
            limit
        } else {
            Some(Duration::ZERO)
        };
        let waited = self.wait(limit, &mut woken);
        self.fire_timers(&mut woken);
        drop(woken);
        self.count_what_is_there();
        if self.embedded.get() {
            self.mailbox.prepare_wait();
        }
        // Nothing is borrowed from here on: wakers are other people's code.
        wake_all(&self.woken);
        waited
    }

    /// The waiting part of a turn: ends with the events delivered to their registrations.
    fn wait(&self, limit: Option<Duration>, woken: &mut WakeList) -> io::Result<()> {
        let limit = self.until_next_deadline(limit);
        let blocking = limit != Some(Duration::ZERO);
        let asleep = blocking && self.mailbox.try_park();
        let limit = if asleep { limit } else { Some(Duration::ZERO) };
        let counters = &self.mailbox.counters;
        counters.waits.add(1);
        let mut events = self.events.borrow_mut();
        let waited = self.selector.borrow_mut().wait(&mut events, limit);
        let notified = blocking && self.mailbox.unpark();
        if waited.is_ok() {
            self.deliver(&events, woken);
            if asleep && !notified && limit.is_none() && woken.is_empty() {
                counters.spurious_wakes.add(1);
            }
        }
        waited
    }

    fn deliver(&self, events: &[Event], woken: &mut WakeList) {
        let counters = &self.mailbox.counters;
        counters.events.add(events.len() as u64);
        let mut registrations = self.registrations.borrow_mut();
        for event in events {
            match registrations.get(event.token) {
                Some(registration) => {
                    registration.scheduled.count_unread(event.unread);
                    registration.deliver(event.readiness, event.errno, woken);
                }
                None => counters.stale_events.add(1),
            }
        }
    }

    /// How long to block at most.
    fn until_next_deadline(&self, limit: Option<Duration>) -> Option<Duration> {
        let limit = limit.map(|limit| limit.min(LONGEST_WAIT));
        if limit == Some(Duration::ZERO) || self.timers.borrow().len() == 0 {
            return limit;
        }
        self.read_clock();
        let deadline = self.timers.borrow_mut().next_deadline()?;
        let due = Duration::from_nanos(deadline.saturating_sub(self.now.get()));
        Some(due.min(limit.unwrap_or(LONGEST_WAIT)))
    }

    fn fire_timers(&self, woken: &mut WakeList) {
        if self.timers.borrow().len() > 0 {
            self.read_clock();
            let fired = self.timers.borrow_mut().fire(self.now.get(), woken);
            self.mailbox.counters.timers_fired.add(fired);
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.now.get())
    }

    fn read_clock(&self) {
        self.now.set(self.nanos(Instant::now()));
    }

    /// An instant as this reactor counts: what lies before its time is 0, and what lies five
    /// hundred years ahead is never.
    fn nanos(&self, instant: Instant) -> Nanos {
        let since = instant.saturating_duration_since(self.epoch);
        let whole = since.as_secs().saturating_mul(1_000_000_000);
        whole.saturating_add(since.subsec_nanos().into())
    }

    fn count_what_is_there(&self) {
        let counters = &self.mailbox.counters;
        counters
            .sources
            .set(self.registrations.borrow().len() as u64);
        counters.timers.set(self.timers.borrow().len() as u64);
    }

    /// Wakes everybody and refuses whatever comes later, from any thread: sources and timers that
    /// waited here return an error from now on. Called by the runtime that is dropped.
    ///
    /// # Panics
    /// If a waker panics, after all the others have been called.
    pub fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let mut woken = self.woken.borrow_mut();
        for message in self.mailbox.close() {
            match message {
                Message::Wait { waker, .. }
                | Message::WaitNonDirectional { waker, .. }
                | Message::TimerWait { waker, .. } => woken.push(waker),
                Message::Retry { .. }
                | Message::Remove { .. }
                | Message::TimerRemove { .. }
                | Message::TimerMove { .. } => {}
            }
        }
        self.registrations.borrow_mut().clear(&mut woken);
        self.timers.borrow_mut().clear(&mut woken);
        self.count_what_is_there();
        drop(woken);
        wake_all(&self.woken);
    }
}

/// What sources and timers ask of the reactor of their own thread.
impl Reactor {
    pub(crate) fn number(&self) -> u32 {
        self.mailbox.number
    }

    pub(crate) fn turn_number(&self) -> u32 {
        self.turn.get()
    }

    pub(crate) fn request_turn(&self) {
        self.turn_wanted.set(true);
    }

    /// Whether any of `interest` is ready; if not, the task of `cx` is woken once it is.
    pub(crate) fn poll_ready(
        &self,
        token: Token,
        interest: Interest,
        cx: &Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let readiness = {
            let mut registrations = self.registrations.borrow_mut();
            let registration = registrations
                .get(token)
                .ok_or_else(|| context::shut_down("this source"))?;
            let answer = registration.scheduled.readiness().satisfying(interest);
            registration.scheduled.error(interest).map(|()| answer)
        };
        let readiness = readiness.map_err(|e| self.failed(token, interest, e))?;
        if !readiness.is_empty() {
            return Poll::Ready(Ok(readiness));
        }
        for direction in interest.directions() {
            // Cloning a waker is other people's code, and so is dropping it: nothing is borrowed then.
            self.add_waker(token, direction, cx.waker().clone())?;
        }
        if !interest.non_directional().is_empty() {
            self.wait_non_directional(token, interest, cx)?;
        }
        Poll::Pending
    }

    /// The task of `cx` is woken once the part of `interest` that is no direction may have come.
    #[cold]
    pub(crate) fn wait_non_directional(
        &self,
        token: Token,
        interest: Interest,
        cx: &Context<'_>,
    ) -> io::Result<()> {
        match self.registrations.borrow_mut().get(token) {
            Some(registration) => registration.scheduled.check_supported(interest)?,
            None => return Err(context::shut_down("this source")),
        }
        // Cloning a waker is other people's code, so nothing is borrowed.
        let waker = cx.waker().clone();
        let mut woken = self.woken.borrow_mut();
        self.add_non_directional_waker(token, interest, waker, &mut woken);
        drop(woken);
        wake_all(&self.woken);
        Ok(())
    }

    fn add_non_directional_waker(
        &self,
        token: Token,
        interest: Interest,
        waker: Waker,
        woken: &mut WakeList,
    ) {
        let mut registrations = self.registrations.borrow_mut();
        let registration = registrations.get(token);
        let interest = interest.non_directional();
        let is_news = |registration: &&mut Registration| {
            let known = registration.scheduled.readiness().satisfying(interest);
            known.is_empty() && registration.scheduled.error(interest).is_ok()
        };
        let Some(registration) = registration.filter(is_news) else {
            return woken.push(waker);
        };
        if let Some(known) = registration.add_non_directional_waker(waker, self.turn.get(), woken) {
            woken.discard(known);
        }
        self.selector
            .borrow_mut()
            .arm_non_directional(token, interest);
    }

    /// Keeps `waker` until there is something in `direction`, where nothing speaks against that;
    /// else it is for [`wait_for`](Reactor::wait_for). Calls nobody.
    #[inline]
    pub(crate) fn try_add_waker(
        &self,
        token: Token,
        direction: Direction,
        waker: &mut Option<Waker>,
    ) {
        let mut registrations = self.registrations.borrow_mut();
        if let Some(registration) = registrations.get(token) {
            registration.try_add_waker(direction, waker);
        }
    }

    /// Wakes `waker` when there is something in `direction`.
    pub(crate) fn add_waker(
        &self,
        token: Token,
        direction: Direction,
        waker: Waker,
    ) -> io::Result<()> {
        let mut registrations = self.registrations.borrow_mut();
        let registration = registrations
            .get(token)
            .ok_or_else(|| context::shut_down("this source"))?;
        if let Err(e) = registration.scheduled.error(direction.interest()) {
            drop(registrations);
            return Err(self.failed(token, direction.interest(), e));
        }
        if registration.scheduled.is_ready(direction) {
            // To clone it was other people's code, and turned the reactor.
            drop(registrations);
            waker.wake();
            return Ok(());
        }
        if registration.has_waker(direction, &waker) {
            drop(registrations);
            return Ok(());
        }
        if !registration.scheduled.is_edge() {
            self.selector.borrow_mut().arm(token, direction);
        }
        let mut woken = self.woken.borrow_mut();
        registration.add_waker(direction, waker, self.turn.get(), &mut woken);
        drop(registrations);
        drop(woken);
        wake_all(&self.woken);
        Ok(())
    }

    /// Arms a timer, which takes `waker`, unless its deadline is known to be past.
    #[inline]
    pub(crate) fn insert_timer(
        &self,
        deadline: Instant,
        waker: &mut Option<Waker>,
    ) -> io::Result<Option<Armed>> {
        let deadline = self.nanos(deadline);
        if deadline <= self.now.get() {
            return Ok(None);
        }
        if self.closed.get() {
            return Err(context::shut_down("this timer"));
        }
        let mut timers = self.timers.borrow_mut();
        Ok(waker.take().map(|waker| Armed {
            reactor: self.number(),
            key: timers.insert(deadline, waker),
        }))
    }

    pub(crate) fn is_past(&self, deadline: Instant) -> bool {
        self.nanos(deadline) <= self.now.get()
    }

    /// Whether an armed timer has fired; if not, the task of `cx` is woken once it does.
    pub(crate) fn poll_timer(&self, key: TimerKey, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let known = match self.timers.borrow_mut().waker(key) {
            Some(waker) => waker.will_wake(cx.waker()),
            None if self.closed.get() => return Poll::Ready(Err(context::shut_down("this timer"))),
            None => return Poll::Ready(Ok(())),
        };
        if known {
            return Poll::Pending;
        }
        // Cloning and dropping wakers is other people's code, so nothing is borrowed.
        let waker = cx.waker().clone();
        let (unneeded, has_fired) = match self.timers.borrow_mut().waker(key) {
            Some(place) => (std::mem::replace(place, waker), false),
            None => (waker, true),
        };
        if has_fired {
            // Cloning the waker was other people's code, and turned or closed the reactor.
            unneeded.wake();
        }
        Poll::Pending
    }

    pub(crate) fn reset_timer(&self, key: TimerKey, deadline: Instant) -> bool {
        self.timers.borrow_mut().reset(key, self.nanos(deadline))
    }

    /// Disarms a timer. The waker is the caller's to drop, after its borrow.
    #[inline]
    pub(crate) fn remove_timer(&self, key: TimerKey) -> Option<Waker> {
        self.timers.borrow_mut().remove(key)
    }
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

/// Ends the wait of a [`Reactor`] from any thread, and reads its figures.
#[derive(Clone)]
pub struct Notifier {
    /// Weak, so that it keeps no descriptor of the reactor open.
    mailbox: Weak<Mailbox>,
    counters: Arc<Counters>,
}

impl Notifier {
    /// Ends the current wait, or keeps the next one from blocking.
    ///
    /// Calls coalesce: until the reactor waits again, only the first one makes a system call, and
    /// that one only if the reactor is waiting. Harmless when the reactor is gone.
    pub fn notify(&self) {
        if let Some(mailbox) = self.mailbox.upgrade() {
            mailbox.notify();
        }
    }

    /// What the reactor counted so far; `sources` and `timers` are those of its last turn. O(1).
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
