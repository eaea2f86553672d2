//! Timers against the real clock.

mod support;

use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use runtime_reactor::Timer;
use support::{Task, block_on, look, poll_read, reactor, tcp_pair, watchdog};

#[test]
fn a_timer_is_never_early() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    for ns in [0, 1, 999, 1_000, 50_001, 999_999, 1_000_001, 3_141_592] {
        let deadline = Instant::now() + Duration::from_nanos(ns);
        block_on(&reactor, Timer::at(deadline)).unwrap();
        assert!(Instant::now() >= deadline, "{ns} ns");
    }
}

/// Returns true if the kernel accepts limits in nanoseconds.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_precise_waits() -> bool {
    // SAFETY: with no room for events nothing is written; the descriptor is invalid anyway.
    unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            -1,
            0usize,
            0,
            0usize,
            0usize,
            0usize,
        )
    };
    std::io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_timer_is_better_than_a_millisecond_where_the_kernel_is() {
    let _watchdog = watchdog();
    if !has_precise_waits() {
        return;
    }
    let (reactor, _entered) = reactor();
    let limit = Duration::from_micros(100);
    let is_fine = |_: &usize| {
        let begun = Instant::now();
        block_on(&reactor, Timer::at(begun + limit)).unwrap();
        begun.elapsed() < Duration::from_millis(1)
    };
    // Would hang if limits were rounded up; a timer that was due before the wait proves nothing. It
    // takes longer on a busy machine.
    while (0..20).filter(is_fine).count() < 10 {}
}

#[test]
fn a_limit_is_waited_for_and_zero_is_not() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let limit = Duration::from_millis(3);
    let begun = Instant::now();
    reactor.turn(Some(limit)).unwrap();
    assert!(begun.elapsed() >= limit);
    let mut timer = Timer::at(Instant::now() + Duration::from_secs(100_000));
    let task = Task::default();
    let waker = task.waker();
    assert!(
        Pin::new(&mut timer)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    // If one of them blocked, the watchdog would end the process.
    for _ in 0..1000 {
        look(&reactor);
    }
    assert_eq!((reactor.stats().waits, task.count()), (1001, 0));
}

#[test]
fn a_flood_of_events_does_not_delay_a_due_timer_beyond_one_turn() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    let (reader, sleeper) = (Task::default(), Task::default());
    let deadline = Instant::now() + Duration::from_millis(5);
    let mut timer = Timer::at(deadline);
    let waker = sleeper.waker();
    assert!(
        Pin::new(&mut timer)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert!(poll_read(&source, &reader, &mut [0; 1]).is_pending());
    peer.write_all(&[0; 64]).unwrap();
    let mut events = 0;
    while sleeper.count() == 0 {
        // There is always something to read, and always a new event.
        peer.write_all(b"x").unwrap();
        let is_due = Instant::now() >= deadline;
        reactor.turn(None).unwrap();
        events += reader.count();
        assert!(!is_due || sleeper.count() == 1);
        let read = poll_read(&source, &reader, &mut [0; 1]);
        assert!(matches!(read, Poll::Ready(Ok(1))));
    }
    assert!(events > 0 && Instant::now() >= deadline);
    drop(source);
    let _ = peer.read(&mut [0; 1]);
}
