//! The state of an executor: its tasks, their queue, and the outputs that other threads await.
//!
//! `wake`, `context` and `scheduler` import each other. The circle is inherent to a waker that is a
//! number: waking looks up the scheduler of the thread, and the scheduler makes wakers.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::{fmt, io, mem};

use crate::blocking::Pool;
use crate::budget::Budget;
use crate::config::{Config, PanicPolicy};
use crate::discard::discard;
use crate::error::JoinError;
use crate::id::{Id, TaskKey};
use crate::inbox::{Inbox, RemoteOp};
use crate::observe::Watch;
use crate::park::Unpark;
use crate::record::{AwaiterOf, Counts, TaskRecord, TaskState, WakerNumber};
use crate::task::output::{Completed, RemoteJoin};
use crate::task::{Label, Task, TaskCell, wake};
use crate::task_slab::{Runnable, Slot, TaskSlab, VACANT, state};
use crate::unhandled::{UnhandledPanics, log_panic};
use crate::unwind::{drop_catching, wake_catching};
use crate::waker_id::WakerId;

/// The state of an executor. No foreign code runs while any of it is borrowed.
pub(crate) struct Scheduler {
    number: u32,
    tasks: RefCell<TaskSlab>,
    /// The outputs that other threads await, by slot, up to the last slot that ever had one.
    remote_joins: RefCell<Vec<Option<RemoteJoin>>>,
    scratch: RefCell<Scratch>,
    root_woken: Cell<bool>,
    /// The serial number of the task that is being polled, or [`VACANT`].
    running: Cell<u32>,
    polls: Cell<u64>,
    budget: Budget,
    inbox: Arc<Inbox>,
    pool: Arc<Pool>,
    unhandled: UnhandledPanics,
    #[cfg(feature = "sim")]
    panics_with_error: bool,
    closed: Cell<bool>,
    /// True if tasks of other threads are not accepted any more.
    refuses: Cell<bool>,
    attachment: OnceCell<Rc<dyn Any>>,
    /// The number of tasks that other threads have spawned.
    remote_spawned: Cell<u64>,
    panicked: Cell<u64>,
    aborted: Cell<u64>,
}

/// Empty lists with capacity, into which the inbox is drained.
#[derive(Default)]
struct Scratch {
    wakes: Vec<WakerId>,
    ops: Vec<RemoteOp>,
}

/// Drops a future whose poll panics while that panic unwinds, as if the future were a variable: so
/// a mutex whose guard it holds is poisoned.
struct CancelOnUnwind<'a> {
    task: Pin<&'a mut (dyn Task + 'static)>,
    id: Id,
}

impl Drop for CancelOnUnwind<'_> {
    /// Inlined, so that a poll does not store the fields for it.
    #[inline(always)]
    fn drop(&mut self) {
        cancel_unwinding(self.task.as_mut(), self.id);
    }
}

#[cold]
#[inline(never)]
fn cancel_unwinding(task: Pin<&mut (dyn Task + 'static)>, id: Id) {
    // The panic replaces this output.
    task.cancel(id, JoinError::aborted(id));
}

/// The result of a poll of a join handle on the task's own thread.
pub(crate) enum JoinPoll {
    /// The task is complete, and was taken out of its slot.
    Complete(Pin<Box<dyn Task>>),
    /// The task is not complete. Its slot has the waker; this is the one it had before.
    Pending(Option<Waker>),
    /// The task is complete, and the handle must wake its own task and be pending once.
    Yield,
    /// There is no such task, because the executor was closed.
    NoTask,
}

impl Scheduler {
    pub(crate) fn new(unparker: Arc<dyn Unpark>, config: Config) -> io::Result<Scheduler> {
        let pool = Pool::new(config.pool)?;
        let inbox = Inbox::open(unparker)?;
        Ok(Scheduler {
            number: inbox.number(),
            tasks: RefCell::default(),
            remote_joins: RefCell::default(),
            scratch: RefCell::default(),
            root_woken: Cell::new(false),
            running: Cell::new(VACANT),
            polls: Cell::new(0),
            budget: Budget::default(),
            inbox,
            pool,
            unhandled: UnhandledPanics::new(config.panic_policy),
            #[cfg(feature = "sim")]
            panics_with_error: config.panics_with_error,
            closed: Cell::new(false),
            refuses: Cell::new(false),
            attachment: OnceCell::new(),
            remote_spawned: Cell::new(0),
            panicked: Cell::new(0),
            aborted: Cell::new(0),
        })
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn has_root_wake(&self) -> bool {
        self.root_woken.get()
    }

    /// Returns true if the root future was woken, which is then polled next.
    pub(crate) fn take_root_wake(&self) -> bool {
        let woken = self.root_woken.replace(false);
        if woken {
            self.budget.renew();
        }
        woken
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Brings the run queue into another order.
    pub(crate) fn shuffle(&self, below: &mut dyn FnMut(u64) -> u64) {
        self.tasks.borrow_mut().shuffle(below);
    }

    /// Returns the length of the run queue.
    pub(crate) fn scheduled(&self) -> usize {
        self.tasks.borrow().scheduled()
    }

    pub(crate) fn task_count(&self) -> usize {
        self.tasks.borrow().count()
    }

    pub(crate) fn poll_count(&self) -> u64 {
        self.polls.get()
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Counts an operation that completes in this poll without waiting. Returns false if the
    /// budget is used up.
    #[inline]
    pub(crate) fn take_budget(&self) -> bool {
        self.budget.take(self.polls.get())
    }

    /// Counts an operation that takes as long as `weight` others.
    pub(crate) fn take_weighted_budget(&self, weight: u32) -> bool {
        self.budget.take_weighted(self.polls.get(), weight)
    }

    pub(crate) fn is_budget_used_up(&self) -> bool {
        self.budget.is_used_up(self.polls.get())
    }

    /// Returns the task that is being polled.
    pub(crate) fn running(&self) -> Option<Id> {
        let serial = self.running.get();
        (serial != VACANT).then(|| Id::new(self.number, serial))
    }

    pub(crate) fn spawn<F, L>(
        &self,
        future: F,
        label: L,
        spawned_at: &'static Location<'static>,
    ) -> TaskKey
    where
        F: Future + 'static,
        F::Output: 'static,
        L: Label + 'static,
    {
        self.add(Box::pin(TaskCell::new(future, label, spawned_at)))
    }

    fn add(&self, task: Pin<Box<dyn Task>>) -> TaskKey {
        if self.closed.get() {
            return self.add_closed(task);
        }
        let mut tasks = self.tasks.borrow_mut();
        let serial = tasks.next_serial();
        let slot = tasks.insert(task, serial);
        self.key(slot, serial)
    }

    /// Drops a task that is spawned after the executor was closed. Returns a key that belongs to no
    /// task, so that the join handle returns an error.
    #[cold]
    fn add_closed(&self, task: Pin<Box<dyn Task>>) -> TaskKey {
        discard(Box::new(task));
        self.key(WakerId::ROOT, self.tasks.borrow_mut().next_serial())
    }

    fn key(&self, slot: u32, serial: u32) -> TaskKey {
        TaskKey {
            executor: self.number,
            slot,
            serial,
        }
    }

    /// Schedules the task or root future that `id` refers to, unless it is scheduled or complete.
    /// Returns false if `id` belongs to another executor. Runs no foreign code.
    #[inline]
    pub(crate) fn wake(&self, id: WakerId) -> bool {
        if !id.matches_executor(self.number) {
            return false;
        }
        let is_task = self.tasks.borrow_mut().wake(id);
        if !is_task && id.slot() == WakerId::ROOT {
            self.root_woken.set(true);
        }
        true
    }

    /// Polls the task at the head of the run queue, or drops it if it was aborted. Returns true if
    /// there was one; a slot in the queue may have been left by its task.
    // This and the two functions below are inlined into the loops of both kinds of watch, which
    // saves each poll about 40 instructions.
    #[inline(always)]
    pub(crate) fn run_next(&self, watch: &impl Watch) -> bool {
        let runnable = self.tasks.borrow_mut().pop();
        let Some(Runnable {
            slot,
            serial,
            mut task,
            aborted,
        }) = runnable
        else {
            return false;
        };
        let key = self.key(slot, serial);
        let outer = self.running.replace(serial);
        let polled = if aborted {
            increment(&self.aborted);
            task.as_mut().cancel(key.id(), JoinError::aborted(key.id()));
            Poll::Ready(())
        } else {
            self.polls.set(self.polls.get() + 1);
            watch.before(key.id(), slot, &*task);
            // Its drop does nothing.
            let waker = ManuallyDrop::new(wake::waker(WakerId::new(self.number, slot, serial)));
            let poll = || {
                let mut running = CancelOnUnwind {
                    task: task.as_mut(),
                    id: key.id(),
                };
                let polled = running.task.as_mut().poll(&mut Context::from_waker(&waker));
                mem::forget(running);
                polled
            };
            let polled = catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|payload| {
                increment(&self.panicked);
                task.as_mut().fail(key.id(), payload);
                Poll::Ready(())
            });
            watch.after();
            polled
        };
        self.running.set(outer);
        match polled {
            Poll::Ready(()) => self.complete(key, task),
            Poll::Pending => self.put_back(key, task),
        }
        true
    }

    #[inline(always)]
    fn put_back(&self, key: TaskKey, task: Pin<Box<dyn Task>>) {
        let mut tasks = self.tasks.borrow_mut();
        if let Some(slot) = tasks.running_slot(key.slot) {
            slot.put_back(task);
        } else {
            // The task itself has closed the executor.
            drop(tasks);
            self.cancel(key, task);
        }
    }

    /// Passes the output of a complete task on.
    #[inline(always)]
    fn complete(&self, key: TaskKey, task: Pin<Box<dyn Task>>) {
        let mut tasks = self.tasks.borrow_mut();
        let Some(slot) = tasks.running_slot(key.slot) else {
            drop(tasks);
            return self.drop_output(task);
        };
        slot.set(state::COMPLETE);
        let is_remote = slot.is(state::REMOTE_JOIN);
        let join_waker = if slot.is(state::JOIN_INTEREST) && !is_remote {
            slot.put_back(task);
            let join_waker = slot.join_waker.take();
            drop(tasks);
            join_waker
        } else {
            let (_, join_waker) = tasks.remove(key.slot);
            drop(tasks);
            match self.take_remote_join(key.slot, is_remote) {
                Some(join) => self.complete_remote(join, task),
                None => self.drop_output(task),
            }
            join_waker
        };
        if let Some(waker) = join_waker {
            self.wake_joiner(waker);
        }
    }

    /// Calls the waker of a join handle. A waker of this executor is called without leaving the
    /// scheduler.
    fn wake_joiner(&self, waker: Waker) {
        if !wake::id_of(&waker).is_some_and(|id| self.wake(id)) {
            wake_catching(waker);
        }
    }

    fn take_remote_join(&self, slot: u32, is_remote: bool) -> Option<RemoteJoin> {
        if !is_remote {
            return None;
        }
        self.remote_joins
            .borrow_mut()
            .get_mut(slot as usize)?
            .take()
    }

    fn complete_remote(&self, join: RemoteJoin, task: Pin<Box<dyn Task>>) {
        match join.complete(task) {
            Completed::Stored(waker) => waker.into_iter().for_each(wake_catching),
            Completed::Dropped(None) => {}
            Completed::Dropped(Some(error)) => self.unhandled_panic(error),
        }
    }

    /// Drops a task whose output is not awaited. A panic is unhandled.
    fn drop_output(&self, mut task: Pin<Box<dyn Task>>) {
        if let Some(error) = task.as_mut().take_panic() {
            self.unhandled_panic(error);
        }
        drop_catching(task);
    }

    /// Applies the panic policy. A panic after the executor was closed is logged.
    fn unhandled_panic(&self, error: JoinError) {
        if self.closed.get() {
            log_panic(error);
        } else {
            self.unhandled.push(error);
        }
    }

    /// Resumes the panic of a detached task, if the policy says so.
    pub(crate) fn raise_panic(&self) {
        if let Some(error) = self.unhandled.take() {
            self.raise(error);
        }
    }

    #[cold]
    fn raise(&self, error: JoinError) -> ! {
        if self.unhandled.policy() == PanicPolicy::ShutDown {
            self.close();
        }
        #[cfg(feature = "sim")]
        if self.panics_with_error {
            resume_unwind(Box::new(error));
        }
        resume_unwind(error.into_panic());
    }

    /// Drops a task because the executor is closed.
    fn cancel(&self, key: TaskKey, mut task: Pin<Box<dyn Task>>) {
        task.as_mut()
            .cancel(key.id(), JoinError::runtime_dropped(key.id()));
        self.drop_output(task);
    }

    pub(crate) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        self.pool.close();
        let ops = self.inbox.close();
        let mut tasks = self.tasks.take();
        let remote_joins = self.remote_joins.take();
        for (serial, slot) in tasks.iter_by_serial() {
            let (task, join_waker) = tasks.remove(slot);
            if let Some(task) = task {
                self.cancel(self.key(slot, serial), task);
            }
            if let Some(waker) = join_waker {
                self.wake_joiner(waker);
            }
        }
        // Their drops complete the handles on other threads.
        drop_catching(remote_joins);
        for op in ops {
            op.reject();
        }
        if let Some(error) = self.unhandled.take() {
            log_panic(error);
        }
        // The last step: a job that fills a pipe ends only once the task that reads it is dropped.
        self.pool.finish();
    }

    /// Forgets the blocking pool in a child of fork(2), where it has no threads.
    pub(crate) fn forget_pool(&self) {
        self.pool.forget();
    }
}

// The messages of other threads.
impl Scheduler {
    pub(crate) fn has_messages(&self) -> bool {
        self.inbox.has_messages()
    }

    /// Handles all messages that are in the inbox.
    #[inline]
    pub(crate) fn drain_inbox(&self) {
        if self.has_messages() {
            self.handle_messages();
        }
    }

    #[cold]
    fn handle_messages(&self) {
        let Scratch { mut wakes, mut ops } = self.scratch.take();
        self.inbox.take(&mut wakes, &mut ops);
        for id in wakes.drain(..) {
            self.wake(id);
        }
        for op in ops.drain(..) {
            self.perform(op);
        }
        self.scratch.replace(Scratch { wakes, ops });
    }

    pub(crate) fn perform(&self, op: RemoteOp) {
        match op {
            RemoteOp::Spawn { .. } if self.closed.get() || self.refuses.get() => op.reject(),
            RemoteOp::Spawn { task, remote, join } => {
                increment(&self.remote_spawned);
                let serial = remote.id().serial();
                let slot = self.tasks.borrow_mut().insert(task, serial);
                remote.set_slot(slot);
                let key = self.key(slot, serial);
                if remote.is_aborted() {
                    self.abort(key);
                }
                self.send_output(key, join);
            }
            RemoteOp::RequestOutput { key, join } => self.send_output(key, join),
            RemoteOp::Abort(key) => self.abort(key),
            RemoteOp::AbortRemote(remote) => match remote.key() {
                Some(key) => self.abort(key),
                None => remote.set_aborted(),
            },
            RemoteOp::Detach(key) => self.detach(key),
            RemoteOp::UnhandledPanic(error) => self.unhandled_panic(error),
            RemoteOp::Call(call) => call.run(),
        }
    }

    /// Sends the output of a task to another thread, now or when it is complete.
    fn send_output(&self, key: TaskKey, join: RemoteJoin) {
        let complete = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return;
            };
            if !slot.is(state::JOIN_INTEREST) {
                // The handle was dropped on this thread after another one had requested the output.
                return;
            }
            if !slot.is(state::COMPLETE) {
                slot.set(state::REMOTE_JOIN);
                return self.store_remote_join(key.slot, join);
            }
            tasks.remove(key.slot).0
        };
        if let Some(task) = complete {
            self.complete_remote(join, task);
        }
    }

    fn store_remote_join(&self, slot: u32, join: RemoteJoin) {
        let (mut remote_joins, index) = (self.remote_joins.borrow_mut(), slot as usize);
        if remote_joins.len() <= index {
            remote_joins.resize_with(index + 1, || None);
        }
        remote_joins[index] = Some(join);
    }
}

// A look at the tasks. It runs no foreign code.
impl Scheduler {
    /// Returns a record of every task.
    pub(crate) fn records(&self, awaiter_of: AwaiterOf<'_>) -> Vec<TaskRecord> {
        let tasks = self.tasks.borrow();
        let remote_joins = self.remote_joins.borrow();
        let record = |(index, serial, slot): (u32, u32, &Slot)| {
            let description = slot.describe();
            let state = if slot.is(state::COMPLETE) {
                TaskState::Complete
            } else if description.is_none() {
                TaskState::Running
            } else if slot.is(state::SCHEDULED) {
                TaskState::Scheduled
            } else {
                TaskState::Waiting
            };
            let local = slot.join_waker.as_ref().and_then(awaiter_of);
            let remote = || {
                remote_joins
                    .get(index as usize)?
                    .as_ref()?
                    .joined_by(awaiter_of)
            };
            TaskRecord {
                id: Id::new(self.number, serial),
                slot: index,
                state,
                name: description.as_ref().and_then(|d| d.name.map(str::to_owned)),
                spawned_at: description.as_ref().map(|d| d.spawned_at),
                size: description.as_ref().map(|d| d.size),
                waker: WakerNumber::new(WakerId::new(self.number, index, serial)),
                joined_by: local.or_else(remote),
            }
        };
        tasks.iter().map(record).collect()
    }

    /// Rejects the tasks that other threads spawn from now on.
    pub(crate) fn refuse_spawns(&self) {
        self.refuses.set(true);
    }

    /// Returns the number of tasks that are not complete. O(n).
    pub(crate) fn live_count(&self) -> usize {
        let tasks = self.tasks.borrow();
        let live = tasks
            .iter()
            .filter(|(_, _, slot)| !slot.is(state::COMPLETE));
        live.count()
    }

    pub(crate) fn counts(&self) -> Counts {
        let tasks = self.tasks.borrow();
        Counts {
            polls: self.polls.get(),
            spawned: tasks.spawned() + self.remote_spawned.get(),
            tasks: tasks.count() as u64,
            panicked: self.panicked.get(),
            aborted: self.aborted.get(),
        }
    }

    /// Sets what the owner keeps with the executor.
    pub(crate) fn attach(&self, attachment: Rc<dyn Any>) {
        // Set once, when the executor is made.
        let _ = self.attachment.set(attachment);
    }

    pub(crate) fn attachment(&self) -> Option<&Rc<dyn Any>> {
        self.attachment.get()
    }
}

// The operations of join handles on the task's own thread.
impl Scheduler {
    /// Polls a task for its join handle. Runs no foreign code, so it returns `None` if `waker` is
    /// foreign and has to be cloned: then the caller does so and calls
    /// [`set_join_waker`](Scheduler::set_join_waker).
    #[inline]
    pub(crate) fn poll_join(&self, key: TaskKey, waker: &Waker) -> Option<JoinPoll> {
        let mut tasks = self.tasks.borrow_mut();
        let Some(slot) = tasks.get(key.slot, key.serial) else {
            return Some(JoinPoll::NoTask);
        };
        if slot.is(state::COMPLETE) {
            // The waker marks a handle that was pending for the budget before.
            if slot.join_waker.is_none() && !self.take_budget() {
                slot.join_waker = Some(wake::waker(WakerId::new(self.number, WakerId::ROOT, 0)));
                return Some(JoinPoll::Yield);
            }
            let (task, _) = tasks.remove(key.slot);
            return Some(task.map_or(JoinPoll::NoTask, JoinPoll::Complete));
        }
        let stored = slot.join_waker.as_ref();
        if stored.is_some_and(|stored| stored.will_wake(waker)) {
            return Some(JoinPoll::Pending(None));
        }
        let own = wake::waker(wake::id_of(waker)?);
        Some(JoinPoll::Pending(slot.join_waker.replace(own)))
    }

    /// Sets the waker of a task's join handle and returns the previous one. Returns the new one as
    /// an error if the task is complete or was dropped.
    pub(crate) fn set_join_waker(
        &self,
        key: TaskKey,
        waker: Waker,
    ) -> Result<Option<Waker>, Waker> {
        let mut tasks = self.tasks.borrow_mut();
        match tasks.get(key.slot, key.serial) {
            Some(slot) if !slot.is(state::COMPLETE) => Ok(slot.join_waker.replace(waker)),
            _ => Err(waker),
        }
    }

    pub(crate) fn is_complete(&self, key: TaskKey) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        tasks
            .get(key.slot, key.serial)
            .is_none_or(|slot| slot.is(state::COMPLETE))
    }

    /// Schedules a task to be dropped instead of polled.
    fn abort(&self, key: TaskKey) {
        self.tasks.borrow_mut().abort(key.slot, key.serial);
    }

    /// Forgets the join handle of a task.
    fn detach(&self, key: TaskKey) {
        let (task, join_waker, remote_join) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return;
            };
            let is_remote = slot.is(state::REMOTE_JOIN);
            slot.clear(state::JOIN_INTEREST | state::REMOTE_JOIN);
            let (task, join_waker) = if slot.is(state::COMPLETE) {
                tasks.remove(key.slot)
            } else {
                (None, slot.join_waker.take())
            };
            (task, join_waker, self.take_remote_join(key.slot, is_remote))
        };
        if let Some(task) = task {
            self.drop_output(task);
        }
        drop_catching((join_waker, remote_join));
    }
}

fn increment(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
