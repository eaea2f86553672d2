//! The messages that other threads send to an executor: wakes of its tasks, and operations on them.
//!
//! A sender puts its message into the inbox and then, if the inbox was empty, unparks the
//! executor's thread. The executor drains the inbox before every park, and a park after an unpark
//! does not block. So no message is left there while the thread is blocked, in whichever order
//! these happen, and the executor sees what the sender did before it sent (checked with loom,
//! below).

use std::collections::BinaryHeap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::{fmt, io, mem};

use crate::discard::discard;
use crate::error::JoinError;
use crate::id::{Id, REMOTE_BIT, TaskKey};
use crate::park::Unpark;
use crate::sync::{AtomicBool, Mutex, RwLock};
use crate::task::Task;
use crate::task::output::{Abort, RemoteJoin};
use crate::unhandled::log_panic;
use crate::unwind::drop_catching;
use crate::waker_id::WakerId;

/// An operation that is performed on the executor's thread.
pub(crate) enum RemoteOp {
    /// Spawns a task, and sends its output to the handle that the spawning thread holds.
    Spawn {
        task: Pin<Box<dyn Task + Send>>,
        remote: Arc<RemoteTask>,
        join: RemoteJoin,
    },
    /// Sends the output of a task to its handle, which was moved to another thread.
    RequestOutput { key: TaskKey, join: RemoteJoin },
    /// Drops a task instead of polling it.
    Abort(TaskKey),
    /// The same for a task that another thread spawned.
    AbortRemote(Arc<RemoteTask>),
    /// The join handle of a task was dropped.
    Detach(TaskKey),
    /// A task panicked whose join handle was dropped.
    UnhandledPanic(JoinError),
    /// Runs a closure of this workspace, which must neither block nor panic.
    Call(Box<dyn RemoteCall + Send>),
}

/// A closure that other threads send to an executor. Its drop stores an error as the output.
pub(crate) trait RemoteCall {
    fn run(self: Box<Self>);
}

impl RemoteOp {
    /// Drops an operation that reached no executor.
    pub(crate) fn reject(self) {
        match self {
            RemoteOp::UnhandledPanic(error) => log_panic(error),
            RemoteOp::Spawn { task, join, .. } => {
                discard(Box::new(task));
                // This completes the handle.
                drop_catching(join);
            }
            // The drop of a `RemoteJoin` completes its handle.
            op => drop_catching(op),
        }
    }
}

/// A task that another thread spawned.
pub(crate) struct RemoteTask {
    id: Id,
    inbox: Arc<Inbox>,
    /// Set when the message that spawns the task has arrived.
    slot: OnceLock<u32>,
    /// True if it was aborted before that message was handled. Accessed on the executor's thread.
    aborted: AtomicBool,
}

impl RemoteTask {
    pub(crate) fn new(id: Id, inbox: Arc<Inbox>) -> Arc<RemoteTask> {
        Arc::new(RemoteTask {
            id,
            inbox,
            slot: OnceLock::new(),
            aborted: AtomicBool::new(false),
        })
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn set_slot(&self, slot: u32) {
        let first = self.slot.set(slot);
        debug_assert!(first.is_ok(), "a task is spawned once");
    }

    /// Notes an abort that is handled before the message that spawns the task: by a nested
    /// `run_ready`, called by foreign code while earlier messages are handled.
    pub(crate) fn set_aborted(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Returns the key of the task, once it has arrived.
    pub(crate) fn key(&self) -> Option<TaskKey> {
        self.slot.get().map(|slot| self.id.key(*slot))
    }
}

impl Abort for RemoteTask {
    fn abort(self: Arc<Self>) {
        let inbox = self.inbox.clone();
        inbox.send(RemoteOp::AbortRemote(self));
    }

    fn is_finished(&self) -> bool {
        Inbox::find(self.id.executor()).is_none()
    }

    fn key(&self) -> Option<TaskKey> {
        RemoteTask::key(self)
    }
}

/// The part of an executor that other threads share.
pub(crate) struct Inbox {
    /// Unique in this process: never reused.
    number: u32,
    messages: MessageQueue<RemoteOp>,
    unparker: Arc<dyn Unpark>,
    /// The thread of the executor.
    thread: ThreadId,
    /// The number of tasks and blocking jobs that came from other threads.
    remote_serial: AtomicU32,
}

/// The inboxes of all live executors, by which a waker's number finds its executor. Locked only off
/// the executor's thread, and when one is made or closed.
static INBOXES: RwLock<Vec<Arc<Inbox>>> = RwLock::new(Vec::new());
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

impl Inbox {
    /// Opens an inbox that wakers and handles of this process find by its number.
    pub(crate) fn open(unparker: Arc<dyn Unpark>) -> io::Result<Arc<Inbox>> {
        let mut inboxes = INBOXES.write();
        let max = WakerId::MAX_EXECUTORS;
        if inboxes.len() == max {
            let text = format!("this process has {max} runtimes already: drop one first");
            return Err(io::Error::other(text));
        }
        let number = loop {
            let next = |number: u32| number.checked_add(1);
            let number = NEXT_NUMBER
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
                .map_err(|_| io::Error::other("this process has made 2^32 runtimes"))?;
            let id = WakerId::new(number, 0, 0);
            // A waker holds only the low bits of the number. They must be unique among the live.
            if !inboxes
                .iter()
                .any(|inbox| id.matches_executor(inbox.number))
            {
                break number;
            }
        };
        let inbox = Arc::new(Inbox {
            number,
            messages: MessageQueue::new(),
            unparker,
            thread: thread::current().id(),
            remote_serial: AtomicU32::new(0),
        });
        inboxes.push(inbox.clone());
        Ok(inbox)
    }

    /// Returns true on the thread of the executor.
    pub(crate) fn is_of_this_thread(&self) -> bool {
        self.thread == thread::current().id()
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Returns the inbox of the executor with this number, unless that executor was dropped.
    #[cold]
    pub(crate) fn find(number: u32) -> Option<Arc<Inbox>> {
        INBOXES
            .read()
            .iter()
            .find(|inbox| inbox.number == number)
            .cloned()
    }

    /// Wakes a task of any executor, from any thread. Does nothing if that executor was dropped.
    pub(crate) fn wake(id: WakerId) {
        let unparker = {
            let inboxes = INBOXES.read();
            let inbox = inboxes
                .iter()
                .find(|inbox| id.matches_executor(inbox.number))
                .filter(|inbox| inbox.messages.push_wake(id));
            inbox.map(|inbox| inbox.unparker.clone())
        };
        if let Some(unparker) = unparker {
            unparker.unpark();
        }
    }

    /// Sends an operation to the executor, or rejects it if the inbox is closed.
    pub(crate) fn send(&self, op: RemoteOp) {
        match self.messages.push(op) {
            Ok(true) => self.unparker.unpark(),
            Ok(false) => {}
            // No lock is held here.
            Err(op) => op.reject(),
        }
    }

    /// Ends the wait of the executor's owner, or keeps the next one from blocking.
    pub(crate) fn unpark(&self) {
        self.unparker.unpark();
    }

    /// Returns the identity of a task or blocking job that comes from another thread. It is needed
    /// before the message arrives.
    pub(crate) fn next_remote_id(&self) -> Id {
        let serial = self.remote_serial.fetch_add(1, Ordering::Relaxed) | REMOTE_BIT;
        Id::new(self.number, serial)
    }

    /// Returns true if there is a message. One plain load.
    pub(crate) fn has_messages(&self) -> bool {
        self.messages.nonempty.load(Ordering::Acquire)
    }

    /// Moves all messages to two empty lists, and keeps the capacity of these.
    pub(crate) fn take(&self, wakes: &mut Vec<WakerId>, ops: &mut Vec<RemoteOp>) {
        self.messages.take(wakes, ops);
    }

    /// Closes the inbox and returns the operations that are still in it.
    pub(crate) fn close(&self) -> Vec<RemoteOp> {
        INBOXES.write().retain(|inbox| inbox.number != self.number);
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

/// A queue that any thread pushes to and one thread empties, all at once.
struct MessageQueue<T> {
    /// `None` once the queue is closed.
    lists: Mutex<Option<Lists<T>>>,
    /// True if a list has an element. Written under the lock and read without it, so that an empty
    /// queue costs its owner one plain load.
    nonempty: AtomicBool,
}

struct Lists<T> {
    wakes: Vec<WakerId>,
    ops: Vec<T>,
}

/// From this length on, a list of wakes is deduplicated before it grows. So its length is bounded
/// by the number of tasks, however often they are woken while the executor is busy.
const DEDUP_THRESHOLD: usize = 1024;

impl<T> MessageQueue<T> {
    fn new() -> MessageQueue<T> {
        let lists = Lists {
            wakes: Vec::new(),
            ops: Vec::new(),
        };
        MessageQueue {
            lists: Mutex::new(Some(lists)),
            nonempty: AtomicBool::new(false),
        }
    }

    /// Pushes a wake, unless the queue is closed. Returns true if the owner must be unparked.
    fn push_wake(&self, id: WakerId) -> bool {
        let mut lists = self.lists.lock();
        let Some(Lists { wakes, .. }) = &mut *lists else {
            return false;
        };
        if wakes.len() >= DEDUP_THRESHOLD && wakes.len() == wakes.capacity() {
            // Sorted by a heap, which is less code than a quicksort.
            *wakes = BinaryHeap::from(mem::take(wakes)).into_sorted_vec();
            wakes.dedup();
            // Without spare capacity the next wake would soon sort the list again.
            wakes.reserve(wakes.len());
        }
        wakes.push(id);
        self.mark_nonempty()
    }

    /// Pushes an operation, and returns true if the owner must be unparked. Returns the operation
    /// if the queue is closed.
    fn push(&self, op: T) -> Result<bool, T> {
        let mut lists = self.lists.lock();
        let Some(Lists { ops, .. }) = &mut *lists else {
            return Err(op);
        };
        ops.push(op);
        Ok(self.mark_nonempty())
    }

    /// Returns true if the queue was empty. Called under the lock, after a push.
    fn mark_nonempty(&self) -> bool {
        let was_empty = !self.nonempty.load(Ordering::Relaxed);
        self.nonempty.store(true, Ordering::Release);
        was_empty
    }

    fn take(&self, wakes: &mut Vec<WakerId>, ops: &mut Vec<T>) {
        if !self.nonempty.load(Ordering::Acquire) {
            return;
        }
        let mut lists = self.lists.lock();
        self.nonempty.store(false, Ordering::Relaxed);
        if let Some(lists) = &mut *lists {
            mem::swap(&mut lists.wakes, wakes);
            mem::swap(&mut lists.ops, ops);
        }
    }

    fn close(&self) -> Vec<T> {
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
    fn wakes_that_are_not_read_do_not_pile_up() {
        let messages: MessageQueue<()> = MessageQueue::new();
        for n in 0..1_000_000 {
            assert_eq!(messages.push_wake(WakerId::new(0, n % 100, 0)), n == 0);
        }
        let (mut wakes, mut ops) = (Vec::new(), Vec::new());
        messages.take(&mut wakes, &mut ops);
        assert!(wakes.len() <= DEDUP_THRESHOLD);
        wakes.sort_unstable();
        wakes.dedup();
        assert_eq!(wakes.len(), 100, "none is lost");
    }

    #[test]
    fn a_list_nearly_full_of_different_wakes_is_not_sorted_for_each_further_one() {
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
    fn only_the_first_message_in_the_inbox_unparks() {
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
    fn a_closed_inbox_accepts_nothing() {
        let messages = MessageQueue::new();
        assert_eq!(messages.push(1), Ok(true));
        assert_eq!(messages.close(), [1]);
        assert_eq!(messages.push(2), Err(2));
        assert!(!messages.push_wake(WakerId::new(0, 0, 0)));
    }
}

/// Models of the protocol, checked in every interleaving that loom explores. CONTRIBUTING.md says
/// how to run them.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    /// The contract of `Park` and `Unpark`, and nothing more.
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
    fn no_wake_and_no_operation_is_left_while_the_thread_is_parked() {
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
    fn an_operation_is_taken_once_or_rejected_when_the_inbox_is_closed() {
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
