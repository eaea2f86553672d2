//! Wakers are foreign code: they may use the reactor in any way, and may panic.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{
    Stage, actions_left, acts_when_dropped, acts_when_woken, blocked, event, null, poll, then,
};
use crate::interest::{Direction, Readiness};
use crate::source::Source;
use crate::timer::Timer;
use crate::wake_list::tests::CountingWaker;

use Direction::{Read, Write};

/// Calls everything that borrows a part of the reactor of this thread.
fn uses_everything() {
    let reactor = crate::context::get().unwrap();
    let source = Source::new(null());
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    assert!(poll(&source, Write, Waker::noop(), blocked).is_pending());
    let _open = source.into_inner();
    let sole = Source::new(null()).sole_owner();
    assert!(poll(&sole, Read, Waker::noop(), blocked).is_pending());
    drop(sole);
    let mut timer = Timer::at(Instant::now() + Duration::from_secs(1000));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut timer).poll(&mut cx).is_pending());
    timer.reset(Instant::now() + Duration::from_secs(2000));
    assert!(Pin::new(&mut timer).poll(&mut cx).is_pending());
    assert!(reactor.next_deadline().is_some());
    let _ = (reactor.stats(), reactor.pollable_fd(), reactor.backend());
    reactor.turn(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_waker_may_use_the_reactor_when_it_is_woken() {
    let stage = Stage::new();
    let last = CountingWaker::new();
    let (_source, token) = stage.waiting_source(&acts_when_woken());
    let (_other, other_token) = stage.waiting_source(&last.waker());
    then(uses_everything);
    stage.turn_with(&[
        event(token, Readiness::READABLE),
        event(other_token, Readiness::READABLE),
    ]);
    assert_eq!((actions_left(), last.count()), (0, 1));

    let mut timer = Timer::at(Instant::now());
    let waker = acts_when_woken();
    assert!(
        Pin::new(&mut timer)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    then(uses_everything);
    stage.reactor.turn(None).unwrap();
    assert_eq!(actions_left(), 0);
}

#[test]
fn a_waker_may_drop_the_source_and_the_neighbor_it_was_woken_for() {
    let stage = Stage::new();
    let (first, first_token) = stage.waiting_source(&acts_when_woken());
    let neighbor = CountingWaker::new();
    let (second, second_token) = stage.waiting_source(&neighbor.waker());
    let sources = Rc::new(RefCell::new(vec![first, second]));
    let dropped = sources.clone();
    then(move || dropped.borrow_mut().clear());
    stage.turn_with(&[
        event(first_token, Readiness::READABLE),
        event(second_token, Readiness::READABLE),
    ]);
    assert!(sources.borrow().is_empty());
    assert_eq!(neighbor.count(), 1, "its event had come already");
    assert_eq!(stage.reactor.stats().stale_events, 0);
}

#[test]
fn a_waker_may_close_the_reactor() {
    let stage = Stage::new();
    let (_source, token) = stage.waiting_source(&acts_when_woken());
    let last = CountingWaker::new();
    let (_other, _) = stage.waiting_source(&last.waker());
    then(|| crate::context::get().unwrap().close());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!((actions_left(), last.count()), (0, 1));
}

#[test]
fn a_waker_may_use_the_reactor_when_it_is_dropped() {
    let stage = Stage::new();
    for _ in 0..2 {
        then(uses_everything);
    }
    let (source, _) = stage.waiting_source(&acts_when_dropped());
    drop(source);
    assert_eq!(actions_left(), 1);
    let mut timer = Timer::at(Instant::now() + Duration::from_secs(1000));
    {
        let waker = acts_when_dropped();
        assert!(
            Pin::new(&mut timer)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut timer).poll(&mut cx).is_pending(), "replaced");
    assert_eq!(actions_left(), 0);
}

#[test]
fn wakers_of_sources_removed_by_message_may_use_the_reactor() {
    let stage = Stage::new();
    let (source, _) = stage.waiting_source(&acts_when_dropped());
    let mut timer = Timer::at(Instant::now() + Duration::from_secs(1000));
    {
        let waker = acts_when_dropped();
        assert!(
            Pin::new(&mut timer)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    thread::spawn(move || drop((source, timer))).join().unwrap();
    then(uses_everything);
    then(uses_everything);
    stage.reactor.turn(None).unwrap();
    assert_eq!(actions_left(), 0);
}

fn panics() {
    panic!("this waker panics");
}

#[test]
fn a_waker_that_panics_loses_no_other_and_the_reactor_goes_on() {
    let stage = Stage::new();
    let last = CountingWaker::new();
    let (_first, first_token) = stage.waiting_source(&acts_when_woken());
    let (second, second_token) = stage.waiting_source(&last.waker());
    then(panics);
    stage.script.tell(vec![
        event(first_token, Readiness::READABLE),
        event(second_token, Readiness::READABLE),
    ]);
    let turned = catch_unwind(AssertUnwindSafe(|| stage.reactor.turn(None)));
    assert!(turned.is_err(), "the panic is resumed");
    assert_eq!(last.count(), 1);
    assert!(poll(&second, Read, &last.waker(), blocked).is_pending());
    stage.turn_with(&[event(second_token, Readiness::READABLE)]);
    assert_eq!(last.count(), 2);
}

#[test]
fn a_waker_that_panics_when_it_is_dropped_loses_no_message() {
    let stage = Stage::new();
    let (first, _) = stage.waiting_source(&acts_when_dropped());
    let (second, token) = stage.waiting_source(Waker::noop());
    let waker = CountingWaker::new();
    let clone = waker.waker();
    let second = thread::spawn(move || {
        drop(first);
        assert!(poll(&second, Read, &clone, blocked).is_pending());
        second
    })
    .join()
    .unwrap();
    then(panics);
    let turned = catch_unwind(AssertUnwindSafe(|| stage.reactor.turn(None)));
    assert!(turned.is_err(), "the panic is resumed");
    assert_eq!(
        stage.reactor.stats().reregistrations,
        1,
        "the other message was processed"
    );
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
    drop(second);
}

#[test]
fn a_waker_that_panics_while_the_reactor_closes_loses_no_other() {
    let stage = Stage::new();
    let last = CountingWaker::new();
    let (_first, _) = stage.waiting_source(&acts_when_woken());
    let (_second, _) = stage.waiting_source(&last.waker());
    then(panics);
    let closed = catch_unwind(AssertUnwindSafe(|| stage.reactor.close()));
    assert!(closed.is_err());
    assert_eq!(last.count(), 1);
}
