//! Handles of an executor that is not running.

mod support;

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread;

use runtime_executor::{Config, Executor, JoinHandle, JoinSet, Unpark};
use support::{Loop, elsewhere, poll_once, wait_for, watchdog};

/// An executor that rests, and the handle of a task of it that is complete.
fn complete() -> (Loop, JoinHandle<u8>) {
    let looped = Loop::new();
    let handle = looped.executor.spawn(async { 7 });
    looped.settle();
    (looped, handle)
}

#[test]
fn a_handle_on_the_own_thread_finds_the_output_while_the_executor_rests() {
    let _watchdog = watchdog();
    let (_looped, mut handle) = complete();
    assert!(handle.is_finished());
    let output = poll_once(&mut handle, Waker::noop());
    assert!(output.is_ready(), "at once, without a message");

    let (_looped, handle) = complete();
    assert_eq!(wait_for(handle).unwrap(), 7, "on no executor");

    let (_looped, handle) = complete();
    let other = Loop::new();
    assert_eq!(other.block_on(handle).unwrap(), 7, "on another executor");
}

#[test]
fn a_panic_and_an_abort_are_found_while_the_executor_rests() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let panics = looped.executor.spawn(async { panic!("at rest") });
    let aborted = looped.executor.spawn(pending::<()>());
    aborted.abort();
    looped.settle();
    assert!(panics.is_finished() && aborted.is_finished());
    assert!(wait_for(panics).unwrap_err().is_panic());
    assert!(wait_for(aborted).unwrap_err().is_cancelled());
}

#[test]
fn a_task_that_is_not_complete_wakes_its_waiter_on_another_executor_when_it_is() {
    let _watchdog = watchdog();
    let (looped, other) = (Loop::new(), Loop::new());
    let handle = looped.executor.spawn(async { 7 });
    assert!(!handle.is_finished());
    let waits = other.executor.spawn(handle);
    other.settle();
    assert!(!waits.is_finished());
    looped.settle();
    other.settle();
    assert_eq!(wait_for(waits).unwrap().unwrap(), 7);
}

#[test]
fn a_handle_that_was_polled_elsewhere_and_came_back_finds_the_output() {
    let _watchdog = watchdog();
    let (_looped, mut handle) = complete();
    elsewhere(|| assert!(poll_once(&mut handle, Waker::noop()).is_pending()));
    assert!(handle.is_finished());
    assert_eq!(wait_for(handle).unwrap(), 7);
}

#[test]
fn a_set_of_tasks_of_an_executor_at_rest_is_joined_on_another() {
    let _watchdog = watchdog();
    let (looped, other) = (Loop::new(), Loop::new());
    let mut set = JoinSet::new();
    let entered = looped.executor.enter();
    for n in 0..3 {
        set.spawn(async move { n });
    }
    drop(entered);
    looped.settle();
    assert_eq!(other.block_on(set.join_all()), [0, 1, 2]);
}

#[test]
fn a_handle_gets_the_error_once_the_executor_that_rested_is_gone() {
    let _watchdog = watchdog();
    let (looped, finished) = complete();
    let never = looped.executor.spawn(pending::<()>());
    drop(looped);
    assert!(finished.is_finished() && never.is_finished());
    for error in [
        wait_for(finished).map(drop).unwrap_err(),
        wait_for(never).unwrap_err(),
    ] {
        assert!(error.to_string().contains("runtime was dropped"), "{error}");
    }
}

#[test]
fn a_poll_on_another_thread_notifies_an_executor_that_rests() {
    struct Notified(AtomicBool);
    impl Unpark for Notified {
        fn unpark(&self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let _watchdog = watchdog();
    let notified = Arc::new(Notified(AtomicBool::new(false)));
    let executor = Executor::new(notified.clone(), Config::new()).unwrap();
    let mut handle = executor.spawn(async { 7 });
    executor.run_ready();
    elsewhere(|| assert!(poll_once(&mut handle, Waker::noop()).is_pending()));
    assert!(notified.0.load(Ordering::SeqCst));
    executor.run_ready();
    assert!(elsewhere(|| poll_once(&mut handle, Waker::noop())).is_ready());
}

#[test]
fn an_unparker_may_use_the_handle_whose_output_is_requested() {
    /// Uses a handle from another thread and waits for that, as a lock shared by both would.
    struct UsesHandle(Mutex<Option<Arc<JoinHandle<u8>>>>);
    impl Unpark for UsesHandle {
        fn unpark(&self) {
            let handle = self.0.lock().unwrap().take();
            if let Some(handle) = handle {
                thread::spawn(move || assert!(!handle.is_finished()))
                    .join()
                    .unwrap();
            }
        }
    }
    let _watchdog = watchdog();
    let unparker = Arc::new(UsesHandle(Mutex::new(None)));
    let executor = Executor::new(unparker.clone(), Config::new()).unwrap();
    let handle = Arc::new(executor.spawn(async { 7 }));
    *unparker.0.lock().unwrap() = Some(handle.clone());
    elsewhere(|| assert!(!handle.is_finished()));
    executor.run_ready();
    assert!(elsewhere(|| handle.is_finished()));
}
