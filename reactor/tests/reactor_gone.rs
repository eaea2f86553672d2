//! Sources and timers that waited in a reactor that is gone, used in another one.

mod support;

use std::future::Future;
use std::io::{ErrorKind, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use runtime_reactor::{Direction, Interest, Reactor, Timer};
use support::{Task, block_on, poll_read, reactor, reports_ends, tcp_pair, turn_until, watchdog};

#[test]
fn a_source_whose_reactor_is_gone_waits_in_the_next_one() {
    let _watchdog = watchdog();
    let (source, mut peer) = tcp_pair();
    for round in 0..3 {
        let (reactor, _entered) = reactor();
        let task = Task::default();
        assert!(poll_read(&source, &task, &mut [0; 4]).is_pending());
        assert_eq!(reactor.stats().sources, 1, "in round {round}");
        peer.write_all(b"ping").unwrap();
        turn_until(&reactor, || task.count() > 0);
        assert!(matches!(
            poll_read(&source, &task, &mut [0; 4]),
            Poll::Ready(Ok(4))
        ));
        assert!(poll_read(&source, &task, &mut [0; 4]).is_pending());
    }
}

#[test]
fn every_kind_of_wait_begins_anew() {
    let _watchdog = watchdog();
    let (source, peer) = tcp_pair();
    let wait_in_vain = || {
        let (_reactor, _entered) = reactor();
        assert!(poll_read(&source, &Task::default(), &mut [0; 4]).is_pending());
    };

    wait_in_vain();
    {
        let (reactor, _entered) = reactor();
        let readiness = block_on(&reactor, source.ready(Interest::WRITABLE)).unwrap();
        assert!(readiness.is_writable());
    }
    wait_in_vain();
    {
        let (reactor, _entered) = reactor();
        let task = Task::default();
        let waker = task.waker();
        let mut cx = Context::from_waker(&waker);
        assert!(source.poll_begun(Direction::Write, &mut cx).is_pending());
        turn_until(&reactor, || task.count() > 0);
        assert!(source.poll_begun(Direction::Write, &mut cx).is_ready());
    }
    wait_in_vain();
    {
        let (reactor, _entered) = reactor();
        source.attach().unwrap();
        assert_eq!(reactor.stats().sources, 1);
    }
    let (reactor, _entered) = reactor();
    let mut closed = pin!(source.ready(Interest::CLOSED));
    let task = Task::default();
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    let polled = closed.as_mut().poll(&mut cx);
    if !reports_ends(&reactor) {
        // It cannot report the end of a peer.
        assert!(matches!(polled, Poll::Ready(Err(e)) if e.kind() == ErrorKind::Unsupported));
        return;
    }
    assert!(polled.is_pending());
    drop(peer);
    turn_until(&reactor, || task.count() > 0);
    assert!(closed.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn a_timer_whose_reactor_is_gone_completes_in_the_next_one() {
    let _watchdog = watchdog();
    let deadline = Instant::now() + Duration::from_millis(5);
    let mut timer = Timer::at(deadline);
    {
        let (_reactor, _entered) = reactor();
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut timer).poll(&mut cx);
    }
    let (reactor, _entered) = reactor();
    block_on(&reactor, timer).unwrap();
    assert!(Instant::now() >= deadline);
}

#[test]
fn a_source_and_a_timer_of_a_reactor_that_is_alive_stay_there() {
    let _watchdog = watchdog();
    let (source, mut peer) = tcp_pair();
    let mut timer = Timer::after(Duration::from_secs(3600));
    let first = Reactor::new().unwrap();
    {
        let _entered = first.enter();
        assert!(poll_read(&source, &Task::default(), &mut [0; 4]).is_pending());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut timer).poll(&mut cx).is_pending());
    }
    let second = Reactor::new().unwrap();
    let _entered = second.enter();
    let task = Task::default();
    let waker = task.waker();
    assert!(poll_read(&source, &task, &mut [0; 4]).is_pending());
    assert!(
        Pin::new(&mut timer)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!((second.stats().sources, second.stats().timers), (0, 0));
    peer.write_all(b"ping").unwrap();
    turn_until(&first, || task.count() > 0);
    assert!(poll_read(&source, &task, &mut [0; 4]).is_ready());
}

#[test]
fn a_source_that_outlives_thousands_of_reactors_is_dropped_on_a_small_stack() {
    let _watchdog = watchdog();
    let (source, _peer) = tcp_pair();
    for _ in 0..2000 {
        let (_reactor, _entered) = reactor();
        source.attach().unwrap();
    }
    let thread = thread::Builder::new().stack_size(64 << 10);
    thread.spawn(move || drop(source)).unwrap().join().unwrap();
}
