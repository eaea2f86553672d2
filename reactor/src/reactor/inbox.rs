//! What other threads ask of a reactor.

use std::task::Waker;

use super::Reactor;
use crate::interest::Direction;
use crate::mailbox::Message;
use crate::slot::Registration;
use crate::token::Token;
use crate::wake_list::WakeList;

impl Reactor {
    /// Does what other threads asked for.
    #[inline]
    pub(super) fn drain_inbox(&self, woken: &mut WakeList) {
        if self.mailbox.has_messages() {
            self.process_messages(woken);
        }
    }

    /// Removals come first: a descriptor whose source is gone may be another one's by now, and must
    /// not be renewed.
    #[cold]
    fn process_messages(&self, woken: &mut WakeList) {
        let messages = self.mailbox.take();
        for message in &messages {
            match *message {
                Message::Remove { token } => {
                    if let Some(registration) = self.take_registration(token) {
                        registration.discard(woken);
                    }
                }
                Message::TimerRemove { key } => {
                    if let Some(waker) = self.remove_timer(key) {
                        woken.discard(waker);
                    }
                }
                Message::TimerMove { key } => {
                    if let Some(waker) = self.remove_timer(key) {
                        woken.push(waker);
                    }
                }
                Message::Wait { .. }
                | Message::WaitNonDirectional { .. }
                | Message::Retry { .. }
                | Message::TimerWait { .. } => {}
            }
        }
        for message in messages {
            match message {
                Message::Wait {
                    token,
                    direction,
                    waker,
                } => self.add_remote_waker(token, direction, waker, woken),
                Message::WaitNonDirectional {
                    token,
                    interest,
                    waker,
                } => self.add_non_directional_waker(token, interest, waker, woken),
                Message::Retry { token, interest } => self.retry(token, interest),
                Message::TimerWait { key, waker } => {
                    let mut timers = self.timers.borrow_mut();
                    match timers.waker(key) {
                        // The one before is woken instead of dropped: it may be another task's.
                        Some(place) => woken.push(std::mem::replace(place, waker)),
                        None => woken.push(waker),
                    }
                }
                Message::Remove { .. }
                | Message::TimerRemove { .. }
                | Message::TimerMove { .. } => {}
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
        let registration = registrations.get(token);
        let has_no_error = |registration: &&mut Registration| {
            registration.scheduled.error(direction.interest()).is_ok()
        };
        let Some(registration) = registration.filter(has_no_error) else {
            return woken.push(waker);
        };
        registration.scheduled.clear(direction);
        if registration.has_waker(direction, &waker) {
            woken.discard(waker);
        } else {
            registration.add_waker(direction, waker, self.turn.get(), woken);
        }
        if !registration.is_added {
            // It will be, and then what is true is told.
            return;
        }
        self.mailbox.counters.renewals.add(1);
        let mut selector = self.selector.borrow_mut();
        if !registration.scheduled.is_edge() {
            selector.arm(token, direction);
        }
        if let Err(e) = registration.scheduled.reregister(&mut **selector) {
            registration.fail(direction.readiness(), &e, woken);
        }
    }
}
