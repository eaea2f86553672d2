//! What other threads may do to a reactor: leave a letter, and end its wait.
//!
//! # The protocol
//!
//! The owner's thread is in one of three states, kept in one byte:
//!
//! ```text
//!             before a wait                  another thread
//!   AWAKE ───────────────────▶ ASLEEP ───────────────────────▶ NOTIFIED   (calls the notifier)
//!     ▲ ▲                         │                              │  ▲
//!     │ └─────── after a wait ────┴──────── after a wait ────────┘  │
//!     └──────────────────────── another thread ─────────────────────┘     (no system call)
//! ```
//!
//! *A sender* first puts its letter into the box, then swaps the byte to NOTIFIED, and calls the
//! notifier only if it was ASLEEP before: so at most one system call is made until the next wait,
//! and none while the owner is not waiting. *The owner* goes from AWAKE to ASLEEP before it blocks,
//! and does not block if it finds NOTIFIED; after the wait it swaps back to AWAKE, and only then
//! looks into the box. Either the sender's swap comes after the owner's step to ASLEEP, and notifies,
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

/// Something another thread wants of the reactor. A letter about what is gone does nothing, except
/// that a waker in it is woken.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A source was polled elsewhere and found nothing.
    Wait {
        token: Token,
        direction: Direction,
        waker: Waker,
    },
    /// Somebody waits elsewhere for what is no direction.
    Watch {
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
    letters: Letters<Letter>,
    sleep: SleepFlag,
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
            letters: Letters::new(),
            sleep: SleepFlag::new(),
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

    /// Leaves a letter and ends the wait of the reactor, or gives the letter back if nobody will
    /// ever read it.
    pub(crate) fn post(&self, letter: Letter) -> Result<(), Letter> {
        self.letters.push(letter)?;
        self.notify();
        Ok(())
    }

    /// Ends the current wait, or keeps the next one from blocking.
    pub(crate) fn notify(&self) {
        if self.sleep.notify() {
            self.notify_selector();
        }
    }

    /// Goes to sleep without blocking, for an owner whose descriptor is watched by somebody else's
    /// loop: a notification is passed on, and so shows in it. One that came already is passed on here.
    ///
    /// So is a letter that nobody has read: the wait which it ended has used up its notification.
    pub(crate) fn doze(&self) {
        if !self.try_sleep() || self.has_letters() {
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
        self.wake_up();
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
    /// kernel here, while it certainly is; no registration of it comes after, since the letter comes
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
            .letters
            .push_after(take_back, Letter::Remove { token })
            .is_ok()
        {
            self.notify();
        }
    }

    /// Makes `change`, and lets no letter come meanwhile, unless one is there already. Says whether
    /// it was made.
    pub(crate) fn unless_letters(&self, change: impl FnOnce()) -> bool {
        self.letters.unless_any(change)
    }

    pub(crate) fn count_removal(&self) {
        self.counters.removals.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> Vec<Letter> {
        self.letters.take()
    }

    /// Whether there is anything to take: one plain load.
    pub(crate) fn has_letters(&self) -> bool {
        self.letters.any.load(Ordering::Acquire)
    }

    /// Goes to sleep, unless a notification came since the last time.
    pub(crate) fn try_sleep(&self) -> bool {
        self.sleep.try_sleep()
    }

    pub(crate) fn wake_up(&self) -> bool {
        self.sleep.wake_up()
    }

    /// Lets nothing in any more, and gives out what came before.
    pub(crate) fn close(&self) -> Vec<Letter> {
        unpoisoned(LIVE.write()).retain(|mailbox| mailbox.number != self.number);
        self.letters.close()
    }
}

/// A box that any thread puts things into and one thread empties, all at once.
#[derive(Debug)]
struct Letters<L> {
    /// `None` once it is closed.
    list: Mutex<Option<Vec<L>>>,
    /// Whether the list has anything in it; written under the lock, read without it, so that an
    /// empty box costs its owner one plain load.
    any: AtomicBool,
}

impl<L> Letters<L> {
    fn new() -> Letters<L> {
        Letters {
            list: Mutex::new(Some(Vec::new())),
            any: AtomicBool::new(false),
        }
    }

    fn push(&self, letter: L) -> Result<(), L> {
        self.push_after(|| (), letter)
    }

    /// Does something first that must not be seen without the letter.
    fn push_after(&self, first: impl FnOnce(), letter: L) -> Result<(), L> {
        let mut list = self.list.lock();
        first();
        match &mut *list {
            Some(list) => list.push(letter),
            None => return Err(letter),
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

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const NOTIFIED: u8 = 2;

/// The byte of the protocol above.
#[derive(Debug)]
struct SleepFlag(AtomicU8);

impl SleepFlag {
    fn new() -> SleepFlag {
        SleepFlag(AtomicU8::new(AWAKE))
    }

    /// Whether the caller has to notify the selector.
    fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP
    }

    /// Whether the owner may block now. It calls `wake_up` after, whatever the answer was.
    fn try_sleep(&self) -> bool {
        let step = self
            .0
            .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        step.is_ok()
    }

    /// Whether there was a notification.
    fn wake_up(&self) -> bool {
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_notification_of_a_sleep_has_to_notify_the_selector() {
        let flag = SleepFlag::new();
        assert!(!flag.notify(), "nobody sleeps");
        assert!(!flag.try_sleep(), "that notification was not forgotten");
        assert!(flag.wake_up());
        assert!(flag.try_sleep());
        assert!(flag.notify());
        assert!(!flag.notify() && !flag.notify());
        assert!(flag.wake_up() && flag.try_sleep());
        assert!(!flag.wake_up());
    }

    #[test]
    fn a_closed_box_gives_letters_back() {
        let letters = Letters::new();
        assert_eq!(letters.push(1), Ok(()));
        assert_eq!(letters.close(), [1]);
        assert_eq!(letters.push(2), Err(2));
        assert!(letters.take().is_empty());
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
        letters: Letters<u8>,
        sleep: SleepFlag,
        notifications: AtomicUsize,
    }

    impl Model {
        fn new() -> Arc<Model> {
            Arc::new(Model {
                letters: Letters::new(),
                sleep: SleepFlag::new(),
                notifications: AtomicUsize::new(0),
            })
        }

        fn post(&self, letter: u8) {
            self.letters.push(letter).unwrap();
            if self.sleep.notify() {
                self.notifications.fetch_add(1, Ordering::SeqCst);
            }
        }

        /// One turn of the owner; blocking is spinning until the notifier was called.
        fn turn(&self, seen: &mut usize) -> Vec<u8> {
            if self.sleep.try_sleep() {
                while self.notifications.load(Ordering::SeqCst) == *seen {
                    thread::yield_now();
                }
                *seen += 1;
            }
            self.sleep.wake_up();
            self.letters.take()
        }
    }

    #[test]
    fn no_letter_is_lost_and_nobody_sleeps_over_one() {
        loom::model(|| {
            let model = Model::new();
            let senders: Vec<_> = (1..=2)
                .map(|letter| {
                    let model = model.clone();
                    thread::spawn(move || model.post(letter))
                })
                .collect();
            let (mut got, mut seen) = (model.letters.take(), 0);
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
    fn no_letter_is_lost_on_an_owner_that_dozes() {
        loom::model(|| {
            let model = Model::new();
            let sender = {
                let model = model.clone();
                thread::spawn(move || (1..=2).for_each(|letter| model.post(letter)))
            };
            let (mut got, mut seen) = (Vec::new(), 0);
            loop {
                if !model.sleep.try_sleep() {
                    model.notifications.fetch_add(1, Ordering::SeqCst);
                }
                if got.len() == 2 {
                    break;
                }
                while model.notifications.load(Ordering::SeqCst) == seen {
                    thread::yield_now();
                }
                seen = model.notifications.load(Ordering::SeqCst);
                model.sleep.wake_up();
                got.extend(model.letters.take());
            }
            assert_eq!(got, [1, 2]);
            sender.join().unwrap();
        });
    }

    #[test]
    fn a_letter_posted_while_the_box_closes_is_read_or_given_back() {
        loom::model(|| {
            let letters = Arc::new(Letters::new());
            let sender = {
                let letters = letters.clone();
                thread::spawn(move || letters.push(7).is_ok())
            };
            let got = letters.close();
            let accepted = sender.join().unwrap();
            assert_eq!(accepted, got == [7]);
        });
    }
}
