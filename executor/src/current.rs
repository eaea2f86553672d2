//! Which executor runs on this thread, and how a wake finds its way.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::core::Core;
use crate::handle::Handle;
use crate::mailbox::Mailbox;
use crate::task::WakerWord;

thread_local! {
    /// Without a destructor: where there is one, every look asks first whether it is registered.
    static CURRENT: Cell<ManuallyDrop<Option<Rc<Core>>>> =
        const { Cell::new(ManuallyDrop::new(None)) };
    /// That destructor, in case an [`Entered`] is never dropped, or later than this.
    static LEAVES: Leaves = const { Leaves };
    /// On threads of the blocking pool: the runtime they work for.
    static EMPLOYER: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// Asks something of the executor of this thread, which is taken out meanwhile and put back: that is
/// cheaper than to count who looks at it. So `ask` must not call anybody.
#[inline]
fn with<R>(ask: impl FnOnce(&Rc<Core>) -> Option<R>) -> Option<R> {
    let current = CURRENT.replace(ManuallyDrop::new(None));
    let answer = current.as_ref().and_then(ask);
    CURRENT.set(current);
    answer
}

/// The executor of this thread, if it has one. None too while the thread is being torn down.
#[inline]
pub(crate) fn get() -> Option<Rc<Core>> {
    with(|core| Some(core.clone()))
}

/// The executor of this thread if it is the one with this number.
#[inline]
pub(crate) fn if_numbered(number: u32) -> Option<Rc<Core>> {
    with(|core| (core.number() == number).then(|| core.clone()))
}

/// Asks something of the executor of this thread, if it is the one with this number. It must not
/// call anybody.
#[inline]
pub(crate) fn with_numbered<R>(number: u32, ask: impl FnOnce(&Core) -> R) -> Option<R> {
    with(|core| (core.number() == number).then(|| ask(core)))
}

/// Wakes a task: on its own thread by a push to the queue, elsewhere by mail.
#[inline]
pub(crate) fn wake(word: WakerWord) {
    if !wake_here(word) {
        Mailbox::wake(word);
    }
}

/// Wakes a task of this thread's executor. Says whether it is one, or would be. Calls nobody.
#[inline]
pub(crate) fn wake_here(word: WakerWord) -> bool {
    let woken = with(|core| word.is_executor(core.number()).then(|| core.wake(word)));
    woken.is_some()
}

/// The runtime that this thread belongs to, as its executor's thread or as one of its pool.
pub(crate) fn handle() -> Option<Handle> {
    let employer = || {
        EMPLOYER
            .try_with(|employer| employer.borrow().clone())
            .ok()
            .flatten()
    };
    get().map(|core| core.handle().clone()).or_else(employer)
}

pub(crate) fn employ(handle: Handle) {
    EMPLOYER.with(|employer| employer.replace(Some(handle)));
}

pub(crate) fn enter(core: Rc<Core>) -> Entered {
    Entered {
        before: exchange(Some(core)),
        _not_send: PhantomData,
    }
}

/// Nothing to enter, and nothing to come back to, while the thread is being torn down.
fn exchange(core: Option<Rc<Core>>) -> Option<Rc<Core>> {
    let exchanged = LEAVES.try_with(|_| replace(core));
    exchanged.ok().flatten()
}

fn replace(core: Option<Rc<Core>>) -> Option<Rc<Core>> {
    ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(core)))
}

struct Leaves;

impl Drop for Leaves {
    fn drop(&mut self) {
        drop(replace(None));
    }
}

/// While it lives, tasks are spawned on the executor that was
/// [entered](crate::Executor::enter). Dropping it restores what was there before.
#[derive(Debug)]
#[must_use = "the executor is left when this is dropped"]
pub struct Entered {
    before: Option<Rc<Core>>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The destructor of the one that is left runs here, where nothing is borrowed.
        drop(exchange(self.before.take()));
    }
}
