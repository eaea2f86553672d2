//! A task that panics affects no other task, and its panic is reported.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;

use runtime_executor::{Builder, Config, Executor, JoinHandle, PanicPolicy, spawn, yield_now};
use support::{Count, Loop, elsewhere, on_drop, poll_once, text};

const POLICIES: [PanicPolicy; 3] = [
    PanicPolicy::Report,
    PanicPolicy::Propagate,
    PanicPolicy::ShutDown,
];

fn with(panic_policy: PanicPolicy) -> Loop {
    Loop::with(Config::new().panic_policy(panic_policy))
}

/// A value whose drop panics.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new(self.0));
    }
}

/// A future that holds a bomb, and completes at the given poll.
struct Armed {
    polls: usize,
    _bomb: Bomb,
}

impl Future for Armed {
    type Output = u8;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u8> {
        if self.polls == 0 {
            return Poll::Ready(1);
        }
        self.polls -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn armed(polls: usize) -> Armed {
    Armed {
        polls,
        _bomb: Bomb("boom"),
    }
}

/// Asserts that the other tasks of a loop still run.
fn still_runs(looped: &Loop) {
    assert_eq!(
        looped.block_on(async { spawn(async { 5 }).await.unwrap() }),
        5
    );
}

#[test]
fn a_panic_is_the_error_of_the_join_handle_under_every_policy() {
    for policy in POLICIES {
        let looped = with(policy);
        let line = line!() + 1;
        let handle = looped.executor.spawn(async { panic!("it was {}", 3) });
        let id = handle.id();
        let error = looped.block_on(handle).unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.id(), id);
        let place = format!("{}:{line}:", file!());
        let said = error.to_string();
        assert!(said.contains("it was 3") && said.contains(&place), "{said}");
        assert!(said.contains(&id.to_string()), "{said}");
        assert_eq!(text(&*error.into_panic()), "it was 3");
        still_runs(&looped);
    }
}

#[test]
fn the_error_names_the_task() {
    let looped = Loop::new();
    let entered = looped.executor.enter();
    let handle = Builder::new()
        .name("acceptor")
        .spawn(async { panic_any(7_u8) });
    drop(entered);
    let error = looped.block_on(handle).unwrap_err();
    assert!(error.to_string().contains("\"acceptor\""), "{error}");
    assert!(error.to_string().contains("no text"), "{error}");
    assert!(format!("{error:?}").contains("acceptor"));
    let io = std::io::Error::from(error);
    assert!(io.to_string().contains("acceptor"));
}

#[test]
fn a_future_whose_drop_panics_after_ready_is_a_panic_of_the_task() {
    let looped = Loop::new();
    let error = looped
        .block_on(looped.executor.spawn(armed(0)))
        .unwrap_err();
    assert_eq!(text(&*error.into_panic()), "boom");
    still_runs(&looped);
}

#[test]
fn a_future_whose_drop_panics_after_pending_and_ready_is_a_panic_too() {
    let looped = Loop::new();
    let error = looped
        .block_on(looped.executor.spawn(armed(2)))
        .unwrap_err();
    assert!(error.is_panic());
    still_runs(&looped);
}

#[test]
fn a_future_whose_drop_panics_when_it_is_aborted_is_a_panic_too() {
    let looped = Loop::new();
    let handle = looped.executor.spawn(armed(usize::MAX));
    looped.batch();
    handle.abort();
    assert!(looped.block_on(handle).unwrap_err().is_panic());
    still_runs(&looped);
}

#[test]
fn a_future_whose_drop_panics_when_the_executor_is_dropped_takes_nothing_with_it() {
    let looped = Loop::new();
    let dropped = Count::default();
    for _ in 0..3 {
        let dropped = dropped.clone();
        let guard = on_drop(move || dropped.add());
        looped.executor.spawn(armed(usize::MAX));
        looped.executor.spawn(async move {
            pending::<()>().await;
            drop(guard);
        });
    }
    looped.batch();
    drop(looped);
    assert_eq!(dropped.get(), 3);
}

#[test]
fn a_poll_and_the_drop_after_it_that_both_panic_end_the_task() {
    let looped = Loop::new();
    let handle = looped.executor.spawn(async {
        let _bomb = Bomb("second");
        // A bomb that panics during unwinding would abort the process, so it is disarmed.
        std::mem::forget(_bomb);
        panic!("first");
    });
    assert!(looped.block_on(handle).unwrap_err().is_panic());

    struct Both(Bomb);
    impl Future for Both {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            let _ = &self.0;
            panic!("first");
        }
    }
    let handle = looped.executor.spawn(Both(Bomb("second")));
    assert!(looped.block_on(handle).unwrap_err().is_panic());
    still_runs(&looped);
}

/// The ways in which an output is left without a handle.
fn unwanted<T: Send + 'static>(looped: &Loop, make: fn() -> T) {
    // Detached before the end.
    drop(looped.executor.spawn(async move { make() }));
    // Detached after it.
    let handle = looped.executor.spawn(async move { make() });
    looped.settle();
    looped.block_on(async { drop(handle) });
    // Detached on another thread.
    let handle = looped.executor.spawn(async move { make() });
    elsewhere(|| drop(handle));
    looped.settle();
    // Detached on another thread, which had requested the output.
    let handle = looped.executor.spawn(async move { make() });
    elsewhere(|| {
        assert!(!handle.is_finished());
        drop(handle);
    });
    looped.settle();
    // The same, and the message about the drop is late.
    let handle = looped.executor.spawn(async move {
        yield_now().await;
        make()
    });
    let handle = elsewhere(|| {
        assert!(!handle.is_finished());
        handle
    });
    looped.batch();
    elsewhere(|| drop(handle));
    looped.settle();
    // Requested by another thread, and dropped on this one before the message is handled.
    let handle = looped.executor.spawn(async move { make() });
    let handle = elsewhere(|| {
        assert!(!handle.is_finished());
        handle
    });
    let entered = looped.executor.enter();
    drop(handle);
    drop(entered);
    looped.settle();
    // Spawned from another thread, and detached there before the end.
    let executor = looped.executor.handle();
    elsewhere(|| drop(executor.spawn(async move { make() })));
    looped.settle();
    // The last output of all is dropped with the executor.
    std::mem::forget(looped.executor.spawn(async move { make() }));
    looped.settle();
}

#[test]
fn an_output_whose_drop_panics_does_not_stop_the_executor() {
    let looped = Loop::new();
    unwanted(&looped, || Bomb("output"));
    still_runs(&looped);
}

#[test]
fn a_payload_whose_drop_panics_does_not_stop_the_executor() {
    let looped = Loop::new();
    unwanted(&looped, || resume_unwind(Box::new(Bomb("payload"))));
    still_runs(&looped);
}

#[test]
fn a_waker_that_panics_does_not_stop_the_executor() {
    const TABLE: RawWakerVTable = RawWakerVTable::new(
        |_| RawWaker::new(std::ptr::null(), &TABLE),
        |_| resume_unwind(Box::new("wake")),
        |_| resume_unwind(Box::new("wake_by_ref")),
        |_| {},
    );
    let looped = Loop::new();
    // SAFETY: the functions look at nothing and may be called from anywhere.
    let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) };
    let mut handles: Vec<_> = (0..3)
        .map(|n| looped.executor.spawn(async move { n }))
        .collect();
    let entered = looped.executor.enter();
    for handle in &mut handles {
        assert!(poll_once(handle, &waker).is_pending());
    }
    drop(entered);
    looped.settle();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(looped.block_on(handle).unwrap(), n);
    }
    let mut handle = looped.executor.spawn(async {});
    elsewhere(|| assert!(poll_once(&mut handle, &waker).is_pending()));
    looped.settle();
    assert!(looped.block_on(handle).is_ok());
}

/// Runs until idle and returns the panic that `run_ready` raised.
fn raised(looped: &Loop) -> Option<String> {
    let run = || looped.settle();
    let raised = catch_unwind(AssertUnwindSafe(run)).err()?;
    Some(text(&*raised).to_owned())
}

#[test]
fn propagate_raises_the_payload_of_a_detached_task_and_keeps_the_others() {
    let looped = with(PanicPolicy::Propagate);
    drop(looped.executor.spawn(async { panic!("detached") }));
    let other = looped.executor.spawn(async {
        yield_now().await;
        3
    });
    assert_eq!(raised(&looped).as_deref(), Some("detached"));
    assert_eq!(raised(&looped), None, "once");
    assert_eq!(looped.block_on(other).unwrap(), 3);
}

#[test]
fn shut_down_drops_the_others_first() {
    let looped = with(PanicPolicy::ShutDown);
    let dropped = Count::default();
    let counted = dropped.clone();
    let guard = on_drop(move || counted.add());
    let other = looped.executor.spawn(async move {
        pending::<()>().await;
        drop(guard);
    });
    drop(looped.executor.spawn(async { panic!("detached") }));
    assert_eq!(raised(&looped).as_deref(), Some("detached"));
    assert_eq!(dropped.get(), 1);
    assert_eq!(looped.executor.task_count(), 0);
    assert!(looped.block_on(other).unwrap_err().is_cancelled());
}

#[test]
fn a_panic_is_raised_however_the_handle_was_lost() {
    type Lose = fn(&Loop, JoinHandle<()>);
    let ways: [(&str, Lose); 5] = [
        ("dropped after the end", |looped, handle| {
            looped.settle();
            let _entered = looped.executor.enter();
            drop(handle);
        }),
        ("dropped elsewhere", |_, handle| elsewhere(|| drop(handle))),
        ("dropped elsewhere after the end", |looped, handle| {
            looped.settle();
            elsewhere(|| drop(handle));
        }),
        ("dropped elsewhere after asking", |_, handle| {
            elsewhere(|| {
                assert!(!handle.is_finished());
                drop(handle);
            });
        }),
        (
            "dropped elsewhere with the panic in it",
            |looped, handle| {
                elsewhere(|| assert!(!handle.is_finished()));
                looped.settle();
                elsewhere(|| {
                    assert!(handle.is_finished());
                    drop(handle);
                });
            },
        ),
    ];
    for (way, lose) in ways {
        let looped = with(PanicPolicy::Propagate);
        lose(&looped, looped.executor.spawn(async { panic!("lost") }));
        assert_eq!(raised(&looped).as_deref(), Some("lost"), "{way}");
    }
}

#[test]
fn a_panic_of_a_task_from_another_thread_is_raised_when_its_handle_was_dropped() {
    let looped = with(PanicPolicy::Propagate);
    let handle = looped.executor.handle();
    elsewhere(|| drop(handle.spawn(async { panic!("sent") })));
    assert_eq!(raised(&looped).as_deref(), Some("sent"));
    let kept = elsewhere(|| handle.spawn(async { panic!("kept") }));
    assert_eq!(raised(&looped), None);
    let entered = looped.executor.enter();
    drop(kept);
    drop(entered);
    assert_eq!(raised(&looped).as_deref(), Some("kept"));
}

#[test]
fn a_second_detached_panic_in_a_batch_does_not_disturb_the_first() {
    struct Detaches(RefCell<Option<JoinHandle<()>>>);
    impl Drop for Detaches {
        fn drop(&mut self) {
            drop(self.0.take());
        }
    }
    let looped = with(PanicPolicy::Propagate);
    let third = looped.executor.spawn(async { panic!("third") });
    looped.settle();
    drop(looped.executor.spawn(async { panic!("first") }));
    drop(
        looped
            .executor
            .spawn(async { resume_unwind(Box::new(Bomb("second"))) }),
    );
    let payload = SendAnyway(Detaches(RefCell::new(Some(third))));
    drop(
        looped
            .executor
            .spawn(async move { resume_unwind(Box::new(payload)) }),
    );
    assert_eq!(raised(&looped).as_deref(), Some("first"));
    still_runs(&looped);
}

struct SendAnyway<T>(#[allow(dead_code, reason = "it is there to be dropped")] T);

// SAFETY: the test that uses it has one thread.
unsafe impl<T> Send for SendAnyway<T> {}

#[test]
fn a_panic_inside_a_join_is_the_joiners_to_raise() {
    let looped = with(PanicPolicy::Propagate);
    let inner = looped.executor.spawn(async { panic!("inner") });
    let outer = looped.executor.spawn(async move {
        let inner: Result<(), _> = inner.await;
        resume_unwind(inner.unwrap_err().into_panic());
    });
    let error = looped.block_on(outer).unwrap_err();
    assert_eq!(text(&*error.into_panic()), "inner");
}

#[test]
fn into_panic_of_an_abort_names_the_abort() {
    let looped = Loop::new();
    let handle = looped.executor.spawn(poll_fn(|_| Poll::<()>::Pending));
    looped.block_on(async { handle.abort() });
    let error = looped.block_on(handle).unwrap_err();
    let error = error.try_into_panic().unwrap_err();
    let raised = catch_unwind(AssertUnwindSafe(|| error.into_panic())).unwrap_err();
    assert!(text(&*raised).contains("was aborted"), "{}", text(&*raised));
}

#[test]
fn the_task_that_panics_is_no_longer_the_running_one() {
    let looped = Loop::new();
    drop(looped.executor.spawn(async { panic!() }));
    looped.settle();
    let _entered = looped.executor.enter();
    assert_eq!(runtime_executor::try_id(), None);
    assert!(Executor::is_entered());
}

/// A future that holds a value and panics when it is polled.
struct PanicsHolding<T>(T);

impl<T: Unpin> Future for PanicsHolding<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        panic!("while it holds a value");
    }
}

#[test]
fn a_future_whose_poll_panics_is_dropped_while_that_panic_unwinds() {
    static LOCK: Mutex<()> = Mutex::new(());
    for policy in POLICIES {
        LOCK.clear_poison();
        let looped = with(policy);
        let dropped = Rc::new(Cell::new(None));
        let record = dropped.clone();
        let held = (
            LOCK.lock().unwrap(),
            on_drop(move || record.set(Some((thread::panicking(), runtime_executor::try_id())))),
        );
        let handle = looped.executor.spawn(PanicsHolding(held));
        let id = handle.id();
        let error = looped.block_on(handle).unwrap_err();
        assert_eq!(text(&*error.into_panic()), "while it holds a value");
        assert_eq!(dropped.get(), Some((true, Some(id))));
        assert!(LOCK.is_poisoned());
        still_runs(&looped);
    }
}

#[test]
fn of_a_future_whose_poll_and_drop_panic_the_first_panic_is_the_error() {
    let looped = Loop::new();
    let handle = looped.executor.spawn(PanicsHolding(Bomb("boom")));
    let error = looped.block_on(handle).unwrap_err();
    assert_eq!(text(&*error.into_panic()), "while it holds a value");
    still_runs(&looped);
}
