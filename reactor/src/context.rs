//! The reactor that drives this thread.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Instant;

use crate::clock::{self, Clock};
use crate::reactor::Reactor;
#[cfg(feature = "sim")]
use crate::sys::sim::Host;
use crate::tick::{self, Tick, tick};

thread_local! {
    /// Has no destructor: a thread-local with one checks at each access whether it is registered.
    static CURRENT: RefCell<ManuallyDrop<Option<Rc<Reactor>>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
    /// The destructor of `CURRENT`, for an [`EnterGuard`] that is leaked or outlives the thread.
    static CLEAR_ON_EXIT: ClearOnExit = const { ClearOnExit };
}

/// Returns the reactor of this thread. Returns `None` if there is none, and while the thread is
/// being torn down.
pub(crate) fn get() -> Option<Rc<Reactor>> {
    CURRENT.with_borrow(|current| (**current).clone())
}

/// Returns true if this thread has a reactor.
pub(crate) fn is_entered() -> bool {
    with(|_| ()).is_some()
}

/// Returns the reactor of this thread if it is the one with this number.
#[inline]
pub(crate) fn get_if(number: u32) -> Option<Rc<Reactor>> {
    get().filter(|reactor| reactor.number() == number)
}

/// Calls `ask` with the reactor of this thread, without counting a reference to it. `ask` must run
/// no foreign code.
#[inline]
pub(crate) fn with<R>(ask: impl FnOnce(&Reactor) -> R) -> Option<R> {
    CURRENT.with_borrow(|current| current.as_deref().map(ask))
}

/// Calls `ask` with the reactor of this thread, as [`with`] does, if it is the one with this
/// number.
#[inline]
pub(crate) fn with_if<R>(number: u32, ask: impl FnOnce(&Reactor) -> R) -> Option<R> {
    if tick().reactor() != number {
        return None;
    }
    with(ask)
}

/// Returns the time at which the reactor of this thread last read the clock, or the current time on
/// a thread without a reactor. Every timer that has fired was due by this time.
pub fn now() -> Instant {
    with(Reactor::now).unwrap_or_else(clock::now)
}

/// Returns the simulated host on which this thread is: that of its reactor.
#[cfg(feature = "sim")]
pub fn host() -> Option<Host> {
    with(|reactor| reactor.host().cloned()).flatten()
}

impl Reactor {
    /// Makes this reactor the current one of the calling thread until the guard is dropped.
    pub fn enter(self: &Rc<Self>) -> EnterGuard {
        let outer_clock = clock::get();
        let exchanges_clock = self.has_own_clock() || with(Reactor::has_own_clock) == Some(true);
        if exchanges_clock {
            clock::replace(self.own_clock());
        }
        EnterGuard {
            before: exchange(Some(self.clone())),
            outer_clock,
            exchanges_clock,
            _not_send: PhantomData,
        }
    }
}

/// A guard that keeps a reactor [entered](Reactor::enter): sources and timers of this thread wait
/// in it. Dropping the guard restores the reactor that was entered before.
#[derive(Debug)]
#[must_use = "the reactor is left when this is dropped"]
pub struct EnterGuard {
    before: Option<Rc<Reactor>>,
    /// The clock of the thread before.
    outer_clock: Clock,
    /// True if one of the two reactors had a clock of its own.
    exchanges_clock: bool,
    _not_send: PhantomData<*const ()>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let own_clock =
            |reactor: &Rc<Reactor>| reactor.has_own_clock().then(|| reactor.own_clock());
        let clock = match self.before.as_ref().and_then(own_clock) {
            // It may have moved since.
            Some(clock) => Some(clock),
            None if self.exchanges_clock => Some(self.outer_clock),
            // It may have been paused since it was entered.
            None => with(Reactor::has_own_clock)
                .unwrap_or_default()
                .then_some(self.outer_clock),
        };
        if let Some(clock) = clock {
            clock::replace(clock);
        }
        // The destructor of the reactor that is left runs here, where nothing is borrowed.
        drop(exchange(self.before.take()));
    }
}

/// Replaces the reactor of this thread. Does nothing while the thread is being torn down: then
/// there is nothing to enter, and nothing to restore.
fn exchange(reactor: Option<Rc<Reactor>>) -> Option<Rc<Reactor>> {
    let exchanged = CLEAR_ON_EXIT.try_with(|_| replace(reactor));
    exchanged.ok().flatten()
}

fn replace(reactor: Option<Rc<Reactor>>) -> Option<Rc<Reactor>> {
    let tick_of = |reactor: &Rc<Reactor>| Tick::new(reactor.number(), reactor.turn_number());
    tick::set(reactor.as_ref().map_or(Tick::NONE, tick_of));
    ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(reactor)))
}

struct ClearOnExit;

impl Drop for ClearOnExit {
    fn drop(&mut self) {
        drop(replace(None));
    }
}
