//! Scopes that are dropped or forgotten before their end.

use super::*;

#[test]
fn a_scope_that_is_dropped_drops_its_body_and_then_its_children_in_order() {
    let dropped = RefCell::new(Vec::new());
    let gate = Gate::default();
    let counter = Counter::new();
    let mut scope = Box::pin(scope(async |s| {
        let _body = Note(&dropped, "body");
        let short = Note(&dropped, "short");
        s.spawn(async move { drop(short) });
        for name in ["one", "two"] {
            let (note, gate) = (Note(&dropped, name), &gate);
            s.spawn(async move {
                let _note = note;
                gate.passed().await;
            });
        }
        yield_now().await;
        yield_now().await;
        // In the place of the child that is complete.
        let last = Note(&dropped, "last");
        s.spawn(async move {
            let _note = last;
            pending::<()>().await;
        });
        pending::<()>().await;
    }));
    assert!(settle(scope.as_mut(), &counter).is_pending());
    assert_eq!(*dropped.borrow(), ["short"]);
    drop(scope);
    assert_eq!(*dropped.borrow(), ["short", "body", "one", "two", "last"]);
    let before = counter.0.count();
    gate.wake();
    assert_eq!(counter.0.count(), before);
}

#[test]
fn a_scope_that_is_never_polled_runs_nothing() {
    let mut runs = 0;
    drop(scope(async |_| runs += 1));
    assert_eq!(runs, 0);
}

#[test]
fn the_children_of_a_forgotten_scope_are_never_polled_again() {
    let gate = Gate::default();
    let counter = Counter::new();
    {
        let local = Rc::new(Cell::new(0));
        let mut scope = Box::pin(scope(async |s| {
            let local = local.clone();
            s.spawn(async {
                gate.passed().await;
                unreachable!("it is not polled any more");
            });
            local.set(1);
            pending::<()>().await;
        }));
        assert!(settle(scope.as_mut(), &counter).is_pending());
        mem::forget(scope);
        // The borrow has ended, and what was borrowed is dropped.
        assert_eq!(local.get(), 1);
    }
    let before = counter.0.count();
    gate.open(); // wakes the task, which finds nothing to poll
    assert_eq!((counter.0.count(), gate.polls.get()), (before + 1, 1));
    // A list of the tasks of this thread finds the forgotten scope, and no task that awaits it.
    runtime::block_on(async { assert!(task::all().tasks.is_empty()) });
}

#[test]
fn a_child_that_is_spawned_while_the_scope_ends_is_dropped() {
    struct SpawnOnDrop<F: FnMut()>(F);
    impl<F: FnMut()> Drop for SpawnOnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let dropped = RefCell::new(Vec::new());
    let make = || {
        scope(async |s| {
            let late = SpawnOnDrop(|| {
                let note = Note(&dropped, "late");
                drop(s.spawn(async move {
                    let _note = note;
                    unreachable!("it is not polled");
                }));
                drop(s.exit(2));
            });
            s.spawn(async move {
                let _late = late;
                pending::<()>().await;
            });
            yield_now().await;
            yield_now().await;
            s.exit(1).await
        })
    };
    assert_eq!(runtime::block_on(make()), 1);
    assert_eq!(dropped.take(), ["late"]);
    let mut unfinished = Box::pin(make());
    let polled = unfinished
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    let polled = unfinished
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    drop(unfinished);
    assert_eq!(dropped.take(), ["late"]);
}
