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
    /// That destructor, in case an [`Entered`] is never dropped, or later than this.
    static LEAVES: Leaves = const { Leaves };
    /// What every operation asks of it, for the price of a load.
    static HERE: Cell<Here> = const { Cell::new(Here::OUTSIDE) };
}

/// The reactor of a thread, as far as an operation that need not wait is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here {
    /// Its number, or one that no reactor has.
    pub(crate) reactor: u32,
    /// Its turn, counted in the upper 24 bits; the others are 0.
    pub(crate) turn: u32,
}

impl Here {
    const OUTSIDE: Here = Here {
        reactor: u32::MAX,
        turn: 0,
    };

    fn of(reactor: Option<&Reactor>) -> Here {
        reactor.map_or(Here::OUTSIDE, |reactor| Here {
            reactor: reactor.number(),
            turn: reactor.turn_number() << 8,
        })
    }
}

/// The number and the turn of this thread's reactor.
#[inline]
pub(crate) fn here() -> Here {
    HERE.get()
}

/// A reactor begins a turn. It need not be the one of this thread.
pub(crate) fn begin_turn(reactor: u32, turn: u32) {
    if HERE.get().reactor == reactor {
        HERE.set(Here {
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
pub(crate) fn with_numbered<R>(number: u32, ask: impl FnOnce(&Reactor) -> R) -> Option<R> {
    if HERE.get().reactor != number {
        return None;
    }
    with(ask)
}

/// The reactor of this thread if it is the one with this number.
#[inline]
pub(crate) fn if_numbered(number: u32) -> Option<Rc<Reactor>> {
    get().filter(|reactor| reactor.number() == number)
}

pub(crate) fn enter(reactor: Rc<Reactor>) -> Entered {
    Entered {
        before: exchange(Some(reactor)),
        _not_send: PhantomData,
    }
}

/// Nothing to enter, and nothing to come back to, while the thread is being torn down.
fn exchange(reactor: Option<Rc<Reactor>>) -> Option<Rc<Reactor>> {
    let exchanged = LEAVES.try_with(|_| replace(reactor));
    exchanged.ok().flatten()
}

fn replace(reactor: Option<Rc<Reactor>>) -> Option<Rc<Reactor>> {
    HERE.set(Here::of(reactor.as_deref()));
    ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(reactor)))
}

struct Leaves;

impl Drop for Leaves {
    fn drop(&mut self) {
        drop(replace(None));
    }
}

/// While it lives, sources and timers of this thread wait in the reactor that was
/// [entered](Reactor::enter). Dropping it restores what was there before.
#[derive(Debug)]
#[must_use = "the reactor is left when this is dropped"]
pub struct Entered {
    before: Option<Rc<Reactor>>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
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
pub(crate) fn outside(what: &str) -> io::Error {
    io::Error::other(format!(
        "{what} has to wait, but no runtime drives this thread: call it inside #[runtime::main], \
         Runtime::block_on or a spawned task"
    ))
}

/// What is left to say when the runtime in which something waited was dropped.
pub(crate) fn gone(what: &str) -> io::Error {
    io::Error::other(format!("the runtime in which {what} waited is gone"))
}
