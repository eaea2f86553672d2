//! Values that belong to a task.

mod support;

use std::cell::Cell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};

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
fn a_panic_restores_what_was_there() {
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
