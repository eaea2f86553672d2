//! What other threads may do to an executor: wake its tasks, and send it operations.
//!
//! A sender puts its letter into the box and then, if it is the first one in there, unparks the
//! executor's thread. The executor empties the box before every park, and a park after an unpark
//! does not block: so nothing is lost, whoever is first. Whoever finds a letter in the box can rely
//! on its sender (checked with loom, below).

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, RwLock};
use std::{fmt, io, mem};

use crate::id::REMOTE_BIT;
use crate::park::Unpark;
use crate::scheduler::Scheduler;
use crate::sync::{AtomicBool, Mutex, unpoisoned};
use crate::task::WakerId;

/// Something to be done on the executor's thread. If it never gets there it is dropped; what waits
/// for it learns of that by its drop.
pub(crate) type RemoteOp = Box<dyn FnOnce(&Scheduler) + Send>;

/// What other threads hold of an executor.
pub(crate) struct Inbox {
    /// Never given to another executor of this process.
    pub(crate) number: u32,
    messages: MessageQueue<RemoteOp>,
    unparker: Arc<dyn Unpark>,
    /// Counts the tasks that come from other threads.
    remote_serial: AtomicU32,
}

/// The mailboxes of the executors there are, so that a waker can name its executor by a number.
/// Locked only off the executor's thread.
static INBOXES: RwLock<Vec<Arc<Inbox>>> = RwLock::new(Vec::new());
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

impl Inbox {
    /// Opens an inbox that wakers and handles of this process find by its number.
    pub(crate) fn open(unparker: Arc<dyn Unpark>) -> io::Result<Arc<Inbox>> {
        let mut live = unpoisoned(INBOXES.write());
        if live.len() == WakerId::MAX_EXECUTORS {
            let most = WakerId::MAX_EXECUTORS;
            return Err(io::Error::other(format!(
                "there are {most} runtimes already"
            )));
        }
        let number = loop {
            let next = |number: u32| number.checked_add(1);
            let number = NEXT_NUMBER
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
                .map_err(|_| io::Error::other("this process has had 2^32 runtimes"))?;
            let id = WakerId::new(number, 0, 0);
            // A waker has room for the last bits of the number only: they are of one executor.
            if !live.iter().any(|inbox| id.is_executor(inbox.number)) {
                break number;
            }
        };
        let messages = MessageQueue::new();
        let inbox = Arc::new(Inbox {
            number,
            messages,
            unparker,
            remote_serial: AtomicU32::new(0),
        });
        live.push(inbox.clone());
        Ok(inbox)
    }

    /// The inbox of the executor with this number, unless that executor is gone.
    #[cold]
    pub(crate) fn find(number: u32) -> Option<Arc<Inbox>> {
        unpoisoned(INBOXES.read())
            .iter()
            .find(|inbox| inbox.number == number)
            .cloned()
    }

    /// Wakes a task of whatever executor, from whatever thread. Does nothing if it is gone.
    pub(crate) fn wake(id: WakerId) {
        let unparker = {
            let live = unpoisoned(INBOXES.read());
            let inbox = live
                .iter()
                .find(|inbox| id.is_executor(inbox.number))
                .filter(|inbox| inbox.messages.push_wake(id));
            inbox.map(|inbox| inbox.unparker.clone())
        };
        if let Some(unparker) = unparker {
            unparker.unpark();
        }
    }

    /// Sends the executor an operation, or drops it if nobody is there any more.
    pub(crate) fn send(&self, op: RemoteOp) {
        match self.messages.push(op) {
            Ok(true) => self.unparker.unpark(),
            Ok(false) => {}
            // Dropped here, where no lock is held.
            Err(op) => drop(op),
        }
    }

    /// The serial number of a task that comes from another thread, which needs it at once.
    pub(crate) fn next_remote_serial(&self) -> u32 {
        self.remote_serial.fetch_add(1, Ordering::Relaxed) | REMOTE_BIT
    }

    /// Whether there is anything to take: one plain load.
    pub(crate) fn has_messages(&self) -> bool {
        self.messages.any.load(Ordering::Acquire)
    }

    /// Empties the box into two empty lists, whose capacity it takes in exchange.
    pub(crate) fn take(&self, wakes: &mut Vec<WakerId>, ops: &mut Vec<RemoteOp>) {
        self.messages.take(wakes, ops);
    }

    /// Lets nothing in any more, and gives out the ops that came before.
    pub(crate) fn close(&self) -> Vec<RemoteOp> {
        unpoisoned(INBOXES.write()).retain(|inbox| inbox.number != self.number);
        self.messages.close()
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// A box that any thread puts things into and one thread empties, all at once.
struct MessageQueue<E> {
    /// `None` once it is closed.
    lists: Mutex<Option<Lists<E>>>,
    /// Whether there is anything in the lists; written under the lock, read without it, so that an
    /// empty box costs its owner one plain load.
    any: AtomicBool,
}

struct Lists<E> {
    wakes: Vec<WakerId>,
    ops: Vec<E>,
}

/// From this length on, a list of wakes is rid of doubles before it grows: so it stays as short as
/// there are tasks, however often they are woken while the executor is busy.
const DEDUP_THRESHOLD: usize = 1024;

impl<E> MessageQueue<E> {
    fn new() -> MessageQueue<E> {
        let lists = Lists {
            wakes: Vec::new(),
            ops: Vec::new(),
        };
        MessageQueue {
            lists: Mutex::new(Some(lists)),
            any: AtomicBool::new(false),
        }
    }

    /// Whether the owner is to be unparked.
    fn push_wake(&self, id: WakerId) -> bool {
        let mut lists = self.lists.lock();
        let Some(Lists { wakes, .. }) = &mut *lists else {
            return false;
        };
        if wakes.len() >= DEDUP_THRESHOLD && wakes.len() == wakes.capacity() {
            // By a heap, which is less code than a quicksort.
            *wakes = BinaryHeap::from(mem::take(wakes)).into_sorted_vec();
            wakes.dedup();
            // Or else the next one would soon be sorted in again.
            wakes.reserve(wakes.len());
        }
        wakes.push(id);
        self.mark_nonempty()
    }

    /// Whether the owner is to be unparked, or the op back.
    fn push(&self, op: E) -> Result<bool, E> {
        let mut lists = self.lists.lock();
        let Some(Lists { ops, .. }) = &mut *lists else {
            return Err(op);
        };
        ops.push(op);
        Ok(self.mark_nonempty())
    }

    /// Called under the lock, with a letter that was just put in.
    fn mark_nonempty(&self) -> bool {
        let first = !self.any.load(Ordering::Relaxed);
        self.any.store(true, Ordering::Release);
        first
    }

    fn take(&self, wakes: &mut Vec<WakerId>, ops: &mut Vec<E>) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut lists = self.lists.lock();
        self.any.store(false, Ordering::Relaxed);
        if let Some(lists) = &mut *lists {
            mem::swap(&mut lists.wakes, wakes);
            mem::swap(&mut lists.ops, ops);
        }
    }

    fn close(&self) -> Vec<E> {
        self.lists
            .lock()
            .take()
            .map(|lists| lists.ops)
            .unwrap_or_default()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn wakes_that_nobody_reads_do_not_pile_up() {
        let messages: MessageQueue<()> = MessageQueue::new();
        for n in 0..1_000_000 {
            assert_eq!(messages.push_wake(WakerId::new(0, n % 100, 0)), n == 0);
        }
        let (mut wakes, mut ops) = (Vec::new(), Vec::new());
        messages.take(&mut wakes, &mut ops);
        assert!(wakes.len() <= DEDUP_THRESHOLD);
        wakes.sort_unstable();
        wakes.dedup();
        assert_eq!(wakes.len(), 100, "and none is lost");
    }

    #[test]
    fn a_list_that_is_nearly_full_of_different_wakes_is_not_sorted_for_every_one() {
        let messages: MessageQueue<()> = MessageQueue::new();
        let tasks = 65_535;
        for n in 0..tasks {
            messages.push_wake(WakerId::new(0, n, 0));
        }
        for _ in 0..200_000 {
            messages.push_wake(WakerId::new(0, 7, 0));
        }
        let (mut wakes, mut ops) = (Vec::new(), Vec::new());
        messages.take(&mut wakes, &mut ops);
        assert!(wakes.capacity() <= 4 * tasks as usize);
    }

    #[test]
    fn only_the_first_letter_in_the_box_unparks() {
        let messages = MessageQueue::new();
        let (mut wakes, mut ops) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            assert!(messages.push_wake(WakerId::new(0, 0, 0)));
            assert!(!messages.push_wake(WakerId::new(0, 1, 0)));
            assert_eq!(messages.push(1), Ok(false));
            messages.take(&mut wakes, &mut ops);
        }
    }

    #[test]
    fn a_closed_box_takes_nothing() {
        let messages = MessageQueue::new();
        assert_eq!(messages.push(1), Ok(true));
        assert_eq!(messages.close(), [1]);
        assert_eq!(messages.push(2), Err(2));
        assert!(!messages.push_wake(WakerId::new(0, 0, 0)));
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
            let messages: Arc<MessageQueue<u8>> = Arc::new(MessageQueue::new());
            let sleeper = Arc::new(Sleeper {
                unparked: Mutex::new(false),
                changed: Condvar::new(),
            });
            let waking = {
                let (messages, sleeper) = (messages.clone(), sleeper.clone());
                thread::spawn(move || {
                    if messages.push_wake(WakerId::new(0, 1, 0)) {
                        sleeper.unpark();
                    }
                })
            };
            let sending = {
                let (messages, sleeper) = (messages.clone(), sleeper.clone());
                thread::spawn(move || {
                    if messages.push(2).unwrap() {
                        sleeper.unpark();
                    }
                })
            };
            let (mut wakes, mut ops) = (Vec::new(), Vec::new());
            let (mut woken, mut done) = (0, 0);
            loop {
                messages.take(&mut wakes, &mut ops);
                woken += wakes.drain(..).count();
                done += ops.drain(..).count();
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
            let messages: Arc<MessageQueue<u8>> = Arc::new(MessageQueue::new());
            let senders = [1, 2].map(|n| {
                let messages = messages.clone();
                thread::spawn(move || messages.push(n).is_ok())
            });
            let (mut wakes, mut ops) = (Vec::new(), Vec::new());
            messages.take(&mut wakes, &mut ops);
            let given = ops.len() + messages.close().len();
            let accepted = senders.map(|sender| sender.join().unwrap());
            assert_eq!(given, accepted.iter().filter(|ok| **ok).count());
            assert_eq!(messages.push(3), Err(3));
        });
    }
}
