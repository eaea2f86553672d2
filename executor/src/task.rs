//! One task: its allocation, its state and its waker. The only file of this crate with unsafe code.
//!
//! # The life of a task
//!
//! ```text
//!           spawn
//!             │                          wake
//!             ▼            ┌────────────────────────────┐
//!         ┌────────┐  taken from the queue  ┌────────┐  │  Pending   ┌────────┐
//!         │ SCHEDULED │ ─────────────────────▶ │ polled │ ─┴──────────▶ │ waits  │
//!         └────────┘                        └────────┘               └────────┘
//!             ▲                                 │ Ready, panic,           │ wake, abort
//!             └──────────────────────────────── │ or aborted ─────────────┘
//!                                               ▼
//!                                         ┌──────────┐  output taken, or nobody wants it
//!                                         │ COMPLETE │ ─────────────────────────────▶ gone
//!                                         └──────────┘
//! ```
//!
//! # One allocation
//!
//! A [`TaskCell`] holds the future and later, in the same place, its output. The executor keeps it
//! as a `Pin<Box<dyn Task>>` in a slot (see `tasks.rs`), and knows it by slot and serial number.
//!
//! # A waker is a number
//!
//! It packs which executor, which slot and which serial number. Cloning and dropping it touch no
//! memory. Waking one on its own thread is a look at the slot and a push to the queue; on another
//! thread it is a letter in the executor's inbox. The number is too short to tell every task that
//! ever was from every other, so a waker that outlived its task may, once in millions of tenants of
//! its slot (on 32 bits: in 128), wake a stranger: a spurious wake, which every future must allow
//! for. It can never do worse, because it is not a pointer.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker, ready};
use std::{mem, ptr};

use crate::context;
use crate::error::JoinError;
use crate::id::Id;
use crate::join::OutputCell;

/// What is known of the task in a slot: five bits.
pub(crate) mod state {
    /// Its slot is in the run queue. Set by a wake, an abort and by spawning; cleared when it is
    /// taken out, to be polled or because it has finished. Impossible twice: that is what keeps the
    /// chain a chain. It outlives a task that is gone before its turn.
    pub(crate) const SCHEDULED: u8 = 1;
    /// The output is in the cell, or there is no task any more. Set once, after the last poll; never
    /// cleared. Impossible together with being polled.
    pub(crate) const COMPLETE: u8 = 2;
    /// There is a join handle that has neither been dropped nor got the output. Set by spawning;
    /// cleared by its drop. A finished slot without it is freed at once.
    pub(crate) const JOIN_INTEREST: u8 = 4;
    /// The future is to be dropped instead of polled. Set by an abort; never cleared. Impossible to
    /// set once COMPLETE.
    pub(crate) const ABORTED: u8 = 8;
    /// The output goes to another thread: there is a remote_join for it. Set when its letter arrives;
    /// cleared with JOIN_INTEREST. Impossible without JOIN_INTEREST.
    pub(crate) const REMOTE_JOIN: u8 = 16;
}

/// A task whose types are forgotten.
pub(crate) trait Task {
    /// Polls the future. `Ready` means that the output is in place. A panic goes through, of the
    /// poll or of the future's drop after it; it is caught where the types are forgotten, once for
    /// all of them, and brought to [`fail`](Task::fail).
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Drops what is there and makes the panic that came out of `poll` the output. Nothing ever
    /// unwinds out of this.
    fn fail(self: Pin<&mut Self>, id: Id, payload: Box<dyn Any + Send>);

    /// Drops the future, if it is still there, and puts `error` in its place, unless the drop
    /// panics: then that is the output. Nothing ever unwinds out of this.
    fn cancel(self: Pin<&mut Self>, id: Id, error: JoinError);

    /// Where the output is: an `Option<Result<T, JoinError>>`, with `None` before it is there and
    /// after it was taken.
    fn output(self: Pin<&mut Self>) -> &mut dyn Any;

    /// Moves the output to `to`, which is such an `Option`, and ends the task.
    fn give(self: Pin<Box<Self>>, to: &mut dyn Any);

    /// The panic among the outputs, if it is one that nobody has taken.
    fn panic(self: Pin<&mut Self>) -> Option<JoinError>;
}

/// What `task::Builder` may give a task, in no space at all for the others.
pub(crate) trait Label {
    fn name(&self) -> Option<&str>;
}

impl Label for () {
    fn name(&self) -> Option<&str> {
        None
    }
}

impl Label for Box<str> {
    fn name(&self) -> Option<&str> {
        Some(self)
    }
}

/// The allocation of a task.
pub(crate) struct TaskCell<F: Future, L> {
    spawned_at: &'static Location<'static>,
    label: L,
    /// Structurally pinned: it is never moved, and a future in it never leaves it alive.
    stage: Stage<F>,
}

enum Stage<F: Future> {
    Running(F),
    Complete(Option<Result<F::Output, JoinError>>),
}

impl<F: Future, L: Label> TaskCell<F, L> {
    pub(crate) fn new(future: F, label: L, spawned_at: &'static Location<'static>) -> Self {
        TaskCell {
            spawned_at,
            label,
            stage: Stage::Running(future),
        }
    }

    fn stage(self: Pin<&mut Self>) -> Pin<&mut Stage<F>> {
        // SAFETY: `stage` is structurally pinned, as its field says: this is the only way to it
        // from a pinned cell, nothing here moves out of it, and the cell has no Drop and no Unpin
        // of its own.
        unsafe { self.map_unchecked_mut(|cell| &mut cell.stage) }
    }

    /// Drops what is in the stage and puts the output there. A panicking drop is the output then.
    fn finish(mut self: Pin<&mut Self>, id: Id, output: Result<F::Output, JoinError>) {
        let set = || self.as_mut().stage().set(Stage::Complete(Some(output)));
        if let Err(payload) = catch_unwind(AssertUnwindSafe(set)) {
            let error = self.panicked(id, payload);
            // The assignment that unwound has put the output in place; dropping that may panic too.
            let set = || self.as_mut().stage().set(Stage::Complete(Some(Err(error))));
            drop_catching(catch_unwind(AssertUnwindSafe(set)));
        }
    }

    fn panicked(&self, id: Id, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError::panicked(id, self.label.name(), self.spawned_at, payload)
    }
}

impl<F: Future> Stage<F> {
    fn future(self: Pin<&mut Self>) -> Option<Pin<&mut F>> {
        // SAFETY: nothing is moved out of the reference: it is only looked into.
        match unsafe { self.get_unchecked_mut() } {
            // SAFETY: the stage was pinned, and the future is structurally pinned in it.
            Stage::Running(future) => Some(unsafe { Pin::new_unchecked(future) }),
            Stage::Complete(_) => None,
        }
    }

    fn output(self: Pin<&mut Self>) -> Option<&mut Option<Result<F::Output, JoinError>>> {
        // SAFETY: only the output is handed out, which is not pinned; the future stays where it is.
        match unsafe { self.get_unchecked_mut() } {
            Stage::Running(_) => None,
            Stage::Complete(output) => Some(output),
        }
    }
}

impl<F, L> Task for TaskCell<F, L>
where
    F: Future + 'static,
    F::Output: 'static,
    L: Label,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut stage = self.stage();
        if let Some(future) = stage.as_mut().future() {
            let output = ready!(future.poll(cx));
            stage.set(Stage::Complete(Some(Ok(output))));
        }
        Poll::Ready(())
    }

    #[cold]
    fn fail(self: Pin<&mut Self>, id: Id, payload: Box<dyn Any + Send>) {
        let error = self.panicked(id, payload);
        self.finish(id, Err(error));
    }

    fn cancel(mut self: Pin<&mut Self>, id: Id, error: JoinError) {
        if self.as_mut().stage().future().is_some() {
            let error = error.of(self.label.name(), self.spawned_at);
            self.finish(id, Err(error));
        }
    }

    fn output(self: Pin<&mut Self>) -> &mut dyn Any {
        match self.stage().output() {
            Some(output) => output,
            None => unreachable!("the output is asked for once the task is finished"),
        }
    }

    fn give(mut self: Pin<Box<Self>>, to: &mut dyn Any) {
        if let (Some(output), Some(to)) = (self.as_mut().stage().output(), to.downcast_mut()) {
            mem::swap(output, to);
        }
    }

    fn panic(self: Pin<&mut Self>) -> Option<JoinError> {
        let output = self.stage().output()?;
        match output {
            Some(Err(error)) if error.is_panic() => output.take()?.err(),
            _ => None,
        }
    }
}

/// Drops something that may be other people's. If that panics, the panic hook has said so, and
/// nothing else comes of it.
pub(crate) fn drop_catching<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // The payload of a panic may panic when it is dropped; there must be an end to it.
        mem::forget(payload);
    }
}

/// Calls a waker that may be anybody's; its panic concerns nobody here.
pub(crate) fn wake_catching(waker: Waker) {
    match WakerId::of(&waker) {
        Some(id) if context::wake_here(id) => {}
        _ => drop_catching(catch_unwind(AssertUnwindSafe(|| waker.wake()))),
    }
}

/// The number that a waker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WakerId(usize);

#[cfg(target_pointer_width = "64")]
mod width {
    /// 4,096 executors at a time, 134 million tasks each, 33 million serial numbers.
    pub(super) const EXECUTOR: u32 = 12;
    pub(super) const SERIAL: u32 = 25;
    pub(super) const SLOT: u32 = 27;
}

#[cfg(not(target_pointer_width = "64"))]
mod width {
    /// 32 executors at a time, a million tasks each, 128 serial numbers.
    pub(super) const EXECUTOR: u32 = 5;
    pub(super) const SERIAL: u32 = 7;
    pub(super) const SLOT: u32 = 20;
}

const _: () = assert!(width::EXECUTOR + width::SERIAL + width::SLOT == usize::BITS);

const fn mask(bits: u32) -> usize {
    (1 << bits) - 1
}

impl WakerId {
    /// So many executors can live at a time.
    pub(crate) const MAX_EXECUTORS: usize = mask(width::EXECUTOR) + 1;
    /// So many tasks can an executor have.
    pub(crate) const MAX_TASKS: usize = mask(width::SLOT);
    /// The slot that stands for the root future.
    pub(crate) const ROOT: u32 = mask(width::SLOT) as u32;

    pub(crate) fn new(executor: u32, slot: u32, serial: u32) -> WakerId {
        let executor = executor as usize & mask(width::EXECUTOR);
        let serial = serial as usize & mask(width::SERIAL);
        WakerId(executor << (width::SERIAL + width::SLOT) | serial << width::SLOT | slot as usize)
    }

    pub(crate) fn slot(self) -> u32 {
        (self.0 & mask(width::SLOT)) as u32
    }

    /// Whether it stands for a task with this serial number, as far as its bits go.
    pub(crate) fn is_serial(self, serial: u32) -> bool {
        (self.0 >> width::SLOT) & mask(width::SERIAL) == serial as usize & mask(width::SERIAL)
    }

    /// Whether it stands for a task of this executor.
    pub(crate) fn is_executor(self, number: u32) -> bool {
        self.0 >> (width::SERIAL + width::SLOT) == number as usize & mask(width::EXECUTOR)
    }

    /// What is in a waker, if it is one of these.
    pub(crate) fn of(waker: &Waker) -> Option<WakerId> {
        ptr::eq(waker.vtable(), &VTABLE).then(|| WakerId(waker.data().addr()))
    }

    pub(crate) fn waker(self) -> Waker {
        // SAFETY: the contract of RawWaker asks that the functions of the table be thread-safe and
        // keep what `data` points to alive. They are safe functions, and `data` is a number that
        // points to nothing.
        unsafe { Waker::new(ptr::without_provenance(self.0), &VTABLE) }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |id| RawWaker::new(id, &VTABLE),
    |id| context::wake(WakerId(id.addr())),
    |id| context::wake(WakerId(id.addr())),
    |_| {},
);

/// The way of an output to a join handle on another thread, its type forgotten. If it is dropped
/// instead, that handle learns that the runtime is gone.
pub(crate) struct RemoteJoin(Option<Deliver>);

type Deliver = Box<dyn FnOnce(Option<&mut dyn Any>)>;

// SAFETY: a remote_join goes by mail to the thread of an executor, and holds nothing but an
// `Arc<OutputCell<T>>` shared with the `JoinHandle<T>` for which it was made. Either `T` is Send, and so
// is that. Or the handle is not Send, and was made on the thread of its executor (`Handle::spawn`
// and the blocking pool ask for Send), and is still there: then the remote_join goes from that thread to
// itself, since an executor's inbox is emptied, and closed, on its own thread only, and a letter
// that a closed inbox refuses is dropped by its sender.
unsafe impl Send for RemoteJoin {}

impl RemoteJoin {
    pub(crate) fn new<T: 'static>(id: Id, cell: Arc<OutputCell<T>>) -> RemoteJoin {
        RemoteJoin(Some(Box::new(move |output| {
            match output.and_then(|output| output.downcast_mut()) {
                Some(output) => cell.complete(output),
                None => cell.complete(&mut Some(Err(JoinError::gone(id)))),
            }
        })))
    }

    /// Takes the output, which is what is behind [`Task::output`], if somebody still waits for it.
    pub(crate) fn deliver(mut self, output: &mut dyn Any) {
        if let Some(deliver) = self.0.take() {
            deliver(Some(output));
        }
    }
}

impl Drop for RemoteJoin {
    #[inline(never)]
    fn drop(&mut self) {
        if let Some(deliver) = self.0.take() {
            deliver(None);
        }
    }
}

/// Ends a finished task, for its output.
pub(crate) fn take_output<T: 'static>(task: Pin<Box<dyn Task>>, id: Id) -> Result<T, JoinError> {
    let mut output = None;
    task.give(&mut output);
    output.unwrap_or_else(|| lost(id))
}

/// The output of a task that is no more.
#[cold]
pub(crate) fn lost<T>(id: Id) -> Result<T, JoinError> {
    Err(JoinError::gone(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waker_word_gives_back_what_was_put_in() {
        let id = WakerId::new(3, 5, 7);
        assert!(id.is_executor(3) && id.slot() == 5 && id.is_serial(7));
        assert!(!id.is_executor(4) && !id.is_serial(8));
        let full = WakerId::new(u32::MAX, WakerId::ROOT, u32::MAX);
        assert!(full.is_executor(u32::MAX) && full.is_serial(u32::MAX));
        assert_eq!(full.slot(), WakerId::ROOT);
        assert_eq!(full.0, usize::MAX);
    }
}
