//! Values that belong to a task.

mod support;

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use runtime_executor::{spawn, task_local, yield_now};
use support::{Count, Loop, on_drop, text};

task_local! {
    /// Documented.
    static NUMBER: u32;
    pub(crate) static NAME: String;
}

task_local!(static CELL: Cell<u32>);
task_local!(static GUARD: Box<dyn std::any::Any>);

#[test]
fn the_innermost_scope_counts() {
    Loop::new().block_on(NUMBER.scope(1, async {
        assert_eq!(NUMBER.get(), 1);
        let inner = NUMBER.scope(2, async {
            yield_now().await;
            NAME.scope("n".to_owned(), async { (NUMBER.get(), NAME.get()) })
                .await
        });
        assert_eq!(inner.await, (2, "n".to_owned()));
        assert_eq!(NUMBER.get(), 1);
        assert_eq!(NUMBER.sync_scope(3, || NUMBER.with(|n| *n)), 3);
        assert_eq!(NUMBER.get(), 1);
        assert!(NAME.try_with(|_| ()).is_err());
    }));
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn tasks_that_take_turns_see_their_own() {
    let looped = Loop::new();
    let handles: Vec<_> = (0..10)
        .map(|n| {
            looped.executor.spawn(NUMBER.scope(n, async move {
                for _ in 0..n {
                    yield_now().await;
                    assert_eq!(NUMBER.get(), n);
                }
            }))
        })
        .collect();
    for handle in handles {
        looped.block_on(handle).unwrap();
    }
}

#[test]
fn spawned_tasks_do_not_inherit_it() {
    let looped = Loop::new();
    let inherited = looped.block_on(NUMBER.scope(1, async {
        spawn(async { NUMBER.try_with(|_| ()).is_ok() })
            .await
            .unwrap()
    }));
    assert!(!inherited);
}

#[test]
fn a_value_with_interior_keeps_what_was_set_across_awaits() {
    let last = Loop::new().block_on(CELL.scope(Cell::new(0), async {
        for n in 0..5 {
            assert_eq!(CELL.with(Cell::get), n);
            CELL.with(|cell| cell.set(n + 1));
            yield_now().await;
        }
        CELL.with(Cell::get)
    }));
    assert_eq!(last, 5);
}

#[test]
fn a_panic_restores_the_previous_value() {
    let looped = Loop::new();
    looped.block_on(NUMBER.scope(1, async {
        let panics = spawn(NUMBER.scope(2, async {
            yield_now().await;
            panic!("in scope {}", NUMBER.get());
        }));
        let error = panics.await.unwrap_err();
        assert_eq!(text(&*error.into_panic()), "in scope 2");
        assert_eq!(NUMBER.get(), 1);
        let sync = catch_unwind(|| NUMBER.sync_scope(3, || panic!("sync")));
        assert!(sync.is_err());
        assert_eq!(NUMBER.get(), 1);
    }));
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn outside_a_scope_the_panic_says_so_at_the_callers_place() {
    let (said, line) = support::panic_of(|| {
        NUMBER.get();
    });
    assert!(
        said.contains("TaskLocal::with") && said.contains("no scope"),
        "{said}"
    );
    assert!(line.contains("task_locals.rs"), "{line}");
    let error = NUMBER.try_with(|_| ()).unwrap_err();
    assert!(error.to_string().contains("no scope"));
    assert_eq!(format!("{NUMBER:?}"), "TaskLocal");
}

#[test]
fn a_scope_of_the_same_key_inside_with_panics_and_restores() {
    Loop::new().block_on(NUMBER.scope(1, async {
        let nested = catch_unwind(AssertUnwindSafe(|| {
            NUMBER.with(|_| NUMBER.sync_scope(2, || ()));
        }));
        assert!(nested.is_err());
        assert_eq!(NUMBER.get(), 1);
        assert_eq!(NUMBER.with(|n| NUMBER.with(|m| n + m)), 2);
    }));
}

#[test]
fn the_value_is_dropped_with_the_future_finished_or_not() {
    let dropped = Count::default();
    let value = || -> Box<dyn std::any::Any> {
        let counted = dropped.clone();
        Box::new(on_drop(move || counted.add()))
    };
    Loop::new().block_on(GUARD.scope(value(), async {}));
    assert_eq!(dropped.get(), 1);
    {
        let mut waits = pin!(GUARD.scope(value(), pending::<()>()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        assert_eq!(dropped.get(), 1);
    }
    assert_eq!(dropped.get(), 2);
    drop(GUARD.scope(value(), async {}));
    assert_eq!(dropped.get(), 3);
}

/// Records the value of `NUMBER` when it is dropped.
fn records_value() -> (impl Sized + 'static, Rc<Cell<Option<u32>>>) {
    let seen = Rc::new(Cell::new(None));
    let recorder = seen.clone();
    (on_drop(move || recorder.set(NUMBER.try_get().ok())), seen)
}

#[test]
fn a_destructor_sees_the_value_however_its_future_ends() {
    let looped = Loop::new();

    let (guard, seen) = records_value();
    let complete = async move { drop(guard) };
    looped.block_on(NUMBER.scope(1, complete));
    assert_eq!(seen.get(), Some(1), "it completes");

    let (guard, seen) = records_value();
    let captured = poll_fn(move |_| {
        let _ = &guard;
        Poll::Ready(())
    });
    let mut scope = pin!(NUMBER.scope(2, captured));
    looped.block_on(scope.as_mut());
    assert_eq!(
        seen.get(),
        Some(2),
        "it completes and drops what it captured"
    );

    let (guard, seen) = records_value();
    let unpolled = NUMBER.scope(3, async move { drop(guard) });
    drop(unpolled);
    assert_eq!(seen.get(), Some(3), "it was never polled");

    let (guard, seen) = records_value();
    let mut scope = Box::pin(NUMBER.scope(4, async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(scope.as_mut().poll(&mut cx).is_pending());
    drop(scope);
    assert_eq!(
        seen.get(),
        Some(4),
        "it is dropped half way, as by a timeout"
    );

    let (guard, seen) = records_value();
    let task = looped.executor.spawn(NUMBER.scope(5, async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    looped.settle();
    task.abort();
    looped.settle();
    assert_eq!(seen.get(), Some(5), "it is aborted");

    let (guard, seen) = records_value();
    let task = looped.executor.spawn(NUMBER.scope(6, async move {
        let _guard = guard;
        panic!("with the value");
    }));
    looped.settle();
    drop(task);
    assert_eq!(seen.get(), Some(6), "it panics");

    let (guard, seen) = records_value();
    let _task = looped.executor.spawn(NUMBER.scope(7, async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    looped.settle();
    drop(looped);
    assert_eq!(seen.get(), Some(7), "its executor is dropped");
    assert!(NUMBER.try_get().is_err());
}

#[test]
fn nested_scopes_are_dropped_with_their_own_values() {
    let (guard, seen) = records_value();
    let (outer_guard, outer_seen) = records_value();
    let inner = NUMBER.scope(2, async move { drop(guard) });
    drop(NUMBER.scope(1, async move {
        let _outer_guard = outer_guard;
        inner.await;
    }));
    assert_eq!((seen.get(), outer_seen.get()), (Some(2), Some(1)));
}

#[test]
fn a_scope_that_is_dropped_inside_with_drops_its_future_without_its_value() {
    let (guard, seen) = records_value();
    let scope = NUMBER.scope(2, async move { drop(guard) });
    NUMBER.sync_scope(1, || NUMBER.with(|_| drop(scope)));
    assert_eq!(seen.get(), Some(1), "the value that is in use stays");
}

#[test]
fn a_destructor_that_panics_restores_the_value_that_was_there() {
    let guard = on_drop(|| panic!("in a destructor"));
    let scope = NUMBER.scope(2, async move { drop(guard) });
    NUMBER.sync_scope(1, || {
        assert!(catch_unwind(AssertUnwindSafe(|| drop(scope))).is_err());
        assert_eq!(NUMBER.get(), 1);
    });
}

#[test]
fn the_value_can_be_taken_before_and_after_completion() {
    let looped = Loop::new();
    let mut complete = pin!(NUMBER.scope(1, async { NUMBER.get() }));
    assert_eq!(looped.block_on(complete.as_mut()), 1);
    assert_eq!(complete.as_mut().take_value(), Some(1));
    assert_eq!(complete.as_mut().take_value(), None);

    let mut running = pin!(NUMBER.scope(2, async { NUMBER.try_get().is_err() }));
    assert_eq!(running.as_mut().take_value(), Some(2));
    assert!(looped.block_on(running), "it goes on without the value");
}

#[test]
fn a_sync_scope_inside_with_panics_at_the_place_of_its_call() {
    let (said, line) = support::panic_of(|| {
        NUMBER.sync_scope(1, || NUMBER.with(|_| NUMBER.sync_scope(2, || ())));
    });
    assert!(
        said.contains("TaskLocal::sync_scope") && said.contains("inside `with`"),
        "{said}"
    );
    assert!(line.contains("task_locals.rs"), "{line}");
}

#[test]
fn a_scope_that_is_polled_after_completion_panics() {
    let looped = Loop::new();
    let mut scope = pin!(NUMBER.scope(1, async {}));
    looped.block_on(scope.as_mut());
    let (said, _) = support::panic_of(|| {
        let _ = scope.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    });
    assert!(said.contains("after completion"), "{said}");
}
