//! The end of an executor.

mod support;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::panic::catch_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;

use runtime_executor::{
    Config, Executor, Handle, JoinHandle, Unpark, spawn, spawn_blocking, yield_now,
};
use support::{Count, Loop, OnDrop, SharedCount, elsewhere, on_drop, poll_once, text, wait_for};

/// Spawns a task that never ends, and calls `f` when it is dropped.
fn with_drop(looped: &Loop, f: impl FnOnce() + 'static) -> JoinHandle<()> {
    let guard = on_drop(f);
    looped.executor.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    })
}

#[test]
fn tasks_are_dropped_in_the_order_in_which_they_were_spawned() {
    let looped = Loop::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    let noted = |n: u8| {
        let order = order.clone();
        move || order.borrow_mut().push(n)
    };
    // Frees slots, so that their order is not that of spawning.
    for _ in 0..3 {
        drop(looped.executor.spawn(yield_now()));
    }
    let first = with_drop(&looped, noted(1));
    looped.settle();
    let _second = with_drop(&looped, noted(2));
    drop(with_drop(&looped, noted(3)));
    let _fourth = with_drop(&looped, noted(4));
    looped.batch();
    drop(looped);
    assert_eq!(*order.borrow(), [1, 2, 3, 4]);
    drop(first);
}

#[test]
fn finished_and_unpolled_and_queued_tasks_are_dropped_too() {
    let looped = Loop::new();
    let dropped = Count::default();
    let add = || {
        let dropped = dropped.clone();
        move || dropped.add()
    };
    let guard = on_drop(add());
    let finished = looped.executor.spawn(async move { guard });
    looped.settle();
    let _unpolled = with_drop(&looped, add());
    let guard = on_drop(add());
    let _queued = looped.executor.spawn(poll_fn(move |cx| {
        let _ = &guard;
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    looped.batch();
    drop(looped);
    assert_eq!(dropped.get(), 3);
    assert!(finished.is_finished());
}

#[test]
fn a_destructor_may_use_all_of_the_executor() {
    for entered in [false, true] {
        let looped = Loop::new();
        let ran = Count::default();
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let put = waker.clone();
        let waits = looped.executor.spawn(poll_fn(move |cx| {
            *put.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        let victim = with_drop(&looped, || {});
        let remote = looped.executor.handle().clone();
        let (dropped, inner) = (Count::default(), ran.clone());
        let counted = dropped.clone();
        let _task = with_drop(&looped, move || {
            assert_eq!(Executor::is_entered(), entered);
            waker.borrow().as_ref().unwrap().wake_by_ref();
            victim.abort();
            assert!(victim.is_finished());
            drop(waits);
            let (here, there) = (SharedCount::default(), SharedCount::default());
            let (sent_here, sent_there) = (here.clone(), there.clone());
            drop(remote.spawn(async move { sent_here.add() }));
            elsewhere(|| drop(remote.spawn(async move { sent_there.add() })));
            assert!(elsewhere(|| remote.spawn_blocking(|| ())).is_finished());
            if entered {
                let counted = inner.clone();
                let never = spawn(async move { counted.add() });
                assert!(never.is_finished());
                assert!(spawn_blocking(|| ()).is_finished());
                assert!(Handle::try_current().is_some());
            }
            assert_eq!((here.get(), there.get()), (0, 0));
            drop(victim);
            counted.add();
        });
        looped.settle();
        let guard = entered.then(|| looped.executor.enter());
        drop(looped);
        drop(guard);
        assert_eq!((dropped.get(), ran.get()), (1, 0));
    }
}

#[test]
fn wakers_that_are_kept_are_harmless_everywhere() {
    let looped = Loop::new();
    let wakers = Rc::new(RefCell::new(vec![looped.executor.root_waker()]));
    let put = wakers.clone();
    looped.executor.spawn(poll_fn(move |cx| {
        put.borrow_mut().push(cx.waker().clone());
        Poll::<()>::Pending
    }));
    looped.settle();
    drop(looped);
    let next = Loop::new();
    let wakers = wakers.take();
    next.block_on(async { wakers.iter().for_each(Waker::wake_by_ref) });
    elsewhere(|| wakers.iter().for_each(Waker::wake_by_ref));
    assert_eq!((next.batch(), next.executor.take_root_wake()), (0, false));
}

#[test]
fn a_task_that_holds_its_own_handle_leaks_nothing() {
    let looped = Loop::new();
    let dropped = Count::default();
    let counted = dropped.clone();
    let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let (given, guard) = (own.clone(), on_drop(move || counted.add()));
    let handle = looped.executor.spawn(async move {
        let _guard = guard;
        let own = given.take().unwrap();
        let _ = own.await;
    });
    *own.borrow_mut() = Some(handle);
    looped.settle();
    assert_eq!(looped.executor.task_count(), 1);
    drop(looped);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn tasks_that_await_each_other_leak_nothing() {
    let looped = Loop::new();
    let dropped = Count::default();
    let cells: Vec<Rc<RefCell<Option<JoinHandle<()>>>>> = (0..3).map(|_| Rc::default()).collect();
    let mut handles = Vec::new();
    for cell in &cells {
        let (cell, counted) = (cell.clone(), dropped.clone());
        let guard = on_drop(move || counted.add());
        handles.push(looped.executor.spawn(async move {
            let _guard = guard;
            let other = cell.take().unwrap();
            let _ = other.await;
        }));
    }
    handles.rotate_left(1);
    for (cell, handle) in cells.iter().zip(handles) {
        *cell.borrow_mut() = Some(handle);
    }
    looped.settle();
    assert_eq!(looped.executor.task_count(), 3);
    drop(looped);
    assert_eq!(dropped.get(), 3);
}

#[test]
fn an_output_that_holds_its_own_handle_is_dropped_with_the_executor() {
    struct Knot(
        #[allow(dead_code, reason = "it is there to be dropped")] Option<JoinHandle<Knot>>,
        Count,
    );
    impl Drop for Knot {
        fn drop(&mut self) {
            self.1.add();
        }
    }
    let looped = Loop::new();
    let dropped = Count::default();
    let own: Rc<RefCell<Option<JoinHandle<Knot>>>> = Rc::default();
    let (given, counted) = (own.clone(), dropped.clone());
    let handle = looped
        .executor
        .spawn(async move { Knot(given.take(), counted) });
    *own.borrow_mut() = Some(handle);
    looped.settle();
    assert_eq!(dropped.get(), 0);
    drop(looped);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn an_executor_entered_twice_is_left_twice() {
    let looped = Loop::new();
    let first = looped.executor.enter();
    let second = looped.executor.enter();
    drop(second);
    assert!(Executor::is_entered());
    drop(first);
    assert!(!Executor::is_entered());
}

#[test]
fn an_executor_closed_from_its_own_task_drops_that_one_last() {
    let looped = Rc::new(Loop::new());
    let order = Rc::new(RefCell::new(Vec::new()));
    let (inner, noted, own) = (looped.clone(), order.clone(), order.clone());
    let closes = looped.executor.spawn(async move {
        let _own = on_drop(move || own.borrow_mut().push("self"));
        inner.executor.close();
        spawn(async {}).await.unwrap_err();
        yield_now().await;
        unreachable!("it is not polled again");
    });
    let other = with_drop(&looped, move || noted.borrow_mut().push("other"));
    looped.settle();
    assert_eq!(*order.borrow(), ["other", "self"]);
    drop((closes, other));
}

#[test]
fn a_waker_that_closes_the_executor_when_it_is_cloned_or_woken_leaves_no_waiter() {
    use std::task::{RawWaker, RawWakerVTable};
    thread_local! {
        static LOOPED: RefCell<Option<Rc<Loop>>> = const { RefCell::new(None) };
    }
    fn close() {
        LOOPED.with_borrow(|looped| looped.as_ref().map(|looped| looped.executor.close()));
    }
    const CLOSES: RawWakerVTable = RawWakerVTable::new(
        |_| {
            close();
            RawWaker::new(std::ptr::null(), &CLOSES)
        },
        |_| close(),
        |_| close(),
        |_| {},
    );
    // SAFETY: the functions look at no data, and use a thread-local.
    let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &CLOSES)) };
    let looped = Rc::new(Loop::new());
    LOOPED.set(Some(looped.clone()));
    let mut handle = looped.executor.spawn(pending::<()>());
    let entered = looped.executor.enter();
    let polled = poll_once(&mut handle, &waker);
    assert!(polled.is_ready(), "or it would wait for ever");
    drop(entered);
    LOOPED.set(None);
}

#[test]
fn a_task_that_completes_while_the_waker_of_its_handle_is_cloned_is_not_waited_for() {
    use std::task::{RawWaker, RawWakerVTable};
    thread_local! {
        static LOOPED: RefCell<Option<Rc<Loop>>> = const { RefCell::new(None) };
    }
    const RUNS: RawWakerVTable = RawWakerVTable::new(
        |_| {
            if let Some(looped) = LOOPED.take() {
                looped.batch();
            }
            RawWaker::new(std::ptr::null(), &RUNS)
        },
        |_| {},
        |_| {},
        |_| {},
    );
    // SAFETY: the functions look at no data, and use a thread-local.
    let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &RUNS)) };
    let looped = Rc::new(Loop::new());
    LOOPED.set(Some(looped.clone()));
    let mut handle = looped.executor.spawn(async { 7 });
    let _entered = looped.executor.enter();
    let polled = poll_once(&mut handle, &waker);
    assert!(
        matches!(polled, Poll::Ready(Ok(7))),
        "or it would wait for ever"
    );
}

#[test]
fn dropping_the_loop_in_a_thread_local_destructor_is_harmless() {
    struct Kept(
        #[allow(dead_code, reason = "it is there to be dropped")] Loop,
        SharedCount,
    );
    impl Drop for Kept {
        fn drop(&mut self) {
            self.1.add();
        }
    }
    thread_local! {
        static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
    }
    let dropped = SharedCount::default();
    let (counted, guarded) = (dropped.clone(), dropped.clone());
    thread::spawn(move || {
        KEPT.with_borrow_mut(|kept| {
            let looped = Loop::new();
            let guard = on_drop(move || guarded.add());
            let mut handle = looped.executor.spawn(async move {
                let _guard = guard;
                let mut cx = Context::from_waker(Waker::noop());
                assert!(std::pin::pin!(pending::<()>()).poll(&mut cx).is_pending());
                yield_now().await;
                pending::<()>().await;
            });
            looped.batch();
            assert!(poll_once(&mut handle, Waker::noop()).is_pending());
            std::mem::forget(looped.executor.enter());
            *kept = Some(Kept(looped, counted));
        });
    })
    .join()
    .unwrap();
    assert_eq!(dropped.get(), 2);
}

#[test]
fn an_executor_that_is_never_left_is_freed_with_its_thread() {
    struct Unparker;
    impl Unpark for Unparker {
        fn unpark(&self) {}
    }
    let unparker = Arc::new(Unparker);
    let theirs = unparker.clone();
    let thread = thread::spawn(move || {
        let executor = Executor::new(theirs, Config::new()).unwrap();
        std::mem::forget(executor.enter());
    });
    thread.join().unwrap();
    assert_eq!(Arc::strong_count(&unparker), 1);
}

/// A future that spawns another one when it is dropped, until `left` is zero.
struct Respawns {
    left: usize,
    dropped: SharedCount,
    spawn: fn(Respawns),
}

impl Respawns {
    fn new(left: usize, dropped: &SharedCount, spawn: fn(Respawns)) -> Respawns {
        let dropped = dropped.clone();
        Respawns {
            left,
            dropped,
            spawn,
        }
    }
}

impl Future for Respawns {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for Respawns {
    fn drop(&mut self) {
        self.dropped.add();
        if let Some(left) = self.left.checked_sub(1) {
            (self.spawn)(Respawns::new(left, &self.dropped, self.spawn));
        }
    }
}

#[test]
fn a_long_chain_of_destructors_that_spawn_does_not_overflow_the_stack() {
    const LENGTH: usize = 50_000;
    let on_this_thread: fn(Respawns) = |next| drop(spawn(next));
    let by_a_handle: fn(Respawns) = |next| drop(Handle::current().spawn(next));
    let as_a_job: fn(Respawns) = |next| drop(spawn_blocking(move || drop(next)));
    for spawn in [on_this_thread, by_a_handle, as_a_job] {
        let looped = Loop::new();
        let dropped = SharedCount::default();
        let task = Respawns::new(LENGTH, &dropped, spawn);
        let handle = looped.executor.spawn(task);
        let entered = looped.executor.enter();
        looped.executor.close();
        assert_eq!(dropped.get(), LENGTH + 1);
        drop((handle, entered));
    }
    // From a thread of its own, where each of them is a message that is rejected.
    let looped = Loop::new();
    let handle = looped.executor.handle().clone();
    drop(looped);
    let dropped = SharedCount::default();
    let task = Respawns::new(LENGTH, &dropped, by_a_handle);
    elsewhere(|| {
        let _entered = handle.enter();
        drop(handle.spawn(task));
    });
    assert_eq!(dropped.get(), LENGTH + 1);
}

#[test]
fn an_endless_chain_of_destructors_that_spawn_is_cut() {
    let looped = Loop::new();
    let dropped = SharedCount::default();
    let task = Respawns::new(usize::MAX, &dropped, |next| {
        assert!(spawn(next).is_finished());
    });
    let handle = looped.executor.spawn(task);
    let entered = looped.executor.enter();
    looped.executor.close();
    assert_eq!(dropped.get(), 1 + 100_000, "the task itself, and its chain");
    // The next chain begins anew.
    let next = Respawns::new(10, &dropped, |next| drop(spawn(next)));
    drop(spawn(next));
    assert_eq!(dropped.get(), 100_001 + 11);
    drop((handle, entered));
}

#[test]
fn spawning_while_the_thread_ends_panics_and_a_handle_returns_an_error() {
    type Last = OnDrop<Box<dyn FnOnce()>>;
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    let (sender, receiver) = channel();
    let thread = thread::spawn(move || {
        LAST.with_borrow_mut(|last| {
            let looped = Loop::new();
            // Destroyed before `LAST`, which is older.
            drop(looped.executor.enter());
            *last = Some(on_drop(Box::new(move || {
                let _entered = looped.executor.enter();
                let payload = catch_unwind(|| drop(spawn(async {}))).unwrap_err();
                let handle = looped.executor.handle().spawn(async {});
                sender.send((text(&*payload).to_owned(), handle)).unwrap();
            })));
        });
    });
    let (said, handle) = receiver.recv().unwrap();
    thread.join().unwrap();
    let place = "spawn was called while its thread ends";
    assert!(said.starts_with(place) && said.contains("Handle"), "{said}");
    assert!(wait_for(handle).unwrap_err().is_cancelled());
}
