//! Sets of tasks.

mod support;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;

use runtime_executor::{Config, JoinSet, yield_now};
use support::{Count, CountingWaker, Loop, on_drop, text, wait_for, watchdog};

async fn after(yields: usize) -> usize {
    for _ in 0..yields {
        yield_now().await;
    }
    yields
}

async fn rest<T: 'static>(set: &mut JoinSet<T>) -> Vec<T> {
    let mut outputs = Vec::new();
    while let Some(output) = set.join_next().await {
        outputs.push(output.unwrap());
    }
    outputs
}

#[test]
fn outputs_come_in_the_order_in_which_the_tasks_finish() {
    let looped = Loop::new();
    let outputs = looped.block_on(async {
        let mut set = JoinSet::new();
        for n in [3, 9, 0, 5] {
            set.spawn(after(n));
        }
        assert_eq!(set.len(), 4);
        rest(&mut set).await
    });
    assert_eq!(outputs, [0, 3, 5, 9]);
}

#[test]
fn outputs_keep_that_order_if_all_tasks_finish_before_the_first_join() {
    let looped = Loop::new();
    let mut set = JoinSet::new();
    looped.block_on(async {
        for n in [3, 9, 0, 5] {
            set.spawn(after(n));
        }
    });
    looped.settle();
    let outputs = looped.block_on(async { rest(&mut set).await });
    assert_eq!(outputs, [0, 3, 5, 9]);
    assert!(set.is_empty());
}

#[test]
fn an_empty_set_gives_none_at_once() {
    let looped = Loop::new();
    let mut set = JoinSet::<u8>::default();
    looped.block_on(async {
        assert!(set.join_next().await.is_none());
        assert!(set.try_join_next().is_none());
        set.shutdown().await;
    });
    assert_eq!(format!("{set:?}"), "JoinSet { len: 0 }");
    assert!(looped.block_on(set.join_all()).is_empty());
}

#[test]
fn try_join_next_never_waits() {
    let looped = Loop::new();
    looped.block_on(async {
        let mut set = JoinSet::new();
        assert!(set.try_join_next().is_none());
        set.spawn(after(0));
        set.spawn(after(2));
        assert!(set.try_join_next().is_none());
        yield_now().await;
        assert_eq!(set.try_join_next().unwrap().unwrap(), 0);
        assert!(set.try_join_next().is_none());
        assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
    });
}

#[test]
fn abort_all_leaves_them_to_be_joined() {
    let looped = Loop::new();
    looped.block_on(async {
        let mut set = JoinSet::new();
        set.spawn(after(0));
        for _ in 0..3 {
            set.spawn(pending());
        }
        yield_now().await;
        set.abort_all();
        assert_eq!(set.len(), 4);
        assert_eq!(set.join_next().await.unwrap().unwrap(), 0);
        for _ in 0..3 {
            assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        }
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn one_of_a_set_is_aborted_by_its_handle() {
    let looped = Loop::new();
    looped.block_on(async {
        let mut set = JoinSet::new();
        let handle = set.spawn(pending::<u8>());
        set.spawn(async { 2 });
        handle.abort();
        let (mut ended, mut aborted) = (0, 0);
        while let Some(output) = set.join_next().await {
            match output {
                Ok(_) => ended += 1,
                Err(error) => {
                    assert_eq!(error.id(), handle.id());
                    aborted += 1;
                }
            }
        }
        assert_eq!((ended, aborted), (1, 1));
    });
}

fn guarded(dropped: &Count) -> impl Future<Output = ()> + use<> {
    let counted = dropped.clone();
    let guard = on_drop(move || counted.add());
    async move {
        let _guard = guard;
        after(5).await;
    }
}

#[test]
fn dropping_the_set_aborts_and_detaching_does_not() {
    let looped = Loop::new();
    let (dropped, ended) = (Count::default(), Count::default());
    let mut set = JoinSet::new();
    looped.block_on(async {
        set.spawn(guarded(&dropped));
        set.spawn(guarded(&dropped));
        yield_now().await;
        drop(set);
        assert_eq!(dropped.get(), 0, "each in its turn");
    });
    looped.batch();
    assert_eq!((dropped.get(), looped.executor.task_count()), (2, 0));

    let mut set = JoinSet::new();
    looped.block_on(async {
        for _ in 0..3 {
            let counted = ended.clone();
            set.spawn(async move {
                after(3).await;
                counted.add();
            });
        }
        set.detach_all();
        assert!(set.is_empty() && set.join_next().await.is_none());
        drop(set);
    });
    looped.settle();
    assert_eq!((ended.get(), looped.executor.task_count()), (3, 0));
}

#[test]
fn shutdown_waits_until_all_are_dropped() {
    let looped = Loop::new();
    let dropped = Count::default();
    looped.block_on(async {
        let mut set = JoinSet::new();
        set.spawn(guarded(&dropped));
        set.spawn(guarded(&dropped));
        set.shutdown().await;
        assert_eq!((dropped.get(), set.len()), (2, 0));
        set.spawn(async {});
        set.join_next().await.unwrap().unwrap();
    });
}

#[test]
fn join_all_raises_the_panic_of_a_task() {
    let looped = Loop::new();
    let outputs = looped.block_on(async {
        let mut set = JoinSet::new();
        for n in [2, 1, 0] {
            set.spawn(after(n));
        }
        set.join_all().await
    });
    assert_eq!(outputs, [0, 1, 2]);
    let dropped = Count::default();
    let joined = catch_unwind(AssertUnwindSafe(|| {
        looped.block_on(async {
            let mut set = JoinSet::new();
            set.spawn(guarded(&dropped));
            set.spawn(async { panic!("one of them") });
            set.join_all().await
        })
    }));
    assert_eq!(text(&*joined.unwrap_err()), "one of them");
    looped.settle();
    assert_eq!(dropped.get(), 1, "the others are aborted");
    let joined = catch_unwind(AssertUnwindSafe(|| {
        looped.block_on(async {
            let mut set = JoinSet::new();
            set.spawn(pending::<()>()).abort();
            set.join_all().await
        })
    }));
    assert!(text(&*joined.unwrap_err()).contains("was aborted"));
}

#[test]
fn a_panic_is_one_tasks_alone() {
    let looped = Loop::new();
    looped.block_on(async {
        let mut set = JoinSet::new();
        set.spawn(async { panic!("x") });
        set.spawn(async { 4 });
        assert!(set.join_next().await.unwrap().unwrap_err().is_panic());
        assert_eq!(set.join_next().await.unwrap().unwrap(), 4);
    });
}

#[test]
fn a_task_spawned_while_another_waits_for_the_set_wakes_that_one() {
    let looped = Loop::new();
    let set = Rc::new(RefCell::new(JoinSet::new()));
    let (waits, spawns) = (set.clone(), set.clone());
    looped.block_on(async {
        set.borrow_mut().spawn(pending::<u8>());
    });
    let waits = looped
        .executor
        .spawn(async move { poll_fn(|cx| waits.borrow_mut().poll_join_next(cx)).await });
    looped.settle();
    looped.block_on(async {
        spawns.borrow_mut().spawn(async { 6 });
    });
    assert_eq!(looped.block_on(waits).unwrap().unwrap().unwrap(), 6);
    looped.block_on(async { drop((set, spawns)) });
}

#[test]
fn the_last_waiter_is_woken_once() {
    let looped = Loop::new();
    let mut set = JoinSet::new();
    looped.block_on(async { set.spawn(after(2)) });
    let (first, second) = (CountingWaker::new(), CountingWaker::new());
    let entered = looped.executor.enter();
    for waker in [&first.1, &second.1] {
        let polled = pin!(set.join_next()).poll(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    drop(entered);
    looped.settle();
    assert_eq!((first.0.count(), second.0.count()), (0, 1));
    assert_eq!(looped.block_on(set.join_next()).unwrap().unwrap(), 2);
}

#[test]
fn blocking_jobs_and_tasks_share_a_set() {
    let _watchdog = watchdog();
    let looped = Loop::with(Config::new().max_blocking_threads(3));
    let mut outputs = looped.block_on(async {
        let mut set = JoinSet::new();
        for n in 0..20 {
            set.spawn_blocking(move || n);
            set.spawn(async move { n + 20 });
        }
        rest(&mut set).await
    });
    outputs.sort_unstable();
    assert_eq!(outputs, (0..40).collect::<Vec<_>>());
}

#[test]
fn ten_thousand_tasks() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let sum: usize = looped.block_on(async {
        let mut set = JoinSet::new();
        for n in 0..10_000 {
            set.spawn(after(n % 17));
        }
        rest(&mut set).await.into_iter().sum()
    });
    assert_eq!(sum, (0..10_000).map(|n| n % 17).sum());
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn a_set_is_joined_on_another_thread() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let mut set = JoinSet::new();
    looped.block_on(async {
        for n in 0..10 {
            set.spawn(after(n));
        }
    });
    let far = thread::spawn(move || {
        let mut outputs = Vec::new();
        while let Some(output) = wait_for(set.join_next()) {
            outputs.push(output.unwrap());
        }
        outputs.sort_unstable();
        outputs
    });
    while !far.is_finished() {
        looped.settle();
        thread::yield_now();
    }
    assert_eq!(far.join().unwrap(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_set_outlives_its_executor() {
    let looped = Loop::new();
    let mut set = JoinSet::new();
    let entered = looped.executor.enter();
    set.spawn(pending::<()>());
    looped.executor.close();
    set.spawn(pending::<()>());
    drop(entered);
    drop(looped);
    assert_eq!(set.len(), 2);
    for _ in 0..2 {
        assert!(
            wait_for(set.join_next())
                .unwrap()
                .unwrap_err()
                .is_cancelled()
        );
    }
    let polled = pin!(set.join_next()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(None)));
}

#[test]
fn the_identities_of_tasks_come_with_their_outputs() {
    let looped = Loop::new();
    looped.block_on(async {
        let mut set = JoinSet::new();
        let slow = set.spawn(after(3)).id();
        let fast = set.spawn(after(1)).id();
        let aborted = set.spawn(pending());
        aborted.abort();
        assert!(set.try_join_next_with_id().is_none());
        let error = set.join_next_with_id().await.unwrap().unwrap_err();
        assert_eq!(error.id(), aborted.id());
        assert_eq!(set.join_next_with_id().await.unwrap().unwrap(), (fast, 1));
        while set.len() == 1 {
            if let Some(output) = set.try_join_next_with_id() {
                assert_eq!(output.unwrap(), (slow, 3));
            }
            yield_now().await;
        }
        assert!(set.join_next_with_id().await.is_none());
    });
}

#[test]
fn a_set_is_collected_from_futures_and_extended_by_others() {
    let looped = Loop::new();
    let mut outputs = looped.block_on(async {
        let mut set: JoinSet<usize> = [3, 1].into_iter().map(after).collect();
        set.extend([2, 0].map(after));
        rest(&mut set).await
    });
    outputs.sort_unstable();
    assert_eq!(outputs, [0, 1, 2, 3]);
}

#[test]
fn a_set_spawns_on_the_executor_of_a_handle() {
    let looped = Loop::new();
    let mut set = JoinSet::new();
    // Nothing is entered here.
    set.spawn_on(async { runtime_executor::id() }, looped.executor.handle());
    set.spawn_blocking_on(runtime_executor::id, looped.executor.handle());
    looped.block_on(async {
        while let Some(output) = set.join_next_with_id().await {
            let (id, seen) = output.unwrap();
            assert_eq!(id, seen, "a task and a blocking job know their identity");
        }
    });
}
