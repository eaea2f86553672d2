//! First come, first served; what a batch wakes runs in the next one.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use runtime_executor::{spawn, yield_now};
use support::{Count, Loop};

#[test]
fn tasks_are_first_polled_in_the_order_in_which_they_were_spawned() {
    let looped = Loop::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    for n in 0..100 {
        let order = order.clone();
        looped
            .executor
            .spawn(async move { order.borrow_mut().push(n) });
    }
    assert_eq!(looped.batch(), 100);
    assert_eq!(*order.borrow(), (0..100).collect::<Vec<_>>());
}

#[test]
fn woken_tasks_are_polled_in_the_order_in_which_they_were_woken() {
    let looped = Loop::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    let wakers = Rc::new(RefCell::new(Vec::new()));
    for n in 0..10 {
        let (order, wakers) = (order.clone(), wakers.clone());
        looped.executor.spawn(poll_fn(move |cx| {
            order.borrow_mut().push(n);
            wakers.borrow_mut().push(cx.waker().clone());
            Poll::<()>::Pending
        }));
    }
    looped.settle();
    let (wakers, entered) = (wakers.take(), looped.executor.enter());
    order.borrow_mut().clear();
    for n in [7, 2, 2, 9, 0, 7] {
        wakers[n].wake_by_ref();
    }
    drop(entered);
    assert_eq!(looped.batch(), 4);
    assert_eq!(*order.borrow(), [7, 2, 9, 0]);
}

#[test]
fn a_task_that_wakes_itself_never_gets_more_than_one_poll_ahead() {
    let looped = Loop::new();
    let polls: Rc<[Cell<i32>; 3]> = Rc::default();
    let lead = Rc::new(Cell::new(0));
    for n in 0..3 {
        let (polls, lead) = (polls.clone(), lead.clone());
        looped.executor.spawn(async move {
            for _ in 0..1000 {
                polls[n].set(polls[n].get() + 1);
                for other in polls.iter() {
                    lead.set(lead.get().max(polls[n].get() - other.get()));
                }
                yield_now().await;
            }
        });
    }
    looped.settle();
    assert_eq!(polls.iter().map(Cell::get).sum::<i32>(), 3000);
    assert_eq!(lead.get(), 1);
}

#[test]
fn a_task_that_yields_until_another_has_acted_ends() {
    let looped = Loop::new();
    let acted = Rc::new(Cell::new(false));
    let seen = acted.clone();
    let waits = looped.executor.spawn(async move {
        while !seen.get() {
            yield_now().await;
        }
    });
    looped.executor.spawn(async move { acted.set(true) });
    looped.block_on(waits).unwrap();
}

#[test]
fn what_a_batch_wakes_or_spawns_runs_in_the_next_one() {
    let looped = Loop::new();
    let polled = Count::default();
    let inner = polled.clone();
    looped.executor.spawn(async move {
        inner.add();
        let second = inner.clone();
        spawn(async move { second.add() });
        yield_now().await;
        inner.add();
    });
    assert_eq!((looped.batch(), polled.get()), (1, 1));
    assert_eq!((looped.batch(), polled.get()), (2, 3));
    assert!(!looped.executor.has_work());
    assert_eq!(looped.batch(), 0);
}

#[test]
fn a_task_that_is_woken_often_is_polled_once() {
    let looped = Loop::new();
    let polls = Count::default();
    let waker = Rc::new(RefCell::new(None));
    let (inner, out) = (polls.clone(), waker.clone());
    looped.executor.spawn(poll_fn(move |cx| {
        inner.add();
        *out.borrow_mut() = Some(cx.waker().clone());
        Poll::<()>::Pending
    }));
    looped.settle();
    let waker = waker.take().unwrap();
    let entered = looped.executor.enter();
    for _ in 0..100 {
        waker.wake_by_ref();
    }
    drop(entered);
    support::elsewhere(|| (0..100).for_each(|_| waker.wake_by_ref()));
    looped.settle();
    assert_eq!(polls.get(), 2);
    assert_eq!(looped.executor.poll_count(), 2);
}

#[test]
fn run_ready_returns_the_number_of_tasks_that_it_polled() {
    let looped = Loop::new();
    looped.executor.spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(())
    }));
    drop(looped.executor.spawn(pending::<()>()));
    assert_eq!(looped.batch(), 2);
    assert_eq!(
        looped.batch(),
        0,
        "the finished one was woken and is not polled"
    );
    assert_eq!(looped.executor.poll_count(), 2);
}

#[test]
fn a_task_that_runs_its_executor_from_inside_loses_no_wake() {
    let looped = Rc::new(Loop::new());
    let (inner, polls) = (looped.clone(), Count::default());
    let counted = polls.clone();
    let nested = looped.executor.spawn(poll_fn(move |cx| {
        counted.add();
        if counted.get() == 3 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        inner.executor.run_ready();
        Poll::Pending
    }));
    looped.settle();
    assert_eq!(polls.get(), 3);
    assert!(
        nested.is_finished() || {
            looped.batch();
            nested.is_finished()
        }
    );
}

#[test]
fn the_root_is_woken_by_its_waker_and_once() {
    let looped = Loop::new();
    let waker = looped.executor.root_waker();
    assert!(!looped.executor.take_root_wake());
    {
        let _entered = looped.executor.enter();
        waker.wake_by_ref();
    }
    assert!(looped.executor.has_work());
    assert!(looped.executor.take_root_wake());
    assert!(!looped.executor.take_root_wake());
    support::elsewhere(|| waker.wake_by_ref());
    assert!(looped.executor.has_work(), "there is a message");
    assert!(!looped.executor.take_root_wake(), "but it was not read yet");
    assert_eq!(looped.batch(), 0);
    assert!(looped.executor.take_root_wake());
}
