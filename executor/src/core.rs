//! The run queue, the tasks in it, and what becomes of them.

use std::cell::{Cell, RefCell};
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::{fmt, io};

use slab::Slab;

use crate::blocking::Pool;
use crate::current;
use crate::error::JoinError;
use crate::executor::{Options, PanicPolicy};
use crate::handle::Handle;
use crate::id::{Id, POSTED, TaskKey};
use crate::join::JoinHandle;
use crate::mailbox::{Errand, Mailbox};
use crate::park::Unpark;
use crate::task::{Label, Sink, Task, TaskCell, WakerWord, drop_quietly, state, wake_quietly};

/// The executor's state. No code but this crate's runs while any of it is borrowed.
pub(crate) struct Core {
    number: u32,
    tasks: RefCell<Tasks>,
    /// Where outputs go that another thread awaits, by slot.
    sinks: RefCell<HashMap<u32, Sink>>,
    mail: RefCell<Mail>,
    root_woken: Cell<bool>,
    running: Cell<Option<TaskKey>>,
    polls: Cell<u64>,
    handle: Handle,
    panic_policy: PanicPolicy,
    /// A panic that `run_ready` has still to raise.
    panic: RefCell<Option<JoinError>>,
    closed: Cell<bool>,
}

#[derive(Default)]
struct Tasks {
    slots: Slab<Slot>,
    queue: VecDeque<(u32, u32)>,
    serial: u32,
}

/// Empty lists with capacity, to be exchanged for full ones.
#[derive(Default)]
struct Mail {
    wakes: Vec<WakerWord>,
    errands: Vec<Errand>,
}

struct Slot {
    /// `None` while it is polled.
    task: Option<Pin<Box<dyn Task>>>,
    /// Who awaits the output on this thread.
    joiner: Option<Waker>,
    /// Tells the tenants of a slot apart.
    serial: u32,
    /// See [`state`].
    state: u8,
}

impl Tasks {
    fn get(&mut self, slot: u32, serial: u32) -> Option<&mut Slot> {
        self.slots
            .get_mut(slot as usize)
            .filter(|slot| slot.serial == serial)
    }

    fn insert(&mut self, task: Pin<Box<dyn Task>>, serial: u32) -> u32 {
        let slot = self.slots.insert(Slot {
            task: Some(task),
            joiner: None,
            serial,
            state: state::QUEUED | state::WATCHED,
        });
        assert!(
            slot < WakerWord::MOST_TASKS,
            "no more than {} tasks",
            WakerWord::MOST_TASKS
        );
        self.queue.push_back((slot as u32, serial));
        slot as u32
    }

    fn remove(&mut self, slot: u32) -> Slot {
        self.slots.remove(slot as usize)
    }
}

impl Core {
    pub(crate) fn new(unparker: Arc<dyn Unpark>, options: Options) -> io::Result<Core> {
        let pool = Pool::new(options.pool)?;
        let mailbox = Mailbox::open(unparker)?;
        Ok(Core {
            number: mailbox.number,
            tasks: RefCell::default(),
            sinks: RefCell::default(),
            mail: RefCell::default(),
            root_woken: Cell::new(false),
            running: Cell::new(None),
            polls: Cell::new(0),
            handle: Handle::new(mailbox, pool),
            panic_policy: options.panic_policy,
            panic: RefCell::new(None),
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
        self.tasks.borrow().queue.len()
    }

    pub(crate) fn task_count(&self) -> usize {
        self.tasks.borrow().slots.len()
    }

    pub(crate) fn poll_count(&self) -> u64 {
        self.polls.get()
    }

    /// The task that is being polled.
    pub(crate) fn running(&self) -> Option<Id> {
        self.running.get().map(TaskKey::id)
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
        let serial = {
            let mut tasks = self.tasks.borrow_mut();
            tasks.serial = (tasks.serial + 1) & !POSTED;
            tasks.serial
        };
        JoinHandle::here(self.spawn_numbered(future, label, at, serial))
    }

    /// The serial number of a task that comes from another thread, which needs it at once.
    pub(crate) fn posted_serial(mailbox: &Mailbox) -> u32 {
        mailbox
            .posted
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            | POSTED
    }

    pub(crate) fn spawn_numbered<F, L>(
        &self,
        future: F,
        label: L,
        at: &'static Location<'static>,
        serial: u32,
    ) -> TaskKey
    where
        F: Future + 'static,
        F::Output: 'static,
        L: Label + 'static,
    {
        if self.closed.get() {
            drop_quietly(future);
            // No such task: its handle will find that out.
            return TaskKey {
                executor: self.number,
                slot: u32::MAX,
                serial,
            };
        }
        let task = Box::pin(TaskCell::new(future, label, at));
        let slot = self.tasks.borrow_mut().insert(task, serial);
        TaskKey {
            executor: self.number,
            slot,
            serial,
        }
    }

    /// Puts a task into the queue, unless it is there, has finished, or is no more.
    pub(crate) fn wake(&self, word: WakerWord) {
        if word.slot() == WakerWord::ROOT {
            self.root_woken.set(true);
            return;
        }
        let Tasks { slots, queue, .. } = &mut *self.tasks.borrow_mut();
        if let Some(slot) = slots.get_mut(word.slot() as usize) {
            if word.is_serial(slot.serial) && slot.state & (state::QUEUED | state::FINISHED) == 0 {
                slot.state |= state::QUEUED;
                queue.push_back((word.slot(), slot.serial));
            }
        }
    }

    pub(crate) fn read_mail(&self) {
        if !self.handle.mailbox().has_letters() {
            return;
        }
        let Mail {
            mut wakes,
            mut errands,
        } = self.mail.take();
        self.handle.mailbox().take(&mut wakes, &mut errands);
        for word in wakes.drain(..) {
            self.wake(word);
        }
        for errand in errands.drain(..) {
            errand(self);
        }
        self.mail.replace(Mail { wakes, errands });
    }

    /// Polls the task at the head of the queue, or drops it if it was aborted. Says whether there
    /// was one; a key can outlive its task by finishing after a wake.
    pub(crate) fn run_next(&self) -> bool {
        let (key, mut task, aborted) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some((index, serial)) = tasks.queue.pop_front() else {
                return false;
            };
            let Some(slot) = tasks.get(index, serial) else {
                return false;
            };
            if slot.state & state::FINISHED != 0 {
                slot.state &= !state::QUEUED;
                return false;
            }
            let Some(task) = slot.task.take() else {
                // It is being polled, and called this itself: it has its turn afterwards.
                tasks.queue.push_back((index, serial));
                return false;
            };
            slot.state &= !state::QUEUED;
            let key = TaskKey {
                executor: self.number,
                slot: index,
                serial,
            };
            (key, task, slot.state & state::ABORTED != 0)
        };
        let outside = self.running.replace(Some(key));
        let polled = if aborted {
            task.as_mut().cancel(key.id(), JoinError::aborted(key.id()));
            Poll::Ready(())
        } else {
            self.polls.set(self.polls.get() + 1);
            let waker = WakerWord::new(self.number, key.slot, key.serial).waker();
            task.as_mut()
                .poll(key.id(), &mut Context::from_waker(&waker))
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
        match tasks.get(key.slot, key.serial) {
            Some(slot) => slot.task = Some(task),
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
        let Some(slot) = tasks.get(key.slot, key.serial) else {
            drop(tasks);
            return self.nobody_wants(task);
        };
        slot.state |= state::FINISHED;
        let joiner = slot.joiner.take();
        match slot.state & (state::WATCHED | state::MAILED) {
            state::WATCHED => {
                slot.task = Some(task);
                drop(tasks);
            }
            0 => {
                tasks.remove(key.slot);
                drop(tasks);
                self.nobody_wants(task);
            }
            _ => {
                tasks.remove(key.slot);
                drop(tasks);
                let sink = self.sinks.borrow_mut().remove(&key.slot);
                if let Some(sink) = sink {
                    sink.deliver(task.as_mut().output());
                }
                self.nobody_wants(task);
            }
        }
        if let Some(joiner) = joiner {
            wake_quietly(joiner);
        }
    }

    /// Drops an output that nobody awaits, if it was not taken; but a panic is not swallowed.
    fn nobody_wants(&self, mut task: Pin<Box<dyn Task>>) {
        if let Some(error) = task.as_mut().panic() {
            self.unheard(error);
        }
        drop_quietly(task);
    }

    /// Does with a panic that nobody awaits what the policy says. One can be raised at a time; the
    /// others, and those that come too late to be raised, are reported.
    fn unheard(&self, error: JoinError) {
        let raised = self.panic_policy != PanicPolicy::Report;
        if raised && !self.closed.get() && self.panic.borrow().is_none() {
            self.panic.replace(Some(error));
        } else {
            report(error);
        }
    }

    /// Raises the panic that a task left behind, if the policy is that one does.
    pub(crate) fn raise_panic(&self) {
        let panic = self.panic.take();
        let Some(error) = panic else { return };
        if self.panic_policy == PanicPolicy::ShutDown {
            self.close();
        }
        resume_unwind(error.into_panic());
    }

    fn drop_task(&self, key: TaskKey, mut task: Pin<Box<dyn Task>>) {
        task.as_mut().cancel(key.id(), JoinError::gone(key.id()));
        self.nobody_wants(task);
    }

    pub(crate) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let errands = self.handle.close();
        let Tasks { mut slots, .. } = self.tasks.take();
        let sinks = self.sinks.take();
        // By a heap: a quicksort of the rarest path would be a tenth of this crate's code.
        let order = slots.iter().map(|(index, slot)| (slot.serial, index));
        let order = BinaryHeap::from_iter(order).into_sorted_vec();
        for (_, index) in order {
            let slot = slots.remove(index);
            let key = TaskKey {
                executor: self.number,
                slot: index as u32,
                serial: slot.serial,
            };
            if let Some(task) = slot.task {
                self.drop_task(key, task);
            }
            if let Some(joiner) = slot.joiner {
                wake_quietly(joiner);
            }
        }
        // Whoever waits for one of these learns from its drop that nothing will come.
        drop_quietly(sinks);
        for errand in errands {
            drop_quietly(errand);
        }
        if let Some(error) = self.panic.take() {
            report(error);
        }
    }
}

/// Takes a panic that nobody awaits any more to the executor it belongs to, from any thread.
pub(crate) fn unheard(error: JoinError) {
    let executor = error.id().executor();
    if let Some(core) = current::if_numbered(executor) {
        core.unheard(error);
    } else if let Some(mailbox) = Mailbox::find(executor) {
        mailbox.post(Box::new(move |core| core.unheard(error)));
    } else {
        report(error);
    }
}

fn report(error: JoinError) {
    // Standard error may be broken, and then there is nobody to be told that.
    let say = || eprintln!("runtime: {error} (nobody holds its JoinHandle)");
    drop_quietly(catch_unwind(AssertUnwindSafe(say)));
    drop_quietly(error);
}

/// What join handles ask of the executor of their own thread.
impl Core {
    /// The finished task, taken out; `None` if there is no such task, because the executor was
    /// closed; or pending, and then the task of `cx` is woken when it is finished.
    pub(crate) fn poll_join(
        &self,
        key: TaskKey,
        cx: &Context<'_>,
    ) -> Poll<Option<Pin<Box<dyn Task>>>> {
        let mut new = None;
        let before = loop {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return Poll::Ready(None);
            };
            if slot.state & state::FINISHED != 0 {
                return Poll::Ready(tasks.remove(key.slot).task);
            }
            let joiner = slot.joiner.as_ref();
            if joiner.is_some_and(|joiner| joiner.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            match new.take() {
                Some(waker) => break slot.joiner.replace(waker),
                None => {
                    drop(tasks);
                    // Anybody's code, which may have ended the task: so look again.
                    new = Some(cx.waker().clone());
                }
            }
        };
        drop(before);
        Poll::Pending
    }

    /// Sends the output of a task to another thread.
    pub(crate) fn mail_output(&self, key: TaskKey, sink: Sink) {
        let finished = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return;
            };
            if slot.state & state::WATCHED == 0 {
                // Dropped on this thread after it was asked for on another one.
                return;
            }
            if slot.state & state::FINISHED == 0 {
                slot.state |= state::MAILED;
                self.sinks.borrow_mut().insert(key.slot, sink);
                return;
            }
            tasks.remove(key.slot)
        };
        if let Some(mut task) = finished.task {
            sink.deliver(task.as_mut().output());
            self.nobody_wants(task);
        }
    }

    pub(crate) fn is_finished(&self, key: TaskKey) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        tasks
            .get(key.slot, key.serial)
            .is_none_or(|slot| slot.state & state::FINISHED != 0)
    }

    /// Queues a task to be dropped instead of polled.
    pub(crate) fn abort(&self, key: TaskKey) {
        let Tasks { slots, queue, .. } = &mut *self.tasks.borrow_mut();
        let slot = slots
            .get_mut(key.slot as usize)
            .filter(|slot| slot.serial == key.serial);
        if let Some(slot) = slot.filter(|slot| slot.state & state::FINISHED == 0) {
            slot.state |= state::ABORTED;
            if slot.state & state::QUEUED == 0 {
                slot.state |= state::QUEUED;
                queue.push_back((key.slot, key.serial));
            }
        }
    }

    /// A join handle is dropped.
    pub(crate) fn detach(&self, key: TaskKey) {
        let (task, joiner, sink) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return;
            };
            let mailed = slot.state & state::MAILED != 0;
            slot.state &= !(state::WATCHED | state::MAILED);
            let joiner = slot.joiner.take();
            let mut sinks = self.sinks.borrow_mut();
            let sink = mailed.then(|| sinks.remove(&key.slot)).flatten();
            let finished = slot.state & state::FINISHED != 0;
            (
                if finished {
                    tasks.remove(key.slot).task
                } else {
                    None
                },
                joiner,
                sink,
            )
        };
        if let Some(task) = task {
            self.nobody_wants(task);
        }
        drop_quietly((joiner, sink));
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What a task costs beside its own allocation; grow it knowingly.
const _: () = assert!(size_of::<Slot>() <= 40);
