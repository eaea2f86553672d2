//! Wakes of children, and fairness among them.

use super::*;

#[test]
fn a_wake_polls_only_the_child_that_was_woken() {
    const CHILDREN: usize = 10_000;
    let gates: Vec<Gate> = (0..CHILDREN).map(|_| Gate::default()).collect();
    let body_polls = Cell::new(0);
    let mut scope = pin!(scope(async |s| {
        for gate in &gates {
            s.spawn(gate.passed());
        }
        poll_fn(|_| {
            body_polls.set(body_polls.get() + 1);
            Poll::<()>::Pending
        })
        .await;
    }));
    let counter = Counter::new();
    assert!(settle(scope.as_mut(), &counter).is_pending());
    let polls = || gates.iter().map(|gate| gate.polls.get()).sum::<usize>();
    assert_eq!((polls(), body_polls.get()), (CHILDREN, 1));

    let before = counter.0.count();
    for index in [17, 4_711, 9_999, 17] {
        gates[index].wake();
    }
    assert_eq!(counter.0.count(), before + 1, "the scope is woken once");
    assert!(settle(scope.as_mut(), &counter).is_pending());
    assert_eq!((polls(), body_polls.get()), (CHILDREN + 3, 1));
    assert_eq!(gates[17].polls.get(), 2);

    // A poll without a wake polls none of them.
    assert!(settle(scope.as_mut(), &counter).is_pending());
    assert_eq!(polls(), CHILDREN + 3);
}

#[test]
fn ten_thousand_children_complete() {
    runtime::block_on(async {
        let count = Cell::new(0);
        scope(async |s| {
            for n in 0..10_000 {
                let count = &count;
                s.spawn(async move {
                    for _ in 0..n % 17 {
                        yield_now().await;
                    }
                    count.set(count.get() + n % 17);
                });
            }
        })
        .await;
        assert_eq!(count.get(), (0..10_000).map(|n| n % 17).sum::<usize>());
    });
}

#[test]
fn a_wake_after_completion_has_no_effect() {
    let (gate, other) = (Gate::default(), Gate::default());
    let mut scope = pin!(scope(async |s| {
        s.spawn(gate.passed());
        s.spawn(other.passed());
    }));
    let counter = Counter::new();
    assert!(settle(scope.as_mut(), &counter).is_pending());
    gate.open();
    assert!(settle(scope.as_mut(), &counter).is_pending());
    let before = (counter.0.count(), other.polls.get());
    gate.wake();
    assert_eq!(counter.0.count(), before.0, "the scope is not woken");
    assert!(settle(scope.as_mut(), &counter).is_pending());
    assert_eq!((gate.polls.get(), other.polls.get()), (2, before.1));
    other.open();
    assert!(settle(scope.as_mut(), &counter).is_ready());
    let before = counter.0.count();
    gate.wake();
    other.wake();
    assert_eq!(counter.0.count(), before);
}

#[test]
fn a_place_that_is_used_again_is_not_polled_for_a_wake_of_the_earlier_child() {
    let gate = Gate::default();
    let mut scope = pin!(scope(async |s| {
        // Woken in its last poll. The next child spawns another one, which has the same place, in
        // the same poll of the scope.
        s.spawn(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(())
        }));
        s.spawn(async { drop(s.spawn(gate.passed())) });
    }));
    let counter = Counter::new();
    assert!(settle(scope.as_mut(), &counter).is_pending());
    assert_eq!(gate.polls.get(), 1);
    gate.open();
    assert!(settle(scope.as_mut(), &counter).is_ready());
}

#[test]
fn a_child_that_is_woken_while_it_is_polled_is_polled_again() {
    let polls = Cell::new(0);
    let counter = Counter::new();
    let mut scope = pin!(scope(async |s| {
        s.spawn(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            if polls.get() == 5 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
    }));
    // One poll of the child in each poll of the scope, after that of the body.
    for poll in 0..5 {
        let polled = scope.as_mut().poll(&mut Context::from_waker(&counter.1));
        assert!(polled.is_pending());
        assert_eq!(
            counter.0.count(),
            poll + 1,
            "the scope asks for the next poll"
        );
        assert_eq!(polls.get(), poll);
    }
    assert!(settle(scope, &counter).is_ready());
}

#[test]
fn children_that_are_always_ready_let_siblings_and_other_tasks_run() {
    runtime::block_on(async {
        let other = Rc::new(Cell::new(0));
        let counts = other.clone();
        let task = runtime::spawn(async move {
            loop {
                counts.set(counts.get() + 1);
                yield_now().await;
            }
        });
        let sibling = Cell::new(0);
        scope(async |s| {
            for _ in 0..100 {
                s.spawn(async {
                    // Neither waits nor yields by itself.
                    for _ in 0..1_000 {
                        task::consume_budget().await;
                    }
                });
            }
            s.spawn(async {
                for _ in 0..10 {
                    sibling.set(sibling.get() + 1);
                    yield_now().await;
                }
                // 100,000 completions take 780 polls, and the sibling has its turns in between.
                s.exit(()).await;
            });
        })
        .await;
        assert_eq!(sibling.get(), 10);
        assert!(other.get() >= 10, "{}", other.get());
        task.abort();
    });
}

#[test]
fn a_poll_of_the_scope_polls_as_many_children_as_the_budget_allows() {
    let most = runtime::block_on(async {
        let (polled, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (counts, seen) = (polled.clone(), most.clone());
        let task = runtime::spawn(async move {
            loop {
                seen.set(seen.get().max(counts.replace(0)));
                yield_now().await;
            }
        });
        scope(async |s| {
            for _ in 0..1_000 {
                s.spawn(async { polled.set(polled.get() + 1) });
            }
        })
        .await;
        yield_now().await;
        task.abort();
        most.get()
    });
    // The first of a poll is not counted, because the scope was pending before it.
    assert_eq!(most, 129);
}

#[test]
fn a_scope_beside_a_future_that_uses_up_every_budget_makes_progress() {
    runtime::block_on(async {
        let greedy = async {
            loop {
                task::consume_budget().await;
            }
        };
        let scope = scope(async |s| {
            for _ in 0..10 {
                s.spawn(yield_now());
            }
        });
        select! {
            biased;
            () = greedy => unreachable!(),
            () = scope => {}
        }
    });
}

#[test]
fn children_are_woken_from_another_thread() {
    let (runtime, count) = (Runtime::new().unwrap(), Cell::new(0));
    let (wakers, to_wake) = channel::<Waker>();
    let other = thread::spawn(move || {
        for waker in to_wake {
            waker.wake();
        }
    });
    runtime.block_on(scope(async |s| {
        for n in 0..100 {
            let (wakers, count) = (wakers.clone(), &count);
            s.spawn(async move {
                for _ in 0..n % 7 {
                    let mut was_sent = false;
                    poll_fn(|cx| {
                        if mem::replace(&mut was_sent, true) {
                            return Poll::Ready(());
                        }
                        wakers.send(cx.waker().clone()).unwrap();
                        Poll::Pending
                    })
                    .await;
                }
                count.set(count.get() + 1);
            });
        }
    }));
    drop(wakers);
    other.join().unwrap();
    assert_eq!(count.get(), 100);
}

#[test]
fn a_scope_runs_in_another_executor() {
    let text = String::from("elsewhere");
    let length = futures_lite::future::block_on(scope(async |s| {
        let child = s.spawn(async {
            futures_lite::future::yield_now().await;
            text.len()
        });
        child.await
    }));
    assert_eq!(length, 9);
}
