//! The duration of a turn that blocks, and the moment at which a notification reaches the selector.

use std::io;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use super::{Stage, blocked, event, poll};
use crate::interest::{Direction, Readiness};
use crate::wake_list::tests::CountingWaker;

const HOUR: Duration = Duration::from_secs(3600);

fn notifications(stage: &Stage) -> usize {
    stage.script.notifier.notifications.load(Ordering::SeqCst)
}

#[test]
fn the_limit_is_the_requested_one_but_at_most_an_hour() {
    let stage = Stage::new();
    let ns = Some(Duration::from_nanos(1));
    for (asked, passed) in [
        (Some(Duration::ZERO), Some(Duration::ZERO)),
        (ns, ns),
        (Some(HOUR), Some(HOUR)),
        (Some(Duration::MAX), Some(HOUR)),
        (None, None),
    ] {
        stage.reactor.turn(asked).unwrap();
        assert_eq!(stage.limits(), [passed]);
    }
}

#[test]
fn a_notification_while_running_keeps_the_next_turn_from_blocking() {
    let stage = Stage::new();
    let notifier = stage.reactor.notifier();
    notifier.notify();
    notifier.notify();
    stage.reactor.turn(None).unwrap();
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.limits(), [Some(Duration::ZERO), None]);
    assert_eq!(notifications(&stage), 0, "the reactor was not parked");
    assert_eq!(stage.reactor.stats().notifications, 0);
}

#[test]
fn a_turn_that_does_not_block_does_not_use_up_a_notification() {
    let stage = Stage::new();
    stage.reactor.notifier().notify();
    stage.reactor.turn(Some(Duration::ZERO)).unwrap();
    stage.reactor.turn(Some(HOUR)).unwrap();
    assert_eq!(stage.limits()[1], Some(Duration::ZERO));
    assert_eq!(notifications(&stage), 0);
}

#[test]
fn a_wait_is_notified_at_most_once() {
    let stage = Stage::new();
    for sleep in 1..=3 {
        let notifier = stage.reactor.notifier();
        stage.script.meanwhile(move || {
            for _ in 0..5 {
                notifier.notify();
            }
        });
        stage.reactor.turn(None).unwrap();
        assert_eq!(notifications(&stage), sleep);
        assert_eq!(stage.reactor.stats().notifications, sleep as u64);
    }
    assert_eq!(stage.limits(), [None; 3], "that was their notification");
    assert_eq!(
        stage.reactor.stats().spurious_wakes,
        0,
        "a notification is a reason"
    );
}

#[test]
fn a_wait_that_does_not_block_is_not_notified() {
    let stage = Stage::new();
    let notifier = stage.reactor.notifier();
    stage.script.meanwhile(move || {
        notifier.notify();
    });
    stage.reactor.turn(Some(Duration::ZERO)).unwrap();
    stage.reactor.turn(None).unwrap();
    assert_eq!(notifications(&stage), 0);
    assert_eq!(
        stage.limits()[1],
        Some(Duration::ZERO),
        "and nothing is lost"
    );
}

#[test]
fn with_an_outer_loop_every_notification_between_turns_reaches_the_selector() {
    let stage = Stage::new();
    let notifier = stage.reactor.notifier();
    notifier.notify();
    let _fd = stage.reactor.pollable_fd().unwrap();
    assert_eq!(notifications(&stage), 1, "one that came before");
    for turn in 2..5 {
        stage.reactor.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(notifications(&stage), turn - 1);
        notifier.notify();
        notifier.notify();
        assert_eq!(notifications(&stage), turn, "they coalesce here too");
    }
}

#[test]
fn with_an_outer_loop_a_notification_during_a_turn_reaches_the_selector_too() {
    let stage = Stage::new();
    let _fd = stage.reactor.pollable_fd().unwrap();
    let notifier = stage.reactor.notifier();
    stage.script.meanwhile(move || {
        notifier.notify();
    });
    stage.reactor.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(notifications(&stage), 1);
}

#[test]
fn a_failing_wait_is_returned_and_leaves_the_reactor_usable() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let (_source, token) = stage.waiting_source(&waker.waker());
    let fails = || Err(io::Error::from_raw_os_error(libc::EBADF));
    stage.script.answers.borrow_mut().push_back(Box::new(fails));
    let reported = stage.reactor.turn(None).unwrap_err();
    assert_eq!(reported.raw_os_error(), Some(libc::EBADF));
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
    assert_eq!(
        stage.limits(),
        [None, None],
        "the flag of the failed sleep was put back"
    );
}

#[test]
fn a_wait_without_memory_is_tried_again_while_timers_fire() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let (_source, token) = stage.waiting_source(&waker.waker());
    let mut timer = crate::Timer::at(std::time::Instant::now() + Duration::from_millis(1));
    let timed = CountingWaker::new();
    let timed_waker = timed.waker();
    let mut cx = std::task::Context::from_waker(&timed_waker);
    assert!(std::pin::Pin::new(&mut timer).poll(&mut cx).is_pending());
    for errno in [libc::ENOMEM, libc::EAGAIN].repeat(20) {
        let fails = move || Err(io::Error::from_raw_os_error(errno));
        stage.script.answers.borrow_mut().push_back(Box::new(fails));
    }
    // The scripted selector does not wait, so the pauses alone let the time pass.
    for _ in 0..20 {
        stage.reactor.turn(Some(Duration::from_millis(1))).unwrap();
    }
    assert_eq!((timed.count(), waker.count()), (1, 0));
    for _ in 0..20 {
        stage.reactor.turn(Some(Duration::ZERO)).unwrap();
    }
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
}

#[test]
fn a_reactor_whose_wait_failed_can_be_closed() {
    for errno in [libc::EBADF, libc::EFAULT, libc::EINVAL] {
        let stage = Stage::new();
        let waker = CountingWaker::new();
        let (_source, _) = stage.waiting_source(&waker.waker());
        let fails = move || Err(io::Error::from_raw_os_error(errno));
        stage.script.answers.borrow_mut().push_back(Box::new(fails));
        let error = stage.reactor.turn(None).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(errno));
        stage.reactor.close();
        assert_eq!(waker.count(), 1, "its operation returns an error");
    }
}

#[test]
fn one_batch_wakes_in_the_order_of_its_events() {
    let stage = Stage::new();
    let wakers = [const { None::<CountingWaker> }; 5].map(|_| CountingWaker::new());
    let (sources, tokens): (Vec<_>, Vec<_>) = wakers
        .iter()
        .map(|waker| stage.waiting_source(&waker.waker()))
        .unzip();
    let events: Vec<_> = tokens
        .iter()
        .map(|&token| event(token, Readiness::READABLE | Readiness::WRITABLE))
        .collect();
    stage.turn_with(&events);
    assert!(wakers.iter().all(|waker| waker.count() == 1));
    for source in &sources {
        assert!(poll(source, Direction::Read, Waker::noop(), blocked).is_pending());
    }
    assert_eq!(stage.reactor.stats().events, 5);
}
