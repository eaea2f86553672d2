//! A spawn makes one allocation, and no later operation makes any.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

use runtime_executor::{Builder, JoinHandle, spawn, yield_now};
use support::Loop;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn counted() {
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted();
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` above, that is from the system, with this layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        counted();
        // SAFETY: `at` came from `alloc` above, that is from the system, with this layout.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = COUNT.get();
    let result = f();
    (COUNT.get() - before, result)
}

/// A loop whose queue and slots have grown as far as these tests need.
fn warmed_up() -> Loop {
    let looped = Loop::new();
    let handles: Vec<_> = (0..64)
        .map(|_| looped.executor.spawn(yield_now()))
        .collect();
    let entered = looped.executor.enter();
    handles.iter().for_each(JoinHandle::abort);
    drop(handles);
    drop(entered);
    looped.settle();
    looped
}

#[test]
fn spawning_makes_one_allocation() {
    let looped = warmed_up();
    let (count, handle) = allocations(|| looped.executor.spawn(async { [0_u8; 100] }));
    assert_eq!(count, 1);
    let (count, output) = allocations(|| looped.block_on(handle));
    assert_eq!((count, output.unwrap()), (0, [0; 100]));
}

#[test]
fn a_name_costs_one_more() {
    let looped = warmed_up();
    let _entered = looped.executor.enter();
    let (count, _) = allocations(|| Builder::new().name("named").spawn(async {}));
    assert_eq!(count, 2);
    let (count, _) = allocations(|| Builder::new().spawn(async {}));
    assert_eq!(count, 1);
}

#[test]
fn yielding_joining_waking_and_aborting_allocate_nothing() {
    let looped = warmed_up();
    let (count, ()) = allocations(|| {
        looped.block_on(async {
            let yields = spawn(async {
                for _ in 0..100 {
                    yield_now().await;
                }
                7
            });
            let joins = spawn(async move { yields.await.unwrap() + 1 });
            let wakes = spawn(poll_fn(|cx| {
                let copy = cx.waker().clone();
                copy.wake();
                Poll::<()>::Pending
            }));
            assert_eq!(joins.await.unwrap(), 8);
            wakes.abort();
            // The error is one allocation, and is counted below.
            drop(wakes);
        });
    });
    assert!((3..=4).contains(&count), "{count} for 3 tasks and an error");
}

#[test]
fn a_wake_from_another_thread_allocates_nothing_on_this_one_and_in_the_end_nothing_there() {
    let looped = warmed_up();
    let (give, take) = std::sync::mpsc::channel();
    looped.executor.spawn(poll_fn(move |cx| {
        give.send(cx.waker().clone()).unwrap();
        Poll::<()>::Pending
    }));
    looped.batch();
    let waker = take.recv().unwrap();
    let mut last = (usize::MAX, usize::MAX);
    for _ in 0..10 {
        let there = support::elsewhere(|| allocations(|| waker.wake_by_ref()).0);
        let (here, _) = allocations(|| looped.executor.run_ready());
        let _ = take.recv();
        last = (there, here);
    }
    // To send its waker, the task itself allocates a block of the channel now and then.
    assert_eq!(last.0, 0);
    assert!(last.1 <= 1, "{last:?}");
}
