//! What other threads ask of a reactor.

use super::Reactor;
use crate::mailbox::Letter;
use crate::slot::Slot;
use crate::wake_list::WakeList;

impl Reactor {
    /// Does what other threads asked for. Removals come first: a descriptor whose source is gone
    /// may be another one's by now, and must not be renewed.
    pub(super) fn read_mail(&self, woken: &mut WakeList) {
        if !self.mailbox.has_letters() {
            return;
        }
        let letters = self.mailbox.take();
        let (removals, waits): (Vec<_>, Vec<_>) = letters.into_iter().partition(|letter| {
            use Letter::{Remove, TimerMove, TimerRemove};
            matches!(
                letter,
                Remove { .. } | TimerRemove { .. } | TimerMove { .. }
            )
        });
        for letter in removals.into_iter().chain(waits) {
            match letter {
                Letter::Remove { key } => {
                    woken.discard(self.take_slot(key).into_iter().flat_map(Slot::into_wakers));
                }
                Letter::TimerRemove { key } => {
                    woken.discard(self.timers.borrow_mut().remove(key));
                }
                Letter::TimerMove { key } => {
                    woken.extend(self.timers.borrow_mut().remove(key));
                }
                Letter::Wait {
                    key,
                    direction,
                    waker,
                } => {
                    let mut slots = self.slots.borrow_mut();
                    let Some(slot) = slots.get(key) else {
                        woken.push(waker);
                        continue;
                    };
                    if slot.home.error(direction.interest()).is_err() {
                        woken.push(waker);
                        continue;
                    }
                    slot.home.clear(direction);
                    if slot.has_waiter(direction, &waker) {
                        woken.discard([waker]);
                    } else {
                        slot.push_waiter(direction, waker, self.turn.get(), woken);
                    }
                    if !slot.is_added {
                        // It will be, and then what is true is told.
                        continue;
                    }
                    self.mailbox.counters.renewals.add(1);
                    let mut selector = self.selector.borrow_mut();
                    if !slot.home.is_edge() {
                        selector.arm(key, direction);
                    }
                    if let Err(e) = slot.home.renew(&mut **selector) {
                        let errno = e.raw_os_error().unwrap_or(libc::EIO);
                        slot.deliver_rare(direction.readiness(), errno, woken);
                    }
                }
                Letter::Watch {
                    key,
                    interest,
                    waker,
                } => self.add_watcher(key, interest, waker, woken),
                Letter::Retry { key, interest } => self.retry(key, interest),
                Letter::TimerWait { key, waker } => {
                    let mut timers = self.timers.borrow_mut();
                    match timers.waker(key) {
                        // The one before is woken instead of dropped: it may be another task's.
                        Some(place) => woken.push(std::mem::replace(place, waker)),
                        None => woken.push(waker),
                    }
                }
            }
        }
    }
}
