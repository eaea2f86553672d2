//! Timers as tasks see them. Time passes only where a test says so: deadlines are either past or
//! far away, and the script records how long the reactor would wait.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{Stage, event};
use crate::interest::Readiness;
use crate::timer::Timer;
use crate::wake_list::tests::CountingWaker;

const HOUR: Duration = Duration::from_secs(3600);

fn poll(timer: &mut Timer, waker: &Waker) -> Poll<std::io::Result<()>> {
    Pin::new(timer).poll(&mut Context::from_waker(waker))
}

fn is_done(timer: &mut Timer) -> bool {
    matches!(poll(timer, Waker::noop()), Poll::Ready(Ok(())))
}

/// Spins until `deadline` has passed.
fn pass(deadline: Instant) {
    while Instant::now() <= deadline {
        std::hint::spin_loop();
    }
}

#[test]
fn a_timer_costs_nothing_until_it_is_polled() {
    let stage = Stage::new();
    let timer = Timer::at(Instant::now());
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.limits(), [None]);
    assert_eq!(stage.reactor.next_deadline(), None);
    drop(timer);
}

#[test]
fn a_deadline_in_the_past_completes_in_the_next_turn() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let mut timer = Timer::at(Instant::now());
    assert!(poll(&mut timer, &waker.waker()).is_pending());
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.limits(), [Some(Duration::ZERO)]);
    assert_eq!(waker.count(), 1);
    assert!(is_done(&mut timer) && is_done(&mut timer), "and stays so");
    assert_eq!(stage.reactor.stats().timers_fired, 1);
}

#[test]
fn a_turn_waits_for_the_earlier_of_limit_and_deadline() {
    let stage = Stage::new();
    let start = Instant::now();
    let minute = Duration::from_secs(60);
    let mut timer = Timer::at(start + minute);
    assert!(!is_done(&mut timer));
    assert_eq!(stage.reactor.next_deadline(), Some(start + minute));
    for limit in [
        None,
        Some(HOUR),
        Some(Duration::from_nanos(5)),
        Some(Duration::ZERO),
    ] {
        stage.reactor.turn(limit).unwrap();
    }
    let limits: Vec<Duration> = stage.limits().into_iter().map(Option::unwrap).collect();
    assert!(limits[1] <= limits[0], "time goes on");
    assert!(limits[0] <= minute && limits[1] + start.elapsed() >= minute);
    assert_eq!(limits[2..], [Duration::from_nanos(5), Duration::ZERO]);
}

#[test]
fn a_wait_for_a_distant_deadline_is_limited_to_an_hour() {
    let stage = Stage::new();
    let mut timers = [100 * HOUR, Duration::from_secs(u64::from(u32::MAX) * 200)]
        .map(|after| Timer::at(Instant::now() + after));
    for timer in &mut timers {
        assert!(!is_done(timer));
        stage.reactor.turn(None).unwrap();
        stage.reactor.turn(Some(Duration::MAX)).unwrap();
    }
    assert_eq!(stage.limits(), [Some(HOUR); 4]);
    assert_eq!(stage.reactor.stats().spurious_wakes, 0);
}

#[test]
fn a_far_event_does_not_fire_a_timer() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let mut timer = Timer::at(Instant::now() + HOUR);
    assert!(poll(&mut timer, &waker.waker()).is_pending());
    let (_source, key) = stage.waiting_source(Waker::noop());
    stage.turn_with(&[event(key, Readiness::READABLE)]);
    assert_eq!(waker.count(), 0);
    assert!(!timer.is_elapsed() && !is_done(&mut timer));
}

#[test]
fn timers_are_woken_in_the_order_of_their_deadlines() {
    let stage = Stage::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    // The third of them moves to the end, the last one to the front, after they were armed.
    let mut timers: Vec<Timer> = [2, 4, 1, 3, 9].map(|ms| Timer::at(at(ms))).into();
    for (name, timer) in timers.iter_mut().enumerate() {
        let order = order.clone();
        let waker = Arc::new(Named { name, order }).into();
        assert!(poll(timer, &waker).is_pending());
    }
    timers[2].reset(at(5));
    timers[4].reset(start);
    pass(at(5));
    stage.reactor.turn(None).unwrap();
    assert_eq!(*order.lock().unwrap(), [4, 0, 3, 1, 2]);
}

/// A waker that records its name when it is woken.
struct Named {
    name: usize,
    order: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.order.lock().unwrap().push(self.name);
    }
}

#[test]
fn a_timer_reset_while_it_is_awaited_stays_so() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let mut timer = Timer::at(Instant::now() + HOUR);
    assert!(poll(&mut timer, &waker.waker()).is_pending());
    let soon = Instant::now();
    timer.reset(soon);
    assert_eq!(stage.reactor.next_deadline(), Some(soon));
    stage.reactor.turn(None).unwrap();
    assert_eq!(waker.count(), 1);
    assert!(is_done(&mut timer));

    timer.reset(Instant::now() + HOUR);
    assert!(
        poll(&mut timer, &waker.waker()).is_pending(),
        "it starts anew"
    );
    timer.reset(Instant::now() + 2 * HOUR);
    stage.reactor.turn(None).unwrap();
    assert_eq!((waker.count(), stage.reactor.stats().timers), (1, 1));
}

#[test]
fn a_timer_reset_after_it_has_fired_starts_again() {
    let stage = Stage::new();
    let mut timer = Timer::at(Instant::now());
    assert!(!is_done(&mut timer));
    stage.reactor.turn(None).unwrap();
    timer.reset(Instant::now() + HOUR);
    assert!(!is_done(&mut timer));
    timer.reset(Instant::now());
    stage.reactor.turn(None).unwrap();
    assert!(is_done(&mut timer));
}

#[test]
fn a_dropped_timer_is_not_waited_for() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let mut timer = Timer::at(Instant::now());
    assert!(poll(&mut timer, &waker.waker()).is_pending());
    drop(timer);
    assert_eq!(stage.reactor.next_deadline(), None);
    stage.reactor.turn(None).unwrap();
    assert_eq!((stage.limits(), waker.count()), (vec![None], 0));
}

#[test]
fn the_last_one_to_poll_a_timer_is_woken() {
    let stage = Stage::new();
    let (first, last) = (CountingWaker::new(), CountingWaker::new());
    let mut timer = Timer::at(Instant::now());
    assert!(poll(&mut timer, &first.waker()).is_pending());
    assert!(poll(&mut timer, &last.waker()).is_pending());
    stage.reactor.turn(None).unwrap();
    assert_eq!((first.count(), last.count()), (0, 1));
}

#[test]
fn is_elapsed_uses_the_time_of_the_reactor_and_on_other_threads_the_clock() {
    let stage = Stage::new();
    let mut armed = Timer::at(Instant::now() + Duration::from_nanos(1));
    let timer = Timer::at(Instant::now() + Duration::from_nanos(1));
    let later = Timer::at(Instant::now() + HOUR);
    assert!(!is_done(&mut armed));
    assert!(
        !timer.is_elapsed(),
        "the reactor did not look at the clock yet"
    );
    pass(timer.deadline());
    stage.reactor.turn(None).unwrap();
    assert!(timer.is_elapsed() && !later.is_elapsed());
    let elsewhere = thread::spawn(move || (timer.is_elapsed(), later.is_elapsed()));
    assert_eq!(elsewhere.join().unwrap(), (true, false));
}

#[test]
fn a_timer_moved_to_another_thread_is_polled_by_message() {
    let stage = Stage::new();
    let (here, there) = (CountingWaker::new(), CountingWaker::new());
    let mut timer = Timer::at(Instant::now() + Duration::from_secs(100));
    assert!(poll(&mut timer, &here.waker()).is_pending());
    thread::scope(|s| {
        s.spawn(|| assert!(poll(&mut timer, &there.waker()).is_pending()));
    });
    stage.reactor.turn(None).unwrap();
    assert_eq!(
        stage.limits(),
        [Some(Duration::ZERO)],
        "the one before was woken, and so that no task blocks"
    );
    assert_eq!((here.count(), there.count()), (1, 0));
    timer.reset(Instant::now());
    stage.reactor.turn(None).unwrap();
    assert_eq!(there.count(), 1);
    thread::spawn(move || assert!(is_done(&mut timer)))
        .join()
        .unwrap();
}

#[test]
fn a_timer_dropped_on_another_thread_is_disarmed_by_message() {
    let stage = Stage::new();
    let waker = CountingWaker::new();
    let mut timer = Timer::at(Instant::now() + HOUR);
    assert!(poll(&mut timer, &waker.waker()).is_pending());
    thread::spawn(move || drop(timer)).join().unwrap();
    assert!(stage.reactor.next_deadline().is_some());
    stage.reactor.turn(None).unwrap();
    assert_eq!(stage.reactor.stats().timers, 0);
    assert_eq!(stage.reactor.next_deadline(), None);
}

#[test]
fn a_message_about_a_timer_that_has_fired_wakes_its_waker() {
    let stage = Stage::new();
    let (here, there) = (CountingWaker::new(), CountingWaker::new());
    let deadline = Instant::now() + Duration::from_millis(20);
    let mut timer = Timer::at(deadline);
    assert!(poll(&mut timer, &here.waker()).is_pending());
    let clone = there.waker();
    // The message is sent before the deadline and processed after the timer has fired, unless the
    // thread is so late that the timer has passed for it and no message is sent.
    let asked = Rc::new(Cell::new(false));
    let has_asked = asked.clone();
    stage.script.meanwhile(move || {
        let polled = thread::spawn(move || {
            let asked = poll(&mut timer, &clone).is_pending();
            (timer, asked)
        });
        let (timer, asked) = polled.join().unwrap();
        std::mem::forget(timer);
        has_asked.set(asked);
        pass(deadline);
    });
    stage.reactor.turn(None).unwrap();
    assert_eq!((here.count(), there.count()), (1, 0));
    stage.reactor.turn(None).unwrap();
    assert_eq!(there.count(), usize::from(asked.get()));
}

#[test]
fn a_timer_reset_on_another_thread_is_armed_again_by_its_next_poll() {
    let stage = Stage::new();
    let mut timer = Timer::at(Instant::now() + HOUR);
    assert!(!is_done(&mut timer));
    let mut timer = thread::spawn(move || {
        timer.reset(Instant::now());
        timer
    })
    .join()
    .unwrap();
    stage.reactor.turn(None).unwrap();
    assert!(!is_done(&mut timer), "armed");
    stage.reactor.turn(None).unwrap();
    assert!(is_done(&mut timer));
}

#[test]
fn a_turn_that_an_event_ends_leaves_the_timers_to_the_next_one() {
    let stage = Stage::new();
    let (_source, token) = stage.waiting_source(Waker::noop());
    // Again if this thread was interrupted for so long that the deadline passed before the turn.
    loop {
        let waker = CountingWaker::new();
        let deadline = Instant::now() + Duration::from_millis(5);
        let mut timer = Timer::at(deadline);
        assert!(poll(&mut timer, &waker.waker()).is_pending());
        // The event is found before the deadline, and the thread continues long after it.
        let answer = move || {
            pass(deadline);
            Ok(vec![event(token, Readiness::READABLE)])
        };
        stage
            .script
            .answers
            .borrow_mut()
            .push_back(Box::new(answer));
        stage.reactor.turn(None).unwrap();
        if stage.limits() == [Some(Duration::ZERO)] {
            continue;
        }
        assert_eq!(waker.count(), 0, "the clock was not read after the wait");
        stage.turn_with(&[event(token, Readiness::READABLE)]);
        assert_eq!(waker.count(), 1, "whatever ends the next wait");
        assert_eq!(stage.limits(), [Some(Duration::ZERO)]);
        assert!(is_done(&mut timer));
        return;
    }
}
