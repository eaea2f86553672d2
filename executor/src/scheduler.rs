//! The run queue, the tasks in it, and what becomes of them.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::{fmt, io};

use crate::blocking::Pool;
use crate::config::{Config, PanicPolicy};
use crate::context;
use crate::error::JoinError;
use crate::handle::Handle;
use crate::id::{Id, TaskKey};
use crate::inbox::{Inbox, RemoteOp};
use crate::join::JoinHandle;
use crate::park::Unpark;
use crate::task::{
    Label, RemoteJoin, Task, TaskCell, WakerId, drop_catching, state, wake_catching,
};
use crate::task_slab::{Runnable, TaskSlab, VACANT};

/// The executor's state. No code but this crate's runs while any of it is borrowed.
pub(crate) struct Scheduler {
    number: u32,
    tasks: RefCell<TaskSlab>,
    /// Where outputs go that another thread awaits, by slot, as far as the last slot that had one.
    remote_joins: RefCell<Vec<Option<RemoteJoin>>>,
    scratch: RefCell<Scratch>,
    root_woken: Cell<bool>,
    /// The serial number of the task that is being polled, or that of none.
    running: Cell<u32>,
    polls: Cell<u64>,
    handle: Handle,
    panic_policy: PanicPolicy,
    /// A panic that `run_ready` has still to raise.
    panic: Cell<Option<JoinError>>,
    closed: Cell<bool>,
}

/// Empty lists with capacity, to be exchanged for full ones.
#[derive(Default)]
struct Scratch {
    wakes: Vec<WakerId>,
    ops: Vec<RemoteOp>,
}

impl Scheduler {
    pub(crate) fn new(unparker: Arc<dyn Unpark>, config: Config) -> io::Result<Scheduler> {
        let pool = Pool::new(config.pool)?;
        let inbox = Inbox::open(unparker)?;
        Ok(Scheduler {
            number: inbox.number,
            tasks: RefCell::default(),
            remote_joins: RefCell::default(),
            scratch: RefCell::default(),
            root_woken: Cell::new(false),
            running: Cell::new(VACANT),
            polls: Cell::new(0),
            handle: Handle::new(inbox, pool),
            panic_policy: config.panic_policy,
            panic: Cell::new(None),
            closed: Cell::new(false),
        })
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn has_root_wake(&self) -> bool {
        self.root_woken.get()
    }

    pub(crate) fn take_root_wake(&self) -> bool {
        self.root_woken.replace(false)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// How many tasks are ready.
    pub(crate) fn ready(&self) -> usize {
        self.tasks.borrow().queued()
    }

    pub(crate) fn task_count(&self) -> usize {
        self.tasks.borrow().count()
    }

    pub(crate) fn poll_count(&self) -> u64 {
        self.polls.get()
    }

    /// The task that is being polled.
    pub(crate) fn running(&self) -> Option<Id> {
        let serial = self.running.get();
        (serial != VACANT).then(|| Id::new(self.number, serial))
    }

    pub(crate) fn spawn<F, L>(
        &self,
        future: F,
        label: L,
        at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        L: Label + 'static,
    {
        JoinHandle::local(self.spawn_numbered(future, label, at, None))
    }

    pub(crate) fn spawn_numbered<F, L>(
        &self,
        future: F,
        label: L,
        at: &'static Location<'static>,
        serial: Option<u32>,
    ) -> TaskKey
    where
        F: Future + 'static,
        F::Output: 'static,
        L: Label + 'static,
    {
        if self.closed.get() {
            drop_catching(future);
            // No such task: its handle will find that out.
            return TaskKey {
                executor: self.number,
                slot: WakerId::ROOT,
                serial: serial.unwrap_or_else(|| self.tasks.borrow_mut().next_serial()),
            };
        }
        let task = Box::pin(TaskCell::new(future, label, at));
        let mut tasks = self.tasks.borrow_mut();
        let serial = serial.unwrap_or_else(|| tasks.next_serial());
        let slot = tasks.insert(task, serial);
        TaskKey {
            executor: self.number,
            slot,
            serial,
        }
    }

    /// Puts a task into the queue, unless it is there, has finished, or is no more.
    pub(crate) fn wake(&self, id: WakerId) {
        let known = self.tasks.borrow_mut().wake(id);
        if !known && id.slot() == WakerId::ROOT {
            self.root_woken.set(true);
        }
    }

    pub(crate) fn has_messages(&self) -> bool {
        self.handle.inbox().has_messages()
    }

    pub(crate) fn drain_inbox(&self) {
        if self.has_messages() {
            self.run_remote_ops();
        }
    }

    #[cold]
    fn run_remote_ops(&self) {
        let Scratch { mut wakes, mut ops } = self.scratch.take();
        self.handle.inbox().take(&mut wakes, &mut ops);
        for id in wakes.drain(..) {
            self.wake(id);
        }
        for op in ops.drain(..) {
            op(self);
        }
        self.scratch.replace(Scratch { wakes, ops });
    }

    /// Polls the task at the head of the queue, or drops it if it was aborted. Says whether there
    /// was one; a key can outlive its task by finishing after a wake.
    pub(crate) fn run_next(&self) -> bool {
        let turn = self.tasks.borrow_mut().pop();
        let Some(Runnable {
            slot,
            serial,
            mut task,
            aborted,
        }) = turn
        else {
            return false;
        };
        let key = TaskKey {
            executor: self.number,
            slot,
            serial,
        };
        let outside = self.running.replace(serial);
        let polled = if aborted {
            task.as_mut().cancel(key.id(), JoinError::aborted(key.id()));
            Poll::Ready(())
        } else {
            self.polls.set(self.polls.get() + 1);
            // There is nothing to be dropped in it.
            let waker = ManuallyDrop::new(WakerId::new(self.number, slot, serial).waker());
            let poll = || task.as_mut().poll(&mut Context::from_waker(&waker));
            catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|payload| {
                task.as_mut().fail(key.id(), payload);
                Poll::Ready(())
            })
        };
        self.running.set(outside);
        match polled {
            Poll::Ready(()) => self.finish(key, task),
            Poll::Pending => self.put_back(key, task),
        }
        true
    }

    fn put_back(&self, key: TaskKey, task: Pin<Box<dyn Task>>) {
        let mut tasks = self.tasks.borrow_mut();
        match tasks.running_slot(key.slot) {
            Some(slot) => slot.put_back(task),
            // The executor was closed by the task itself.
            None => {
                drop(tasks);
                self.drop_task(key, task);
            }
        }
    }

    /// Hands the output of a finished task to whoever wants it.
    fn finish(&self, key: TaskKey, mut task: Pin<Box<dyn Task>>) {
        let mut tasks = self.tasks.borrow_mut();
        let Some(slot) = tasks.running_slot(key.slot) else {
            drop(tasks);
            return self.drop_output(task);
        };
        slot.set(state::COMPLETE);
        let (watched, mailed) = (slot.is(state::JOIN_INTEREST), slot.is(state::REMOTE_JOIN));
        let join_waker = if watched && !mailed {
            slot.put_back(task);
            let join_waker = slot.join_waker.take();
            drop(tasks);
            join_waker
        } else {
            let (_, join_waker) = tasks.remove(key.slot);
            drop(tasks);
            if let Some(remote_join) = self.take_remote_join(key.slot, mailed) {
                remote_join.deliver(task.as_mut().output());
            }
            self.drop_output(task);
            join_waker
        };
        if let Some(join_waker) = join_waker {
            wake_catching(join_waker);
        }
    }

    fn take_remote_join(&self, slot: u32, mailed: bool) -> Option<RemoteJoin> {
        if !mailed {
            return None;
        }
        self.remote_joins
            .borrow_mut()
            .get_mut(slot as usize)?
            .take()
    }

    /// Drops an output that nobody awaits, if it was not taken; but a panic is not swallowed.
    fn drop_output(&self, mut task: Pin<Box<dyn Task>>) {
        if let Some(error) = task.as_mut().panic() {
            self.unhandled_panic(error);
        }
        drop_catching(task);
    }

    /// Does with a panic that nobody awaits what the policy says. One can be raised at a time; the
    /// others, and those that come too late to be raised, are reported.
    fn unhandled_panic(&self, error: JoinError) {
        if self.panic_policy == PanicPolicy::Report || self.closed.get() {
            return log_panic(error);
        }
        match self.panic.take() {
            None => self.panic.set(Some(error)),
            Some(first) => {
                self.panic.set(Some(first));
                log_panic(error);
            }
        }
    }

    /// Raises the panic that a task left behind, if the policy is that one does.
    pub(crate) fn raise_panic(&self) {
        if let Some(error) = self.panic.take() {
            self.raise(error);
        }
    }

    #[cold]
    fn raise(&self, error: JoinError) -> ! {
        if self.panic_policy == PanicPolicy::ShutDown {
            self.close();
        }
        resume_unwind(error.into_panic());
    }

    fn drop_task(&self, key: TaskKey, mut task: Pin<Box<dyn Task>>) {
        task.as_mut().cancel(key.id(), JoinError::gone(key.id()));
        self.drop_output(task);
    }

    pub(crate) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let ops = self.handle.close();
        let mut tasks = self.tasks.take();
        let remote_joins = self.remote_joins.take();
        for (serial, slot) in tasks.iter_by_serial() {
            let key = TaskKey {
                executor: self.number,
                slot,
                serial,
            };
            let (task, join_waker) = tasks.remove(slot);
            if let Some(task) = task {
                self.drop_task(key, task);
            }
            if let Some(join_waker) = join_waker {
                wake_catching(join_waker);
            }
        }
        // Whoever waits for one of these learns from its drop that nothing will come.
        drop_catching(remote_joins);
        for op in ops {
            drop_catching(op);
        }
        if let Some(error) = self.panic.take() {
            log_panic(error);
        }
    }
}

/// Takes a panic that nobody awaits any more to the executor it belongs to, from any thread.
pub(crate) fn unhandled_panic(error: JoinError) {
    let executor = error.id().executor();
    if let Some(scheduler) = context::get_if(executor) {
        scheduler.unhandled_panic(error);
    } else if let Some(inbox) = Inbox::find(executor) {
        inbox.send(Box::new(move |scheduler| scheduler.unhandled_panic(error)));
    } else {
        log_panic(error);
    }
}

fn log_panic(error: JoinError) {
    // Standard error may be broken, and then there is nobody to be told that.
    let say = || eprintln!("runtime: {error} (nobody holds its JoinHandle)");
    drop_catching(catch_unwind(AssertUnwindSafe(say)));
    drop_catching(error);
}

/// What a join handle finds.
pub(crate) enum JoinPoll {
    /// The task, taken out.
    Complete(Pin<Box<dyn Task>>),
    /// There is no such task, because the executor was closed.
    Gone,
    /// It will be woken.
    Pending,
    /// This is not the thread of the task.
    Remote,
}

/// What join handles ask of the executor of their own thread.
impl Scheduler {
    /// A look at a task that is awaited by `waiter`; calls nobody. Unless it has finished, a waker of
    /// the same is there afterwards, and the one from before in `before`. `None` if that takes a
    /// clone, which is [set](Scheduler::set_join_waker) by the caller.
    #[inline]
    pub(crate) fn poll_join(
        &self,
        key: TaskKey,
        waiter: &Waker,
        before: &mut Option<Waker>,
    ) -> Option<JoinPoll> {
        let mut tasks = self.tasks.borrow_mut();
        let Some(slot) = tasks.get(key.slot, key.serial) else {
            return Some(JoinPoll::Gone);
        };
        if slot.is(state::COMPLETE) {
            return Some(match tasks.remove(key.slot) {
                (Some(task), _) => JoinPoll::Complete(task),
                (None, _) => JoinPoll::Gone,
            });
        }
        let join_waker = slot.join_waker.as_ref();
        if !join_waker.is_some_and(|join_waker| join_waker.will_wake(waiter)) {
            // One of ours is copied without calling anybody.
            let ours = WakerId::of(waiter)?.waker();
            *before = slot.join_waker.replace(ours);
        }
        Some(JoinPoll::Pending)
    }

    /// Exchanges the waker of who awaits a task, if that has not finished.
    pub(crate) fn set_join_waker(&self, key: TaskKey, waker: &mut Option<Waker>) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        let slot = tasks.get(key.slot, key.serial);
        let slot = slot.filter(|slot| !slot.is(state::COMPLETE));
        slot.map(|slot| mem::swap(&mut slot.join_waker, waker))
            .is_some()
    }

    /// Sends the output of a task to another thread.
    pub(crate) fn send_output(&self, key: TaskKey, remote_join: RemoteJoin) {
        let finished = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return;
            };
            if !slot.is(state::JOIN_INTEREST) {
                // Dropped on this thread after it was asked for on another one.
                return;
            }
            if !slot.is(state::COMPLETE) {
                slot.set(state::REMOTE_JOIN);
                let (mut remote_joins, index) = (self.remote_joins.borrow_mut(), key.slot as usize);
                if remote_joins.len() <= index {
                    remote_joins.resize_with(index + 1, || None);
                }
                remote_joins[index] = Some(remote_join);
                return;
            }
            tasks.remove(key.slot).0
        };
        if let Some(mut task) = finished {
            remote_join.deliver(task.as_mut().output());
            self.drop_output(task);
        }
    }

    pub(crate) fn is_finished(&self, key: TaskKey) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        tasks
            .get(key.slot, key.serial)
            .is_none_or(|slot| slot.is(state::COMPLETE))
    }

    /// Queues a task to be dropped instead of polled.
    pub(crate) fn abort(&self, key: TaskKey) {
        self.tasks.borrow_mut().abort(key.slot, key.serial);
    }

    /// A join handle is dropped.
    pub(crate) fn detach(&self, key: TaskKey) {
        let (task, join_waker, remote_join) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return;
            };
            let mailed = slot.is(state::REMOTE_JOIN);
            slot.clear(state::JOIN_INTEREST | state::REMOTE_JOIN);
            let (task, join_waker) = if slot.is(state::COMPLETE) {
                tasks.remove(key.slot)
            } else {
                (None, slot.join_waker.take())
            };
            (task, join_waker, self.take_remote_join(key.slot, mailed))
        };
        if let Some(task) = task {
            self.drop_output(task);
        }
        drop_catching((join_waker, remote_join));
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
