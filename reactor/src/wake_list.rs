//! Wakers that are called later, once nothing is borrowed any more.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

/// Collects wakers while the reactor's state is borrowed; [`wake_all`](WakeList::wake_all) calls
/// them when it is not. Kept by the reactor from turn to turn, so it allocates only to grow.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    wakers: Vec<Waker>,
    /// Not to be woken, only dropped: that, too, is other people's code.
    discarded: Vec<Waker>,
}

impl WakeList {
    pub(crate) fn push(&mut self, waker: Waker) {
        self.wakers.push(waker);
    }

    pub(crate) fn extend(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    /// Puts off dropping `wakers` until the others are called.
    pub(crate) fn discard(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.discarded.extend(wakers);
    }

    /// Whether there is nobody to be woken, and nothing to be dropped.
    pub(crate) fn has_nothing(&self) -> bool {
        self.wakers.is_empty() && self.discarded.is_empty()
    }

    /// Whether nobody is to be woken.
    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Waker> {
        self.wakers.iter()
    }

    /// Calls every waker, in the order in which they came.
    ///
    /// A waker that panics does not keep the others from being called; the first panic goes on
    /// after the last of them.
    pub(crate) fn wake_all(&mut self) {
        let mut panic = None;
        // Costs nothing where nobody panics.
        let mut call = |waker: Waker, f: fn(Waker)| {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| f(waker))) {
                match panic {
                    None => panic = Some(payload),
                    // A payload may panic when it is dropped, and there must be an end to it.
                    Some(_) => std::mem::forget(payload),
                }
            }
        };
        for waker in self.wakers.drain(..) {
            call(waker, Waker::wake);
        }
        for waker in self.discarded.drain(..) {
            call(waker, drop);
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Counts how often it was woken.
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
        list.extend([first.waker(), Arc::new(Panics).into(), last.waker()]);
        let panic = catch_unwind(AssertUnwindSafe(|| list.wake_all()));
        assert_eq!(
            *panic.unwrap_err().downcast::<&str>().unwrap(),
            "this waker panics"
        );
        assert_eq!((first.count(), last.count()), (1, 1));
        assert!(list.is_empty());
    }
}
