//! The executor that the thread runs.
//!
//! `wake`, `context` and `scheduler` import each other. The circle is inherent to a waker that is a
//! number: waking looks up the scheduler of the thread, and the scheduler makes wakers.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::{Rc, Weak};

use crate::inbox::{Inbox, RemoteOp};
use crate::scheduler::Scheduler;

thread_local! {
    /// Has no destructor: a thread-local with one checks at each access whether it is registered.
    static CURRENT: Cell<ManuallyDrop<Option<Rc<Scheduler>>>> =
        const { Cell::new(ManuallyDrop::new(None)) };
    /// The destructor of `CURRENT`, for an [`EnterGuard`] that is leaked or outlives the thread.
    static CLEAR_ON_EXIT: ClearOnExit = const { ClearOnExit };
    /// The executor that is a guest on this thread: entered for its own turns alone.
    static GUEST: RefCell<Option<Rc<Scheduler>>> = const { RefCell::new(None) };
    /// All executors of this thread, entered or not.
    static OWN: RefCell<Vec<Weak<Scheduler>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the scheduler of this thread.
///
/// The scheduler is moved out of the thread-local and back, which costs less than counting
/// borrows. So `f` must run no foreign code: it would find no executor.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Rc<Scheduler>) -> R) -> Option<R> {
    let current = CURRENT.replace(ManuallyDrop::new(None));
    let result = current.as_ref().map(f);
    CURRENT.set(current);
    result
}

/// Returns the scheduler of this thread. There is none while the thread is torn down.
#[inline]
pub(crate) fn get() -> Option<Rc<Scheduler>> {
    with(Rc::clone).or_else(guest)
}

/// Returns true if the thread is torn down, so that no scheduler can be entered.
#[cold]
pub(crate) fn is_torn_down() -> bool {
    CLEAR_ON_EXIT.try_with(|_| ()).is_err()
}

/// Returns the scheduler that is entered on this thread. Ignores a guest.
pub(crate) fn get_entered() -> Option<Rc<Scheduler>> {
    with(Rc::clone)
}

/// Returns the scheduler that is a guest on this thread, and unparks its owner, since the caller
/// may be about to spawn.
#[cold]
fn guest() -> Option<Rc<Scheduler>> {
    let guest = GUEST.try_with(|guest| guest.borrow().clone()).ok()??;
    guest.inbox().unpark();
    Some(guest)
}

pub(crate) fn enter_as_guest(scheduler: Rc<Scheduler>) -> GuestGuard {
    GuestGuard {
        previous: GUEST.with(|guest| guest.replace(Some(scheduler))),
        entered: exchange(None),
        _not_send: PhantomData,
    }
}

/// Returns the scheduler of this thread if it has this number.
#[inline]
pub(crate) fn get_if(number: u32) -> Option<Rc<Scheduler>> {
    with(|scheduler| (scheduler.number() == number).then(|| scheduler.clone())).flatten()
}

/// Calls `f` with the scheduler of this thread if it has this number. `f` must run no foreign code.
#[inline]
pub(crate) fn with_if<R>(number: u32, f: impl FnOnce(&Scheduler) -> R) -> Option<R> {
    with(|scheduler| (scheduler.number() == number).then(|| f(scheduler))).flatten()
}

/// Returns the scheduler with this number if it belongs to this thread, entered or not.
#[cold]
pub(crate) fn own(number: u32) -> Option<Rc<Scheduler>> {
    let find = |own: &RefCell<Vec<Weak<Scheduler>>>| {
        let own = own.borrow();
        let mut schedulers = own.iter().filter_map(Weak::upgrade);
        schedulers.find(|scheduler| scheduler.number() == number)
    };
    OWN.try_with(find).ok().flatten()
}

/// Makes a new scheduler known to its thread.
pub(crate) fn add_own(scheduler: &Rc<Scheduler>) {
    // While the thread is torn down, its handles use the inbox only.
    let _ = OWN.try_with(|own| own.borrow_mut().push(Rc::downgrade(scheduler)));
}

/// Forgets a scheduler of this thread.
pub(crate) fn remove_own(scheduler: &Rc<Scheduler>) {
    let is_other = |other: &Weak<Scheduler>| !ptr::eq(other.as_ptr(), Rc::as_ptr(scheduler));
    let _ = OWN.try_with(|own| own.borrow_mut().retain(is_other));
}

/// Performs an operation on the executor with this number: at once on its own thread, through its
/// inbox elsewhere. Rejects the operation if that executor was dropped.
pub(crate) fn send(number: u32, op: RemoteOp) {
    if let Some(scheduler) = get_if(number) {
        scheduler.perform(op);
    } else if let Some(inbox) = Inbox::find(number) {
        inbox.send(op);
    } else {
        op.reject();
    }
}

pub(crate) fn enter(scheduler: Rc<Scheduler>) -> EnterGuard {
    EnterGuard {
        previous: exchange(Some(scheduler)),
        _not_send: PhantomData,
    }
}

/// Does nothing while the thread is torn down.
fn exchange(scheduler: Option<Rc<Scheduler>>) -> Option<Rc<Scheduler>> {
    let exchanged = CLEAR_ON_EXIT.try_with(|_| replace(scheduler));
    exchanged.ok().flatten()
}

fn replace(scheduler: Option<Rc<Scheduler>>) -> Option<Rc<Scheduler>> {
    ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(scheduler)))
}

struct ClearOnExit;

impl Drop for ClearOnExit {
    fn drop(&mut self) {
        drop(replace(None));
    }
}

/// A guard that keeps an executor current on the thread.
///
/// Created by [`Executor::enter`](crate::Executor::enter). Dropping it restores the executor that
/// was current before.
#[derive(Debug)]
#[must_use = "the executor is left when the guard is dropped"]
pub struct EnterGuard {
    previous: Option<Rc<Scheduler>>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        // If this drops the last reference to the executor, it runs where nothing is borrowed.
        drop(exchange(self.previous.take()));
    }
}

/// A guard of [`Executor::enter_as_guest`](crate::Executor::enter_as_guest), whose drop restores
/// the previous state of the thread.
#[derive(Debug)]
#[must_use = "the executor is left when this is dropped"]
pub struct GuestGuard {
    previous: Option<Rc<Scheduler>>,
    /// Hidden while the guard exists: a wake on an entered executor does not unpark its owner.
    entered: Option<Rc<Scheduler>>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for GuestGuard {
    fn drop(&mut self) {
        // If this drops the last reference to an executor, it runs where nothing is borrowed.
        let previous = self.previous.take();
        drop(GUEST.try_with(|guest| guest.replace(previous)));
        drop(exchange(self.entered.take()));
    }
}
