//! Awaiting a task, detaching it, aborting it: on its thread and on others.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread;

use runtime_executor::{AbortHandle, Executor, Handle, JoinHandle, id, spawn, try_id, yield_now};
use support::{
    Count, CountingWaker, Loop, elsewhere, on_drop, poll_once, text, wait_for, watchdog,
};

/// A task that never ends, and the count of its drops.
fn endless(looped: &Loop) -> (JoinHandle<()>, Count) {
    let dropped = Count::default();
    let counted = dropped.clone();
    let guard = on_drop(move || counted.add());
    let handle = looped.executor.spawn(async move {
        pending::<()>().await;
        drop(guard);
    });
    (handle, dropped)
}

#[test]
fn awaiting_gives_the_output() {
    let looped = Loop::new();
    let output = looped.block_on(async { spawn(async { Rc::new(7) }).await.unwrap() });
    assert_eq!(*output, 7);
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn a_finished_task_stays_until_its_output_is_taken() {
    let looped = Loop::new();
    let handle = looped.executor.spawn(async { 1 });
    assert_eq!(looped.executor.task_count(), 1);
    looped.settle();
    assert_eq!(looped.executor.task_count(), 1);
    assert_eq!(looped.block_on(handle).unwrap(), 1);
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn dropping_the_handle_detaches() {
    let looped = Loop::new();
    let ran = Count::default();
    let counted = ran.clone();
    let handle = looped.executor.spawn(async move {
        yield_now().await;
        counted.add();
    });
    looped.block_on(async { drop(handle) });
    looped.settle();
    assert_eq!((ran.get(), looped.executor.task_count()), (1, 0));
}

#[test]
fn dropping_the_handle_of_a_finished_task_drops_the_output() {
    let looped = Loop::new();
    let dropped = Count::default();
    let counted = dropped.clone();
    let handle = looped
        .executor
        .spawn(async move { on_drop(move || counted.add()) });
    looped.settle();
    assert_eq!(dropped.get(), 0);
    looped.block_on(async { drop(handle) });
    assert_eq!((dropped.get(), looped.executor.task_count()), (1, 0));
}

#[test]
fn a_handle_that_is_polled_by_two_tasks_wakes_the_last_one() {
    let looped = Loop::new();
    let (handle, _) = endless(&looped);
    let mut handle = handle;
    let (first, second) = (CountingWaker::new(), CountingWaker::new());
    let entered = looped.executor.enter();
    assert!(poll_once(&mut handle, &first.1).is_pending());
    assert!(poll_once(&mut handle, &second.1).is_pending());
    assert!(poll_once(&mut handle, &second.1).is_pending());
    handle.abort();
    drop(entered);
    looped.settle();
    assert_eq!((first.0.count(), second.0.count()), (0, 1));
}

#[test]
fn dropping_the_await_loses_nothing() {
    let looped = Loop::new();
    let mut handle = looped.executor.spawn(async {
        yield_now().await;
        3
    });
    let entered = looped.executor.enter();
    assert!(poll_once(&mut &mut handle, Waker::noop()).is_pending());
    drop(entered);
    looped.settle();
    assert_eq!(looped.block_on(&mut handle).unwrap(), 3);
    let polled = catch_unwind(AssertUnwindSafe(|| looped.block_on(&mut handle)));
    assert!(text(&*polled.unwrap_err()).contains("after completion"));
    assert!(handle.is_finished());
    handle.abort();
}

#[test]
fn aborted_before_its_first_poll_a_task_is_never_polled() {
    let looped = Loop::new();
    let polls = Count::default();
    let counted = polls.clone();
    let handle = looped.executor.spawn(async move { counted.add() });
    let entered = looped.executor.enter();
    handle.abort();
    handle.abort();
    assert!(!handle.is_finished(), "in its turn, not at once");
    drop(entered);
    let error = looped.block_on(handle).unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("was aborted"));
    assert_eq!((polls.get(), looped.executor.poll_count()), (0, 0));
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn aborted_while_it_waits_a_task_is_dropped_in_its_turn() {
    let looped = Loop::new();
    let (handle, dropped) = endless(&looped);
    looped.settle();
    let entered = looped.executor.enter();
    handle.abort();
    assert_eq!(dropped.get(), 0);
    drop(entered);
    looped.batch();
    assert_eq!(dropped.get(), 1);
    assert!(looped.block_on(handle).unwrap_err().is_cancelled());
}

#[test]
fn aborted_by_itself_a_task_ends_at_its_next_pending() {
    let looped = Loop::new();
    let own: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
    let (given, after) = (own.clone(), Count::default());
    let counted = after.clone();
    let handle = looped.executor.spawn(async move {
        given.take().unwrap().abort();
        counted.add();
        yield_now().await;
        counted.add();
    });
    *own.borrow_mut() = Some(handle.abort_handle());
    assert_eq!(handle.abort_handle().id(), handle.id());
    assert!(looped.block_on(handle).unwrap_err().is_cancelled());
    assert_eq!(after.get(), 1);
}

#[test]
fn aborted_by_itself_in_its_last_poll_a_task_has_finished() {
    let looped = Loop::new();
    let own: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
    let given = own.clone();
    let handle = looped.executor.spawn(async move {
        given.take().unwrap().abort();
        9
    });
    *own.borrow_mut() = Some(handle.abort_handle());
    assert_eq!(looped.block_on(handle).unwrap(), 9);
    looped.settle();
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn aborted_after_it_finished_a_task_keeps_its_output() {
    let looped = Loop::new();
    let handle = looped.executor.spawn(async { 4 });
    let abort = handle.abort_handle();
    looped.settle();
    let entered = looped.executor.enter();
    abort.abort();
    handle.abort();
    drop(entered);
    assert!(!looped.executor.has_work());
    assert_eq!(looped.block_on(handle).unwrap(), 4);
    looped.block_on(async { abort.abort() });
}

#[test]
fn an_abort_from_another_thread_arrives() {
    let looped = Loop::new();
    let _watchdog = watchdog();
    let (handle, dropped) = endless(&looped);
    let abort = handle.abort_handle();
    looped.settle();
    let far = thread::spawn(move || abort.abort());
    assert!(looped.block_on(handle).unwrap_err().is_cancelled());
    assert_eq!(dropped.get(), 1);
    far.join().unwrap();
}

#[test]
fn an_abort_when_the_executor_is_not_entered_arrives_with_the_next_batch() {
    let looped = Loop::new();
    let (handle, dropped) = endless(&looped);
    looped.settle();
    handle.abort();
    assert_eq!((looped.batch(), dropped.get()), (1, 1));
    drop(handle);
    looped.settle();
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn is_finished_turns_with_the_last_poll() {
    let looped = Loop::new();
    let handle = looped.executor.spawn(yield_now());
    let finished = || {
        let _entered = looped.executor.enter();
        handle.is_finished()
    };
    assert!(!finished());
    looped.batch();
    assert!(!finished());
    looped.batch();
    assert!(finished());
}

#[test]
fn ids_are_known_inside_and_outside() {
    let looped = Loop::new();
    let seen = Rc::new(Cell::new(None));
    let inner = seen.clone();
    let guard = on_drop(move || inner.set(try_id()));
    let (first, second) = looped.block_on(async move {
        assert_eq!(try_id(), None, "the root is no task");
        let first = spawn(async move {
            let _guard = guard;
            (id(), spawn(async { id() }).await.unwrap(), id())
        });
        let first_id = first.id();
        let (own, inner, own_again) = first.await.unwrap();
        assert_eq!((first_id, first_id), (own, own_again));
        (own, inner)
    });
    assert_ne!(first, second);
    assert_eq!(seen.get(), Some(first), "in its destructor too");
    assert_eq!(format!("{first:?}"), format!("Id({first})"));
    let other = Loop::new();
    let third = other.executor.spawn(async {}).id();
    assert!(third != first && third != second);
}

#[test]
fn a_handle_is_awaited_on_another_thread() {
    let (looped, _watchdog) = (Loop::new(), watchdog());
    for yields in [0, 1, 100] {
        let handle = looped.executor.spawn(async move {
            for _ in 0..yields {
                yield_now().await;
            }
            vec![yields]
        });
        let far = thread::spawn(move || wait_for(handle).unwrap());
        while !far.is_finished() {
            looped.settle();
            thread::yield_now();
        }
        assert_eq!(far.join().unwrap(), [yields]);
        assert_eq!(looped.executor.task_count(), 0);
    }
}

#[test]
fn a_finished_tasks_handle_is_awaited_on_another_thread() {
    let (looped, _watchdog) = (Loop::new(), watchdog());
    let handle = looped.executor.spawn(async { 6 });
    looped.settle();
    let far = thread::spawn(move || wait_for(handle).unwrap());
    while !far.is_finished() {
        looped.settle();
        thread::yield_now();
    }
    assert_eq!(far.join().unwrap(), 6);
}

#[test]
fn a_handle_moves_to_another_thread_and_back() {
    let looped = Loop::new();
    let mut handle = looped.executor.spawn(async {
        yield_now().await;
        8
    });
    let (here, there) = (CountingWaker::new(), CountingWaker::new());
    let entered = looped.executor.enter();
    assert!(poll_once(&mut handle, &here.1).is_pending());
    drop(entered);
    elsewhere(|| assert!(poll_once(&mut handle, &there.1).is_pending()));
    looped.batch();
    let entered = looped.executor.enter();
    assert!(poll_once(&mut handle, &here.1).is_pending());
    drop(entered);
    looped.batch();
    assert!(here.0.count() >= 1);
    assert_eq!(there.0.count(), 0, "it was replaced");
    let entered = looped.executor.enter();
    assert!(handle.is_finished());
    assert!(matches!(
        poll_once(&mut handle, &here.1),
        Poll::Ready(Ok(8))
    ));
    drop(entered);
    drop(handle);
    looped.settle();
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn a_handle_polled_on_another_thread_and_dropped_here_before_the_message_detaches() {
    let looped = Loop::new();
    let counted = support::SharedCount::default();
    let inner = counted.clone();
    let handle = looped
        .executor
        .spawn(async move { on_drop(move || inner.add()) });
    elsewhere(|| assert!(!handle.is_finished()));
    looped.block_on(async { drop(handle) });
    looped.settle();
    assert_eq!((counted.get(), looped.executor.task_count()), (1, 0));
}

#[test]
fn a_handle_of_a_dropped_runtime_returns_an_error_and_never_hangs() {
    let _watchdog = watchdog();
    let make = |settle: bool| {
        let looped = Loop::new();
        let handle = looped.executor.spawn(async { 1 });
        if settle {
            looped.settle();
        }
        handle
    };
    for settle in [false, true] {
        let error = wait_for(make(settle)).unwrap_err();
        assert!(
            error.is_cancelled() && error.to_string().contains("runtime was dropped"),
            "{error}"
        );
        let handle = make(settle);
        assert!(
            thread::spawn(move || wait_for(handle))
                .join()
                .unwrap()
                .is_err()
        );
        let handle = make(settle);
        assert!(handle.is_finished());
        handle.abort();
        handle.abort_handle().abort();
        assert!(Loop::new().block_on(handle).is_err());
    }
}

#[test]
fn a_waiter_is_woken_when_the_executor_is_dropped() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let (mut here, _) = endless(&looped);
    let (mut there, _) = endless(&looped);
    let (mut late, _) = endless(&looped);
    let wakers: Vec<_> = (0..3).map(|_| CountingWaker::new()).collect();
    let entered = looped.executor.enter();
    assert!(poll_once(&mut here, &wakers[0].1).is_pending());
    drop(entered);
    elsewhere(|| assert!(poll_once(&mut there, &wakers[1].1).is_pending()));
    looped.settle();
    elsewhere(|| assert!(poll_once(&mut late, &wakers[2].1).is_pending()));
    drop(looped);
    for ((counter, waker), handle) in wakers.iter().zip([here, there, late]) {
        let mut handle = handle;
        assert_eq!(counter.count(), 1);
        assert!(matches!(poll_once(&mut handle, waker), Poll::Ready(Err(_))));
    }
}

#[test]
fn an_awaited_handle_is_woken_when_a_task_closes_the_executor() {
    let looped = Rc::new(Loop::new());
    let (mut handle, dropped) = endless(&looped);
    let (count, waker) = CountingWaker::new();
    let entered = looped.executor.enter();
    assert!(poll_once(&mut handle, &waker).is_pending());
    drop(entered);
    let (inner, end) = (looped.clone(), Count::default());
    let counted = end.clone();
    let closes = looped.executor.spawn(async move {
        let _counted = on_drop(move || counted.add());
        inner.executor.close();
        yield_now().await;
    });
    looped.batch();
    assert_eq!((count.count(), dropped.get(), end.get()), (1, 1, 1));
    for handle in [handle, closes] {
        assert!(looped.block_on(handle).unwrap_err().is_cancelled());
    }
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn a_handle_of_one_executor_is_awaited_in_another_on_another_thread() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let handle = looped.executor.spawn(async {
        yield_now().await;
        "from A"
    });
    let far = thread::spawn(move || Loop::new().block_on(async { spawn(handle).await }));
    while !far.is_finished() {
        looped.settle();
        thread::yield_now();
    }
    assert_eq!(far.join().unwrap().unwrap().unwrap(), "from A");
}

#[test]
fn two_executors_alternate_on_one_thread() {
    let (first, second) = (Loop::new(), Loop::new());
    let outer = first.executor.enter();
    let mut one = spawn(async { Rc::new(1) });
    let (two, mut ours) = {
        let _inner = second.executor.enter();
        // The executor of the handle is not the current one: its thread sends it a message.
        assert!(poll_once(&mut one, Waker::noop()).is_pending());
        (spawn(async { Rc::new(2) }), spawn(yield_now()))
    };
    assert!(Executor::is_entered());
    let third = spawn(async { 3 });
    drop(outer);
    assert!(!Executor::is_entered());
    assert_eq!(first.executor.task_count(), 2);
    assert_eq!(second.executor.task_count(), 2);
    first.settle();
    assert!(poll_once(&mut ours, Waker::noop()).is_pending());
    second.settle();
    assert_eq!(*first.block_on(one).unwrap(), 1);
    assert_eq!(*second.block_on(two).unwrap(), 2);
    assert_eq!(first.block_on(third).unwrap(), 3);
    second.block_on(ours).unwrap();
    drop(first);
    assert!(second.block_on(async { spawn(async { true }).await.unwrap() }));
}

#[test]
fn a_waker_of_an_outer_executor_works_inside_an_inner_one() {
    let outer = Loop::new();
    let waker = Rc::new(RefCell::new(None));
    let (put, polls) = (waker.clone(), Count::default());
    let counted = polls.clone();
    let handle = outer.executor.spawn(std::future::poll_fn(move |cx| {
        counted.add();
        *put.borrow_mut() = Some(cx.waker().clone());
        if counted.get() == 2 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    outer.settle();
    outer.block_on(async {
        Loop::new().block_on(async { waker.take().unwrap().wake() });
    });
    outer.block_on(handle).unwrap();
    assert_eq!(polls.get(), 2);
}

#[test]
fn a_task_sent_from_another_thread_is_awaited_there() {
    let (looped, _watchdog) = (Loop::new(), watchdog());
    let remote = looped.executor.handle().clone();
    let far = thread::spawn(move || {
        let on = thread::current().id();
        wait_for(remote.spawn(async move { (on, thread::current().id()) })).unwrap()
    });
    while !far.is_finished() {
        looped.settle();
        thread::yield_now();
    }
    let (there, ran) = far.join().unwrap();
    assert_eq!(ran, thread::current().id());
    assert_ne!(ran, there);
}

#[test]
fn a_task_sent_from_another_thread_is_awaited_here() {
    let looped = Loop::new();
    let remote = looped.executor.handle().clone();
    let handle = elsewhere(|| remote.spawn(async { id() }));
    let expected = handle.id();
    assert!(!handle.is_finished());
    assert_eq!(looped.block_on(handle).unwrap(), expected);
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn a_remote_task_runs_when_it_was_detached_and_is_dropped_with_the_executor() {
    let looped = Loop::new();
    let remote = looped.executor.handle().clone();
    let ran = support::SharedCount::default();
    let counted = ran.clone();
    elsewhere(|| drop(remote.spawn(async move { counted.add() })));
    looped.settle();
    assert_eq!((ran.get(), looped.executor.task_count()), (1, 0));

    // The message came before the end, and was not handled.
    let dropped = support::SharedCount::default();
    let post = || {
        let counted = dropped.clone();
        let guard = on_drop(move || counted.add());
        elsewhere(|| remote.spawn(async move { drop(guard) }))
    };
    let before = post();
    drop(looped);
    assert_eq!(dropped.get(), 1);
    assert!(before.is_finished());
    assert!(
        wait_for(before)
            .unwrap_err()
            .to_string()
            .contains("runtime was dropped")
    );
    // The message comes after it.
    let after = post();
    assert_eq!(dropped.get(), 2);
    after.abort();
    assert!(wait_for(after).unwrap_err().is_cancelled());
}

#[test]
fn a_remote_task_can_be_aborted_before_its_message_arrives_and_after() {
    let looped = Loop::new();
    let remote = looped.executor.handle().clone();
    let polls = support::SharedCount::default();
    let counted = polls.clone();
    let early = elsewhere(|| {
        let handle = remote.spawn(async move { counted.add() });
        handle.abort_handle().abort();
        handle
    });
    assert!(looped.block_on(early).unwrap_err().is_cancelled());
    assert_eq!(polls.get(), 0);
    let late = elsewhere(|| remote.spawn(pending::<()>()));
    looped.settle();
    looped.block_on(async { late.abort() });
    assert!(looped.block_on(late).unwrap_err().is_cancelled());
    let finished = elsewhere(|| remote.spawn(async { 1 }));
    let abort = finished.abort_handle();
    assert_eq!(looped.block_on(finished).unwrap(), 1);
    abort.abort();
    looped.settle();
}

#[test]
fn a_handle_spawns_on_its_own_thread_without_a_message() {
    let looped = Loop::new();
    looped.block_on(async {
        let handle = Handle::current().spawn(async { 5 });
        assert_eq!(handle.await.unwrap(), 5);
        assert!(Handle::try_current().is_some());
    });
}

#[test]
fn spawning_on_a_closed_executor_gives_a_handle_that_says_so() {
    let looped = Loop::new();
    looped.executor.close();
    looped.executor.close();
    let dropped = Count::default();
    let counted = dropped.clone();
    let guard = on_drop(move || counted.add());
    let handle = looped.executor.spawn(async move { drop(guard) });
    assert_eq!((dropped.get(), looped.executor.task_count()), (1, 0));
    let abort = handle.abort_handle();
    looped.block_on(async { abort.abort() });
    assert!(handle.is_finished());
    assert!(looped.block_on(handle).unwrap_err().is_cancelled());
    assert_eq!(looped.batch(), 0);
}

#[test]
fn a_join_handle_is_a_future_that_can_be_boxed_and_sent() {
    let looped = Loop::new();
    let handle = looped.executor.spawn(async {
        Rc::new(1);
        2
    });
    let boxed: std::pin::Pin<Box<dyn Future<Output = _> + Send + Sync>> = Box::pin(handle);
    assert_eq!(looped.block_on(boxed).unwrap(), 2);
}

#[test]
fn the_error_of_an_aborted_task_names_it_and_where_it_was_spawned() {
    let looped = Loop::new();
    let said = looped.block_on(async {
        let named = runtime_executor::Builder::new().name("reader");
        let handle = named.spawn(pending::<()>());
        handle.abort();
        handle.await.unwrap_err().to_string()
    });
    let place = "spawned at executor/tests/join_handles.rs:";
    assert!(
        said.contains("\"reader\"") && said.contains(place),
        "{said}"
    );
    assert!(said.ends_with("was aborted"), "{said}");
}

#[test]
fn an_abort_handle_knows_that_its_task_or_job_is_complete() {
    let looped = Loop::new();
    looped.block_on(async {
        let local = spawn(async {});
        let handle = looped.executor.handle().clone();
        let remote = thread::spawn(move || handle.spawn(async {})).join();
        let remote = remote.unwrap();
        let job = runtime_executor::spawn_blocking(|| {});
        let aborts = [
            local.abort_handle(),
            remote.abort_handle(),
            job.abort_handle(),
        ];
        assert!(!aborts[0].is_finished());
        assert!(!aborts[1].is_finished());
        local.await.unwrap();
        remote.await.unwrap();
        job.await.unwrap();
        for abort in &aborts {
            assert!(abort.is_finished(), "{abort:?}");
        }
        // A task that is detached is not complete.
        let endless = spawn(pending::<()>());
        let abort = endless.abort_handle();
        drop(endless);
        assert!(!abort.is_finished());
        abort.abort();
        yield_now().await;
        assert!(abort.is_finished());
    });
}

#[test]
fn an_abort_handle_knows_that_its_executor_is_gone() {
    let looped = Loop::new();
    let local = looped.executor.spawn(pending::<()>());
    let remote = looped.executor.handle().spawn(pending::<()>());
    let aborts = [local.abort_handle(), remote.abort_handle()];
    assert!(!aborts[0].is_finished() && !aborts[1].is_finished());
    drop(looped);
    assert!(aborts[0].is_finished() && aborts[1].is_finished());
}

#[test]
fn a_blocking_job_has_an_identity_and_the_thread_outside_has_none() {
    let looped = Loop::new();
    looped.block_on(async {
        let job = runtime_executor::spawn_blocking(id);
        let id = job.id();
        assert_eq!(job.await.unwrap(), id);
        let failed = runtime_executor::spawn_blocking(|| panic!("on purpose"));
        assert!(failed.await.is_err());
    });
    assert_eq!(try_id(), None);
}

#[test]
fn an_abort_that_is_handled_before_its_spawn_is_not_lost() {
    thread_local! {
        static NESTED: RefCell<Option<(Rc<Loop>, AbortHandle)>> = const { RefCell::new(None) };
    }
    /// Aborts a task on another thread and runs the executor, inside the handling of a message.
    struct RunsNested;
    impl Wake for RunsNested {
        fn wake(self: Arc<Self>) {
            let (looped, abort) = NESTED.take().unwrap();
            elsewhere(|| abort.abort());
            looped.batch();
        }
    }
    let _watchdog = watchdog();
    let looped = Rc::new(Loop::new());
    let mut complete = looped.executor.spawn(async {});
    looped.settle();
    let remote = looped.executor.handle().clone();
    let spawned = elsewhere(|| {
        let waker = Waker::from(Arc::new(RunsNested));
        assert!(poll_once(&mut complete, &waker).is_pending());
        remote.spawn(pending::<()>())
    });
    NESTED.set(Some((looped.clone(), spawned.abort_handle())));
    looped.settle();
    assert!(NESTED.take().is_none(), "the waker was called");
    assert!(wait_for(spawned).unwrap_err().is_cancelled());
}
