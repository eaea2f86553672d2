//! What other threads may do to an executor: wake its tasks, and send it on errands.
//!
//! A sender puts its letter into the box and then, if it is the first one in there, unparks the
//! executor's thread. The executor empties the box before every park, and a park after an unpark
//! does not block: so nothing is lost, whoever is first. Whoever finds a letter in the box can rely
//! on its sender (checked with loom, below).

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, RwLock};
use std::{fmt, io, mem};

use crate::core::Core;
use crate::park::Unpark;
use crate::sync::{AtomicBool, Mutex, unpoisoned};
use crate::task::WakerWord;

/// Something to be done on the executor's thread. If it never gets there it is dropped; what waits
/// for it learns of that by its drop.
pub(crate) type Errand = Box<dyn FnOnce(&Core) + Send>;

/// What other threads hold of an executor.
pub(crate) struct Mailbox {
    /// Never given to another executor of this process.
    pub(crate) number: u32,
    letters: Letters<Errand>,
    unparker: Arc<dyn Unpark>,
    /// Counts the tasks posted from other threads; see `Core::posted_serial`.
    pub(crate) posted: AtomicU32,
}

/// The mailboxes of the executors there are, so that a waker can name its executor by a number.
/// Locked only off the executor's thread.
static LIVE: RwLock<Vec<Arc<Mailbox>>> = RwLock::new(Vec::new());
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

impl Mailbox {
    /// Opens a mailbox that wakers and handles of this process find by its number.
    pub(crate) fn open(unparker: Arc<dyn Unpark>) -> io::Result<Arc<Mailbox>> {
        let mut live = unpoisoned(LIVE.write());
        if live.len() == WakerWord::MOST_EXECUTORS {
            let most = WakerWord::MOST_EXECUTORS;
            return Err(io::Error::other(format!(
                "there are {most} runtimes already"
            )));
        }
        let number = loop {
            let next = |number: u32| number.checked_add(1);
            let number = NEXT_NUMBER
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
                .map_err(|_| io::Error::other("this process has had 2^32 runtimes"))?;
            let word = WakerWord::new(number, 0, 0);
            // A waker has room for the last bits of the number only: they are of one executor.
            if !live.iter().any(|mailbox| word.is_executor(mailbox.number)) {
                break number;
            }
        };
        let letters = Letters::new();
        let mailbox = Arc::new(Mailbox {
            number,
            letters,
            unparker,
            posted: AtomicU32::new(0),
        });
        live.push(mailbox.clone());
        Ok(mailbox)
    }

    /// The mailbox of the executor with this number, unless that executor is gone.
    #[cold]
    pub(crate) fn find(number: u32) -> Option<Arc<Mailbox>> {
        unpoisoned(LIVE.read())
            .iter()
            .find(|mailbox| mailbox.number == number)
            .cloned()
    }

    /// Wakes a task of whatever executor, from whatever thread. Does nothing if it is gone.
    pub(crate) fn wake(word: WakerWord) {
        let unparker = {
            let live = unpoisoned(LIVE.read());
            let mailbox = live
                .iter()
                .find(|mailbox| word.is_executor(mailbox.number))
                .filter(|mailbox| mailbox.letters.push_wake(word));
            mailbox.map(|mailbox| mailbox.unparker.clone())
        };
        if let Some(unparker) = unparker {
            unparker.unpark();
        }
    }

    /// Sends the executor on an errand, or drops it if nobody is there any more.
    pub(crate) fn post(&self, errand: Errand) {
        match self.letters.push(errand) {
            Ok(true) => self.unparker.unpark(),
            Ok(false) => {}
            // Dropped here, where no lock is held.
            Err(errand) => drop(errand),
        }
    }

    /// Whether there is anything to take: one plain load.
    pub(crate) fn has_letters(&self) -> bool {
        self.letters.any.load(Ordering::Acquire)
    }

    /// Empties the box into two empty lists, whose capacity it takes in exchange.
    pub(crate) fn take(&self, wakes: &mut Vec<WakerWord>, errands: &mut Vec<Errand>) {
        self.letters.take(wakes, errands);
    }

    /// Lets nothing in any more, and gives out the errands that came before.
    pub(crate) fn close(&self) -> Vec<Errand> {
        unpoisoned(LIVE.write()).retain(|mailbox| mailbox.number != self.number);
        self.letters.close()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// A box that any thread puts things into and one thread empties, all at once.
struct Letters<E> {
    /// `None` once it is closed.
    lists: Mutex<Option<Lists<E>>>,
    /// Whether there is anything in the lists; written under the lock, read without it, so that an
    /// empty box costs its owner one plain load.
    any: AtomicBool,
}

struct Lists<E> {
    wakes: Vec<WakerWord>,
    errands: Vec<E>,
}

/// From this length on, a list of wakes is rid of doubles before it grows: so it stays as short as
/// there are tasks, however often they are woken while the executor is busy.
const MANY_WAKES: usize = 1024;

impl<E> Letters<E> {
    fn new() -> Letters<E> {
        let lists = Lists {
            wakes: Vec::new(),
            errands: Vec::new(),
        };
        Letters {
            lists: Mutex::new(Some(lists)),
            any: AtomicBool::new(false),
        }
    }

    /// Whether the owner is to be unparked.
    fn push_wake(&self, word: WakerWord) -> bool {
        let mut lists = self.lists.lock();
        let Some(Lists { wakes, .. }) = &mut *lists else {
            return false;
        };
        if wakes.len() >= MANY_WAKES && wakes.len() == wakes.capacity() {
            // By a heap, which is less code than a quicksort.
            *wakes = BinaryHeap::from(mem::take(wakes)).into_sorted_vec();
            wakes.dedup();
            // Or else the next one would soon be sorted in again.
            wakes.reserve(wakes.len());
        }
        wakes.push(word);
        self.is_first()
    }

    /// Whether the owner is to be unparked, or the errand back.
    fn push(&self, errand: E) -> Result<bool, E> {
        let mut lists = self.lists.lock();
        let Some(Lists { errands, .. }) = &mut *lists else {
            return Err(errand);
        };
        errands.push(errand);
        Ok(self.is_first())
    }

    /// Called under the lock, with a letter that was just put in.
    fn is_first(&self) -> bool {
        let first = !self.any.load(Ordering::Relaxed);
        self.any.store(true, Ordering::Release);
        first
    }

    fn take(&self, wakes: &mut Vec<WakerWord>, errands: &mut Vec<E>) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut lists = self.lists.lock();
        self.any.store(false, Ordering::Relaxed);
        if let Some(lists) = &mut *lists {
            mem::swap(&mut lists.wakes, wakes);
            mem::swap(&mut lists.errands, errands);
        }
    }

    fn close(&self) -> Vec<E> {
        self.lists
            .lock()
            .take()
            .map(|lists| lists.errands)
            .unwrap_or_default()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn wakes_that_nobody_reads_do_not_pile_up() {
        let letters: Letters<()> = Letters::new();
        for n in 0..1_000_000 {
            assert_eq!(letters.push_wake(WakerWord::new(0, n % 100, 0)), n == 0);
        }
        let (mut wakes, mut errands) = (Vec::new(), Vec::new());
        letters.take(&mut wakes, &mut errands);
        assert!(wakes.len() <= MANY_WAKES);
        wakes.sort_unstable();
        wakes.dedup();
        assert_eq!(wakes.len(), 100, "and none is lost");
    }

    #[test]
    fn a_list_that_is_nearly_full_of_different_wakes_is_not_sorted_for_every_one() {
        let letters: Letters<()> = Letters::new();
        let tasks = 65_535;
        for n in 0..tasks {
            letters.push_wake(WakerWord::new(0, n, 0));
        }
        for _ in 0..200_000 {
            letters.push_wake(WakerWord::new(0, 7, 0));
        }
        let (mut wakes, mut errands) = (Vec::new(), Vec::new());
        letters.take(&mut wakes, &mut errands);
        assert!(wakes.capacity() <= 4 * tasks as usize);
    }

    #[test]
    fn only_the_first_letter_in_the_box_unparks() {
        let letters = Letters::new();
        let (mut wakes, mut errands) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            assert!(letters.push_wake(WakerWord::new(0, 0, 0)));
            assert!(!letters.push_wake(WakerWord::new(0, 1, 0)));
            assert_eq!(letters.push(1), Ok(false));
            letters.take(&mut wakes, &mut errands);
        }
    }

    #[test]
    fn a_closed_box_takes_nothing() {
        let letters = Letters::new();
        assert_eq!(letters.push(1), Ok(true));
        assert_eq!(letters.close(), [1]);
        assert_eq!(letters.push(2), Err(2));
        assert!(!letters.push_wake(WakerWord::new(0, 0, 0)));
    }
}

/// Models in every interleaving that loom can think of. CONTRIBUTING.md says how to run them.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    /// What `Park` and `Unpark` promise, and nothing more.
    struct Sleeper {
        unparked: Mutex<bool>,
        changed: Condvar,
    }

    impl Sleeper {
        fn park(&self) {
            let mut unparked = self.unparked.lock().unwrap();
            while !*unparked {
                unparked = self.changed.wait(unparked).unwrap();
            }
            *unparked = false;
        }

        fn unpark(&self) {
            *self.unparked.lock().unwrap() = true;
            self.changed.notify_one();
        }
    }

    #[test]
    fn no_wake_and_no_errand_is_slept_over() {
        loom::model(|| {
            let letters: Arc<Letters<u8>> = Arc::new(Letters::new());
            let sleeper = Arc::new(Sleeper {
                unparked: Mutex::new(false),
                changed: Condvar::new(),
            });
            let waking = {
                let (letters, sleeper) = (letters.clone(), sleeper.clone());
                thread::spawn(move || {
                    if letters.push_wake(WakerWord::new(0, 1, 0)) {
                        sleeper.unpark();
                    }
                })
            };
            let sending = {
                let (letters, sleeper) = (letters.clone(), sleeper.clone());
                thread::spawn(move || {
                    if letters.push(2).unwrap() {
                        sleeper.unpark();
                    }
                })
            };
            let (mut wakes, mut errands) = (Vec::new(), Vec::new());
            let (mut woken, mut done) = (0, 0);
            loop {
                letters.take(&mut wakes, &mut errands);
                woken += wakes.drain(..).count();
                done += errands.drain(..).count();
                if woken + done == 2 {
                    break;
                }
                sleeper.park();
            }
            assert_eq!((woken, done), (1, 1));
            waking.join().unwrap();
            sending.join().unwrap();
        });
    }

    #[test]
    fn an_errand_is_given_out_once_or_refused_when_the_box_is_closed() {
        loom::model(|| {
            let letters: Arc<Letters<u8>> = Arc::new(Letters::new());
            let senders = [1, 2].map(|n| {
                let letters = letters.clone();
                thread::spawn(move || letters.push(n).is_ok())
            });
            let (mut wakes, mut errands) = (Vec::new(), Vec::new());
            letters.take(&mut wakes, &mut errands);
            let given = errands.len() + letters.close().len();
            let accepted = senders.map(|sender| sender.join().unwrap());
            assert_eq!(given, accepted.iter().filter(|ok| **ok).count());
            assert_eq!(letters.push(3), Err(3));
        });
    }
}
