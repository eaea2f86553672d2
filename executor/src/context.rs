//! Which executor runs on this thread, and how a wake finds its way.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::handle::Handle;
use crate::inbox::Inbox;
use crate::scheduler::Scheduler;
use crate::task::WakerId;

thread_local! {
    /// Without a destructor: where there is one, every look asks first whether it is registered.
    static CURRENT: Cell<ManuallyDrop<Option<Rc<Scheduler>>>> =
        const { Cell::new(ManuallyDrop::new(None)) };
    /// That destructor, in case an [`EnterGuard`] is never dropped, or later than this.
    static CLEAR_ON_EXIT: ClearOnExit = const { ClearOnExit };
    /// On threads of the blocking pool: the runtime they work for.
    static POOL_HANDLE: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// Asks something of the executor of this thread, which is taken out meanwhile and put back: that is
/// cheaper than to count who looks at it. So `ask` must not call anybody.
#[inline]
fn with<R>(ask: impl FnOnce(&Rc<Scheduler>) -> Option<R>) -> Option<R> {
    let current = CURRENT.replace(ManuallyDrop::new(None));
    let answer = current.as_ref().and_then(ask);
    CURRENT.set(current);
    answer
}

/// The executor of this thread, if it has one. None too while the thread is being torn down.
#[inline]
pub(crate) fn get() -> Option<Rc<Scheduler>> {
    with(|scheduler| Some(scheduler.clone()))
}

/// The executor of this thread if it is the one with this number.
#[inline]
pub(crate) fn get_if(number: u32) -> Option<Rc<Scheduler>> {
    with(|scheduler| (scheduler.number() == number).then(|| scheduler.clone()))
}

/// Asks something of the executor of this thread, if it is the one with this number. It must not
/// call anybody.
#[inline]
pub(crate) fn with_if<R>(number: u32, ask: impl FnOnce(&Scheduler) -> R) -> Option<R> {
    with(|scheduler| (scheduler.number() == number).then(|| ask(scheduler)))
}

/// Wakes a task: on its own thread by a push to the queue, elsewhere by mail.
#[inline]
pub(crate) fn wake(id: WakerId) {
    if !wake_here(id) {
        Inbox::wake(id);
    }
}

/// Wakes a task of this thread's executor. Says whether it is one, or would be. Calls nobody.
#[inline]
pub(crate) fn wake_here(id: WakerId) -> bool {
    let woken = with(|scheduler| {
        id.is_executor(scheduler.number())
            .then(|| scheduler.wake(id))
    });
    woken.is_some()
}

/// The runtime that this thread belongs to, as its executor's thread or as one of its pool.
pub(crate) fn handle() -> Option<Handle> {
    let pool_handle = || {
        POOL_HANDLE
            .try_with(|pool_handle| pool_handle.borrow().clone())
            .ok()
            .flatten()
    };
    get()
        .map(|scheduler| scheduler.handle().clone())
        .or_else(pool_handle)
}

pub(crate) fn set_pool_context(handle: Handle) {
    POOL_HANDLE.with(|pool_handle| pool_handle.replace(Some(handle)));
}

pub(crate) fn enter(scheduler: Rc<Scheduler>) -> EnterGuard {
    EnterGuard {
        before: exchange(Some(scheduler)),
        _not_send: PhantomData,
    }
}

/// Nothing to enter, and nothing to come back to, while the thread is being torn down.
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

/// While it lives, tasks are spawned on the executor that was
/// [entered](crate::Executor::enter). Dropping it restores what was there before.
#[derive(Debug)]
#[must_use = "the executor is left when this is dropped"]
pub struct EnterGuard {
    before: Option<Rc<Scheduler>>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        // The destructor of the one that is left runs here, where nothing is borrowed.
        drop(exchange(self.before.take()));
    }
}
