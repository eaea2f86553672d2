//! The clock of a reactor that is paused: when it moves, and what the reactor waits for before. The
//! script records the limits of the waits, which take no time.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::{Stage, event};
use crate::interest::Readiness;
use crate::paused::{DEFAULT_PATIENCE, PauseOwner};
use crate::timer::Timer;
use crate::wake_list::tests::CountingWaker;
use crate::{advance, clock};

const HOUR: Duration = Duration::from_secs(3600);
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

/// An owner without tasks that counts the reports.
struct Owner {
    held: Cell<u32>,
    patience: Duration,
}

impl Owner {
    fn new() -> Rc<Owner> {
        Owner::with_patience(DEFAULT_PATIENCE)
    }

    fn without_patience() -> Rc<Owner> {
        Owner::with_patience(Duration::ZERO)
    }

    fn with_patience(patience: Duration) -> Rc<Owner> {
        let held = Cell::new(0);
        Rc::new(Owner { held, patience })
    }
}

impl PauseOwner for Owner {
    fn is_idle(&self) -> bool {
        true
    }

    fn report_stuck(&self) -> ! {
        panic!("nothing is left")
    }

    fn report_held_by_io(&self) {
        self.held.set(self.held.get() + 1);
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

/// Returns a stage whose clock is paused. It does not move while I/O is awaited.
fn paused(owner: Rc<dyn PauseOwner>) -> Stage {
    let stage = Stage::new();
    advance::pause(&stage.reactor, owner, false, Location::caller());
    stage
}

/// Polls a timer, which is pending.
fn arm(timer: &mut Timer, waker: &Waker) {
    let polled = Pin::new(timer).poll(&mut Context::from_waker(waker));
    assert!(polled.is_pending());
}

/// Asserts that a wait lasts as long as the owner's patience, less what has passed since `begin`.
fn assert_patient(limit: Option<Duration>, begin: Instant) {
    let patience = DEFAULT_PATIENCE;
    let limit = limit.expect("a limit");
    assert!(limit <= patience && limit + begin.elapsed() >= patience);
}

#[test]
fn the_clock_moves_to_each_deadline_without_a_wait() {
    let stage = paused(Owner::new());
    let start = clock::now();
    let wakers = [CountingWaker::new(), CountingWaker::new()];
    let mut timers = [2 * HOUR, HOUR].map(|after| Timer::at(start + after));
    for (timer, waker) in timers.iter_mut().zip(&wakers) {
        arm(timer, &waker.waker());
    }
    stage.reactor.turn(None).unwrap();
    assert_eq!(clock::now(), start + HOUR, "exactly");
    assert_eq!([wakers[0].count(), wakers[1].count()], [0, 1]);
    stage.reactor.turn(None).unwrap();
    assert_eq!(clock::now(), start + 2 * HOUR);
    assert_eq!([wakers[0].count(), wakers[1].count()], [1, 1]);
    assert_eq!(stage.limits(), [AT_ONCE; 4]);
}

#[test]
fn a_timer_that_is_due_is_past_before_the_first_turn() {
    let stage = Stage::new();
    // The clock of the system goes on before it is stopped.
    let created = Instant::now();
    while Instant::now() == created {}
    let owner = Owner::new();
    advance::pause(&stage.reactor, owner, false, Location::caller());
    let mut timer = Timer::at(clock::now());
    let polled = Pin::new(&mut timer).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready() && timer.is_elapsed());
    arm(
        &mut Timer::at(clock::now() + Duration::from_nanos(1)),
        Waker::noop(),
    );
    assert_eq!(stage.limits(), []);
}

#[test]
fn a_reactor_with_nothing_left_waits_five_seconds_for_other_threads() {
    let stage = paused(Owner::new());
    let begin = Instant::now();
    let notifier = stage.reactor.notifier();
    stage.script.tell(Vec::new());
    // Ended early without a reason, and continued.
    stage.script.tell(Vec::new());
    stage.script.meanwhile(move || notifier.notify());
    stage.reactor.turn(None).unwrap();
    let limits = stage.limits();
    assert_eq!((limits.len(), limits[0]), (3, AT_ONCE));
    assert_patient(limits[1], begin);
    assert_patient(limits[2], begin);
    assert!(limits[2] <= limits[1], "the time that has passed counts");
}

#[test]
fn a_reactor_with_nothing_left_is_reported_after_that() {
    let stage = paused(Owner::without_patience());
    let start = clock::now();
    let turned = catch_unwind(AssertUnwindSafe(|| stage.reactor.turn(None)));
    let payload = turned.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"nothing is left"));
    assert_eq!(stage.limits(), [AT_ONCE; 2]);
    // The reactor works as before.
    let mut timer = Timer::at(start + HOUR);
    arm(&mut timer, Waker::noop());
    stage.reactor.turn(None).unwrap();
    assert_eq!(clock::now(), start + HOUR);
}

#[test]
fn io_that_keeps_the_clock_is_reported_once_and_waited_for_without_limit() {
    let owner = Owner::without_patience();
    let stage = paused(owner.clone());
    let (start, woken) = (clock::now(), CountingWaker::new());
    let mut timer = Timer::at(start + HOUR);
    arm(&mut timer, Waker::noop());
    let (source, token) = stage.waiting_source(&woken.waker());
    stage.reactor.turn(None).unwrap();
    assert_eq!((owner.held.get(), stage.limits()), (1, vec![AT_ONCE; 2]));
    for waits in [[AT_ONCE, None], [AT_ONCE, None]] {
        stage.script.tell(Vec::new());
        stage.turn_with(&[event(token, Readiness::WRITABLE)]);
        assert_eq!(stage.limits(), waits);
    }
    assert_eq!((owner.held.get(), clock::now()), (1, start));
    stage.script.tell(Vec::new());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    assert_eq!((woken.count(), clock::now()), (1, start));
    drop(source);
    stage.reactor.turn(None).unwrap();
    assert_eq!(clock::now(), start + HOUR, "nothing keeps it now");
}

#[test]
fn io_keeps_the_clock_for_five_seconds_before_it_is_reported() {
    let owner = Owner::new();
    let stage = paused(owner.clone());
    let begin = Instant::now();
    let mut timer = Timer::after(HOUR);
    arm(&mut timer, Waker::noop());
    let woken = CountingWaker::new();
    let (_source, token) = stage.waiting_source(&woken.waker());
    stage.script.tell(Vec::new());
    stage.turn_with(&[event(token, Readiness::READABLE)]);
    let limits = stage.limits();
    assert_eq!((limits.len(), limits[0]), (2, AT_ONCE));
    assert_patient(limits[1], begin);
    assert_eq!((woken.count(), owner.held.get()), (1, 0));
}
