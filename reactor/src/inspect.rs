//! A look at what waits in a reactor, and for what.

use std::os::fd::RawFd;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::interest::Direction;
use crate::lateness::Lateness;
use crate::reactor::Reactor;
use crate::scheduled_io::Target;

/// The object of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// A descriptor that becomes readable.
    Read(RawFd),
    /// A descriptor that becomes writable.
    Write(RawFd),
    /// A hang-up, an error or urgent data of a descriptor.
    Event(RawFd),
    /// The exit of a process.
    Process(u32),
    /// A deadline.
    Deadline(Instant),
}

/// Calls `visit` with each waker that waits in a reactor. `visit` must run no foreign code: it must
/// neither clone, wake nor drop a waker, and not use the reactor.
///
/// The waker of a wait that was abandoned may still be there: it stays until the source becomes
/// ready or is dropped. Waits of other threads that have not arrived yet are missing.
pub fn visit_waiters(reactor: &Reactor, mut visit: impl FnMut(Awaited, &Waker)) {
    reactor.visit_waiting_sources(&mut visit);
    reactor.visit_timers(|deadline, waker| visit(Awaited::Deadline(deadline), waker));
}

/// Returns the descriptors that are registered with a reactor.
pub fn descriptors(reactor: &Reactor) -> Vec<RawFd> {
    let mut found = Vec::new();
    reactor.visit_targets(|target| {
        if let Target::Fd(fd) = target {
            found.push(fd);
        }
    });
    found
}

/// Returns the number of timers that were ever armed in a reactor.
pub fn timers_armed(reactor: &Reactor) -> u64 {
    reactor.timers().armed()
}

/// Makes a reactor count the lateness of its timers.
pub fn count_lateness(reactor: &Reactor) {
    reactor.timers_mut().count_lateness();
}

/// Returns the lateness of the timers of a reactor, if it is [counted](count_lateness).
pub fn lateness(reactor: &Reactor) -> Option<Lateness> {
    reactor.timers().lateness().copied()
}

/// Returns the time since a reactor was made, by the clock.
pub fn age(reactor: &Reactor) -> Duration {
    reactor.age()
}

impl Reactor {
    fn visit_waiting_sources(&self, visit: &mut impl FnMut(Awaited, &Waker)) {
        for registration in self.registrations().iter() {
            let target = registration.scheduled.target;
            for (direction, waker) in registration.waiting() {
                let awaited = match (target, direction) {
                    (Target::Process(id), _) => Awaited::Process(id),
                    (Target::Fd(fd), Some(Direction::Read)) => Awaited::Read(fd),
                    (Target::Fd(fd), Some(Direction::Write)) => Awaited::Write(fd),
                    (Target::Fd(fd), None) => Awaited::Event(fd),
                };
                visit(awaited, waker);
            }
        }
    }

    fn visit_timers(&self, mut visit: impl FnMut(Instant, &Waker)) {
        for (nanos, waker) in self.timers().iter() {
            visit(self.epoch() + Duration::from_nanos(nanos), waker);
        }
    }

    fn visit_targets(&self, mut visit: impl FnMut(Target)) {
        for registration in self.registrations().iter() {
            visit(registration.scheduled.target);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::timer::Timer;
    use crate::wake_list::tests::CountingWaker;

    #[test]
    fn a_deadline_is_visited_with_the_waker_that_waits_for_it() {
        let reactor = Reactor::new().unwrap();
        let _guard = reactor.enter();
        let waiting = CountingWaker::new();
        let waker = waiting.waker();
        let mut timer = std::pin::pin!(Timer::after(Duration::from_secs(60)));
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(Future::poll(timer.as_mut(), &mut cx).is_pending());
        let mut found = Vec::new();
        visit_waiters(&reactor, |awaited, by| {
            found.push((awaited, by.will_wake(&waker)));
        });
        let Awaited::Deadline(deadline) = found[0].0 else {
            panic!("{found:?}");
        };
        assert_eq!((found.len(), found[0].1), (1, true));
        // The reactor counts whole nanoseconds.
        assert_eq!(deadline, timer.deadline());
    }
}
