//! Scopes: children that borrow, and are polled by the task that awaits the scope.

mod completion;
mod drops;
mod early_end;
mod nesting;
mod panics;
mod wakes;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use runtime::task::{self, scope, try_scope, yield_now};
use runtime::{Runtime, select, time};

const HOUR: Duration = Duration::from_secs(3600);

/// Returns a runtime in which a sleep takes no time.
fn paused() -> Runtime {
    Runtime::builder().start_paused(true).build().unwrap()
}

/// A waker that counts its wakes.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counter {
    fn new() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (counter.clone(), counter.into())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A future that is ready once it was opened, and counts its polls.
#[derive(Default)]
struct Gate {
    is_open: Cell<bool>,
    polls: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    async fn passed(&self) {
        poll_fn(|cx| {
            self.polls.set(self.polls.get() + 1);
            if self.is_open.get() {
                return Poll::Ready(());
            }
            self.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn wake(&self) {
        self.waker.borrow().as_ref().unwrap().wake_by_ref();
    }

    fn open(&self) {
        self.is_open.set(true);
        self.wake();
    }
}

/// Notes a name when it is dropped.
struct Note<'a>(&'a RefCell<Vec<&'static str>>, &'static str);

impl Drop for Note<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

/// Polls until the future is pending without having woken its waker. No executor is there, so this
/// is the only task.
fn settle<F: Future>(mut future: Pin<&mut F>, counter: &(Arc<Counter>, Waker)) -> Poll<F::Output> {
    loop {
        let before = counter.0.count();
        let polled = future.as_mut().poll(&mut Context::from_waker(&counter.1));
        if polled.is_ready() || counter.0.count() == before {
            return polled;
        }
    }
}

fn text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload.downcast_ref::<&str>().unwrap()
}
