//! When a source is registered, when it counts as ready, and when no longer.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Stage, blocked, error, event, null, one, poll, untried};
use crate::interest::{Direction, Interest, Readiness};
use crate::source::Source;
use crate::sys::Event;
use crate::sys::scripted::Call;
use crate::wake_list::tests::CountingWaker;

use Direction::{Read, Write};

#[test]
fn a_source_that_never_waits_makes_no_call() {
    let stage = Stage::new();
    let source = Source::new(null());
    for direction in [Read, Write, Read] {
        assert!(matches!(
            poll(&source, direction, Waker::noop(), one),
            Poll::Ready(Ok(1))
        ));
    }
    assert!(source.try_io(Read, blocked).is_err());
    assert!(source.try_io(Write, one).is_ok());
    drop(source);
    assert_eq!(stage.script.take_calls(), []);
    assert_eq!(stage.reactor.stats().registrations, 0);
}

#[test]
fn the_first_would_block_registers_once_for_both_directions() {
    let stage = Stage::new();
    let source = Source::new(null());
    let waker = CountingWaker::new().waker();
    for direction in [Read, Write, Read, Write] {
        assert!(poll(&source, direction, &waker, blocked).is_pending());
    }
    assert_eq!(stage.script.take_calls(), [], "it is for the next turn");
    stage.turn_with(&[]);
    stage.turn_with(&[]);
    let calls = stage.script.take_calls();
    assert!(
        matches!(calls[..], [Call::Add(..), Call::Wait(_), Call::Wait(_)]),
        "{calls:?}"
    );
    assert_eq!(stage.reactor.stats().registrations, 1);
}

#[test]
fn a_source_known_to_be_empty_is_not_tried_until_its_next_event() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let (source, token) = stage.waiting_source(&waker.waker());
    assert!(poll(&source, Read, &waker.waker(), untried).is_pending());
    assert_eq!(
        source.try_io(Read, untried).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
    for _ in 0..3 {
        assert!(poll(&source, Read, &waker.waker(), one).is_ready());
    }
    assert!(poll(&source, Read, &waker.waker(), blocked).is_pending());
    assert!(poll(&source, Read, &waker.waker(), untried).is_pending());
}

#[test]
fn one_direction_does_not_wake_the_other() {
    let stage = Stage::new();
    let (reader, writer) = (CountingWaker::new(), CountingWaker::new());
    let (source, token) = stage.waiting_source(&reader.waker());
    assert!(poll(&source, Write, &writer.waker(), blocked).is_pending());
    stage.turn_with(&[event(token, Readiness::WRITABLE)]);
    assert_eq!((reader.count(), writer.count()), (0, 1));
    assert!(poll(&source, Read, &reader.waker(), untried).is_pending());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!((reader.count(), writer.count()), (1, 1));
}

#[test]
fn stale_event_after_fd_reuse_is_dropped_and_counted() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let (source, old) = stage.waiting_source(Waker::noop());
    drop(source);
    let (source, new) = stage.waiting_source(&waker.waker());
    assert_ne!(old, new);
    stage.turn_with(&[event(old, Readiness::READABLE)]);
    assert_eq!(waker.count(), 0);
    assert!(poll(&source, Read, &waker.waker(), untried).is_pending());
    let stats = stage.reactor.stats();
    assert_eq!((stats.stale_events, stats.events), (1, 1));
    assert_eq!(stats.spurious_wakes, 1, "that wait woke no task");
    stage.turn_with(&[
        event(old, Readiness::READABLE),
        event(new, Readiness::READABLE),
    ]);
    assert_eq!(waker.count(), 1);
    assert_eq!(stage.reactor.stats().stale_events, 2);
}

/// Returns true if an operation is attempted after a transfer of `moved` out of ten bytes on a
/// source that has just become ready with `readiness`.
fn tried_after(stage: &Stage, streaming: bool, readiness: Readiness, moved: usize) -> bool {
    let source = Source::new(null());
    let source = if streaming {
        source.streaming()
    } else {
        source
    };
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    let token = stage.added();
    stage.turn_with(&[event(token, readiness)]);
    let mut cx = Context::from_waker(Waker::noop());
    let transferred = source.poll_transfer(Read, &mut cx, 10, |_| Ok(moved));
    assert!(matches!(transferred, Poll::Ready(Ok(n)) if n == moved));
    let tried = Cell::new(false);
    let _ = source.poll_transfer(Read, &mut cx, 10, |_| {
        tried.set(true);
        Ok(0)
    });
    tried.get()
}

#[test]
fn a_short_read_of_a_stream_saves_the_attempt_that_finds_nothing() {
    let stage = Stage::new();
    assert!(!tried_after(&stage, true, Readiness::READABLE, 3));
    assert!(tried_after(&stage, true, Readiness::READABLE, 10));
    assert!(
        tried_after(&stage, true, Readiness::READABLE, 0),
        "0 bytes are the end, not a lack of data"
    );
}

#[test]
fn a_short_read_says_nothing_after_the_end_was_reported() {
    let stage = Stage::new();
    for end in [
        Readiness::READ_CLOSED,
        Readiness::WRITE_CLOSED,
        Readiness::ERROR,
    ] {
        assert!(tried_after(&stage, true, Readiness::READABLE | end, 3));
    }
}

#[test]
fn a_short_read_says_nothing_of_datagrams() {
    let stage = Stage::new();
    assert!(tried_after(&stage, false, Readiness::READABLE, 3));
}

#[test]
fn a_short_read_says_nothing_where_there_are_no_edges() {
    let stage = Stage::with_levels();
    assert!(tried_after(&stage, true, Readiness::READABLE, 3));
}

#[test]
fn a_short_read_before_the_registration_says_nothing() {
    let _stage = Stage::new();
    let source = Source::new(null()).streaming();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(source.poll_transfer(Read, &mut cx, 10, one).is_ready());
    }
}

#[test]
fn a_level_is_armed_again_before_every_wait() {
    let stage = Stage::with_levels();
    let (source, token) = stage.waiting_source(Waker::noop());
    stage.script.take_calls();
    for _ in 0..2 {
        stage.turn_with(&[event(token, Readiness::READABLE)]);
        assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
        let calls = stage.script.take_calls();
        assert_eq!(calls, [Call::Wait(None), Call::Arm(token, Read)]);
    }
}

#[test]
fn two_tasks_may_wait_in_one_direction() {
    let stage = Stage::new();
    let (first, second) = (CountingWaker::new(), CountingWaker::new());
    let (source, token) = stage.waiting_source(&first.waker());
    assert!(poll(&source, Read, &second.waker(), untried).is_pending());
    assert!(poll(&source, Read, &first.waker(), untried).is_pending());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!((first.count(), second.count()), (1, 1));
    assert!(poll(&source, Read, &first.waker(), blocked).is_pending());
    assert!(poll(&source, Read, &second.waker(), untried).is_pending());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!((first.count(), second.count()), (2, 2));
}

#[test]
fn a_crowd_that_waits_in_one_direction_comes_to_rest() {
    let stage = Stage::new();
    let (source, token) = stage.waiting_source(Waker::noop());
    let crowd: Vec<CountingWaker> = (0..500).map(|_| CountingWaker::new()).collect();
    let mut polls = vec![0; crowd.len()];
    // An executor: each task that was woken since its last poll is polled again.
    for round in 0.. {
        let mut idle = true;
        for (task, polls) in crowd.iter().zip(&mut polls) {
            if *polls <= task.count() {
                *polls = task.count() + 1;
                assert!(poll(&source, Read, &task.waker(), untried).is_pending());
                idle = false;
            }
        }
        if idle {
            break;
        }
        assert!(round < 20, "they keep waking each other");
        stage.reactor.turn(None).unwrap();
    }
    let before: Vec<usize> = crowd.iter().map(CountingWaker::count).collect();
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    for (task, before) in crowd.iter().zip(before) {
        assert_eq!(task.count(), before + 1, "none is forgotten");
    }
}

#[test]
fn a_refused_registration_is_an_error_after_the_next_turn_and_then_tried_again() {
    let stage = Stage::new();
    let source = Source::new(null());
    let waker = CountingWaker::new();
    let refusals = [
        (libc::EPERM, "regular files"),
        (libc::ENOSPC, "max_user_watches"),
    ];
    for (turn, (errno, text)) in refusals.into_iter().enumerate() {
        assert!(poll(&source, Read, &waker.waker(), blocked).is_pending());
        *stage.script.refuse.borrow_mut() = Some(io::Error::from_raw_os_error(errno));
        stage.turn_with(&[]);
        assert_eq!(waker.count(), turn + 1);
        assert_eq!(
            stage.limits(),
            [Some(Duration::ZERO)],
            "there are wakers to call"
        );
        let refused = error(poll(&source, Read, &waker.waker(), blocked));
        assert!(refused.to_string().contains(text), "{refused}");
    }
    assert_eq!(stage.reactor.stats().registrations, 0);
    assert!(poll(&source, Read, &waker.waker(), blocked).is_pending());
    let token = stage.added();
    assert_eq!(stage.reactor.stats().registrations, 1);
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 3);
    assert!(poll(&source, Read, &waker.waker(), one).is_ready());
}

#[test]
fn a_source_that_is_dropped_before_the_next_turn_costs_no_call() {
    let stage = Stage::new();
    let waker = CountingWaker::new().waker();
    for sole_owner in [false, true] {
        let source = Source::new(null());
        let source = if sole_owner {
            source.sole_owner()
        } else {
            source
        };
        assert!(poll(&source, Read, &waker, blocked).is_pending());
        drop(source);
    }
    stage.turn_with(&[]);
    let calls = stage.script.take_calls();
    let is_harmless = |call: &Call| matches!(call, Call::Forget(_) | Call::Wait(_));
    assert!(calls.iter().all(is_harmless), "{calls:?}");
    let stats = stage.reactor.stats();
    assert_eq!(
        (stats.registrations, stats.removals, stats.sources),
        (0, 0, 0)
    );
}

#[test]
fn a_registration_that_fails_late_is_an_error_in_both_directions() {
    let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR;
    for readiness in [all, Readiness::ERROR] {
        let stage = Stage::new();
        let (reader, writer) = (CountingWaker::new(), CountingWaker::new());
        let (source, token) = stage.waiting_source(&reader.waker());
        assert!(poll(&source, Write, &writer.waker(), blocked).is_pending());
        for times in 1..3 {
            let refused = Event {
                errno: libc::EPERM,
                ..Event::new(token, readiness)
            };
            stage.turn_with(&[refused]);
            let woken = (reader.count(), writer.count());
            assert_eq!(woken, (times, times), "{readiness:?}");
            for (direction, waker) in [(Read, &reader), (Write, &writer)] {
                assert!(poll(&source, direction, Waker::noop(), one).is_ready());
                let e = error(poll(&source, direction, Waker::noop(), blocked));
                assert_eq!(e.kind(), io::ErrorKind::Unsupported);
                assert!(poll(&source, direction, &waker.waker(), blocked).is_pending());
            }
        }
        stage.turn_with(&[Event {
            errno: libc::EPERM,
            ..Event::new(token, readiness)
        }]);
        let e = error(pin!(source.ready(Interest::READABLE)).poll(&mut context()));
        assert_eq!(e.kind(), io::ErrorKind::Unsupported);
    }
}

#[test]
fn a_registration_that_fails_late_in_one_direction_leaves_the_other_alone() {
    let stage = Stage::new();
    let (reader, writer) = (CountingWaker::new(), CountingWaker::new());
    let (source, token) = stage.waiting_source(&reader.waker());
    assert!(poll(&source, Write, &writer.waker(), blocked).is_pending());
    stage.turn_with(&[Event {
        errno: libc::EINVAL,
        ..Event::new(token, Readiness::WRITABLE)
    }]);
    assert_eq!((reader.count(), writer.count()), (0, 1));
    let e = error(poll(&source, Write, Waker::noop(), blocked));
    assert!(e.to_string().starts_with("cannot wait"), "{e}");
    assert!(poll(&source, Read, &reader.waker(), untried).is_pending());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(reader.count(), 1);
    assert!(poll(&source, Read, &reader.waker(), one).is_ready());
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn ready_is_every_direction_that_no_attempt_found_blocked() {
    let stage = Stage::new();
    let source = Source::new(null());
    let both = Interest::READABLE | Interest::WRITABLE;
    let now = |interest| pin!(source.ready(interest)).poll(&mut context());
    assert!(matches!(now(both), Poll::Ready(Ok(r)) if r.is_readable() && r.is_writable()));
    assert!(source.try_io(Read, blocked).is_err());
    assert!(matches!(now(both), Poll::Ready(Ok(r)) if !r.is_readable() && r.is_writable()));
    assert_eq!(stage.script.take_calls(), [], "so far no task had to wait");
    assert!(now(Interest::READABLE).is_pending());
    let token = stage.added();
    stage.turn_with(&[event(token, Readiness::READABLE | Readiness::READ_CLOSED)]);
    assert!(matches!(now(both), Poll::Ready(Ok(r)) if r.is_readable() && r.is_read_closed()));
    assert!(source.try_io(Read, blocked).is_err());
    assert!(now(Interest::READABLE).is_pending());
}

#[test]
fn ready_waits_in_every_requested_direction() {
    for readiness in [Readiness::READABLE, Readiness::WRITABLE] {
        let stage = Stage::new();
        let source = Source::new(null());
        assert!(source.try_io(Read, blocked).is_err());
        assert!(source.try_io(Write, blocked).is_err());
        let waker = CountingWaker::new();
        let mut ready = pin!(source.ready(Interest::READABLE | Interest::WRITABLE));
        let clone = waker.waker();
        let mut cx = Context::from_waker(&clone);
        assert!(ready.as_mut().poll(&mut cx).is_pending());
        stage.turn_with(&[event(stage.added(), readiness)]);
        assert_eq!(waker.count(), 1);
        assert!(matches!(ready.poll(&mut cx), Poll::Ready(Ok(r)) if r == readiness));
    }
}

#[test]
fn a_direction_that_was_blocked_is_reported_beside_one_that_never_is() {
    let stage = Stage::new();
    let source = Source::new(null());
    let both = Interest::READABLE | Interest::WRITABLE;
    let now = || pin!(source.ready(both)).poll(&mut context());
    assert!(source.try_io(Read, blocked).is_err());
    assert!(matches!(now(), Poll::Ready(Ok(r)) if !r.is_readable() && r.is_writable()));
    stage.turn_with(&[event(stage.added(), Readiness::READABLE)]);
    assert!(matches!(now(), Poll::Ready(Ok(r)) if r.is_readable() && r.is_writable()));
}

#[test]
fn an_operation_that_was_begun_ends_with_its_event_and_not_before() {
    let stage = Stage::new();
    let source = Source::new(null());
    for _ in 0..3 {
        assert!(source.poll_begun(Write, &mut context()).is_pending());
    }
    let token = stage.added();
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert!(source.poll_begun(Write, &mut context()).is_pending());
    stage.turn_with(&[event(token, Readiness::WRITABLE)]);
    assert!(source.poll_begun(Write, &mut context()).is_ready());
}

#[test]
fn a_closing_descriptor_is_forgotten_and_an_open_one_removed() {
    let stage = Stage::new();
    let source = Source::new(null()).sole_owner();
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    let token = stage.added();
    stage.script.take_calls();
    drop(source);
    assert_eq!(stage.script.take_calls(), [Call::Forget(token)]);
    assert_eq!(stage.reactor.stats().removals, 0);

    let source = Source::new(null()).sole_owner();
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    stage.added();
    let Call::Add(fd, token) = stage.script.take_calls()[0] else {
        panic!("the first call adds the source");
    };
    let _open = source.into_inner();
    assert_eq!(stage.script.take_calls()[0], Call::Remove(fd, token));
    assert_eq!(stage.reactor.stats().removals, 1);
}

#[test]
fn an_interrupted_operation_is_tried_again() {
    let _stage = Stage::new();
    let source = Source::new(null());
    for attempts in [1, 2] {
        let mut left = attempts;
        let mut op = |_: &_| {
            left -= 1;
            if left == 0 {
                Ok(7)
            } else {
                Err(io::ErrorKind::Interrupted.into())
            }
        };
        assert!(matches!(source.try_io(Read, &mut op), Ok(7)));
    }
    let mut answers = [Err(io::ErrorKind::Interrupted.into()), Ok(7)].into_iter();
    let waker = CountingWaker::new();
    let mut read = || poll(&source, Read, &waker.waker(), |_| answers.next().unwrap());
    assert!(matches!(read(), Poll::Ready(Ok(7))));
    assert_eq!(waker.count(), 0, "polled once, it is tried twice");
}

#[test]
fn sources_are_counted_while_they_exist() {
    let stage = Stage::new();
    let (source, _) = stage.waiting_source(Waker::noop());
    assert_eq!(stage.reactor.stats().sources, 1);
    drop(source);
    assert_eq!(stage.reactor.stats().sources, 0);
}

#[test]
fn a_short_try_of_a_streaming_source_clears_readiness() {
    let stage = Stage::new();
    let source = Source::new(null()).streaming();
    assert!(source.try_io(Read, blocked).is_err());
    let mut ready = pin!(source.ready(Interest::READABLE));
    assert!(ready.as_mut().poll(&mut context()).is_pending());
    let token = stage.added();
    for moved in [8, 3] {
        stage.turn_with(&[event(token, Readiness::READABLE)]);
        assert_eq!(source.try_transfer(Read, 8, |_| Ok(moved)).unwrap(), moved);
        let again = pin!(source.ready(Interest::READABLE)).poll(&mut context());
        assert_eq!(again.is_pending(), moved < 8, "moved {moved} of 8");
    }
    let untried = source.try_transfer(Read, 8, |_| unreachable!("known to be empty"));
    assert_eq!(untried.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_waiter_for_the_end_arms_that_alone_and_is_woken_by_nothing_else() {
    let stage = Stage::with_levels();
    let (source, token) = stage.waiting_source(Waker::noop());
    let watcher = CountingWaker::new();
    let waker = watcher.waker();
    let mut cx = Context::from_waker(&waker);
    let mut closed = pin!(source.ready(Interest::CLOSED));
    stage.script.take_calls();
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    assert_eq!(
        stage.script.take_calls(),
        [Call::ArmNonDirectional(token, Interest::CLOSED)]
    );
    for (readiness, count) in [
        (Readiness::READABLE, 0),
        (Readiness::WRITABLE, 0),
        (Readiness::READABLE | Readiness::READ_CLOSED, 1),
    ] {
        stage.turn_with(&[event(token, readiness)]);
        assert_eq!(watcher.count(), count, "{readiness:?}");
    }
    assert!(closed.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn a_waiter_for_the_end_gets_the_error_of_a_registration_that_failed_later() {
    let stage = Stage::new();
    let source = Source::new(null());
    let watcher = CountingWaker::new();
    let waker = watcher.waker();
    let mut cx = Context::from_waker(&waker);
    let mut closed = pin!(source.ready(Interest::CLOSED));
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    let token = stage.added();
    stage.script.tell(vec![Event {
        errno: libc::ENOMEM,
        ..Event::new(token, Readiness::EMPTY)
    }]);
    stage.reactor.turn(None).unwrap();
    assert_eq!(watcher.count(), 1);
    let polled = closed.as_mut().poll(&mut cx);
    assert!(matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
}
