//! Messages from other threads, one thread at a time: each test joins the others before it turns,
//! so the order of messages is known.

use std::fs::File;
use std::future::Future;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::{Stage, blocked, error, event, null, one, poll, untried};
use crate::inbox::{Inbox, Request};
use crate::interest::{Direction, Interest, Readiness};
use crate::source::Source;
use crate::sys::Event;
use crate::sys::scripted::Call;
use crate::token::Token;
use crate::wake_list::tests::CountingWaker;

use Direction::{Read, Write};

/// Runs `f` to completion on another thread, which has no reactor.
fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|s| s.spawn(f).join().unwrap())
}

/// Returns a source that is registered in the reactor of the stage.
fn registered(stage: &Stage) -> (Source<File>, Token, RawFd) {
    let (source, token) = stage.waiting_source(Waker::noop());
    stage.script.take_calls();
    let fd = source.get_ref().as_raw_fd();
    (source, token, fd)
}

#[test]
fn a_wait_by_message_registers_again() {
    let stage = Stage::with_levels();
    let (source, token, fd) = registered(&stage);
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    let waker = CountingWaker::new();
    elsewhere(|| assert!(poll(&source, Read, &waker.waker(), blocked).is_pending()));
    stage.script.take_calls();
    stage.reactor.turn(None).unwrap();
    assert_eq!(
        stage.script.take_calls(),
        [
            Call::Arm(token, Read),
            Call::Reregister(fd, token),
            Call::Wait(Some(Duration::ZERO))
        ]
    );
    assert_eq!(waker.count(), 0, "earlier readiness does not count");
    assert!(poll(&source, Read, Waker::noop(), untried).is_pending());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
    assert_eq!(stage.reactor.stats().reregistrations, 1);
    assert_eq!(
        stage.script.notifier.notifications.load(Ordering::SeqCst),
        0
    );
}

#[test]
fn on_another_thread_an_operation_is_simply_attempted() {
    let stage = Stage::new();
    let (source, ..) = registered(&stage);
    elsewhere(|| {
        assert!(poll(&source, Read, Waker::noop(), one).is_ready());
        assert!(source.try_io(Read, one).is_ok());
    });
    assert_eq!(stage.script.take_calls(), []);
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.limits(), [None], "there was no message");
}

#[test]
fn a_message_keeps_the_turn_from_blocking() {
    let stage = Stage::new();
    let (source, ..) = registered(&stage);
    let (second, ..) = registered(&stage);
    elsewhere(|| drop(source));
    stage.reactor.turn(None).unwrap();
    elsewhere(|| assert!(poll(&second, Write, Waker::noop(), blocked).is_pending()));
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.limits(), [Some(Duration::ZERO); 2]);
}

#[test]
fn a_message_that_comes_during_a_wait_is_processed_in_the_next_turn() {
    let stage = Stage::new();
    let (source, token, fd) = registered(&stage);
    stage.script.meanwhile(move || {
        elsewhere(|| assert!(poll(&source, Read, Waker::noop(), blocked).is_pending()));
        std::mem::forget(source);
    });
    stage.reactor.turn(None).unwrap();
    assert_eq!(
        stage.script.notifier.notifications.load(Ordering::SeqCst),
        1
    );
    stage.script.take_calls();
    stage.reactor.turn(None).unwrap();
    let calls = stage.script.take_calls();
    assert_eq!(calls[0], Call::Reregister(fd, token));
}

#[test]
fn a_waker_woken_by_a_message_does_not_wait_for_an_event() {
    let stage = Stage::new();
    let (source, ..) = registered(&stage);
    let waker = CountingWaker::new();
    let clone = waker.waker();
    // It comes during a wait, whose end uses up the notification.
    stage.script.meanwhile(move || {
        elsewhere(|| {
            assert!(poll(&source, Read, &clone, blocked).is_pending());
            drop(source);
        });
    });
    stage.reactor.turn(None).unwrap();
    assert_eq!((stage.limits(), waker.count()), (vec![None], 0));
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.limits(), [Some(Duration::ZERO)]);
    assert_eq!(waker.count(), 1);
}

#[test]
fn a_source_removed_in_the_same_batch_is_not_registered_again() {
    let stage = Stage::new();
    let (source, token, _) = registered(&stage);
    let waker = CountingWaker::new();
    elsewhere(|| {
        assert!(poll(&source, Read, &waker.waker(), blocked).is_pending());
        drop(source);
    });
    stage.reactor.turn(None).unwrap();
    let calls = stage.script.take_calls();
    assert!(
        !calls
            .iter()
            .any(|call| matches!(call, Call::Reregister(..))),
        "{calls:?}"
    );
    assert!(calls.contains(&Call::Forget(token)));
    assert_eq!(waker.count(), 1, "a waiter for a dropped source is woken");
    assert_eq!(stage.reactor.stats().sources, 0);
}

#[test]
fn a_source_dropped_on_another_thread_is_removed_there_if_it_may_stay_open() {
    for (sole_owner, calls) in [(true, 0), (false, 1)] {
        let stage = Stage::new();
        let source = Source::new(null());
        let source = if sole_owner {
            source.sole_owner()
        } else {
            source
        };
        assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
        elsewhere(|| drop(source));
        assert_eq!(stage.script.notifier.removals.load(Ordering::SeqCst), calls);
        stage.reactor.turn(None).unwrap();
        let stats = stage.reactor.stats();
        assert_eq!((stats.sources, stats.removals), (0, calls as u64));
    }
}

#[test]
fn a_sole_owner_taken_apart_on_another_thread_is_removed_there() {
    let stage = Stage::new();
    let source = Source::new(null()).sole_owner();
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    let _open = elsewhere(|| source.into_inner());
    assert_eq!(stage.script.notifier.removals.load(Ordering::SeqCst), 1);
}

#[test]
fn local_and_remote_waiters_are_both_woken() {
    let stage = Stage::new();
    let (local, foreign) = (CountingWaker::new(), CountingWaker::new());
    let (source, token) = stage.waiting_source(&local.waker());
    elsewhere(|| assert!(poll(&source, Read, &foreign.waker(), blocked).is_pending()));
    stage.reactor.turn(None).unwrap();
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!((local.count(), foreign.count()), (1, 1));
}

#[test]
fn ready_by_message_is_answered_by_being_polled_again() {
    let stage = Stage::new();
    let (source, token, _) = registered(&stage);
    let waker = CountingWaker::new();
    let mut ready = pin!(source.ready(Interest::READABLE));
    elsewhere(|| {
        let clone = waker.waker();
        let polled = ready.as_mut().poll(&mut Context::from_waker(&clone));
        assert!(polled.is_pending());
    });
    stage.reactor.turn(None).unwrap();
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
    elsewhere(|| {
        let polled = ready.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(r)) if r.is_readable()));
    });
}

#[test]
fn two_reactors_on_one_thread_reach_each_other_by_message() {
    let first = Stage::new();
    let (source, token, fd) = registered(&first);
    let waker = CountingWaker::new();
    {
        let _second = Stage::new();
        assert!(poll(&source, Read, &waker.waker(), blocked).is_pending());
    }
    first.reactor.turn(None).unwrap();
    assert!(
        first
            .script
            .take_calls()
            .contains(&Call::Reregister(fd, token))
    );
    first.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
    {
        let second = Stage::new();
        drop(source);
        assert_eq!(second.script.take_calls(), []);
    }
    first.reactor.turn(None).unwrap();
    assert_eq!(first.reactor.stats().sources, 0);
}

#[test]
fn an_operation_begun_and_moved_to_another_thread_ends_when_the_kernel_says_so() {
    let stage = Stage::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let source = Source::new(ours);
    let begun = |waker: &Waker| source.poll_begun(Read, &mut Context::from_waker(waker));
    assert!(begun(Waker::noop()).is_pending());
    let token = stage.added();
    let waker = CountingWaker::new();
    for _ in 0..2 {
        elsewhere(|| assert!(begun(&waker.waker()).is_pending()));
    }
    stage.reactor.turn(None).unwrap();
    (&theirs).write_all(b"x").unwrap();
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert!(waker.count() > 0);
    elsewhere(|| assert!(begun(Waker::noop()).is_ready()));
}

#[test]
fn a_source_that_another_reactor_has_registered_is_not_registered_again() {
    let stage = Stage::new();
    let source = Source::new(null());
    // Inside the operation another thread comes first, with a reactor of its own.
    let polled = poll(&source, Read, Waker::noop(), |_: &File| {
        elsewhere(|| {
            let other = registered_in_another(&source);
            // It stays alive when its thread ends.
            std::mem::forget(other);
        });
        Err(io::ErrorKind::WouldBlock.into())
    });
    // Ours never got the source.
    assert!(polled.is_pending());
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.reactor.stats().registrations, 0);
}

#[test]
fn a_source_that_a_reactor_registered_meanwhile_which_is_gone_is_registered_again() {
    let stage = Stage::new();
    let source = Source::new(null());
    let polled = poll(&source, Read, Waker::noop(), |_: &File| {
        elsewhere(|| drop(registered_in_another(&source)));
        Err(io::ErrorKind::WouldBlock.into())
    });
    assert!(polled.is_pending());
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.reactor.stats().registrations, 1);
}

fn registered_in_another(source: &Source<File>) -> Stage {
    let other = Stage::new();
    assert!(poll(source, Read, Waker::noop(), blocked).is_pending());
    other.reactor.turn(None).unwrap();
    assert_eq!(other.reactor.stats().registrations, 1);
    other
}

#[test]
fn a_timer_moved_on_another_thread_wakes_its_task() {
    let stage = Stage::new();
    let hour = Duration::from_secs(3600);
    let mut timer = crate::Timer::after(hour);
    let waker = CountingWaker::new();
    let clone = waker.waker();
    let mut cx = Context::from_waker(&clone);
    assert!(pin!(&mut timer).poll(&mut cx).is_pending());
    let sooner = std::time::Instant::now();
    elsewhere(|| timer.reset(sooner));
    stage.reactor.turn(None).unwrap();
    assert_eq!(waker.count(), 1, "so that it is polled again");
    assert_eq!(stage.reactor.stats().timers, 0);
    assert!(pin!(&mut timer).poll(&mut cx).is_pending());
    stage.reactor.turn(None).unwrap();
    assert!(pin!(&mut timer).poll(&mut cx).is_ready());
}

#[test]
fn a_turn_does_not_block_while_it_has_wakers_to_drop() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let (source, _) = stage.waiting_source(&waker.waker());
    elsewhere(move || drop(source));
    stage.script.take_calls();
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.limits(), [Some(Duration::ZERO)]);
}

#[test]
fn a_task_that_waits_twice_from_another_thread_has_one_waker_stored() {
    let stage = Stage::new();
    let (source, token, _) = registered(&stage);
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    let waker = CountingWaker::new();
    elsewhere(|| {
        for _ in 0..200 {
            assert!(poll(&source, Read, &waker.waker(), blocked).is_pending());
        }
    });
    stage.reactor.turn(None).unwrap();
    assert_eq!(waker.count(), 0, "none was woken for lack of space");
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
}

#[test]
fn a_notifier_keeps_no_part_of_its_reactor_alive() {
    let stage = Stage::new();
    let notifier = stage.reactor.notifier();
    let selector_notifier = std::sync::Arc::downgrade(&stage.script.notifier);
    drop(stage);
    assert_eq!(selector_notifier.strong_count(), 0);
    notifier.notify();
    assert_eq!(notifier.stats().waits, 0);
}

#[test]
fn a_wait_by_message_gets_the_error_of_a_registration_that_failed() {
    let stage = Stage::new();
    let (source, token) = stage.waiting_source(Waker::noop());
    let refused = Event {
        errno: libc::ENOMEM,
        ..Event::new(token, Readiness::READABLE)
    };
    let waker = CountingWaker::new();
    // There is an answer if the message is sent before the failure is known, and if after.
    elsewhere(|| assert!(poll(&source, Read, &waker.waker(), blocked).is_pending()));
    stage.turn_with(&[refused]);
    assert_eq!(waker.count(), 1);
    elsewhere(|| {
        let e = error(poll(&source, Read, &waker.waker(), blocked));
        assert!(e.to_string().contains("cannot wait for descriptor"), "{e}");
    });
}

/// Returns a source whose registration was refused; only waits on other threads got the error.
fn refused_elsewhere(stage: &Stage) -> (Source<File>, Call) {
    let source = Source::new(null());
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    *stage.script.refuse.borrow_mut() = Some(io::Error::from_raw_os_error(libc::ENOMEM));
    let call = Call::Add(source.get_ref().as_raw_fd(), stage.added());
    let mut ready = pin!(source.ready(Interest::CLOSED));
    elsewhere(|| {
        for _ in 0..2 {
            error(poll(&source, Read, Waker::noop(), blocked));
        }
        error(ready.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    });
    stage.script.take_calls();
    (source, call)
}

#[test]
fn a_registration_whose_error_was_returned_on_another_thread_is_tried_again() {
    let stage = Stage::new();
    let (source, again) = refused_elsewhere(&stage);
    stage.reactor.turn(None).unwrap();
    let calls = stage.script.take_calls();
    assert_eq!(calls, [again, Call::Wait(Some(Duration::ZERO))]);
    let waker = CountingWaker::new();
    elsewhere(|| assert!(poll(&source, Read, &waker.waker(), blocked).is_pending()));
    let Call::Add(_, token) = again else { panic!() };
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!(waker.count(), 1);
    assert_eq!(stage.reactor.stats().registrations, 1);
}

#[test]
fn a_registration_that_is_tried_again_is_made_along_with_new_ones() {
    let stage = Stage::new();
    let (_refused, again) = refused_elsewhere(&stage);
    let new = Source::new(null());
    assert!(poll(&new, Read, Waker::noop(), blocked).is_pending());
    // Not a turn, which drains the inbox before.
    stage.reactor.flush_registrations_now();
    let calls = stage.script.take_calls();
    assert!(calls.len() == 2 && calls[1] == again, "{calls:?}");
}

#[test]
fn a_message_that_crosses_the_failure_of_the_registration_is_answered() {
    let stage = Stage::new();
    let source = Source::new(null());
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    *stage.script.refuse.borrow_mut() = Some(io::Error::from_raw_os_error(libc::ENOMEM));
    stage.added();
    let waker = CountingWaker::new();
    let wait = Request::Wait {
        token: stage.script.last_added(),
        direction: Read,
        waker: waker.waker(),
    };
    let watch = Request::WaitNonDirectional {
        token: stage.script.last_added(),
        interest: Interest::CLOSED,
        waker: waker.waker(),
    };
    let inbox = Inbox::find(stage.reactor.number()).unwrap();
    inbox.send(wait.into()).unwrap();
    inbox.send(watch.into()).unwrap();
    stage.turn_with(&[]);
    assert_eq!(waker.count(), 2);
}

#[test]
fn a_descriptor_that_another_thread_removed_is_not_registered_afterwards() {
    let stage = Stage::new();
    let source = Source::new(null());
    assert!(poll(&source, Read, Waker::noop(), blocked).is_pending());
    elsewhere(|| drop(source));
    stage.turn_with(&[]);
    let calls = stage.script.take_calls();
    assert!(
        !calls.iter().any(|call| matches!(call, Call::Add(..))),
        "{calls:?}"
    );
    assert_eq!(stage.reactor.stats().sources, 0);
}

/// Its number may belong to another object by then.
#[test]
fn a_source_that_is_dropped_while_messages_are_processed_is_not_registered_again() {
    let stage = Stage::new();
    let (removed, _) = stage.waiting_source(Waker::noop());
    let (closing, token) = stage.waiting_source(Waker::noop());
    elsewhere(|| assert!(poll(&closing, Read, Waker::noop(), blocked).is_pending()));
    elsewhere(move || drop(removed));
    let close = move || elsewhere(move || drop(closing));
    *stage.script.on_forget.borrow_mut() = Some(Box::new(close));
    stage.script.take_calls();
    stage.reactor.turn(None).unwrap();
    let calls = stage.script.take_calls();
    let registers = |call: &Call| matches!(call, Call::Reregister(_, again) if *again == token);
    assert!(!calls.iter().any(registers), "{calls:?}");
    assert_eq!(stage.reactor.stats().sources, 0);
}
