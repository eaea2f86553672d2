//! The handle on other threads: it runs closures and futures on the executor's thread.

mod support;

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use runtime_executor::{Executor, Handle, JoinError, spawn};
use support::{Loop, elsewhere, panic_of, wait_for, watchdog};

thread_local! {
    /// Lives on the executor's thread, and could not leave it.
    static STATE: Rc<Cell<u32>> = Rc::default();
}

/// Runs the executor while `work` continues in another thread.
fn beside<T: Send + 'static>(looped: &Loop, work: impl FnOnce(Handle) -> T + Send + 'static) -> T {
    let handle = looped.executor.handle().clone();
    let waker = looped.executor.root_waker();
    let worker = thread::spawn(move || {
        let done = work(handle);
        (done, waker.wake())
    });
    looped.block_on(std::future::poll_fn(|cx| {
        if worker.is_finished() {
            std::task::Poll::Ready(())
        } else {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }
    }));
    worker.join().unwrap().0
}

#[test]
fn a_closure_runs_on_the_thread_of_the_executor_and_its_result_is_returned() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let owner = thread::current().id();
    STATE.with(|state| state.set(5));
    let (there, value) = beside(&looped, |handle| {
        wait_for(handle.spawn_fn(|| {
            let value = STATE.with(|state| state.replace(6));
            (thread::current().id(), value)
        }))
        .unwrap()
    });
    assert_eq!((there, value), (owner, 5));
    assert_eq!(STATE.with(|state| state.get()), 6);
}

#[test]
fn a_closure_may_spawn_what_is_not_send() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let answer = beside(&looped, |handle| {
        let spawned = wait_for(handle.spawn_fn(|| {
            let state = Rc::new(7);
            spawn(async move { *state })
        }));
        wait_for(spawned.unwrap()).unwrap()
    });
    assert_eq!(answer, 7);
}

#[test]
fn on_its_own_thread_a_closure_waits_for_its_turn() {
    let looped = Loop::new();
    let _entered = looped.executor.enter();
    let (sender, receiver) = mpsc::channel();
    let ran = looped
        .executor
        .handle()
        .spawn_fn(move || sender.send(()).unwrap());
    assert!(receiver.try_recv().is_err());
    looped.settle();
    receiver.try_recv().unwrap();
    assert!(ran.is_finished());
}

#[test]
fn a_closure_that_panics_or_is_too_late_is_a_join_error() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let panicked: Result<(), JoinError> = beside(&looped, |handle| {
        wait_for(handle.spawn_fn(|| panic!("on purpose")))
    });
    let said = panicked.unwrap_err().to_string();
    assert!(
        said.contains("on purpose") && said.contains("handles.rs"),
        "{said}"
    );
    let handle = looped.executor.handle().clone();
    drop(looped);
    let late =
        elsewhere(move || wait_for(handle.spawn_fn(|| unreachable!("the executor was dropped"))));
    assert!(late.is_err_and(|e: JoinError| e.is_cancelled()));
}

#[test]
fn a_thread_blocks_until_a_future_has_run_on_the_executor() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let owner = thread::current().id();
    let there = beside(&looped, |handle| {
        handle.block_on(async {
            runtime_executor::yield_now().await;
            thread::current().id()
        })
    });
    assert_eq!(there.unwrap(), owner);
    let panicked = beside(&looped, |handle| {
        handle.block_on(async { panic!("on purpose") })
    });
    let error: JoinError = panicked.unwrap_err();
    assert!(
        error.is_panic() && error.to_string().contains("handles.rs"),
        "{error}"
    );
}

#[test]
fn a_blocking_job_may_block_on_its_executor() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let job = looped
        .executor
        .handle()
        .spawn_blocking(|| Handle::current().block_on(async { 7 }));
    assert_eq!(looped.block_on(job).unwrap().unwrap(), 7);
    assert!(looped.executor.has_blocking_threads());
}

#[test]
fn a_blocked_thread_gets_an_error_when_the_executor_is_dropped() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let handle = looped.executor.handle().clone();
    let (sender, receiver) = mpsc::channel();
    let blocked = thread::spawn(move || {
        handle.block_on(async move {
            sender.send(()).unwrap();
            pending::<()>().await;
        })
    });
    while receiver.try_recv().is_err() {
        looped.batch();
        thread::yield_now();
    }
    drop(looped);
    assert!(blocked.join().unwrap().unwrap_err().is_cancelled());
}

#[test]
fn blocking_the_thread_of_an_executor_is_refused() {
    let looped = Loop::new();
    let _entered = looped.executor.enter();
    assert!(Executor::is_entered());
    let (said, place) = panic_of(|| drop(looped.executor.handle().block_on(async {})));
    assert!(
        said.contains("Handle::block_on was called inside a runtime"),
        "{said}"
    );
    assert!(place.contains("handles.rs"), "{place}");
    assert!(!looped.executor.has_blocking_threads());
}

#[test]
fn blocking_the_thread_of_an_executor_that_is_not_entered_is_refused() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let handle = looped.executor.handle().clone();
    let (said, place) = panic_of(|| drop(handle.block_on(async {})));
    assert!(
        said.contains("Handle::block_on was called on the thread of its runtime"),
        "{said}"
    );
    assert!(place.contains("handles.rs"), "{place}");
    // The runtime works afterwards, and after its drop there is nothing to wait for.
    assert_eq!(looped.block_on(handle.spawn(async { 7 })).unwrap(), 7);
    drop(looped);
    assert!(handle.block_on(async {}).unwrap_err().is_cancelled());
}

#[test]
fn an_entered_handle_is_the_current_one_of_a_thread_without_an_executor() {
    let (one, other) = (Loop::new(), Loop::new());
    assert!(Handle::try_current().is_none());
    let guard = one.executor.handle().enter();
    let current = |looped: &Loop| {
        format!("{:?}", Handle::current()) == format!("{:?}", looped.executor.handle())
    };
    assert!(current(&one));
    {
        let _inner = other.executor.handle().enter();
        assert!(current(&other));
        let entered = one.executor.enter();
        assert!(current(&one), "an executor has precedence");
        drop(entered);
    }
    assert!(current(&one), "the outer one is restored");
    let job = runtime_executor::spawn_blocking(|| 7);
    drop(guard);
    assert!(Handle::try_current().is_none());
    assert_eq!(one.block_on(job).unwrap(), 7);
}
