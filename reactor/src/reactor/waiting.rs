//! The waits of sources on the thread of their reactor.

use std::io;
use std::task::{Context, Poll, Waker};

use super::Reactor;
use crate::error::shut_down;
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;
use crate::wake_list::{WakeList, wake_all};

impl Reactor {
    /// Returns the part of `interest` that is ready. If none is, arranges for the task of `cx` to
    /// be woken once some is.
    pub(crate) fn poll_ready(
        &self,
        token: Token,
        interest: Interest,
        cx: &Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let checked = {
            let mut registrations = self.registrations.borrow_mut();
            let registration = registrations.get(token).ok_or_else(unknown_source)?;
            let ready = registration.scheduled.readiness().satisfying(interest);
            registration.scheduled.check(interest).map(|()| ready)
        };
        let ready = checked.map_err(|e| self.failed(token, interest, e))?;
        if !ready.is_empty() {
            return Poll::Ready(Ok(ready));
        }
        for direction in interest.directions() {
            // Cloning a waker is foreign code, and so is dropping it: nothing is borrowed then.
            self.add_waker(token, direction, cx.waker().clone())?;
        }
        if !interest.non_directional().is_empty() {
            self.wait_non_directional(token, interest, cx)?;
        }
        Poll::Pending
    }

    /// Stores the waker for `direction` if nothing prevents that; otherwise leaves it for
    /// [`add_waker`](Reactor::add_waker). Runs no foreign code.
    #[inline]
    pub(crate) fn try_add_waker(
        &self,
        token: Token,
        direction: Direction,
        waker: &mut Option<Waker>,
    ) {
        if let Some(registration) = self.registrations.borrow_mut().get(token) {
            if registration.scheduled.may_just_wait(direction) {
                registration.waiters().try_add_waker(direction, waker);
            }
        }
    }

    /// Arranges for `waker` to be woken when `direction` becomes ready.
    pub(crate) fn add_waker(
        &self,
        token: Token,
        direction: Direction,
        waker: Waker,
    ) -> io::Result<()> {
        let mut registrations = self.registrations.borrow_mut();
        let registration = registrations.get(token).ok_or_else(unknown_source)?;
        if let Err(e) = registration.scheduled.check(direction.interest()) {
            drop(registrations);
            return Err(self.failed(token, direction.interest(), e));
        }
        if registration.scheduled.is_ready(direction) {
            // Cloning the waker was foreign code, and turned the reactor.
            drop(registrations);
            waker.wake();
            return Ok(());
        }
        if registration.waiters().has_waker(direction, &waker) {
            drop(registrations);
            return Ok(());
        }
        if !registration.scheduled.is_edge() {
            self.selector.borrow_mut().arm(token, direction);
        }
        let mut woken = self.woken.borrow_mut();
        let turn = self.turn.get();
        let waiters = registration.waiters();
        waiters.add_waker(direction, waker, turn, &mut woken);
        drop(registrations);
        drop(woken);
        wake_all(&self.woken);
        Ok(())
    }

    /// Arranges for the task of `cx` to be woken once the non-directional part of `interest` may
    /// have come.
    #[cold]
    pub(crate) fn wait_non_directional(
        &self,
        token: Token,
        interest: Interest,
        cx: &Context<'_>,
    ) -> io::Result<()> {
        match self.registrations.borrow_mut().get(token) {
            Some(registration) => registration.scheduled.check_supported(interest)?,
            None => return Err(unknown_source()),
        }
        // Cloning a waker is foreign code, so nothing is borrowed.
        let waker = cx.waker().clone();
        let mut woken = self.woken.borrow_mut();
        self.add_non_directional_waker(token, interest, waker, &mut woken);
        drop(woken);
        wake_all(&self.woken);
        Ok(())
    }

    /// Stores `waker`, or moves it to `woken` at once if its condition is already true or its
    /// registration has failed.
    pub(super) fn add_non_directional_waker(
        &self,
        token: Token,
        interest: Interest,
        waker: Waker,
        woken: &mut WakeList,
    ) {
        let mut registrations = self.registrations.borrow_mut();
        let interest = interest.non_directional();
        let Some(registration) = registrations.get(token) else {
            return woken.push(waker);
        };
        let ready = registration.scheduled.readiness().satisfying(interest);
        if !ready.is_empty() || registration.scheduled.check(interest).is_err() {
            return woken.push(waker);
        }
        let turn = self.turn.get();
        let waiters = registration.waiters();
        if let Some(known) = waiters.add_non_directional_waker(waker, turn, woken) {
            woken.discard(known);
        }
        let mut selector = self.selector.borrow_mut();
        selector.arm_non_directional(token, interest);
    }
}

fn unknown_source() -> io::Error {
    shut_down("this source")
}
