//! Every use of a waker, in every phase of a task, from every place, with the polls, drops and
//! wakes that result.

mod support;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use runtime_executor::JoinHandle;
use runtime_executor::internal::wake_local;
use support::{CountingWaker, Loop, SharedCount, elsewhere, on_drop, poll_once};

/// A use of a waker.
type Use = fn(&Waker);
const USES: [(&str, Use, bool); 5] = [
    ("wake", |waker| Waker::wake(Waker::clone(waker)), true),
    ("wake_by_ref", Waker::wake_by_ref, true),
    ("clone and drop", |waker| drop(waker.clone()), false),
    (
        "wake twice",
        |waker| {
            waker.wake_by_ref();
            Waker::wake(Waker::clone(waker));
        },
        true,
    ),
    (
        "clone of a clone",
        |waker| Waker::clone(&waker.clone()).wake_by_ref(),
        true,
    ),
];

/// The place of the use.
type Place = fn(&Loop, &(dyn Fn() + Sync));
const PLACES: [(&str, Place); 3] = [
    ("here", |looped, f| {
        let _entered = looped.executor.enter();
        f();
    }),
    ("here, not entered", |_, f| f()),
    ("elsewhere", |_, f| elsewhere(f)),
];

/// A task under observation: its future ends at the poll with the number `last`, and calls `during`
/// in every poll.
struct Bench {
    looped: Loop,
    polls: SharedCount,
    future_drops: SharedCount,
    output_drops: SharedCount,
    joiner: Arc<CountingWaker>,
    waker: Arc<Mutex<Option<Waker>>>,
    handle: Option<JoinHandle<Output>>,
}

struct Output(SharedCount);

impl Drop for Output {
    fn drop(&mut self) {
        self.0.add();
    }
}

struct Observed<D> {
    last: usize,
    polls: SharedCount,
    drops: SharedCount,
    output_drops: SharedCount,
    waker: Arc<Mutex<Option<Waker>>>,
    during: D,
}

impl<D: FnMut(&Waker) + Unpin> Future for Observed<D> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        self.polls.add();
        *self.waker.lock().unwrap() = Some(cx.waker().clone());
        (self.during)(cx.waker());
        if self.polls.get() == self.last {
            return Poll::Ready(Output(self.output_drops.clone()));
        }
        Poll::Pending
    }
}

impl<D> Drop for Observed<D> {
    fn drop(&mut self) {
        self.drops.add();
    }
}

impl Bench {
    fn new(last: usize, during: impl FnMut(&Waker) + Unpin + 'static) -> Bench {
        let looped = Loop::new();
        let (joiner, joiner_waker) = CountingWaker::new();
        let (polls, drops, outputs) = <(SharedCount, SharedCount, SharedCount)>::default();
        let waker = Arc::new(Mutex::new(None));
        let mut handle = looped.executor.spawn(Observed {
            last,
            polls: polls.clone(),
            drops: drops.clone(),
            output_drops: outputs.clone(),
            waker: waker.clone(),
            during,
        });
        let entered = looped.executor.enter();
        assert!(poll_once(&mut handle, &joiner_waker).is_pending());
        drop(entered);
        Bench {
            looped,
            polls,
            future_drops: drops,
            output_drops: outputs,
            joiner,
            waker,
            handle: Some(handle),
        }
    }

    fn waker(&self) -> Waker {
        self.waker.lock().unwrap().clone().unwrap()
    }

    #[track_caller]
    fn assert(&self, scenario: &str, seen: [usize; 4]) {
        let is = [
            self.polls.get(),
            self.future_drops.get(),
            self.output_drops.get(),
            self.joiner.count(),
        ];
        assert_eq!(
            is, seen,
            "{scenario}: polls, future drops, output drops, joiner wakes"
        );
    }
}

/// Calls `f` with every use of a waker from every place, named.
fn matrix(f: impl Fn(&str, &dyn Fn(&Loop, &Waker), bool)) {
    for (what, used, wakes) in USES {
        for (from, place) in PLACES {
            let scenario = format!("{what} {from}");
            f(
                &scenario,
                &|looped, waker| place(looped, &|| used(waker)),
                wakes,
            );
        }
    }
}

#[test]
fn while_the_task_waits() {
    matrix(|scenario, used, wakes| {
        let bench = Bench::new(2, |_| {});
        bench.looped.settle();
        bench.assert(scenario, [1, 0, 0, 0]);
        used(&bench.looped, &bench.waker());
        bench.assert(scenario, [1, 0, 0, 0]);
        bench.looped.settle();
        if !wakes {
            return bench.assert(scenario, [1, 0, 0, 0]);
        }
        bench.assert(scenario, [2, 1, 0, 1]);
        let Bench {
            looped,
            handle,
            output_drops,
            ..
        } = bench;
        let output = looped.block_on(handle.unwrap()).unwrap();
        assert_eq!(output_drops.get(), 0);
        drop(output);
        assert_eq!(output_drops.get(), 1);
    });
}

#[test]
fn while_the_task_is_queued() {
    matrix(|scenario, used, _| {
        let bench = Bench::new(3, |_| {});
        bench.looped.settle();
        let entered = bench.looped.executor.enter();
        bench.waker().wake_by_ref();
        drop(entered);
        used(&bench.looped, &bench.waker());
        bench.looped.settle();
        bench.assert(scenario, [2, 0, 0, 0]);
        assert!(!bench.looped.executor.has_work());
    });
}

#[test]
fn while_the_task_is_polled_by_itself_and_from_another_thread() {
    for (what, used, wakes) in USES {
        for there in [false, true] {
            let bench = Bench::new(2, move |waker| {
                if there {
                    elsewhere(|| used(waker));
                } else {
                    used(waker);
                }
            });
            bench.looped.batch();
            bench.assert(what, [1, 0, 0, 0]);
            assert_eq!(bench.looped.executor.has_work(), wakes);
            assert_eq!(bench.looped.batch(), usize::from(wakes));
            bench.assert(what, if wakes { [2, 1, 0, 1] } else { [1, 0, 0, 0] });
            assert_eq!(bench.looped.batch(), 0, "{what} in the last poll");
        }
    }
}

#[test]
fn after_the_task_has_finished() {
    matrix(|scenario, used, _| {
        let bench = Bench::new(1, |_| {});
        bench.looped.settle();
        bench.assert(scenario, [1, 1, 0, 1]);
        used(&bench.looped, &bench.waker());
        assert_eq!(bench.looped.batch(), 0);
        assert!(!bench.looped.executor.has_work(), "{scenario}");
        bench.assert(scenario, [1, 1, 0, 1]);
        bench.looped.block_on(async { drop(bench.handle) });
        assert_eq!(bench.output_drops.get(), 1);
        let waker = bench.waker.lock().unwrap().take().unwrap();
        used(&bench.looped, &waker);
        assert_eq!(bench.looped.batch(), 0);
        assert_eq!(bench.polls.get(), 1);
    });
}

#[test]
fn after_the_task_was_aborted() {
    matrix(|scenario, used, _| {
        let mut bench = Bench::new(9, |_| {});
        bench.looped.settle();
        let entered = bench.looped.executor.enter();
        bench.handle.as_ref().unwrap().abort();
        drop(entered);
        used(&bench.looped, &bench.waker());
        bench.assert(scenario, [1, 0, 0, 0]);
        bench.looped.settle();
        bench.assert(scenario, [1, 1, 0, 1]);
        used(&bench.looped, &bench.waker());
        bench.looped.settle();
        let handle = bench.handle.take().unwrap();
        assert!(
            bench
                .looped
                .block_on(handle)
                .is_err_and(|e| e.is_cancelled())
        );
        bench.assert(scenario, [1, 1, 0, 1]);
    });
}

#[test]
fn after_the_executor_was_dropped() {
    for (what, used, _) in USES {
        let bench = Bench::new(9, |_| {});
        bench.looped.settle();
        let Bench {
            looped,
            polls,
            future_drops,
            joiner,
            waker,
            ..
        } = bench;
        let waker = waker.lock().unwrap().take().unwrap();
        let root = looped.executor.root_waker();
        drop(looped);
        for waker in [&waker, &root] {
            used(waker);
            elsewhere(|| used(waker));
            Loop::new().block_on(async { used(waker) });
        }
        assert_eq!(
            (polls.get(), future_drops.get(), joiner.count()),
            (1, 1, 1),
            "{what}"
        );
    }
}

#[test]
fn within_the_drop_of_the_future() {
    for (what, used, _) in USES {
        for there in [false, true] {
            for end in ["ready", "abort", "executor"] {
                let looped = Loop::new();
                let polls = SharedCount::default();
                let waker = Arc::new(Mutex::new(None::<Waker>));
                let (counted, put, get) = (polls.clone(), waker.clone(), waker.clone());
                let guard = on_drop(move || {
                    let waker = get.lock().unwrap().clone().unwrap();
                    if there {
                        elsewhere(|| used(&waker));
                    } else {
                        used(&waker);
                    }
                });
                let handle = looped.executor.spawn(poll_fn(move |cx| {
                    let _ = &guard;
                    counted.add();
                    *put.lock().unwrap() = Some(cx.waker().clone());
                    if end == "ready" {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                }));
                looped.settle();
                match end {
                    "ready" => looped.block_on(handle).unwrap(),
                    "abort" => {
                        looped.block_on(async { handle.abort() });
                        assert!(looped.block_on(handle).is_err());
                    }
                    _ => drop(looped),
                }
                assert_eq!(polls.get(), 1, "{what} {end}");
            }
        }
    }
}

#[test]
fn wakers_of_one_task_are_alike_and_of_two_are_not() {
    let looped = Loop::new();
    let wakers = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..2 {
        let wakers = wakers.clone();
        looped.executor.spawn(poll_fn(move |cx| {
            wakers.lock().unwrap().push(cx.waker().clone());
            Poll::<()>::Pending
        }));
    }
    looped.settle();
    let wakers = wakers.lock().unwrap();
    assert!(wakers[0].will_wake(&wakers[0].clone()));
    assert!(!wakers[0].will_wake(&wakers[1]));
    assert!(!wakers[0].will_wake(&looped.executor.root_waker()));
}

#[test]
fn a_stale_waker_does_not_wake_a_later_task_with_another_serial_number() {
    let looped = Loop::new();
    let stale = Arc::new(Mutex::new(None::<Waker>));
    let put = stale.clone();
    let first = looped.executor.spawn(poll_fn(move |cx| {
        *put.lock().unwrap() = Some(cx.waker().clone());
        Poll::Ready(())
    }));
    let abort = first.abort_handle();
    looped.block_on(first).unwrap();
    let stale = stale.lock().unwrap().take().unwrap();
    // The next occupant of the slot.
    let polls = SharedCount::default();
    let (counted, own) = (polls.clone(), Arc::new(Mutex::new(None::<Waker>)));
    let put = own.clone();
    let occupant = looped.executor.spawn(poll_fn(move |cx| {
        counted.add();
        *put.lock().unwrap() = Some(cx.waker().clone());
        Poll::<()>::Pending
    }));
    assert_eq!(looped.executor.task_count(), 1);
    looped.settle();
    let entered = looped.executor.enter();
    stale.wake_by_ref();
    abort.abort();
    drop(entered);
    elsewhere(|| {
        stale.wake_by_ref();
        abort.abort();
    });
    looped.settle();
    assert_eq!(polls.get(), 1);
    looped.block_on(async { assert!(!occupant.is_finished()) });
    let own = own.lock().unwrap().take().unwrap();
    own.wake();
    looped.settle();
    assert_eq!(polls.get(), 2, "its own waker still wakes it");
}

#[test]
fn a_slot_left_in_the_queue_by_a_complete_task_does_not_poll_its_next_occupant() {
    let looped = Loop::new();
    drop(looped.executor.spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(())
    })));
    let entered = looped.executor.enter();
    looped.executor.run_ready();
    drop(entered);
    let polls = SharedCount::default();
    let counted = polls.clone();
    looped.executor.spawn(poll_fn(move |_| {
        counted.add();
        Poll::<()>::Pending
    }));
    looped.settle();
    assert_eq!(polls.get(), 1);
}

#[test]
fn a_handle_whose_slot_has_a_new_occupant_does_not_affect_it() {
    let looped = Loop::new();
    let mut first = looped.executor.spawn(async { 1_u8 });
    looped.settle();
    let entered = looped.executor.enter();
    assert!(poll_once(&mut first, Waker::noop()).is_ready());
    let mut second = looped.executor.spawn(async { 2_u8 });
    first.abort();
    drop(first);
    drop(entered);
    looped.settle();
    let entered = looped.executor.enter();
    assert!(matches!(
        poll_once(&mut second, Waker::noop()),
        Poll::Ready(Ok(2))
    ));
    drop(entered);
    // The same by messages: the output was sent, then the handle is dropped.
    let mut first = looped.executor.spawn(async { 1_u8 });
    elsewhere(|| assert!(poll_once(&mut first, Waker::noop()).is_pending()));
    looped.settle();
    let second = looped.executor.spawn(async { 2_u8 });
    elsewhere(|| drop(first));
    assert_eq!(looped.block_on(second).unwrap(), 2);
}

#[test]
fn a_local_wake_wakes_a_task_of_the_executor_that_is_entered_and_nothing_else() {
    let (looped, other) = (Loop::new(), Loop::new());
    let waker = looped.executor.root_waker();
    assert!(!wake_local(&waker), "nothing is entered");
    {
        let _entered = other.executor.enter();
        assert!(!wake_local(&waker), "it belongs to another executor");
    }
    let _entered = looped.executor.enter();
    assert!(!wake_local(Waker::noop()), "it is foreign");
    elsewhere(|| assert!(!wake_local(&waker), "it belongs to another thread"));
    assert!(!looped.executor.take_root_wake());
    assert!(wake_local(&waker));
    assert!(looped.executor.take_root_wake() && !other.executor.take_root_wake());
}
