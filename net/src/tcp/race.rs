//! A race between attempts to connect to the addresses of a host, as in RFC 8305.
//!
//! The resolver has sorted the addresses according to RFC 6724. The families alternate, so that a
//! network with broken IPv6 costs one delay and not one for each address. An attempt without an
//! answer is not canceled: the next one begins beside it after a delay, or at once if it fails. The
//! first connection cancels all other attempts.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use runtime_reactor::Timer;

use crate::error::with_context;

/// The delay before the next attempt that RFC 8305 recommends (section 5, "Connection Attempt
/// Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Alternates the families, beginning with that of the first address, and keeps the order within
/// each (RFC 8305, section 4).
pub(super) fn interleave_families(addrs: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addrs = addrs.peekable();
    let first = addrs.peek().is_some_and(SocketAddr::is_ipv6);
    let (ours, theirs): (Vec<_>, Vec<_>) = addrs.partition(|addr| addr.is_ipv6() == first);
    let mut theirs = theirs.into_iter();
    let mut turns = Vec::with_capacity(ours.len() + theirs.len());
    for addr in ours {
        turns.push(addr);
        turns.extend(theirs.next());
    }
    turns.extend(theirs);
    turns
}

/// Attempts that run concurrently until one succeeds. `attempt` begins one.
pub(super) struct Race<A, F> {
    attempt: A,
    waiting: vec::IntoIter<SocketAddr>,
    running: Vec<(SocketAddr, Pin<Box<F>>)>,
    failed: Vec<(SocketAddr, io::Error)>,
    /// Expires when the next attempt begins even without a failure.
    next: Option<Timer>,
}

impl<A, F, T> Race<A, F>
where
    A: FnMut(SocketAddr) -> F,
    F: Future<Output = io::Result<T>>,
{
    pub(super) fn new(addrs: Vec<SocketAddr>, attempt: A) -> Race<A, F> {
        Race {
            attempt,
            waiting: addrs.into_iter(),
            running: Vec::new(),
            failed: Vec::new(),
            next: None,
        }
    }

    /// Completes with the first success. Dropping the race then cancels the other attempts.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let mut unpolled = 0;
        loop {
            let failures = self.failed.len();
            if let Poll::Ready(winner) = self.poll_attempts(unpolled, cx) {
                return Poll::Ready(Ok(winner));
            }
            if self.waiting.as_slice().is_empty() {
                if self.running.is_empty() {
                    return Poll::Ready(Err(self.all_failed()));
                }
                return Poll::Pending;
            }
            if let Some(next) = &mut self.next {
                if self.failed.len() == failures {
                    ready!(Pin::new(next).poll(cx))?;
                }
            }
            unpolled = self.running.len();
            if let Some(addr) = self.waiting.next() {
                self.running.push((addr, Box::pin((self.attempt)(addr))));
                self.next = Some(Timer::after(ATTEMPT_DELAY));
            }
        }
    }

    /// Polls the running attempts from index `at` on.
    fn poll_attempts(&mut self, mut at: usize, cx: &mut Context<'_>) -> Poll<T> {
        while let Some((addr, attempt)) = self.running.get_mut(at) {
            match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(winner)) => return Poll::Ready(winner),
                Poll::Ready(Err(e)) => {
                    self.failed.push((*addr, e));
                    self.running.remove(at);
                }
                Poll::Pending => at += 1,
            }
        }
        Poll::Pending
    }

    /// Returns all errors as one, with the kind and source of the last.
    #[cold]
    fn all_failed(&mut self) -> io::Error {
        let Some((addr, last)) = self.failed.pop() else {
            unreachable!("a race has an address, and it failed");
        };
        with_context(format!("connect {}to {addr}", self.failures()), last)
    }

    #[cold]
    pub(super) fn timed_out(&self, limit: Duration) -> io::Error {
        let mut text = format!("connect {}", self.failures());
        for (addr, _) in &self.running {
            text += &format!("to {addr}: no answer; ");
        }
        for addr in self.waiting.as_slice() {
            text += &format!("to {addr}: not tried; ");
        }
        text += &format!("the limit of {limit:?} has passed");
        io::Error::new(io::ErrorKind::TimedOut, text)
    }

    /// Returns the failures so far as text, each followed by a semicolon.
    fn failures(&self) -> String {
        let failed = self.failed.iter();
        failed
            .map(|(addr, e)| format!("to {addr}: {e}; "))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::io::ErrorKind;
    use std::rc::Rc;
    use std::task::Waker;
    use std::time::Instant;

    use runtime_reactor::Reactor;
    use runtime_reactor::internal::clock::{self, Clock};

    use super::*;

    const REFUSES: u16 = 1;
    const HANGS: u16 = 2;
    const ANSWERS: u16 = 3;

    /// Records the attempts. The port of an address determines how its attempt ends.
    #[derive(Default)]
    struct Script {
        begun: RefCell<Vec<(u16, Instant)>>,
        /// Counts attempts that neither completed nor were dropped.
        open: Cell<usize>,
    }

    struct Open(Rc<Script>);

    impl Drop for Open {
        fn drop(&mut self) {
            self.0.open.set(self.0.open.get() - 1);
        }
    }

    impl Script {
        async fn attempt(self: Rc<Self>, addr: SocketAddr) -> io::Result<u16> {
            self.begun.borrow_mut().push((addr.port(), clock::now()));
            self.open.set(self.open.get() + 1);
            let _open = Open(self.clone());
            match addr.port() {
                REFUSES => Err(io::Error::from_raw_os_error(libc::ECONNREFUSED)),
                HANGS => std::future::pending().await,
                port => Ok(port),
            }
        }

        fn ports(&self) -> Vec<u16> {
            self.begun.borrow().iter().map(|(port, _)| *port).collect()
        }

        /// Returns when the attempts began, counted from the first.
        fn times(&self) -> Vec<Duration> {
            let begun = self.begun.borrow();
            begun.iter().map(|(_, time)| *time - begun[0].1).collect()
        }
    }

    fn v4(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn v6(port: u16) -> SocketAddr {
        ([0, 0, 0, 0, 0, 0, 0, 1], port).into()
    }

    /// Runs a race to its end on a reactor of its own. The clock stands, and moves from deadline to
    /// deadline.
    fn run(script: &Rc<Script>, ports: &[u16]) -> io::Result<u16> {
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let system = clock::replace(Clock::At(clock::now()));
        let addrs = ports.iter().map(|&port| v4(port)).collect();
        let mut race = Race::new(addrs, |addr| script.clone().attempt(addr));
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(result) = race.poll(&mut cx) {
                clock::replace(system);
                return result;
            }
            let deadline = reactor.next_deadline().expect("the race waits for a timer");
            clock::replace(Clock::At(deadline));
            reactor.turn(Some(Duration::ZERO)).unwrap();
        }
    }

    #[test]
    fn the_families_alternate_beginning_with_the_first() {
        let order = |addrs: &[SocketAddr]| interleave_families(addrs.iter().copied());
        let mixed = [v6(1), v6(2), v6(3), v4(1), v4(2)];
        assert_eq!(order(&mixed), [v6(1), v4(1), v6(2), v4(2), v6(3)]);
        let mixed = [v4(1), v6(1), v6(2), v6(3)];
        assert_eq!(order(&mixed), [v4(1), v6(1), v6(2), v6(3)]);
        assert_eq!(order(&[v4(2), v4(1)]), [v4(2), v4(1)]);
        assert_eq!(order(&[]), []);
    }

    #[test]
    fn an_attempt_that_succeeds_at_once_is_the_only_one() {
        let script = Rc::new(Script::default());
        assert_eq!(run(&script, &[ANSWERS, ANSWERS, HANGS]).unwrap(), ANSWERS);
        assert_eq!(script.ports(), [ANSWERS]);
    }

    #[test]
    fn a_failure_is_followed_at_once() {
        let script = Rc::new(Script::default());
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let addrs = vec![v4(REFUSES), v4(REFUSES), v4(ANSWERS)];
        let mut race = Race::new(addrs, |addr| script.clone().attempt(addr));
        let polled = race.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(ANSWERS))), "{polled:?}");
    }

    #[test]
    fn an_attempt_that_hangs_is_joined_after_a_delay_and_dropped_when_another_succeeds() {
        let script = Rc::new(Script::default());
        let won = run(&script, &[HANGS, HANGS, ANSWERS, ANSWERS]);
        assert_eq!(won.unwrap(), ANSWERS);
        assert_eq!(script.ports(), [HANGS, HANGS, ANSWERS]);
        let delays = [Duration::ZERO, ATTEMPT_DELAY, 2 * ATTEMPT_DELAY];
        assert_eq!(script.times(), delays);
        assert_eq!(script.open.get(), 0, "the other attempts are dropped");
    }

    #[test]
    fn a_failure_beside_an_attempt_that_hangs_is_followed_at_once_too() {
        let script = Rc::new(Script::default());
        assert_eq!(run(&script, &[HANGS, REFUSES, ANSWERS]).unwrap(), ANSWERS);
        let begun = script.ports();
        assert_eq!(begun, [HANGS, REFUSES, ANSWERS]);
        // The second began after the delay, the third with it.
        let delays = [Duration::ZERO, ATTEMPT_DELAY, ATTEMPT_DELAY];
        assert_eq!(script.times(), delays);
    }

    #[test]
    fn the_error_names_the_failure_of_every_attempt() {
        let script = Rc::new(Script::default());
        let error = run(&script, &[REFUSES, REFUSES]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let text = format!("connect to 127.0.0.1:1: {refused}; to 127.0.0.1:1: {refused}");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn the_error_of_an_expired_limit_names_the_state_of_every_address() {
        let script = Rc::new(Script::default());
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let addrs = vec![v4(REFUSES), v4(HANGS), v4(ANSWERS)];
        let mut race = Race::new(addrs, |addr| script.clone().attempt(addr));
        let polled = race.poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let error = race.timed_out(Duration::from_millis(20));
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let text = format!(
            "connect to 127.0.0.1:1: {refused}; to 127.0.0.1:2: no answer; to 127.0.0.1:3: not \
             tried; the limit of 20ms has passed"
        );
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_dropped_race_leaves_no_attempt_and_no_timer() {
        let script = Rc::new(Script::default());
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let mut race = Race::new(vec![v4(HANGS), v4(HANGS)], |addr| {
            script.clone().attempt(addr)
        });
        let polled = race.poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!((script.open.get(), reactor.stats().timers), (1, 1));
        drop(race);
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!((script.open.get(), reactor.stats().timers), (0, 0));
    }
}
