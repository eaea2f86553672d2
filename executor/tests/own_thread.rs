//! A future that is not `Send` is polled and dropped on the thread of its executor.

mod support;

use std::future::{Future, pending};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use support::{Loop, elsewhere, poll_once, wait_for, watchdog};

/// The threads of the events.
type Places = Arc<Mutex<Vec<ThreadId>>>;

/// A future that is not Send, ends on request, and notes the thread of its polls and its drop.
struct Local {
    places: Places,
    waker: Arc<Mutex<Option<Waker>>>,
    ends: bool,
    _not_send: PhantomData<*const ()>,
}

impl Future for Local {
    type Output = u8;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u8> {
        self.places.lock().unwrap().push(thread::current().id());
        let first = self
            .waker
            .lock()
            .unwrap()
            .replace(cx.waker().clone())
            .is_none();
        if first || !self.ends {
            Poll::Pending
        } else {
            Poll::Ready(5)
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.places.lock().unwrap().push(thread::current().id());
    }
}

fn local(ends: bool) -> (Local, Places, Arc<Mutex<Option<Waker>>>) {
    let (places, waker) = <(Places, Arc<Mutex<Option<Waker>>>)>::default();
    let future = Local {
        places: places.clone(),
        waker: waker.clone(),
        ends,
        _not_send: PhantomData,
    };
    (future, places, waker)
}

#[track_caller]
fn assert_all_here(places: &Places, count: usize) {
    let places = places.lock().unwrap();
    assert_eq!(places.len(), count);
    assert!(places.iter().all(|place| *place == thread::current().id()));
}

#[test]
fn woken_from_another_thread() {
    let looped = Loop::new();
    let (future, places, waker) = local(true);
    let handle = looped.executor.spawn(future);
    looped.settle();
    let waker = waker.lock().unwrap().clone().unwrap();
    elsewhere(move || waker.wake());
    assert_eq!(looped.block_on(handle).unwrap(), 5);
    assert_all_here(&places, 3);
}

#[test]
fn when_the_last_handle_and_waker_die_on_another_thread() {
    let looped = Loop::new();
    let (future, places, waker) = local(false);
    let handle = looped.executor.spawn(future);
    looped.settle();
    let waker = waker.lock().unwrap().take();
    elsewhere(|| drop((handle, waker)));
    looped.settle();
    assert_all_here(&places, 1);
    drop(looped);
    assert_all_here(&places, 2);
}

#[test]
fn when_it_is_aborted_from_another_thread() {
    let looped = Loop::new();
    let (future, places, _) = local(false);
    let handle = looped.executor.spawn(future);
    looped.settle();
    let handle = elsewhere(|| {
        handle.abort();
        handle
    });
    assert!(looped.block_on(handle).is_err());
    assert_all_here(&places, 2);
}

#[test]
fn when_the_executor_is_dropped_entered_or_not_with_handles_elsewhere() {
    for entered in [false, true] {
        let _watchdog = watchdog();
        let looped = Loop::new();
        let (future, places, waker) = local(false);
        let mut handle = looped.executor.spawn(future);
        looped.settle();
        elsewhere(|| assert!(poll_once(&mut handle, Waker::noop()).is_pending()));
        let far = thread::spawn(move || wait_for(handle));
        let guard = entered.then(|| looped.executor.enter());
        drop(looped);
        drop(guard);
        assert!(far.join().unwrap().is_err());
        assert_all_here(&places, 2);
        elsewhere(|| waker.lock().unwrap().take().unwrap().wake());
        assert_all_here(&places, 2);
    }
}

#[test]
fn an_output_that_is_not_send_dies_here_too() {
    struct Output(Places, PhantomData<*const ()>);
    impl Drop for Output {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(thread::current().id());
        }
    }
    let places = Places::default();
    let output = || Output(places.clone(), PhantomData);
    let looped = Loop::new();
    let spawn = || {
        let output = output();
        looped.executor.spawn(async move { output })
    };
    // Detached; taken; never taken; requested by a message, because the executor is not entered.
    drop(spawn());
    looped.settle();
    assert_all_here(&places, 1);
    drop(looped.block_on(spawn()));
    assert_all_here(&places, 2);
    let kept = spawn();
    let mut asked = spawn();
    assert!(poll_once(&mut asked, Waker::noop()).is_pending());
    looped.settle();
    assert!(poll_once(&mut asked, Waker::noop()).is_ready());
    assert_all_here(&places, 3);
    let mut asked_and_dropped = spawn();
    assert!(poll_once(&mut asked_and_dropped, Waker::noop()).is_pending());
    let mut asked_too_late = spawn();
    drop(looped);
    assert_all_here(&places, 6);
    assert!(poll_once(&mut asked_too_late, Waker::noop()).is_ready());
    assert!(poll_once(&mut asked_and_dropped, Waker::noop()).is_ready());
    drop(kept);
}

#[test]
fn a_thousand_handles_and_wakers_die_elsewhere_while_it_runs() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let mut all = Vec::new();
    let mut far = Vec::new();
    for n in 0..1000 {
        let (future, places, waker) = local(n % 2 == 0);
        let handle = looped.executor.spawn(future);
        all.push(places);
        far.push((handle, waker));
    }
    looped.settle();
    let far = thread::spawn(move || {
        for (n, (mut handle, waker)) in far.into_iter().enumerate() {
            if n % 3 == 0 {
                let _ = poll_once(&mut handle, Waker::noop());
            }
            waker.lock().unwrap().take().unwrap().wake();
            if n % 5 == 0 {
                handle.abort();
            }
        }
    });
    while !far.is_finished() {
        looped.settle();
    }
    far.join().unwrap();
    looped.settle();
    drop(looped);
    for places in all {
        let places = places.lock().unwrap();
        assert!(places.iter().all(|place| *place == thread::current().id()));
    }
}

#[test]
fn a_future_refused_by_a_closed_executor_is_dropped_by_its_sender() {
    let looped = Loop::new();
    let remote = looped.executor.handle().clone();
    drop(looped);
    let far = thread::spawn(move || {
        drop(remote.spawn(pending::<()>()));
    });
    far.join().unwrap();
}
