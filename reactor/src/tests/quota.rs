//! The quota of operations that a source may complete in one turn.

use std::task::{Poll, Waker};
use std::time::Duration;

use super::{Stage, blocked, null, one, poll, untried};
use crate::interest::Direction;
use crate::source::Source;
use crate::wake_list::tests::CountingWaker;

/// Reads until the source lets others go first.
fn greedy<T: std::os::fd::AsFd>(source: &Source<T>, waker: &Waker) -> usize {
    (0..1000)
        .take_while(|_| poll(source, Direction::Read, waker, one).is_ready())
        .count()
}

#[test]
fn a_source_completes_128_operations_a_turn() {
    let stage = Stage::new();
    let source = Source::new(null());
    let waker = CountingWaker::new();
    for turn in 1..=3 {
        assert!(!stage.reactor.wants_turn());
        assert_eq!(greedy(&source, &waker.waker()), 128);
        assert!(stage.reactor.wants_turn());
        assert_eq!(waker.count(), turn, "its task is queued again by itself");
        stage.reactor.turn(Some(Duration::ZERO)).unwrap();
    }
}

#[test]
fn both_directions_share_the_quota_and_neighbors_do_not() {
    let _stage = Stage::new();
    let (source, neighbour) = (Source::new(null()), Source::new(null()));
    for _ in 0..100 {
        assert!(poll(&source, Direction::Write, Waker::noop(), one).is_ready());
    }
    assert_eq!(greedy(&source, Waker::noop()), 28);
    assert!(poll(&source, Direction::Write, Waker::noop(), untried).is_pending());
    assert_eq!(greedy(&neighbour, Waker::noop()), 128);
}

#[test]
fn an_operation_that_finds_nothing_uses_no_quota() {
    let stage = Stage::new();
    let source = Source::new(null());
    assert!(poll(&source, Direction::Write, Waker::noop(), blocked).is_pending());
    assert_eq!(greedy(&source, Waker::noop()), 128);
    stage.reactor.turn(Some(Duration::ZERO)).unwrap();
    let (source, token) = stage.waiting_source(Waker::noop());
    for _ in 0..300 {
        assert!(poll(&source, Direction::Read, Waker::noop(), untried).is_pending());
        let blocks = poll(&source, Direction::Write, Waker::noop(), blocked);
        assert!(matches!(blocks, Poll::Pending));
    }
    assert!(!stage.reactor.wants_turn());
    stage.turn_with(&[super::event(token, crate::Readiness::READABLE)]);
    assert_eq!(greedy(&source, Waker::noop()), 128);
}

#[test]
fn a_source_outside_a_runtime_has_no_quota() {
    let source = Source::new(null());
    assert_eq!(greedy(&source, Waker::noop()), 1000);
}

#[test]
fn reported_readiness_uses_the_quota_too() {
    let stage = Stage::new();
    let source = Source::new(null());
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let found = (0..1000)
        .take_while(|_| {
            let ready = std::pin::pin!(source.ready(crate::Interest::READABLE));
            ready.poll(&mut cx).is_ready()
        })
        .count();
    assert_eq!(found, 128);
    assert!(stage.reactor.wants_turn());
}
