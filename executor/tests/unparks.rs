//! When the thread of an executor is unparked: once for all messages of other threads until the
//! next batch, and never for what happens on the thread itself.

mod support;

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use runtime_executor::{Config, Executor, ParkMode, Unpark, spawn};
use support::{elsewhere, poll_once};

#[derive(Default)]
struct Counts(AtomicUsize);

impl Unpark for Counts {
    fn unpark(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counts {
    /// Returns the number of unparks since the last call.
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

fn waiting(waker: &Arc<Mutex<Option<Waker>>>) -> impl Future<Output = ()> + use<> {
    let put = waker.clone();
    poll_fn(move |cx| {
        *put.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    })
}

#[test]
fn everything_from_another_thread_unparks() {
    let counts = Arc::new(Counts::default());
    let executor = Executor::new(counts.clone(), Config::new()).unwrap();
    let entered = executor.enter();
    let waker = Arc::default();
    let mut handle = spawn(waiting(&waker));
    executor.run_ready();
    assert_eq!(counts.take(), 0);
    let remote = executor.handle().clone();
    let waker = waker.lock().unwrap().clone().unwrap();
    let root = executor.root_waker();
    // A batch runs between two of them.
    let unparks = |times, what: &str| {
        assert_eq!(counts.take(), times, "{what}");
        executor.run_ready();
    };
    elsewhere(|| waker.wake_by_ref());
    unparks(1, "a wake");
    elsewhere(|| root.wake_by_ref());
    unparks(1, "a wake of the root");
    elsewhere(|| assert!(poll_once(&mut handle, &waker).is_pending()));
    unparks(1, "a request for the output");
    elsewhere(|| assert!(poll_once(&mut handle, &waker).is_pending()));
    unparks(0, "it was requested already");
    elsewhere(|| handle.abort());
    unparks(1, "an abort");
    let sent = elsewhere(|| remote.spawn(async {}));
    unparks(1, "a new task");
    elsewhere(|| sent.abort());
    unparks(1, "an abort of that");
    elsewhere(move || drop(sent));
    unparks(0, "the drop of its handle sends no message");
    elsewhere(move || drop(handle));
    unparks(1, "a handle of a task that was spawned there is dropped");
    drop(entered);
    waker.wake_by_ref();
    assert_eq!(counts.take(), 1, "here, but not entered");
    executor.run_ready();
    drop(executor);
    elsewhere(|| {
        waker.wake_by_ref();
        drop(remote.spawn(async {}));
        assert_eq!(counts.take(), 0, "the executor was dropped");
    });
}

#[test]
fn messages_that_come_before_a_batch_unpark_once() {
    let counts = Arc::new(Counts::default());
    let executor = Executor::new(counts.clone(), Config::new()).unwrap();
    let _entered = executor.enter();
    let remote = executor.handle().clone();
    let root = executor.root_waker();
    for _ in 0..2 {
        elsewhere(|| {
            root.wake_by_ref();
            root.wake_by_ref();
            drop(remote.spawn(async {}));
        });
        assert_eq!(counts.take(), 1);
        // Also for an owner that parked in between, and so used up the unpark.
        assert!(executor.has_work());
        assert_eq!(executor.run_ready(), 1);
        assert!(executor.take_root_wake());
    }
}

#[test]
fn nothing_on_the_executors_own_thread_unparks() {
    let counts = Arc::new(Counts::default());
    let executor = Executor::new(counts.clone(), Config::new()).unwrap();
    let _entered = executor.enter();
    let waker = Arc::default();
    let mut handle = spawn(waiting(&waker));
    executor.run_ready();
    let waker = waker.lock().unwrap().clone().unwrap();
    waker.wake_by_ref();
    executor.root_waker().wake();
    assert!(poll_once(&mut handle, &waker).is_pending());
    drop(executor.handle().spawn(async {}));
    executor.run_ready();
    handle.abort();
    executor.run_ready();
    assert!(poll_once(&mut handle, &waker).is_ready());
    drop(handle);
    executor.close();
    assert_eq!(counts.take(), 0);
}

#[test]
fn the_output_for_another_thread_wakes_it_and_does_not_unpark() {
    let counts = Arc::new(Counts::default());
    let executor = Executor::new(counts.clone(), Config::new()).unwrap();
    let _entered = executor.enter();
    let mut handle = spawn(async { 1 });
    let (woken, waker) = support::CountingWaker::new();
    elsewhere(|| assert!(poll_once(&mut handle, &waker).is_pending()));
    assert_eq!(counts.take(), 1);
    executor.run_ready();
    assert_eq!((counts.take(), woken.count()), (0, 1));
    elsewhere(|| assert!(matches!(poll_once(&mut handle, &waker), Poll::Ready(Ok(1)))));
}

#[test]
fn an_unpark_is_kept_although_other_code_parks_the_thread() {
    let park = runtime_executor::ThreadPark::new();
    park.unparker().unpark();
    std::thread::park(); // as thread::scope does, say
    runtime_executor::Park::park(&park, ParkMode::Block); // would not return
}
