//! Which executor runs on this thread, and how a wake finds its way.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::core::Core;
use crate::handle::Handle;
use crate::mailbox::Mailbox;
use crate::task::WakerWord;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
    /// On threads of the blocking pool: the runtime they work for.
    static EMPLOYER: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// The executor of this thread, if it has one. None too while the thread is being torn down.
pub(crate) fn get() -> Option<Rc<Core>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// The executor of this thread if it is the one with this number.
pub(crate) fn if_numbered(number: u32) -> Option<Rc<Core>> {
    get().filter(|core| core.number() == number)
}

/// Wakes a task: on its own thread by a push to the queue, elsewhere by mail.
pub(crate) fn wake(word: WakerWord) {
    let here = CURRENT.try_with(|current| match &*current.borrow() {
        Some(core) if word.is_executor(core.number()) => {
            core.wake(word);
            true
        }
        _ => false,
    });
    if here != Ok(true) {
        Mailbox::wake(word);
    }
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
    // Nothing to enter, and nothing to come back to, while the thread is being torn down.
    let before = CURRENT.try_with(|current| current.replace(Some(core)));
    let before = before.ok().flatten();
    Entered {
        before,
        _not_send: PhantomData,
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
        let before = self.before.take();
        let entered = CURRENT.try_with(|current| current.replace(before));
        // Its destructor runs here, where nothing is borrowed.
        drop(entered);
    }
}
