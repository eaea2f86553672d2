//! Scopes whose body and children complete.

use super::*;

#[test]
fn children_borrow_what_was_declared_before_the_scope() {
    runtime::block_on(async {
        let text = String::from("borrowed");
        let mut lengths = Vec::new();
        let mut exclusive = 0;
        let output = scope(async |s| {
            s.spawn(async {
                yield_now().await;
                lengths.push(text.len());
            });
            s.spawn(async { exclusive += text.len() });
            let doubled = s.spawn(async { 2 * text.len() });
            doubled.await
        });
        assert_eq!(output.await, 16);
        assert_eq!((lengths, exclusive), (vec![8], 8));
    });
}

#[test]
fn a_scope_without_children_returns_the_output_of_its_body() {
    assert_eq!(runtime::block_on(scope(async |_| 7)), 7);
    let mut scope = pin!(scope(async |s| (s.len(), s.is_empty())));
    // The first poll is enough.
    let polled = scope.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready((0, true)));
}

#[test]
fn a_body_that_returns_early_awaits_its_children() {
    paused().block_on(async {
        let done = Cell::new(false);
        let mut seen = 0;
        scope(async |s| {
            drop(s.spawn(async {
                time::sleep(HOUR).await;
                done.set(true);
            }));
            seen = s.len();
            if seen == 1 {
                return;
            }
            unreachable!();
        })
        .await;
        assert_eq!(seen, 1);
        assert!(done.get());
    });
}

#[test]
fn children_spawn_children_and_await_them() {
    runtime::block_on(async {
        let base = 100;
        let sum = scope(async |s| {
            let outer = s.spawn(async {
                let inner = s.spawn(async { s.spawn(async { base }).await + 10 });
                inner.await + 1
            });
            outer.await
        });
        assert_eq!(sum.await, 111);
    });
}

#[test]
fn a_child_awaits_the_handle_of_a_sibling_that_completes_later() {
    runtime::block_on(async {
        let gate = Gate::default();
        let output = scope(async |s| {
            let slow = s.spawn(async {
                gate.passed().await;
                3
            });
            let waits = s.spawn(async move {
                assert!(!slow.is_finished());
                slow.await + 1
            });
            yield_now().await;
            gate.open();
            waits.await
        });
        assert_eq!(output.await, 4);
    });
}

#[test]
fn the_last_waker_of_a_handle_is_woken() {
    let (first, second) = (Counter::new(), Counter::new());
    runtime::block_on(async {
        scope(async |s| {
            let mut child = s.spawn(yield_now());
            for counter in [&first, &second] {
                let polled = Pin::new(&mut child).poll(&mut Context::from_waker(&counter.1));
                assert!(polled.is_pending());
            }
            while !child.is_finished() {
                yield_now().await;
            }
        })
        .await;
    });
    assert_eq!((first.0.count(), second.0.count()), (0, 1));
}

#[test]
fn a_handle_that_is_polled_after_completion_panics() {
    let panicked = catch_unwind(|| {
        runtime::block_on(scope(async |s| {
            let mut child = s.spawn(ready(1));
            assert_eq!((&mut child).await, 1);
            assert!(child.is_finished());
            child.await;
        }));
    });
    let payload = panicked.unwrap_err();
    assert_eq!(
        text(&*payload),
        "ScopedJoinHandle was polled after completion"
    );
}
