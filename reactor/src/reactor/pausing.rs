//! The turns of a reactor whose clock is paused.
//!
//! The clock moves only when everything rests: no event is there, no message, no work of the owner,
//! and nothing waits for I/O. Then it moves to the next deadline, or to where an
//! `Advance` wants it.

use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Reactor;
use super::deadlines::MAX_WAIT;
use crate::clock::{self, Clock};
use crate::paused::{PauseOwner, Paused};

impl Reactor {
    /// Returns true if the reactor has a clock of its own, because it was paused.
    pub(crate) fn has_own_clock(&self) -> bool {
        self.clock.get() != Clock::System
    }

    /// Returns the clock of this reactor.
    pub(crate) fn own_clock(&self) -> Clock {
        self.clock.get()
    }

    /// Returns the place that has paused the clock, or `None` if it runs.
    pub(crate) fn paused_at(&self) -> Option<&'static Location<'static>> {
        self.paused.borrow().as_ref().map(|paused| paused.paused_at)
    }

    /// Stops the clock at `now`. The caller sets that of the thread.
    pub(crate) fn pause(
        &self,
        now: Instant,
        owner: Rc<dyn PauseOwner>,
        moves_with_io: bool,
        paused_at: &'static Location<'static>,
    ) {
        let paused = Paused {
            owner,
            moves_with_io,
            paused_at,
            reported: Default::default(),
            advances: Default::default(),
        };
        *self.paused.borrow_mut() = Some(Rc::new(paused));
        self.inbox.set_own_clock();
        self.before_turn.set(Some(before_paused_turn));
        self.clock.set(Clock::At(now));
        // What is due where the clock stands is past, also before the first turn.
        self.set_now(now);
    }

    /// Lets the clock run from where it stands. The caller sets that of the thread.
    pub(crate) fn resume(&self, clock: Clock) {
        let paused = self.paused.take();
        self.clock.set(clock);
        self.set_embedded(self.embedded.get());
        let wakers = paused.map(|paused| paused.advances.borrow_mut().take_all());
        wakers.into_iter().flatten().for_each(|waker| waker.wake());
    }

    /// Sets whether another loop polls our descriptor between turns.
    pub(super) fn set_embedded(&self, embedded: bool) {
        self.embedded.set(embedded);
        if self.paused.borrow().is_none() {
            self.before_turn
                .set(embedded.then_some(begin_embedded_turn));
        }
    }

    /// Polls a request to move the clock to `target`, which has the ID `id` after its first poll.
    pub(crate) fn poll_advance(
        &self,
        id: &mut Option<u64>,
        target: Instant,
        cx: &Context<'_>,
    ) -> Poll<()> {
        let Some(paused) = self.paused.borrow().clone() else {
            // The clock was resumed.
            return Poll::Ready(());
        };
        let waker = cx.waker().clone();
        let Some(id) = *id else {
            *id = Some(paused.advances.borrow_mut().add(target, waker));
            return Poll::Pending;
        };
        let stored = paused.advances.borrow_mut().set_waker(id, waker);
        match stored {
            Ok(_unneeded) => Poll::Pending,
            Err(_unneeded) => Poll::Ready(()),
        }
    }

    /// Gives up a request to move the clock.
    pub(crate) fn cancel_advance(&self, id: u64) {
        let paused = self.paused.borrow().clone();
        let waker = paused.and_then(|paused| paused.advances.borrow_mut().remove(id));
        // Dropped where nothing is borrowed.
        drop(waker);
    }

    /// Waits as [`turn`](Reactor::turn) does, by the paused clock. `limit` is not zero.
    fn rest(&self, paused: &Paused, limit: Option<Duration>) -> io::Result<()> {
        if self.pass_standing(Some(Duration::ZERO))? {
            return Ok(());
        }
        // Asked in this order: work that ends in between leaves a notification.
        let is_idle = paused.owner.is_idle();
        if self.inbox.unpark() {
            return Ok(());
        }
        let now = clock::now();
        let target = paused.advances.borrow().earliest();
        let end = limit.and_then(|limit| now.checked_add(limit));
        let next = [self.next_deadline(), target, end]
            .into_iter()
            .flatten()
            .min();
        let is_held_by_io = !paused.moves_with_io && target.is_none() && self.is_io_awaited();
        if !is_idle || is_held_by_io {
            let real = end
                .and(next)
                .map(|next| next.saturating_duration_since(now));
            let may_report = is_idle && limit.is_none() && next.is_some();
            if self.wait_really(paused, real, may_report)? || limit.is_none() {
                return Ok(());
            }
        }
        match next {
            Some(next) => self.move_clock(paused, next.max(now)),
            None if self.is_io_awaited() => self.pass_standing(None).map(|_| ()),
            None => self.wait_for_threads(paused),
        }
    }

    /// Moves the clock to `to`. Completes the requests to do so once no timer is due by then.
    fn move_clock(&self, paused: &Paused, to: Instant) -> io::Result<()> {
        self.clock.set(Clock::At(to));
        clock::replace(Clock::At(to));
        self.read_clock();
        if self.pass_standing(Some(Duration::ZERO))? {
            return Ok(());
        }
        let complete = paused.advances.borrow_mut().take_complete(to);
        complete.into_iter().for_each(|waker| waker.wake());
        Ok(())
    }

    /// Waits by the real clock. Returns true if something has happened.
    fn wait_really(
        &self,
        paused: &Paused,
        limit: Option<Duration>,
        may_report: bool,
    ) -> io::Result<bool> {
        if !may_report || paused.reported.get() {
            return self.pass_for(limit);
        }
        let happened = self.pass_for(Some(paused.owner.patience()))?;
        if !happened {
            paused.reported.set(true);
            paused.owner.report_held_by_io();
        }
        Ok(happened)
    }

    /// Waits for messages of other threads, and gives up at last.
    fn wait_for_threads(&self, paused: &Paused) -> io::Result<()> {
        if !self.pass_for(Some(paused.owner.patience()))? {
            paused.owner.report_stuck();
        }
        Ok(())
    }

    /// Waits for something other than a timer, for all of `limit` if nothing happens, by the real
    /// clock. Returns true if something has happened.
    fn pass_for(&self, limit: Option<Duration>) -> io::Result<bool> {
        let begin = clock::system();
        loop {
            let rest = limit.map(|limit| {
                let passed = clock::system().saturating_duration_since(begin);
                limit.saturating_sub(passed)
            });
            let happened = self.pass_standing(rest)?;
            if happened || rest.is_none_or(|rest| rest.is_zero()) {
                return Ok(happened);
            }
        }
    }

    /// Performs a turn during which the clock stands. Returns true if a waker was called or
    /// dropped, or the wait was ended by a notification.
    #[inline(never)]
    fn pass_standing(&self, limit: Option<Duration>) -> io::Result<bool> {
        self.pass(limit, no_deadline, |woken, notified| {
            notified || !woken.has_nothing()
        })
    }

    /// Returns true if a task waits for a source. O(n).
    fn is_io_awaited(&self) -> bool {
        let registrations = self.registrations.borrow();
        let mut waiters = registrations.iter().flat_map(|it| it.waiting());
        waiters.next().is_some()
    }
}

/// Leaves a limit as it is: the clock of the deadlines stands during the wait.
fn no_deadline(_: &Reactor, limit: Option<Duration>) -> Option<Duration> {
    limit.map(|limit| limit.min(MAX_WAIT))
}

/// Begins a turn of a reactor whose descriptor another loop polls.
fn begin_embedded_turn(reactor: &Reactor, _: Option<Duration>) -> Option<io::Result<()>> {
    reactor.inbox.unpark();
    None
}

/// Takes the place of a turn that may wait.
#[cold]
fn before_paused_turn(reactor: &Reactor, limit: Option<Duration>) -> Option<io::Result<()>> {
    let embedded = reactor.embedded.get();
    if embedded {
        reactor.inbox.unpark();
    }
    if limit == Some(Duration::ZERO) {
        return None;
    }
    let paused = reactor.paused.borrow().clone()?;
    let turned = reactor.rest(&paused, limit);
    if embedded {
        // The rest may have taken a notification.
        reactor.inbox.prepare_wait();
    }
    Some(turned)
}
