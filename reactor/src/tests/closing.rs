//! Closing a reactor: every wait ends with an error.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{Stage, blocked, error, null, one, poll, untried};
use crate::inbox::Inbox;
use crate::interest::{Direction, Interest};
use crate::source::Source;
use crate::timer::Timer;
use crate::wake_list::tests::CountingWaker;

use Direction::{Read, Write};

fn far() -> Instant {
    Instant::now() + Duration::from_secs(1_000_000)
}

fn poll_timer(timer: &mut Timer, waker: &Waker) -> Poll<std::io::Result<()>> {
    Pin::new(timer).poll(&mut Context::from_waker(waker))
}

#[test]
fn close_wakes_every_task_once() {
    let stage = Stage::new();
    let waiters = [const { None::<CountingWaker> }; 6].map(|_| CountingWaker::new());
    let [
        reader,
        second,
        writer,
        timer_waiter,
        by_message,
        timer_by_message,
    ] = &waiters;
    let (source, _) = stage.waiting_source(&reader.waker());
    assert!(poll(&source, Read, &second.waker(), untried).is_pending());
    assert!(poll(&source, Write, &writer.waker(), blocked).is_pending());
    let mut timer = Timer::at(far());
    assert!(poll_timer(&mut timer, &timer_waiter.waker()).is_pending());
    let mut other_timer = Timer::at(far());
    assert!(poll_timer(&mut other_timer, Waker::noop()).is_pending());
    thread::scope(|s| {
        s.spawn(|| {
            assert!(poll(&source, Read, &by_message.waker(), blocked).is_pending());
            assert!(poll_timer(&mut other_timer, &timer_by_message.waker()).is_pending());
        });
    });
    stage.reactor.close();
    stage.reactor.close();
    assert_eq!(waiters.map(|waiter| waiter.count()), [1; 6]);
    let stats = stage.reactor.stats();
    assert_eq!((stats.sources, stats.timers), (0, 0));
    assert_eq!(stage.reactor.next_deadline(), None);
}

#[test]
fn polled_after_the_close_everything_is_an_error_from_any_thread() {
    let stage = Stage::new();
    let (source, _) = stage.waiting_source(Waker::noop());
    let source = Arc::new(source);
    let mut timer = Timer::at(far());
    assert!(poll_timer(&mut timer, Waker::noop()).is_pending());
    let mut second_timer = Timer::at(far());
    assert!(poll_timer(&mut second_timer, Waker::noop()).is_pending());
    stage.reactor.close();

    let mut cx = Context::from_waker(Waker::noop());
    let dropped = |e: std::io::Error| assert!(e.to_string().contains("was dropped"), "{e}");
    for direction in [Read, Write] {
        dropped(error(poll(&source, direction, Waker::noop(), blocked)));
        dropped(error(source.poll_begun(direction, &mut cx)));
    }
    dropped(error(pin!(source.ready(Interest::READABLE)).poll(&mut cx)));
    dropped(error(poll_timer(&mut timer, Waker::noop())));
    assert!(Inbox::find(stage.reactor.number()).is_none());
    dropped(error(poll_timer(&mut Timer::at(far()), Waker::noop())));
    dropped(error(poll(
        &Source::new(null()),
        Read,
        Waker::noop(),
        blocked,
    )));

    thread::spawn(move || {
        let mut cx = Context::from_waker(Waker::noop());
        for direction in [Read, Write] {
            dropped(error(poll(&source, direction, Waker::noop(), blocked)));
            dropped(error(source.poll_begun(direction, &mut cx)));
        }
        dropped(error(pin!(source.ready(Interest::READABLE)).poll(&mut cx)));
        dropped(error(poll_timer(&mut second_timer, Waker::noop())));
    })
    .join()
    .unwrap();
}

#[test]
fn a_dropped_reactor_is_a_closed_one() {
    let waker = CountingWaker::new();
    let stage = Stage::new();
    let (source, _) = stage.waiting_source(&waker.waker());
    let notifier = stage.reactor.notifier();
    drop(stage);
    assert_eq!(waker.count(), 1);
    let e = error(poll(&source, Read, &waker.waker(), blocked));
    assert!(e.to_string().contains("was dropped"), "{e}");
    notifier.notify();
    let next = Stage::new();
    let polled = poll(&source, Read, &waker.waker(), blocked);
    assert!(polled.is_pending(), "it moves to the next one");
    assert_eq!(next.reactor.stats().sources, 1);
    drop(source);
    assert_eq!(next.reactor.stats().sources, 0);
    assert_eq!(next.script.take_calls(), []);
}

#[test]
fn a_source_that_never_waited_survives_the_close_of_another_reactor() {
    let source = Source::new(null());
    let first = Stage::new();
    assert!(poll(&source, Read, Waker::noop(), one).is_ready());
    first.reactor.close();
    assert!(poll(&source, Read, Waker::noop(), one).is_ready());
    drop(first);
    let second = Stage::new();
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    second.reactor.turn(None).unwrap();
    assert_eq!(second.reactor.stats().registrations, 1);
}

#[test]
fn waiting_outside_a_runtime_is_an_error_that_says_so() {
    let source = Source::new(null());
    let mut cx = Context::from_waker(Waker::noop());
    for e in [
        error(poll(&source, Read, Waker::noop(), blocked)),
        error(source.poll_begun(Write, &mut cx)),
        error(pin!(source.ready(Interest::READABLE)).poll(&mut cx)),
        error(poll_timer(&mut Timer::at(far()), Waker::noop())),
    ] {
        assert!(
            e.to_string().contains("no runtime drives this thread"),
            "{e}"
        );
    }
    let stage = Stage::new();
    assert!(
        poll(&source, Read, Waker::noop(), blocked).is_pending(),
        "nothing was spoiled"
    );
    drop(stage);
}

#[test]
fn leaving_a_nested_reactor_restores_the_outer_one() {
    let outer = Stage::new();
    let (source, token) = outer.waiting_source(Waker::noop());
    {
        let inner = Stage::new();
        let (_other, _) = inner.waiting_source(Waker::noop());
        assert!(
            poll(&source, Read, Waker::noop(), blocked).is_pending(),
            "by a message"
        );
        assert_eq!(inner.reactor.stats().registrations, 1);
    }
    outer.script.take_calls();
    assert!(poll(&source, Read, Waker::noop(), untried).is_pending());
    outer.turn_with(&[super::event(token, crate::Readiness::READABLE)]);
    assert!(poll(&source, Read, Waker::noop(), one).is_ready());
}
