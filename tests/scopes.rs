//! Scopes: children that borrow, and are polled by the task that awaits the scope.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use runtime::task::{self, scope, try_scope, yield_now};
use runtime::{Runtime, select, time};

/// A waker that counts its wakes.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counter {
    fn new() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (counter.clone(), counter.into())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A future that is ready once it was opened, and counts its polls.
#[derive(Default)]
struct Gate {
    is_open: Cell<bool>,
    polls: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    async fn passed(&self) {
        poll_fn(|cx| {
            self.polls.set(self.polls.get() + 1);
            if self.is_open.get() {
                return Poll::Ready(());
            }
            self.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn wake(&self) {
        self.waker.borrow().as_ref().unwrap().wake_by_ref();
    }

    fn open(&self) {
        self.is_open.set(true);
        self.wake();
    }
}

/// Notes a name when it is dropped.
struct Note<'a>(&'a RefCell<Vec<&'static str>>, &'static str);

impl Drop for Note<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

/// Polls until the future is pending without having woken its waker. No executor is there, so this
/// is the only task.
fn settle<F: Future>(mut future: Pin<&mut F>, counter: &(Arc<Counter>, Waker)) -> Poll<F::Output> {
    loop {
        let before = counter.0.count();
        let polled = future.as_mut().poll(&mut Context::from_waker(&counter.1));
        if polled.is_ready() || counter.0.count() == before {
            return polled;
        }
    }
}

fn text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload.downcast_ref::<&str>().unwrap()
}

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
    runtime::block_on(async {
        let done = Cell::new(false);
        let mut seen = 0;
        scope(async |s| {
            drop(s.spawn(async {
                time::sleep(Duration::from_millis(1)).await;
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

#[test]
fn a_panic_of_a_child_drops_the_others_in_order_and_is_resumed() {
    let dropped = RefCell::new(Vec::new());
    let note = |name| Note(&dropped, name);
    let scope = scope(async |s| {
        let _body = note("body");
        for name in ["first", "second", "third"] {
            let note = note(name);
            s.spawn(async move {
                let _note = note;
                pending::<()>().await;
            });
        }
        let failing = note("failing");
        s.spawn(async move {
            let _note = failing;
            yield_now().await;
            panic!("expected");
        });
        pending::<()>().await;
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| runtime::block_on(scope)));
    assert_eq!(text(&*panicked.unwrap_err()), "expected");
    assert_eq!(
        *dropped.borrow(),
        ["failing", "body", "first", "second", "third"]
    );
}

#[test]
fn a_panic_of_the_body_drops_the_children_and_is_resumed() {
    let dropped = RefCell::new(Vec::new());
    let scope = scope(async |s| {
        let note = Note(&dropped, "child");
        s.spawn(async move {
            let _note = note;
            pending::<()>().await;
        });
        yield_now().await;
        panic!("expected");
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| runtime::block_on(scope)));
    assert_eq!(text(&*panicked.unwrap_err()), "expected");
    assert_eq!(*dropped.borrow(), ["child"]);
}

#[test]
fn a_task_is_notified_of_the_panic_of_a_child() {
    runtime::block_on(async {
        let task = runtime::spawn(scope(async |s| {
            s.spawn(async { panic!("expected") });
        }));
        let payload = task.await.unwrap_err().into_panic();
        assert_eq!(text(&*payload), "expected");
    });
}

#[test]
fn destructors_that_panic_do_not_keep_the_others_from_being_dropped() {
    /// Panics with its name after noting it.
    struct Fail<'a>(&'a RefCell<Vec<&'static str>>, &'static str);
    impl Drop for Fail<'_> {
        fn drop(&mut self) {
            self.0.borrow_mut().push(self.1);
            std::panic::panic_any(self.1);
        }
    }
    let dropped = RefCell::new(Vec::new());
    let run = |panics: bool| {
        let scope = scope(async |s| {
            for name in ["one", "two"] {
                let fail = Fail(&dropped, name);
                s.spawn(async move {
                    let _fail = fail;
                    pending::<()>().await;
                });
            }
            let last = Note(&dropped, "three");
            s.spawn(async move {
                let _last = last;
                pending::<()>().await;
            });
            yield_now().await;
            if panics {
                panic!("expected");
            }
            s.exit(()).await;
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| runtime::block_on(scope)));
        assert_eq!(dropped.take(), ["one", "two", "three"]);
        text(&*panicked.unwrap_err()).to_owned()
    };
    assert_eq!(run(true), "expected", "the first panic counts");
    assert_eq!(run(false), "one");
}

#[test]
fn the_first_error_of_a_child_ends_the_scope_and_drops_the_others_in_order() {
    runtime::block_on(async {
        let dropped = RefCell::new(Vec::new());
        let result: Result<(), &str> = try_scope(async |s| {
            let _body = Note(&dropped, "body");
            let spawn = |name, error: Option<&'static str>| {
                let note = Note(&dropped, name);
                s.spawn(async move {
                    let _note = note;
                    yield_now().await;
                    match error {
                        Some(error) => Err(error),
                        None => pending().await,
                    }
                })
            };
            drop([
                spawn("one", None),
                spawn("two", Some("first error")),
                spawn("three", Some("second error")),
                spawn("four", None),
            ]);
            // A handle of a child that fails is never ready.
            let () = spawn("five", Some("third error")).await;
            unreachable!();
        })
        .await;
        assert_eq!(result, Err("first error"));
        let expected = ["two", "body", "one", "three", "four", "five"];
        assert_eq!(*dropped.borrow(), expected);
    });
}

#[test]
fn an_error_of_the_body_ends_the_scope_and_its_success_awaits_the_children() {
    runtime::block_on(async {
        let result: Result<u8, u8> = try_scope(async |s| {
            s.spawn(pending::<Result<(), u8>>());
            yield_now().await;
            Err(3)
        })
        .await;
        assert_eq!(result, Err(3));

        let done = Cell::new(0);
        let result: Result<u8, u8> = try_scope(async |s| {
            let value = s.spawn(async { Ok(4) });
            s.spawn(async {
                yield_now().await;
                done.set(done.get() + 1);
                Ok(())
            });
            Ok(value.await)
        })
        .await;
        assert_eq!((result, done.get()), (Ok(4), 1));
    });
}

#[test]
fn a_plain_scope_awaits_the_children_after_an_error_of_its_body() {
    runtime::block_on(async {
        let done = Cell::new(false);
        let result: Result<(), u8> = scope(async |s| {
            s.spawn(async {
                yield_now().await;
                done.set(true);
            });
            Err(3)
        })
        .await;
        assert_eq!((result, done.get()), (Err(3), true));
    });
}

#[test]
fn the_first_value_of_exit_counts_and_its_caller_does_not_continue() {
    runtime::block_on(async {
        let continued = Cell::new(0);
        let value = scope(async |s| {
            for n in 1..=3 {
                let continued = &continued;
                s.spawn(async move {
                    continued.set(continued.get() + 1);
                    s.exit(n).await;
                    unreachable!();
                });
            }
            pending().await
        })
        .await;
        assert_eq!((value, continued.get()), (1, 1));
        assert_eq!(scope(async |s| s.exit(5).await).await, 5);
        let value = scope(async |s| {
            drop(s.exit(7));
            s.exit(8).await
        });
        assert_eq!(value.await, 7);
        let result: Result<u8, u8> = try_scope(async |s| s.exit(Ok(6)).await).await;
        assert_eq!(result, Ok(6));
    });
}

#[test]
fn a_child_that_is_spawned_after_exit_is_dropped_at_once() {
    let dropped = RefCell::new(Vec::new());
    runtime::block_on(scope(async |s| {
        drop(s.exit(()));
        let note = Note(&dropped, "late");
        s.spawn(async move {
            let _note = note;
            unreachable!("it is not polled");
        });
        assert_eq!((s.len(), &**dropped.borrow()), (0, &["late"][..]));
    }));
}

#[test]
fn a_panic_after_exit_counts_instead_of_the_value() {
    let panicked = catch_unwind(|| {
        runtime::block_on(scope(async |s| {
            drop(s.exit(1));
            panic!("expected");
        }))
    });
    assert_eq!(text(&*panicked.unwrap_err()), "expected");
}

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

#[test]
fn select_works_in_a_child_and_around_a_scope() {
    runtime::block_on(async {
        let (sender, receiver) = async_channel::unbounded::<u8>();
        let end = task::CancellationToken::new();
        let received = Cell::new(0);
        let children = scope(async |s| {
            s.spawn(async {
                loop {
                    select! {
                        biased;
                        () = end.cancelled() => return,
                        message = receiver.recv() => {
                            received.set(received.get() + message.unwrap());
                        }
                    }
                }
            });
            s.spawn(async {
                for n in 1..=3 {
                    sender.send(n).await.unwrap();
                    yield_now().await;
                }
                while received.get() < 6 {
                    yield_now().await;
                }
                end.cancel();
            });
        });
        children.await;
        assert_eq!(received.get(), 6);

        let endless = scope(async |s| {
            s.spawn(pending::<()>());
        });
        select! {
            () = endless => unreachable!(),
            () = time::sleep(Duration::from_millis(1)) => {}
        }
    });
}

#[test]
fn a_scope_in_a_scope_borrows_from_the_child_that_runs_it() {
    runtime::block_on(async {
        let outermost = 1;
        let sum = scope(async |outer| {
            let child = outer.spawn(async {
                let local = 10;
                let inner = scope(async |inner| {
                    let handle = inner.spawn(async {
                        time::sleep(Duration::from_millis(1)).await;
                        outermost + local
                    });
                    // A child of the outer scope cannot borrow `local`.
                    let sibling = outer.spawn(async { outermost + 100 });
                    handle.await + sibling.await
                });
                inner.await + local
            });
            child.await
        });
        assert_eq!(sum.await, 122);
    });
}

#[test]
fn exit_of_an_outer_scope_ends_the_inner_one() {
    runtime::block_on(async {
        let value = scope(async |outer| {
            outer.spawn(async {
                scope(async |inner| {
                    inner.spawn(async {
                        outer.exit(9).await;
                    });
                    pending::<()>().await;
                })
                .await;
                unreachable!();
            });
            pending().await
        });
        assert_eq!(value.await, 9);
    });
}

#[test]
fn children_belong_to_the_task_that_awaits_the_scope() {
    runtime::task_local! { static NAME: &'static str; }
    runtime::block_on(async {
        let task = runtime::spawn(NAME.scope("inherited", async {
            let id = task::id();
            scope(async |s| {
                s.spawn(async {
                    yield_now().await;
                    assert_eq!(task::id(), id);
                    NAME.with(|name| assert_eq!(*name, "inherited"));
                });
            })
            .await;
        }));
        task.await.unwrap();
    });
}

#[test]
fn a_task_that_a_child_spawns_is_independent() {
    runtime::block_on(async {
        let mut task = None;
        scope(async |s| {
            s.spawn(async {
                task = Some(runtime::spawn(async {
                    yield_now().await;
                    7
                }));
            });
        })
        .await;
        assert_eq!(task.unwrap().await.unwrap(), 7);
    });
}

#[test]
fn the_future_of_a_scope_is_little_larger_than_that_of_its_body() {
    let small = scope(async |_| {});
    assert!(size_of_val(&small) <= 200, "{}", size_of_val(&small));
    let large = scope(async |_| {
        let block = [0_u8; 10_000];
        yield_now().await;
        std::hint::black_box(&block);
    });
    assert!(size_of_val(&large) < 10_300, "{}", size_of_val(&large));
}
