//! Processing the messages of other threads.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use super::Reactor;
use crate::inbox::{Message, Removal, Request};
use crate::interest::Direction;
use crate::token::Token;
use crate::wake_list::WakeList;

impl Reactor {
    /// Processes the messages of other threads, if there are any.
    #[inline]
    pub(super) fn drain_inbox(&self, woken: &mut WakeList) {
        if self.inbox.has_messages() {
            self.process_messages(woken);
        }
    }

    /// Processes removals first: the descriptor of a dropped source may belong to another source by
    /// now, and must not be registered again. A request is processed while no message can come,
    /// because a source is closed only after its removal was sent.
    #[cold]
    fn process_messages(&self, woken: &mut WakeList) {
        let mut requests = VecDeque::new();
        loop {
            for message in self.inbox.take() {
                match message {
                    Message::Removal(removal) => self.process_removal(removal, woken),
                    Message::Request(request) => requests.push_back(request),
                }
            }
            if requests.is_empty() {
                return;
            }
            self.inbox.unless_messages(|| {
                if let Some(request) = requests.pop_front() {
                    self.process_request(request, woken);
                }
            });
        }
    }

    fn process_removal(&self, removal: Removal, woken: &mut WakeList) {
        match removal {
            Removal::Source(token) => {
                if let Some(registration) = self.take_registration(token) {
                    registration.discard(woken);
                }
            }
            Removal::Timer(key) | Removal::MovedTimer(key) => {
                match (self.remove_timer(key), removal) {
                    (None, _) => {}
                    (Some(waker), Removal::MovedTimer(_)) => woken.push(waker),
                    (Some(waker), _) => woken.discard(waker),
                }
            }
        }
    }

    fn process_request(&self, request: Request, woken: &mut WakeList) {
        match request {
            Request::Wait {
                token,
                direction,
                waker,
            } => self.add_remote_waker(token, direction, waker, woken),
            Request::WaitNonDirectional {
                token,
                interest,
                waker,
            } => self.add_non_directional_waker(token, interest, waker, woken),
            Request::Retry { token, interest } => self.retry(token, interest),
            Request::WaitTimer { key, waker } => {
                let mut timers = self.timers.borrow_mut();
                match timers.waker(key) {
                    // The previous waker is woken instead of dropped: it may belong to another
                    // task.
                    Some(stored) => woken.push(mem::replace(stored, waker)),
                    None => woken.push(waker),
                }
            }
        }
    }

    fn add_remote_waker(
        &self,
        token: Token,
        direction: Direction,
        waker: Waker,
        woken: &mut WakeList,
    ) {
        let mut registrations = self.registrations.borrow_mut();
        let registration = match registrations.get(token) {
            Some(registration) if registration.scheduled.check(direction.interest()).is_ok() => {
                registration
            }
            _ => return woken.push(waker),
        };
        registration.scheduled.clear_readiness(direction);
        if direction == Direction::Write && registration.omits_writing {
            registration.watch_writing(true);
        }
        if registration.waiters().has_waker(direction, &waker) {
            woken.discard(waker);
        } else {
            let turn = self.turn.get();
            registration
                .waiters()
                .add_waker(direction, waker, turn, woken);
        }
        if !registration.is_added {
            // It will be added, and the selector then reports its readiness.
            return;
        }
        if registration.waiters().is_level() {
            // The next wait reports its readiness.
            return;
        }
        self.inbox.counters.reregistrations.add(1);
        let mut selector = self.selector.borrow_mut();
        if !registration.scheduled.is_edge() {
            selector.arm(token, direction);
        }
        if let Err(e) = registration.reregister(&mut **selector) {
            registration.fail(direction.readiness(), &e, woken);
        }
    }
}
