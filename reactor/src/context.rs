//! Which reactor drives this thread.

use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Instant;

use crate::reactor::Reactor;

thread_local! {
    /// Without a destructor: where there is one, every look asks first whether it is registered.
    static CURRENT: RefCell<ManuallyDrop<Option<Rc<Reactor>>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
    /// That destructor, in case an [`EnterGuard`] is never dropped, or later than this.
    static CLEAR_ON_EXIT: ClearOnExit = const { ClearOnExit };
    /// What every operation asks of it, for the price of a load.
    static TICK: Cell<Tick> = const { Cell::new(Tick::OUTSIDE) };
}

/// The reactor of a thread, as far as an operation that need not wait is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    /// Its number, or one that no reactor has.
    pub(crate) reactor: u32,
    /// Its turn, counted in the upper 24 bits; the others are 0.
    pub(crate) turn: u32,
}

impl Tick {
    const OUTSIDE: Tick = Tick {
        reactor: u32::MAX,
        turn: 0,
    };

    fn of(reactor: Option<&Reactor>) -> Tick {
        reactor.map_or(Tick::OUTSIDE, |reactor| Tick {
            reactor: reactor.number(),
            turn: reactor.turn_number() << 8,
        })
    }
}

/// The number and the turn of this thread's reactor.
#[inline]
pub(crate) fn tick() -> Tick {
    TICK.get()
}

/// A reactor begins a turn. It need not be the one of this thread.
pub(crate) fn begin_turn(reactor: u32, turn: u32) {
    if TICK.get().reactor == reactor {
        TICK.set(Tick {
            reactor,
            turn: turn << 8,
        });
    }
}

/// The reactor of this thread, if it has one. None too while the thread is being torn down.
pub(crate) fn get() -> Option<Rc<Reactor>> {
    CURRENT.with_borrow(|current| (**current).clone())
}

/// What the reactor of this thread says, if it has one, without counting a reference to it. `ask`
/// runs no code but this crate's.
#[inline]
pub(crate) fn with<R>(ask: impl FnOnce(&Reactor) -> R) -> Option<R> {
    CURRENT.with_borrow(|current| current.as_deref().map(ask))
}

/// The same, if it is the reactor with this number.
#[inline]
pub(crate) fn with_if<R>(number: u32, ask: impl FnOnce(&Reactor) -> R) -> Option<R> {
    if TICK.get().reactor != number {
        return None;
    }
    with(ask)
}

/// The reactor of this thread if it is the one with this number.
#[inline]
pub(crate) fn get_if(number: u32) -> Option<Rc<Reactor>> {
    get().filter(|reactor| reactor.number() == number)
}

pub(crate) fn enter(reactor: Rc<Reactor>) -> EnterGuard {
    EnterGuard {
        before: exchange(Some(reactor)),
        _not_send: PhantomData,
    }
}

/// Nothing to enter, and nothing to come back to, while the thread is being torn down.
fn exchange(reactor: Option<Rc<Reactor>>) -> Option<Rc<Reactor>> {
    let exchanged = CLEAR_ON_EXIT.try_with(|_| replace(reactor));
    exchanged.ok().flatten()
}

fn replace(reactor: Option<Rc<Reactor>>) -> Option<Rc<Reactor>> {
    TICK.set(Tick::of(reactor.as_deref()));
    ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(reactor)))
}

struct ClearOnExit;

impl Drop for ClearOnExit {
    fn drop(&mut self) {
        drop(replace(None));
    }
}

/// While it lives, sources and timers of this thread wait in the reactor that was
/// [entered](Reactor::enter). Dropping it restores what was there before.
#[derive(Debug)]
#[must_use = "the reactor is left when this is dropped"]
pub struct EnterGuard {
    before: Option<Rc<Reactor>>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        // The destructor of the one that is left runs here, where nothing is borrowed.
        drop(exchange(self.before.take()));
    }
}

/// The time of the reactor's last look at the clock on this thread, or of now where there is no
/// reactor. A timer that fired is never ahead of it.
pub fn now() -> Instant {
    with(Reactor::now).unwrap_or_else(Instant::now)
}

/// What a wait outside every runtime gets. `what` is the thing that was to wait.
pub(crate) fn no_runtime(what: &str) -> io::Error {
    io::Error::other(format!(
        "{what} has to wait, but no runtime drives this thread: call it inside #[runtime::main], \
         Runtime::block_on or a spawned task"
    ))
}

/// What is left to say when the runtime in which something waited was dropped.
pub(crate) fn shut_down(what: &str) -> io::Error {
    io::Error::other(format!("the runtime in which {what} waited is gone"))
}
