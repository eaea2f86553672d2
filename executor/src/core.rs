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
use crate::current;
use crate::error::JoinError;
use crate::executor::{Options, PanicPolicy};
use crate::handle::Handle;
use crate::id::{Id, POSTED, TaskKey};
use crate::join::JoinHandle;
use crate::mailbox::{Errand, Mailbox};
use crate::park::Unpark;
use crate::task::{Label, Sink, Task, TaskCell, WakerWord, drop_quietly, state, wake_quietly};
use crate::tasks::{Tasks, Turn, VACANT};

/// The executor's state. No code but this crate's runs while any of it is borrowed.
pub(crate) struct Core {
    number: u32,
    tasks: RefCell<Tasks>,
    /// Where outputs go that another thread awaits, by slot, as far as the last slot that had one.
    sinks: RefCell<Vec<Option<Sink>>>,
    mail: RefCell<Mail>,
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
struct Mail {
    wakes: Vec<WakerWord>,
    errands: Vec<Errand>,
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
            running: Cell::new(VACANT),
            polls: Cell::new(0),
            handle: Handle::new(mailbox, pool),
            panic_policy: options.panic_policy,
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
        JoinHandle::here(self.spawn_numbered(future, label, at, None))
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
        serial: Option<u32>,
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
                slot: WakerWord::ROOT,
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
    pub(crate) fn wake(&self, word: WakerWord) {
        let known = self.tasks.borrow_mut().wake(word);
        if !known && word.slot() == WakerWord::ROOT {
            self.root_woken.set(true);
        }
    }

    pub(crate) fn has_mail(&self) -> bool {
        self.handle.mailbox().has_letters()
    }

    pub(crate) fn read_mail(&self) {
        if self.has_mail() {
            self.do_mail();
        }
    }

    #[cold]
    fn do_mail(&self) {
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
        let turn = self.tasks.borrow_mut().pop();
        let Some(Turn {
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
            let waker = ManuallyDrop::new(WakerWord::new(self.number, slot, serial).waker());
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
        match tasks.polled(key.slot) {
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
        let Some(slot) = tasks.polled(key.slot) else {
            drop(tasks);
            return self.nobody_wants(task);
        };
        slot.set(state::FINISHED);
        let (watched, mailed) = (slot.is(state::WATCHED), slot.is(state::MAILED));
        let joiner = if watched && !mailed {
            slot.put_back(task);
            let joiner = slot.joiner.take();
            drop(tasks);
            joiner
        } else {
            let (_, joiner) = tasks.remove(key.slot);
            drop(tasks);
            if let Some(sink) = self.take_sink(key.slot, mailed) {
                sink.deliver(task.as_mut().output());
            }
            self.nobody_wants(task);
            joiner
        };
        if let Some(joiner) = joiner {
            wake_quietly(joiner);
        }
    }

    fn take_sink(&self, slot: u32, mailed: bool) -> Option<Sink> {
        if !mailed {
            return None;
        }
        self.sinks.borrow_mut().get_mut(slot as usize)?.take()
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
        if self.panic_policy == PanicPolicy::Report || self.closed.get() {
            return report(error);
        }
        match self.panic.take() {
            None => self.panic.set(Some(error)),
            Some(first) => {
                self.panic.set(Some(first));
                report(error);
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
        self.nobody_wants(task);
    }

    pub(crate) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let errands = self.handle.close();
        let mut tasks = self.tasks.take();
        let sinks = self.sinks.take();
        for (serial, slot) in tasks.tenants() {
            let key = TaskKey {
                executor: self.number,
                slot,
                serial,
            };
            let (task, joiner) = tasks.remove(slot);
            if let Some(task) = task {
                self.drop_task(key, task);
            }
            if let Some(joiner) = joiner {
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

/// What a join handle finds.
pub(crate) enum Joined {
    /// The task, taken out.
    Finished(Pin<Box<dyn Task>>),
    /// There is no such task, because the executor was closed.
    Gone,
    /// It will be woken.
    Waits,
    /// This is not the thread of the task.
    Elsewhere,
}

/// What join handles ask of the executor of their own thread.
impl Core {
    /// A look at a task that is awaited by `waiter`; calls nobody. Unless it has finished, a waker of
    /// the same is there afterwards, and the one from before in `before`. `None` if that takes a
    /// clone, which is [left](Core::leave) by the caller.
    #[inline]
    pub(crate) fn look(
        &self,
        key: TaskKey,
        waiter: &Waker,
        before: &mut Option<Waker>,
    ) -> Option<Joined> {
        let mut tasks = self.tasks.borrow_mut();
        let Some(slot) = tasks.get(key.slot, key.serial) else {
            return Some(Joined::Gone);
        };
        if slot.is(state::FINISHED) {
            return Some(match tasks.remove(key.slot) {
                (Some(task), _) => Joined::Finished(task),
                (None, _) => Joined::Gone,
            });
        }
        let joiner = slot.joiner.as_ref();
        if !joiner.is_some_and(|joiner| joiner.will_wake(waiter)) {
            // One of ours is copied without calling anybody.
            let ours = WakerWord::of(waiter)?.waker();
            *before = slot.joiner.replace(ours);
        }
        Some(Joined::Waits)
    }

    /// Exchanges the waker of who awaits a task, if that has not finished.
    pub(crate) fn leave(&self, key: TaskKey, waker: &mut Option<Waker>) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        let slot = tasks.get(key.slot, key.serial);
        let slot = slot.filter(|slot| !slot.is(state::FINISHED));
        slot.map(|slot| mem::swap(&mut slot.joiner, waker))
            .is_some()
    }

    /// Sends the output of a task to another thread.
    pub(crate) fn mail_output(&self, key: TaskKey, sink: Sink) {
        let finished = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return;
            };
            if !slot.is(state::WATCHED) {
                // Dropped on this thread after it was asked for on another one.
                return;
            }
            if !slot.is(state::FINISHED) {
                slot.set(state::MAILED);
                let (mut sinks, index) = (self.sinks.borrow_mut(), key.slot as usize);
                if sinks.len() <= index {
                    sinks.resize_with(index + 1, || None);
                }
                sinks[index] = Some(sink);
                return;
            }
            tasks.remove(key.slot).0
        };
        if let Some(mut task) = finished {
            sink.deliver(task.as_mut().output());
            self.nobody_wants(task);
        }
    }

    pub(crate) fn is_finished(&self, key: TaskKey) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        tasks
            .get(key.slot, key.serial)
            .is_none_or(|slot| slot.is(state::FINISHED))
    }

    /// Queues a task to be dropped instead of polled.
    pub(crate) fn abort(&self, key: TaskKey) {
        self.tasks.borrow_mut().abort(key.slot, key.serial);
    }

    /// A join handle is dropped.
    pub(crate) fn detach(&self, key: TaskKey) {
        let (task, joiner, sink) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get(key.slot, key.serial) else {
                return;
            };
            let mailed = slot.is(state::MAILED);
            slot.clear(state::WATCHED | state::MAILED);
            let (task, joiner) = if slot.is(state::FINISHED) {
                tasks.remove(key.slot)
            } else {
                (None, slot.joiner.take())
            };
            (task, joiner, self.take_sink(key.slot, mailed))
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
