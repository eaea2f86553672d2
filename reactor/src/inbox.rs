//! The part of a reactor that other threads use: they send messages, and end its wait.
//!
//! # The protocol
//!
//! The owner's thread is in one of three states, kept in one byte:
//!
//! ```text
//!             before a wait                   another thread
//!   RUNNING ──────────────────▶ PARKED ───────────────────────▶ NOTIFIED   (notifies the selector)
//!     ▲ ▲                         │                              │  ▲
//!     │ └─────── after a wait ────┴──────── after a wait ────────┘  │
//!     └──────────────────────── another thread ─────────────────────┘     (no system call)
//! ```
//!
//! *A sender* first puts its message into the inbox, then swaps the byte to NOTIFIED, and notifies
//! the selector only if it was PARKED before: so at most one system call is made until the next
//! wait, and none while the owner is not waiting. *The owner* goes from RUNNING to PARKED before it
//! blocks, and does not block if it finds NOTIFIED; after the wait it swaps back to RUNNING, and
//! only then looks into the inbox. Either the sender's swap comes after the owner's step to PARKED,
//! and the selector is notified, or before, and the owner does not block. No message is lost
//! (checked with loom, below).

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use crate::error::shut_down;
use crate::interest::{Direction, Interest};
use crate::message_queue::{MessageQueue, Repeatable, WaitKey};
use crate::stats::Counters;
use crate::sync::{AtomicBool, AtomicU8, RwLock};
use crate::sys::{self, Notify};
use crate::timers::TimerKey;
use crate::token::Token;

/// A message of another thread. If its source or timer no longer exists, the reactor only wakes the
/// waker in the message.
#[derive(Debug)]
pub(crate) enum Message {
    Removal(Removal),
    Request(Request),
}

/// A source or timer that the reactor has to forget.
#[derive(Debug)]
pub(crate) enum Removal {
    /// A source was dropped.
    Source(Token),
    /// A timer was dropped.
    Timer(TimerKey),
    /// A timer was moved; its task is woken to poll it again.
    MovedTimer(TimerKey),
}

/// A wait that began on another thread.
#[derive(Debug)]
pub(crate) enum Request {
    /// A source was polled and found nothing.
    Wait {
        token: Token,
        direction: Direction,
        waker: Waker,
    },
    /// A source was polled for something other than a direction.
    WaitNonDirectional {
        token: Token,
        interest: Interest,
        waker: Waker,
    },
    /// The error of a failed registration was returned to a task that waits.
    Retry { token: Token, interest: Interest },
    /// A timer was polled.
    WaitTimer { key: TimerKey, waker: Waker },
}

impl From<Removal> for Message {
    fn from(removal: Removal) -> Message {
        Message::Removal(removal)
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Message {
        Message::Request(request)
    }
}

impl Repeatable for Message {
    /// Each poll from another thread sends a wait, while the reactor may rest.
    fn repetition_key(&self) -> Option<WaitKey> {
        let (kind, id, waker) = match self {
            Message::Request(Request::Wait {
                token,
                direction,
                waker,
            }) => (direction.index() as u16, token.to_bits(), waker),
            Message::Request(Request::WaitNonDirectional {
                token,
                interest,
                waker,
            }) => (
                0x100 | u16::from(interest.to_bits()),
                token.to_bits(),
                waker,
            ),
            Message::Request(Request::WaitTimer { key, waker }) => (0x200, key.to_bits(), waker),
            Message::Request(Request::Retry { .. }) | Message::Removal(_) => return None,
        };
        let vtable: *const _ = waker.vtable();
        Some((kind, id, waker.data().addr(), vtable.addr()))
    }
}

impl Message {
    /// Returns the waker that waits for an answer.
    pub(crate) fn into_waker(self) -> Option<Waker> {
        match self {
            Message::Request(
                Request::Wait { waker, .. }
                | Request::WaitNonDirectional { waker, .. }
                | Request::WaitTimer { waker, .. },
            ) => Some(waker),
            Message::Request(Request::Retry { .. }) | Message::Removal(_) => None,
        }
    }
}

/// The part of a reactor that other threads use.
pub(crate) struct Inbox {
    /// Never given to another reactor of this process.
    pub(crate) number: u32,
    messages: MessageQueue<Message>,
    park: ParkState,
    /// Replaced in a forked child only.
    notifier: RwLock<Arc<dyn Notify>>,
    /// The process that the inbox belongs to, as a number of `sys::forks`.
    forks: AtomicU32,
    /// True if the clock of the reactor was paused, and may differ from that of other threads.
    own_clock: AtomicBool,
    pub(crate) counters: Arc<Counters>,
}

/// The inboxes of the live reactors, so that a handle can name its reactor by a number instead of
/// holding a counted reference to it. Locked only off the reactor's thread.
static LIVE: RwLock<Vec<Arc<Inbox>>> = RwLock::new(Vec::new());
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

impl Inbox {
    /// Opens an inbox that handles of this process find by its number.
    ///
    /// # Errors
    /// Returns an error if all numbers are used up.
    pub(crate) fn open(
        notifier: Arc<dyn Notify>,
        counters: Arc<Counters>,
    ) -> io::Result<Arc<Inbox>> {
        let next = |number: u32| number.checked_add(1);
        let number = NEXT_NUMBER
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .map_err(|_| io::Error::other("this process has had 2^32 reactors"))?;
        let inbox = Arc::new(Inbox {
            number,
            messages: MessageQueue::new(),
            park: ParkState::new(),
            notifier: RwLock::new(notifier),
            forks: AtomicU32::new(sys::forks()),
            own_clock: AtomicBool::new(false),
            counters,
        });
        LIVE.write().push(inbox.clone());
        Ok(inbox)
    }

    /// Returns the inbox of the reactor with this number, unless that reactor was dropped.
    #[cold]
    pub(crate) fn find(number: u32) -> Option<Arc<Inbox>> {
        LIVE.read()
            .iter()
            .find(|inbox| inbox.number == number)
            .cloned()
    }

    /// Notes that the clock of the reactor may differ from that of other threads.
    pub(crate) fn set_own_clock(&self) {
        self.own_clock.store(true, Ordering::Relaxed);
    }

    /// Returns true if the reactor with this number may have another clock than this thread.
    #[cold]
    pub(crate) fn has_own_clock(number: u32) -> bool {
        Inbox::find(number).is_some_and(|inbox| inbox.own_clock.load(Ordering::Relaxed))
    }

    /// Sends a message to the reactor with this number. `what` is the sender, for the error.
    ///
    /// # Errors
    /// Returns an error if the reactor was dropped.
    #[cold]
    pub(crate) fn send_to(number: u32, message: impl Into<Message>, what: &str) -> io::Result<()> {
        match Inbox::find(number).map(|inbox| inbox.send(message.into())) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(shut_down(what)),
        }
    }

    /// Adds a message to the inbox and ends the wait of the reactor. Returns the message if the
    /// reactor is closed.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        self.messages.push(message)?;
        self.notify();
        Ok(())
    }

    /// Ends the current wait, or keeps the next one from blocking.
    pub(crate) fn notify(&self) {
        if self.park.notify() {
            self.notify_selector();
        }
    }

    /// Parks without blocking, for an owner whose descriptor another loop polls: a notification
    /// then goes to the selector and makes that descriptor readable. An earlier notification is
    /// passed on here.
    ///
    /// A message that was not processed yet is passed on too: the wait that it ended has used up
    /// its notification.
    pub(crate) fn prepare_wait(&self) {
        if !self.try_park() || self.has_messages() {
            self.notify_selector();
        }
    }

    /// Returns true if this process is a fork of the one the inbox belongs to: then the notifier
    /// is the parent's and must not be used.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.forks.load(Ordering::Relaxed) != sys::forks()
    }

    /// Makes the inbox belong to this process, running and with `notifier`.
    pub(crate) fn move_to_this_process(&self, notifier: Arc<dyn Notify>) {
        *self.notifier.write() = notifier;
        self.forks.store(sys::forks(), Ordering::Relaxed);
        self.unpark();
    }

    fn notify_selector(&self) {
        if self.is_forked() {
            return;
        }
        self.counters.notifications.fetch_add(1, Ordering::Relaxed);
        // It fails only if other code has closed the descriptor; there is no caller to report the
        // error to.
        let notified = self.notifier.read().notify();
        debug_assert!(
            notified.is_ok(),
            "the notifier of a live reactor works: {notified:?}"
        );
    }

    /// Sends the removal of a source before its descriptor is closed, so that the reactor never
    /// takes another descriptor of the same number for it. One that may stay open (`open`) is
    /// removed from the kernel here, while it certainly is open. It is not registered afterwards,
    /// because the message comes with the removal.
    pub(crate) fn remove(&self, token: Token, open: Option<RawFd>) {
        let remove_open = || {
            if let Some(fd) = open.filter(|_| !self.is_forked()) {
                self.count_removal();
                self.notifier.read().remove(fd);
            }
        };
        let removal = Removal::Source(token).into();
        // If the reactor was dropped, so was the registration.
        if self.messages.push_after(remove_open, removal).is_ok() {
            self.notify();
        }
    }

    /// Calls `change` while no message can arrive, unless one is there already. Returns true if it
    /// was called.
    pub(crate) fn unless_messages(&self, change: impl FnOnce()) -> bool {
        self.messages.unless_any(change)
    }

    pub(crate) fn count_removal(&self) {
        self.counters.removals.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes all messages.
    pub(crate) fn take(&self) -> Vec<Message> {
        self.messages.take()
    }

    /// Returns true if there are messages, for the price of a plain load.
    pub(crate) fn has_messages(&self) -> bool {
        self.messages.has_any()
    }

    /// Parks the owner. Returns false if a notification came since it was last unparked.
    pub(crate) fn try_park(&self) -> bool {
        self.park.try_park()
    }

    /// Unparks the owner. Returns true if there was a notification.
    pub(crate) fn unpark(&self) -> bool {
        self.park.unpark()
    }

    /// Refuses all further messages and returns the earlier ones.
    pub(crate) fn close(&self) -> Vec<Message> {
        LIVE.write().retain(|inbox| inbox.number != self.number);
        self.messages.close()
    }
}

const RUNNING: u8 = 0;
const PARKED: u8 = 1;
const NOTIFIED: u8 = 2;

/// The byte of the protocol above.
#[derive(Debug)]
struct ParkState(AtomicU8);

impl ParkState {
    fn new() -> ParkState {
        ParkState(AtomicU8::new(RUNNING))
    }

    /// Returns true if the caller has to notify the selector.
    fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }

    /// Returns true if the owner may block now. It calls `unpark` afterwards in either case.
    fn try_park(&self) -> bool {
        let step = self
            .0
            .compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire);
        step.is_ok()
    }

    /// Returns true if there was a notification.
    fn unpark(&self) -> bool {
        self.0.swap(RUNNING, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_notification_of_a_wait_has_to_notify_the_selector() {
        let state = ParkState::new();
        assert!(!state.notify(), "the owner is running");
        assert!(!state.try_park(), "that notification was not forgotten");
        assert!(state.unpark());
        assert!(state.try_park());
        assert!(state.notify());
        assert!(!state.notify() && !state.notify());
        assert!(state.unpark() && state.try_park());
        assert!(!state.unpark());
    }
}

/// Models of the protocol, in every interleaving that loom explores. CONTRIBUTING.md says how to
/// run them.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;

    /// An inbox with its park state, and a notifier that only counts.
    struct Model {
        inbox: MessageQueue<u8>,
        park: ParkState,
        notifications: AtomicUsize,
    }

    impl Model {
        fn new() -> Arc<Model> {
            Arc::new(Model {
                inbox: MessageQueue::new(),
                park: ParkState::new(),
                notifications: AtomicUsize::new(0),
            })
        }

        fn send(&self, message: u8) {
            self.inbox.push(message).unwrap();
            if self.park.notify() {
                self.notifications.fetch_add(1, Ordering::SeqCst);
            }
        }

        /// One turn of the owner; blocking is spinning until the notifier was called.
        fn turn(&self, seen: &mut usize) -> Vec<u8> {
            if self.park.try_park() {
                while self.notifications.load(Ordering::SeqCst) == *seen {
                    thread::yield_now();
                }
                *seen += 1;
            }
            self.park.unpark();
            self.inbox.take()
        }
    }

    #[test]
    fn no_message_is_lost_and_its_owner_wakes_up_for_it() {
        loom::model(|| {
            let model = Model::new();
            let senders: Vec<_> = (1..=2)
                .map(|message| {
                    let model = model.clone();
                    thread::spawn(move || model.send(message))
                })
                .collect();
            let (mut got, mut seen) = (model.inbox.take(), 0);
            while got.len() < 2 {
                got.extend(model.turn(&mut seen));
            }
            got.sort_unstable();
            assert_eq!(got, [1, 2]);
            for sender in senders {
                sender.join().unwrap();
            }
            let notifications = model.notifications.load(Ordering::SeqCst);
            assert!(notifications <= seen + 1, "at most one notification a wait");
        });
    }

    /// The owner whose descriptor another loop polls, which sees only notifications of the
    /// selector.
    #[test]
    fn no_message_is_lost_on_an_owner_that_another_loop_polls() {
        loom::model(|| {
            let model = Model::new();
            let sender = {
                let model = model.clone();
                thread::spawn(move || (1..=2).for_each(|message| model.send(message)))
            };
            let (mut got, mut seen) = (Vec::new(), 0);
            loop {
                if !model.park.try_park() {
                    model.notifications.fetch_add(1, Ordering::SeqCst);
                }
                if got.len() == 2 {
                    break;
                }
                while model.notifications.load(Ordering::SeqCst) == seen {
                    thread::yield_now();
                }
                seen = model.notifications.load(Ordering::SeqCst);
                model.park.unpark();
                got.extend(model.inbox.take());
            }
            assert_eq!(got, [1, 2]);
            sender.join().unwrap();
        });
    }
}
