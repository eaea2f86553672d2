//! What other threads may do to a reactor: leave a message, and end its wait.
//!
//! # The protocol
//!
//! The owner's thread is in one of three states, kept in one byte:
//!
//! ```text
//!             before a wait                  another thread
//!   RUNNING ───────────────────▶ PARKED ───────────────────────▶ NOTIFIED   (calls the notifier)
//!     ▲ ▲                         │                              │  ▲
//!     │ └─────── after a wait ────┴──────── after a wait ────────┘  │
//!     └──────────────────────── another thread ─────────────────────┘     (no system call)
//! ```
//!
//! *A sender* first puts its message into the box, then swaps the byte to NOTIFIED, and calls the
//! notifier only if it was PARKED before: so at most one system call is made until the next wait,
//! and none while the owner is not waiting. *The owner* goes from RUNNING to PARKED before it blocks,
//! and does not block if it finds NOTIFIED; after the wait it swaps back to RUNNING, and only then
//! looks into the box. Either the sender's swap comes after the owner's step to PARKED, and notifies,
//! or before, and the owner does not block. Nothing is lost (checked with loom, below).

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, RwLock};
use std::task::Waker;

use crate::interest::{Direction, Interest};
use crate::stats::Counters;
use crate::sync::{AtomicBool, AtomicU8, Mutex, unpoisoned};
use crate::sys::{self, Notify};
use crate::timers::TimerKey;
use crate::token::Token;

/// Something another thread wants of the reactor. A message about what is gone does nothing, except
/// that a waker in it is woken.
#[derive(Debug)]
pub(crate) enum Message {
    /// A source was polled elsewhere and found nothing.
    Wait {
        token: Token,
        direction: Direction,
        waker: Waker,
    },
    /// Somebody waits elsewhere for what is no direction.
    WaitNonDirectional {
        token: Token,
        interest: Interest,
        waker: Waker,
    },
    /// Who waits elsewhere was told that the registration failed.
    Retry { token: Token, interest: Interest },
    /// A source was dropped elsewhere.
    Remove { token: Token },
    /// A timer was polled elsewhere.
    TimerWait { key: TimerKey, waker: Waker },
    /// A timer was dropped elsewhere.
    TimerRemove { key: TimerKey },
    /// A timer was moved elsewhere: whoever awaits it has to poll it again.
    TimerMove { key: TimerKey },
}

/// What other threads hold of a reactor.
pub(crate) struct Mailbox {
    /// Never given to another reactor of this process.
    pub(crate) number: u32,
    inbox: Inbox<Message>,
    park: ParkState,
    /// Replaced in a forked child only.
    notifier: RwLock<Arc<dyn Notify>>,
    /// Which process it belongs to, in `sys::forks`.
    forks: AtomicU32,
    pub(crate) counters: Arc<Counters>,
}

/// The mailboxes of the reactors there are, so that a handle can name its reactor by a number
/// instead of holding a counted reference to it. Locked only off the reactor's thread.
static LIVE: RwLock<Vec<Arc<Mailbox>>> = RwLock::new(Vec::new());
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

impl Mailbox {
    /// Opens a mailbox that handles of this process find by its number.
    ///
    /// # Errors
    /// When all numbers are used up.
    pub(crate) fn open(
        notifier: Arc<dyn Notify>,
        counters: Arc<Counters>,
    ) -> io::Result<Arc<Mailbox>> {
        let next = |number: u32| number.checked_add(1);
        let number = NEXT_NUMBER
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .map_err(|_| io::Error::other("this process has had 2^32 reactors"))?;
        let mailbox = Arc::new(Mailbox {
            number,
            inbox: Inbox::new(),
            park: ParkState::new(),
            notifier: RwLock::new(notifier),
            forks: AtomicU32::new(sys::forks()),
            counters,
        });
        unpoisoned(LIVE.write()).push(mailbox.clone());
        Ok(mailbox)
    }

    /// The mailbox of the reactor with this number, unless that reactor is gone.
    #[cold]
    pub(crate) fn find(number: u32) -> Option<Arc<Mailbox>> {
        unpoisoned(LIVE.read())
            .iter()
            .find(|mailbox| mailbox.number == number)
            .cloned()
    }

    /// Leaves a message and ends the wait of the reactor, or gives the message back if nobody will
    /// ever read it.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        self.inbox.push(message)?;
        self.notify();
        Ok(())
    }

    /// Ends the current wait, or keeps the next one from blocking.
    pub(crate) fn notify(&self) {
        if self.park.notify() {
            self.notify_selector();
        }
    }

    /// Goes to sleep without blocking, for an owner whose descriptor is watched by somebody else's
    /// loop: a notification is passed on, and so shows in it. One that came already is passed on here.
    ///
    /// So is a message that nobody has read: the wait which it ended has used up its notification.
    pub(crate) fn prepare_wait(&self) {
        if !self.try_park() || self.has_messages() {
            self.notify_selector();
        }
    }

    /// Whether this process is a fork of the one it belongs to: then it must not touch the notifier,
    /// which is the parent's.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.forks.load(Ordering::Relaxed) != sys::forks()
    }

    /// Makes it belong to this process, awake and with `notifier`.
    pub(crate) fn move_to_this_process(&self, notifier: Arc<dyn Notify>) {
        *unpoisoned(self.notifier.write()) = notifier;
        self.forks.store(sys::forks(), Ordering::Relaxed);
        self.unpark();
    }

    fn notify_selector(&self) {
        if self.is_forked() {
            return;
        }
        self.counters.notifications.fetch_add(1, Ordering::Relaxed);
        // It fails only when the descriptor is not what we made it, and who could be told?
        let notified = unpoisoned(self.notifier.read()).notify();
        debug_assert!(
            notified.is_ok(),
            "the notifier of a live reactor works: {notified:?}"
        );
    }

    /// Says that a source is gone, before its descriptor is closed, so that the reactor never takes
    /// another one of the same number for it. One that may stay open (`fd`) is taken back from the
    /// kernel here, while it certainly is; no registration of it comes after, since the message comes
    /// with it.
    pub(crate) fn remove(&self, token: Token, open: Option<RawFd>) {
        let take_back = || {
            if let Some(fd) = open.filter(|_| !self.is_forked()) {
                self.count_removal();
                unpoisoned(self.notifier.read()).remove(fd);
            }
        };
        // If the reactor is gone, so is the registration.
        if self
            .inbox
            .push_after(take_back, Message::Remove { token })
            .is_ok()
        {
            self.notify();
        }
    }

    /// Makes `change`, and lets no message come meanwhile, unless one is there already. Says whether
    /// it was made.
    pub(crate) fn unless_messages(&self, change: impl FnOnce()) -> bool {
        self.inbox.unless_any(change)
    }

    pub(crate) fn count_removal(&self) {
        self.counters.removals.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> Vec<Message> {
        self.inbox.take()
    }

    /// Whether there is anything to take: one plain load.
    pub(crate) fn has_messages(&self) -> bool {
        self.inbox.any.load(Ordering::Acquire)
    }

    /// Goes to sleep, unless a notification came since the last time.
    pub(crate) fn try_park(&self) -> bool {
        self.park.try_park()
    }

    pub(crate) fn unpark(&self) -> bool {
        self.park.unpark()
    }

    /// Lets nothing in any more, and gives out what came before.
    pub(crate) fn close(&self) -> Vec<Message> {
        unpoisoned(LIVE.write()).retain(|mailbox| mailbox.number != self.number);
        self.inbox.close()
    }
}

/// A box that any thread puts things into and one thread empties, all at once.
#[derive(Debug)]
struct Inbox<L> {
    /// `None` once it is closed.
    list: Mutex<Option<Vec<L>>>,
    /// Whether the list has anything in it; written under the lock, read without it, so that an
    /// empty box costs its owner one plain load.
    any: AtomicBool,
}

impl<L> Inbox<L> {
    fn new() -> Inbox<L> {
        Inbox {
            list: Mutex::new(Some(Vec::new())),
            any: AtomicBool::new(false),
        }
    }

    fn push(&self, message: L) -> Result<(), L> {
        self.push_after(|| (), message)
    }

    /// Does something first that must not be seen without the message.
    fn push_after(&self, first: impl FnOnce(), message: L) -> Result<(), L> {
        let mut list = self.list.lock();
        first();
        match &mut *list {
            Some(list) => list.push(message),
            None => return Err(message),
        }
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    fn unless_any(&self, change: impl FnOnce()) -> bool {
        let list = self.list.lock();
        let is_empty = list.as_ref().is_none_or(Vec::is_empty);
        if is_empty {
            change();
        }
        is_empty
    }

    fn take(&self) -> Vec<L> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut list = self.list.lock();
        self.any.store(false, Ordering::Relaxed);
        list.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn close(&self) -> Vec<L> {
        self.list.lock().take().unwrap_or_default()
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

    /// Whether the caller has to notify the selector.
    fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }

    /// Whether the owner may block now. It calls `unpark` after, whatever the answer was.
    fn try_park(&self) -> bool {
        let step = self
            .0
            .compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire);
        step.is_ok()
    }

    /// Whether there was a notification.
    fn unpark(&self) -> bool {
        self.0.swap(RUNNING, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_notification_of_a_sleep_has_to_notify_the_selector() {
        let flag = ParkState::new();
        assert!(!flag.notify(), "nobody sleeps");
        assert!(!flag.try_park(), "that notification was not forgotten");
        assert!(flag.unpark());
        assert!(flag.try_park());
        assert!(flag.notify());
        assert!(!flag.notify() && !flag.notify());
        assert!(flag.unpark() && flag.try_park());
        assert!(!flag.unpark());
    }

    #[test]
    fn a_closed_inbox_returns_messages() {
        let inbox = Inbox::new();
        assert_eq!(inbox.push(1), Ok(()));
        assert_eq!(inbox.close(), [1]);
        assert_eq!(inbox.push(2), Err(2));
        assert!(inbox.take().is_empty());
    }
}

/// Models of the protocol, in every interleaving that loom can think of. CONTRIBUTING.md says how
/// to run them.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;

    /// A mailbox with its flag, and a notifier that only counts.
    struct Model {
        inbox: Inbox<u8>,
        park: ParkState,
        notifications: AtomicUsize,
    }

    impl Model {
        fn new() -> Arc<Model> {
            Arc::new(Model {
                inbox: Inbox::new(),
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
            assert!(
                notifications <= seen + 1,
                "at most one notification a sleep"
            );
        });
    }

    /// The owner whose descriptor is watched by somebody else's loop, which sees only notifications of the selector.
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

    #[test]
    fn a_message_sent_while_the_inbox_closes_is_received_or_returned() {
        loom::model(|| {
            let inbox = Arc::new(Inbox::new());
            let sender = {
                let inbox = inbox.clone();
                thread::spawn(move || inbox.push(7).is_ok())
            };
            let got = inbox.close();
            let accepted = sender.join().unwrap();
            assert_eq!(accepted, got == [7]);
        });
    }
}
