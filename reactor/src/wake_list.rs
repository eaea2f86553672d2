//! Wakers that are called once nothing is borrowed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

use crate::token::Token;

/// The wakers that were collected while the reactor's state was borrowed; [`wake_all`] calls them
/// when it no longer is. The capacity is kept from turn to turn, so it allocates only to grow.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    wakers: VecDeque<Waker>,
    /// Wakers to drop instead of wake: dropping is foreign code too.
    discarded: Vec<Waker>,
    /// True if a task was woken in this turn without an entry in this list.
    woke: bool,
    /// A listener that was reported by level while no task waited for it.
    pub(crate) unattended: Option<Token>,
}

impl WakeList {
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        self.wakers.push_back(waker);
    }

    /// Adds a waker that is dropped after the others are called.
    #[cold]
    pub(crate) fn discard(&mut self, waker: Waker) {
        self.discarded.push(waker);
    }

    /// Notes that a task was woken without an entry in this list.
    #[inline]
    pub(crate) fn set_woke(&mut self, woke: bool) {
        self.woke = woke;
    }

    /// Returns true if no task was woken in this turn, and there is no waker to call or to drop.
    pub(crate) fn has_nothing(&self) -> bool {
        !self.woke && !self.has_wakers()
    }

    /// Returns true if there is a waker to call or to drop.
    fn has_wakers(&self) -> bool {
        !self.wakers.is_empty() || !self.discarded.is_empty()
    }

    /// Returns true if no task was woken in this turn, and there is no waker to call.
    pub(crate) fn wakes_none(&self) -> bool {
        !self.woke && self.wakers.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waker> {
        self.wakers.iter()
    }

    #[cfg(test)]
    pub(crate) fn wake_all(self) {
        wake_all(&RefCell::new(self));
    }
}

/// Calls every waker, in the order in which they came. The list is borrowed between the calls only,
/// and a waker that is added by one of them is called too.
///
/// A waker that panics does not keep the others from being called; the first panic is resumed after
/// the last of them.
#[inline]
pub(crate) fn wake_all(list: &RefCell<WakeList>) {
    // Most turns only wake tasks of this thread, which are not in the list.
    if list.borrow().has_wakers() {
        wake_each(list);
    }
}

#[inline(never)]
fn wake_each(list: &RefCell<WakeList>) {
    let next = || list.borrow_mut().wakers.pop_front();
    let next_discarded = || list.borrow_mut().discarded.pop();
    let wake_until_panic = || {
        while let Some(waker) = next() {
            waker.wake();
        }
        while let Some(waker) = next_discarded() {
            drop(waker);
        }
    };
    until_no_panic(wake_until_panic);
}

/// Calls `f` again each time that it panics, and resumes the first panic after the last call. Each
/// call continues where the one before stopped, so that a waker that panics does not keep the
/// others from being called.
pub fn until_no_panic(mut f: impl FnMut()) {
    let mut panic = None;
    while let Err(payload) = catch_unwind(AssertUnwindSafe(&mut f)) {
        match panic {
            None => panic = Some(payload),
            // A payload may panic when it is dropped; forgetting it ends the chain.
            Some(_) => std::mem::forget(payload),
        }
    }
    if let Some(payload) = panic {
        resume_unwind(payload);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// A waker that counts how often it was woken.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct CountingWaker(Arc<Count>);

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl CountingWaker {
        pub(crate) fn new() -> CountingWaker {
            CountingWaker::default()
        }

        pub(crate) fn waker(&self) -> Waker {
            self.0.clone().into()
        }

        pub(crate) fn count(&self) -> usize {
            self.0.0.load(Ordering::SeqCst)
        }
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("this waker panics");
        }
    }

    #[test]
    fn a_waker_that_panics_does_not_lose_the_others() {
        let (first, last) = (CountingWaker::new(), CountingWaker::new());
        let mut list = WakeList::default();
        for waker in [first.waker(), Arc::new(Panics).into(), last.waker()] {
            list.push(waker);
        }
        let list = RefCell::new(list);
        let panic = catch_unwind(AssertUnwindSafe(|| wake_all(&list)));
        assert_eq!(
            *panic.unwrap_err().downcast::<&str>().unwrap(),
            "this waker panics"
        );
        assert_eq!((first.count(), last.count()), (1, 1));
        assert!(list.borrow().has_nothing());
    }
}
