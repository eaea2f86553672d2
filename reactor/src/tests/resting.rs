//! The wakers of this thread's tasks: they are called where they are stored, and rest there until
//! their tasks wait again.

use std::cell::RefCell;
use std::task::Waker;
use std::thread;

use super::{Stage, blocked, error, event, one, poll, untried};
use crate::inspect::{Awaited, visit_waiters};
use crate::interest::{Direction, Interest, Readiness};
use crate::source::Source;
use crate::sys::Event;
use crate::sys::scripted::{Call, Script};
use crate::wake_list::tests::CountingWaker;

use Direction::{Read, Write};

thread_local! {
    /// The tasks of this thread: the waker of each, and the number of times that it was woken where
    /// it is stored.
    static TASKS: RefCell<Vec<(Waker, u32)>> = const { RefCell::new(Vec::new()) };
}

/// A task of this thread.
struct LocalTask {
    place: usize,
    waker: Waker,
    calls: CountingWaker,
}

impl LocalTask {
    fn new() -> LocalTask {
        let calls = CountingWaker::new();
        let waker = calls.waker();
        let place = TASKS.with_borrow_mut(|tasks| {
            tasks.push((waker.clone(), 0));
            tasks.len() - 1
        });
        LocalTask {
            place,
            waker,
            calls,
        }
    }

    fn wakes(&self) -> u32 {
        TASKS.with_borrow(|tasks| tasks[self.place].1) + self.calls.count() as u32
    }
}

fn wake_local(waker: &Waker) -> bool {
    TASKS.with_borrow_mut(|tasks| {
        let task = tasks.iter_mut().find(|(task, _)| task.will_wake(waker));
        task.map(|(_, wakes)| *wakes += 1).is_some()
    })
}

fn stage(script: Script) -> Stage {
    let stage = Stage::on(script);
    stage.reactor.set_wake_local(wake_local);
    stage
}

fn readable(stage: &Stage, source: &Source<std::fs::File>) {
    let token = stage.script.last_added();
    stage.turn_with(&[event(token, Readiness::READABLE | Readiness::WRITABLE)]);
    assert!(poll(source, Read, Waker::noop(), one).is_ready());
}

/// Returns what is waited for.
fn awaited(stage: &Stage) -> Vec<Awaited> {
    let mut awaited = Vec::new();
    visit_waiters(&stage.reactor, |what, _| awaited.push(what));
    awaited
}

#[test]
fn a_task_that_waits_again_and_again_is_woken_by_each_event() {
    let stage = stage(Script::default());
    let task = LocalTask::new();
    let (source, _) = stage.waiting_source(&task.waker);
    for times in 1..4 {
        assert!(matches!(awaited(&stage)[..], [Awaited::Read(_)]));
        readable(&stage, &source);
        assert_eq!(task.wakes(), times);
        assert!(
            awaited(&stage).is_empty(),
            "it was called and waits no more"
        );
        if times % 2 == 0 {
            assert!(source.try_io(Read, blocked).is_err());
        } else {
            assert!(poll(&source, Read, &task.waker, blocked).is_pending());
        }
        assert!(poll(&source, Read, &task.waker, untried).is_pending());
        assert!(poll(&source, Read, &task.waker, untried).is_pending());
    }
    assert_eq!(task.calls.count(), 0, "it was not called from a list");
    assert_eq!(stage.reactor.stats().spurious_wakes, 0);
}

#[test]
fn a_waker_that_rests_is_not_called_by_further_events() {
    let stage = stage(Script::default());
    let task = LocalTask::new();
    let (source, token) = stage.waiting_source(&task.waker);
    for _ in 0..3 {
        readable(&stage, &source);
    }
    stage.turn_with(&[event(token, Readiness::READABLE | Readiness::READ_CLOSED)]);
    assert_eq!(task.wakes(), 1);
}

#[test]
fn each_direction_has_a_waker_that_rests() {
    let stage = stage(Script::default());
    let (reader, writer) = (LocalTask::new(), LocalTask::new());
    let (source, token) = stage.waiting_source(&reader.waker);
    assert!(poll(&source, Write, &writer.waker, blocked).is_pending());
    stage.turn_with(&[event(token, Readiness::WRITABLE)]);
    assert_eq!((reader.wakes(), writer.wakes()), (0, 1));
    assert!(poll(&source, Write, &writer.waker, blocked).is_pending());
    readable(&stage, &source);
    assert_eq!((reader.wakes(), writer.wakes()), (1, 2));
    assert!(poll(&source, Read, &reader.waker, blocked).is_pending());
    stage.turn_with(&[event(token, Readiness::READABLE | Readiness::WRITABLE)]);
    assert_eq!((reader.wakes(), writer.wakes()), (2, 2));
}

#[test]
fn another_task_that_waits_takes_the_place_of_a_waker_that_rests() {
    let stage = stage(Script::default());
    let (first, second, foreign) = (LocalTask::new(), LocalTask::new(), CountingWaker::new());
    let (source, _) = stage.waiting_source(&first.waker);
    readable(&stage, &source);
    assert!(poll(&source, Read, &second.waker, blocked).is_pending());
    readable(&stage, &source);
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    assert!(poll(&source, Read, &foreign.waker(), blocked).is_pending());
    readable(&stage, &source);
    assert_eq!((first.wakes(), second.wakes(), foreign.count()), (1, 1, 1));
    assert!(poll(&source, Read, &first.waker, blocked).is_pending());
    assert!(poll(&source, Read, &second.waker, untried).is_pending());
    readable(&stage, &source);
    assert_eq!((first.wakes(), second.wakes()), (2, 2));
    assert!(awaited(&stage).is_empty());
}

#[test]
fn a_wait_on_another_thread_takes_the_place_of_a_waker_that_rests() {
    let stage = stage(Script::default());
    let (task, remote) = (LocalTask::new(), CountingWaker::new());
    let (source, token) = stage.waiting_source(&task.waker);
    readable(&stage, &source);
    let waker = remote.waker();
    let source = thread::spawn(move || {
        assert!(poll(&source, Read, &waker, blocked).is_pending());
        source
    });
    let source = source.join().unwrap();
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!((task.wakes(), remote.count()), (1, 1));
    assert!(poll(&source, Read, &task.waker, blocked).is_pending());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!((task.wakes(), remote.count()), (2, 1));
}

#[test]
fn a_waker_that_rests_leaves_no_place_for_a_wait_after_the_close() {
    let stage = stage(Script::default());
    let task = LocalTask::new();
    let (source, _) = stage.waiting_source(&task.waker);
    readable(&stage, &source);
    stage.reactor.close();
    let e = error(poll(&source, Read, &task.waker, blocked));
    assert!(e.to_string().contains("was dropped"), "{e}");
    assert_eq!(task.wakes(), 1);
}

#[test]
fn a_wait_after_a_registration_that_failed_late_is_an_error_also_for_a_waker_that_rested() {
    let stage = stage(Script::default());
    let task = LocalTask::new();
    let (source, token) = stage.waiting_source(&task.waker);
    readable(&stage, &source);
    stage.turn_with(&[Event {
        errno: libc::EPERM,
        ..event(token, Readiness::EMPTY)
    }]);
    let e = error(poll(&source, Read, &task.waker, blocked));
    assert!(e.to_string().starts_with("cannot wait"), "{e}");
}

#[test]
fn a_task_that_waits_for_the_end_too_does_not_wait_for_what_it_has_read() {
    let stage = stage(Script::default());
    let task = LocalTask::new();
    let (source, _) = stage.waiting_source(&task.waker);
    readable(&stage, &source);
    let mut cx = std::task::Context::from_waker(&task.waker);
    assert!(source.poll_ready(Interest::CLOSED, &mut cx).is_pending());
    assert!(matches!(awaited(&stage)[..], [Awaited::Event(_)]));
    readable(&stage, &source);
    assert_eq!(task.wakes(), 1);
}

#[test]
fn a_level_is_armed_before_each_wait_of_a_task_of_this_thread() {
    let stage = stage(Script {
        level: true,
        ..Script::default()
    });
    let task = LocalTask::new();
    let (source, token) = stage.waiting_source(&task.waker);
    stage.script.take_calls();
    for _ in 0..2 {
        stage.turn_with(&[event(token, Readiness::READABLE)]);
        assert!(poll(&source, Read, &task.waker, blocked).is_pending());
        let calls = stage.script.take_calls();
        assert_eq!(calls, [Call::Wait(None), Call::Arm(token, Read)]);
    }
}
