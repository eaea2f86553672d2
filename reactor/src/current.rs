//! Which reactor drives this thread.

use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Instant;

use crate::reactor::Reactor;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Reactor>>> = const { RefCell::new(None) };
}

/// The reactor of this thread, if it has one. None too while the thread is being torn down.
pub(crate) fn get() -> Option<Rc<Reactor>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// The reactor of this thread if it is the one with this number.
pub(crate) fn if_numbered(number: u32) -> Option<Rc<Reactor>> {
    get().filter(|reactor| reactor.number() == number)
}

pub(crate) fn enter(reactor: Rc<Reactor>) -> Entered {
    // Nothing to enter, and nothing to come back to, while the thread is being torn down.
    let before = CURRENT.try_with(|current| current.replace(Some(reactor)));
    let before = before.ok().flatten();
    Entered {
        before,
        _not_send: PhantomData,
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
        let before = self.before.take();
        let entered = CURRENT.try_with(|current| current.replace(before));
        // Its destructor runs here, where nothing is borrowed.
        drop(entered);
    }
}

/// The time of the reactor's last look at the clock on this thread, or of now where there is no
/// reactor. A timer that fired is never ahead of it.
pub fn now() -> Instant {
    get().map_or_else(Instant::now, |reactor| reactor.now())
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
