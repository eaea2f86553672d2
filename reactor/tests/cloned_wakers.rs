//! Cloning a waker is foreign code too: it may turn the reactor, or close it.

mod support;

use std::cell::RefCell;
use std::future::Future;
use std::io::Read;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Instant;
use std::{io, ptr};

use runtime_reactor::{Direction, Interest, Source, Timer};
use support::{
    Task, fill, look, pipe, poll_read, reactor, read_fd, tcp_pair, turn_until, watchdog, write_fd,
};

thread_local! {
    static ON_CLONE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    static WOKEN: RefCell<usize> = const { RefCell::new(0) };
}

/// Returns a waker of this thread that runs `action` when it is cloned for the first time.
fn acts_when_cloned(action: impl FnOnce() + 'static) -> Waker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |_| {
            if let Some(action) = ON_CLONE.with(|on| on.borrow_mut().take()) {
                action();
            }
            RawWaker::new(ptr::null(), &TABLE)
        },
        |_| WOKEN.with(|woken| *woken.borrow_mut() += 1),
        |_| WOKEN.with(|woken| *woken.borrow_mut() += 1),
        |_| {},
    );
    ON_CLONE.with(|on| *on.borrow_mut() = Some(Box::new(action)));
    // SAFETY: the table has no data that could dangle, and its wakers stay on this thread.
    unsafe { Waker::from_raw(RawWaker::new(ptr::null(), &TABLE)) }
}

fn woken() -> usize {
    WOKEN.with(|woken| woken.take())
}

#[test]
fn readiness_that_comes_while_the_waker_is_cloned_is_not_missed() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (reader, writer) = pipe();
    let source = Source::new(reader);
    let turning = reactor.clone();
    let waker = acts_when_cloned(move || {
        write_fd(&writer, b"x").unwrap();
        // A level backend is not armed yet, so it must not block.
        look(&turning);
        std::mem::forget(writer);
    });
    let mut cx = Context::from_waker(&waker);
    let mut poll = || source.poll_io(Direction::Read, &mut cx, |fd| read_fd(fd, &mut [0; 8]));
    assert!(poll().is_pending());
    look(&reactor);
    assert_eq!(woken(), 1);
    assert!(matches!(poll(), Poll::Ready(Ok(1))));
}

#[test]
fn a_close_while_the_waker_is_cloned_is_an_error_at_once() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (reader, _writer) = pipe();
    let source = Source::new(reader);
    let waker = acts_when_cloned(move || reactor.close());
    let mut cx = Context::from_waker(&waker);
    let mut poll = || source.poll_io(Direction::Read, &mut cx, |fd| read_fd(fd, &mut [0; 8]));
    assert!(matches!(poll(), Poll::Ready(Err(_))));
}

#[test]
fn one_direction_that_becomes_ready_while_the_other_is_waited_for_is_not_missed() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut theirs) = tcp_pair();
    let task = Task::default();
    assert!(poll_read(&source, &task, &mut [0]).is_pending());
    fill(&reactor, &source, &task);
    let before = task.count();
    theirs.set_nonblocking(true).unwrap();
    let waker = acts_when_cloned(move || {
        turn_until(&reactor, || {
            while matches!(theirs.read(&mut [0; 65536]), Ok(1..)) {}
            task.count() > before
        });
        std::mem::forget(theirs);
    });
    let mut ready = pin!(source.ready(Interest::READABLE | Interest::WRITABLE));
    let mut poll = || ready.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll().is_pending());
    assert_eq!(woken(), 1);
    assert!(matches!(poll(), Poll::Ready(Ok(readiness)) if readiness.is_writable()));
}

#[test]
fn a_timer_that_fires_while_the_waker_is_cloned_is_not_missed() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let mut timer = Timer::at(Instant::now());
    let mut poll = |waker: &Waker| -> Poll<io::Result<()>> {
        Pin::new(&mut timer).poll(&mut Context::from_waker(waker))
    };
    assert!(poll(Waker::noop()).is_pending());
    let waker = acts_when_cloned(move || reactor.turn(None).unwrap());
    assert!(poll(&waker).is_pending());
    assert_eq!(woken(), 1);
    assert!(matches!(poll(&waker), Poll::Ready(Ok(()))));
}

#[test]
fn a_close_while_a_timer_is_armed_leaves_no_timer() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let mut timer = Timer::at(Instant::now() + std::time::Duration::from_secs(1000));
    let closing = reactor.clone();
    let waker = acts_when_cloned(move || closing.close());
    let polled = Pin::new(&mut timer).poll(&mut Context::from_waker(&waker));
    assert!(matches!(polled, Poll::Ready(Err(_))));
    assert_eq!(reactor.stats().timers, 0);
}
