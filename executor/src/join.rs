//! Waiting for a task's output, on its thread or on another.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::{fmt, mem};

use crate::context;
use crate::error::JoinError;
use crate::id::{Id, TaskKey};
use crate::inbox::Inbox;
use crate::scheduler::{JoinPoll, Scheduler, unhandled_panic};
use crate::sync::Mutex;
use crate::task::{RemoteJoin, drop_catching, lost, take_output, wake_catching};

/// Awaits the output of a task.
///
/// Dropping it *detaches* the task, which runs on. It is `Send` and `Sync` if the output is `Send`:
/// on the thread of the task it looks at the task itself, elsewhere it sends mail.
///
/// # Errors
/// It is awaited for a `Result`: the [`JoinError`] says that the task panicked, was aborted, or that
/// its runtime was dropped before the output was taken.
///
/// # Panics
/// If it is polled after it was ready.
///
/// # Abort safety
/// Awaiting `&mut handle` and dropping that future loses nothing.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// let answer = runtime_executor::spawn(async { 6 * 7 });
/// assert_eq!(answer.await.unwrap(), 42);
///
/// let endless = runtime_executor::spawn(std::future::pending::<()>());
/// endless.abort();
/// assert!(endless.await.unwrap_err().is_cancelled());
/// # });
/// ```
pub struct JoinHandle<T> {
    id: Id,
    location: Location,
    /// Made when it is first used away from the thread of its task, and then the only way.
    cell: OnceLock<Arc<OutputCell<T>>>,
}

/// How to reach a task.
#[derive(Clone)]
enum Location {
    /// In this slot: it was spawned on the thread of its executor.
    Local(u32),
    /// It was posted there from another one, or is a blocking job.
    Remote(Arc<dyn Abort + Send + Sync>),
}

/// Where the output was given out. No slot has this number.
const TAKEN: u32 = u32::MAX;

/// Something whose output comes by way of a [`OutputCell`], and which can be asked not to begin.
pub(crate) trait Abort {
    fn abort(self: Arc<Self>);
}

impl<T> JoinHandle<T> {
    pub(crate) fn local(key: TaskKey) -> JoinHandle<T> {
        JoinHandle {
            id: key.id(),
            location: Location::Local(key.slot),
            cell: OnceLock::new(),
        }
    }

    pub(crate) fn remote(
        id: Id,
        abort: Arc<dyn Abort + Send + Sync>,
        cell: Arc<OutputCell<T>>,
    ) -> JoinHandle<T> {
        JoinHandle {
            id,
            location: Location::Remote(abort),
            cell: OnceLock::from(cell),
        }
    }

    /// The task's identity.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Asks the task to end: instead of being polled again it is dropped, in its turn. Awaiting the
    /// handle then gives an error, unless the task had finished by itself.
    ///
    /// A blocking job that has begun cannot be stopped; nothing happens.
    pub fn abort(&self) {
        self.location.abort(self.id);
    }

    /// A handle is dropped that the task, or a cell, may have to know of.
    #[inline(never)]
    fn detach(&self) {
        if let Some(cell) = self.cell.get() {
            cell.detach();
        }
        match self.location {
            Location::Local(TAKEN) | Location::Remote(_) => {}
            Location::Local(slot) => send(self.id.key(slot), Scheduler::detach),
        }
    }

    /// Something that can only abort, and of which there can be many.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            id: self.id,
            location: self.location.clone(),
        }
    }
}

impl<T: 'static> JoinHandle<T> {
    /// Whether the task has come to its end, so that awaiting it is over at once.
    ///
    /// Away from the thread of the task, and on it while its runtime is not running, the answer may be late: the first call asks for the output,
    /// and says no unless it is here.
    pub fn is_finished(&self) -> bool {
        match (self.cell.get(), &self.location) {
            (Some(cell), _) => cell.is_complete(),
            (None, Location::Local(TAKEN)) => true,
            (None, Location::Local(slot)) => match context::get_if(self.id.executor()) {
                Some(scheduler) => scheduler.is_finished(self.id.key(*slot)),
                None => self.request_output(*slot).is_complete(),
            },
            (None, _) => true,
        }
    }

    /// Asks the thread of the task to send the output here.
    #[cold]
    fn request_output(&self, slot: u32) -> &OutputCell<T> {
        self.cell.get_or_init(|| {
            let key = self.id.key(slot);
            let cell = OutputCell::new();
            let remote_join = RemoteJoin::new(self.id, cell.clone());
            // If there is no such executor, the remote_join is dropped, which completes the cell.
            if let Some(inbox) = Inbox::find(key.executor) {
                inbox.send(Box::new(move |scheduler| {
                    scheduler.send_output(key, remote_join);
                }));
            }
            cell
        })
    }

    /// A poll in which there is more to do than a look at the task.
    #[cold]
    #[track_caller]
    fn poll_remote(&mut self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let cell = match (self.cell.get(), &self.location) {
            (_, Location::Local(TAKEN)) => panic!("JoinHandle polled after it was ready"),
            (Some(cell), _) => cell,
            (None, Location::Local(slot)) => self.request_output(*slot),
            (None, _) => unreachable!("what is elsewhere has a cell from the start"),
        };
        let output = ready!(cell.poll(cx));
        self.location = Location::Local(TAKEN);
        Poll::Ready(output)
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let this = &mut *self;
        match (&mut this.location, this.cell.get()) {
            (Location::Local(slot), None) if *slot != TAKEN => {
                match poll_join(this.id, *slot, cx) {
                    JoinPoll::Pending => return Poll::Pending,
                    JoinPoll::Complete(task) => {
                        *slot = TAKEN;
                        return Poll::Ready(take_output(task, this.id));
                    }
                    JoinPoll::Gone => {
                        *slot = TAKEN;
                        return Poll::Ready(lost(this.id));
                    }
                    JoinPoll::Remote => {}
                }
            }
            _ => {}
        }
        this.poll_remote(cx)
    }
}

impl<T> Unpin for JoinHandle<T> {}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if self.cell.get().is_some() || !matches!(self.location, Location::Local(TAKEN)) {
            self.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Location {
    fn abort(&self, id: Id) {
        match self {
            Location::Local(TAKEN) => {}
            Location::Local(slot) => send(id.key(*slot), Scheduler::abort),
            Location::Remote(task) => task.clone().abort(),
        }
    }
}

/// A look at the task of a join handle, from whatever thread: the part of its poll that knows no
/// types.
fn poll_join(id: Id, slot: u32, cx: &Context<'_>) -> JoinPoll {
    // What was there before is dropped where nothing is borrowed.
    let mut before = None;
    let look = |scheduler: &Scheduler| scheduler.poll_join(id.key(slot), cx.waker(), &mut before);
    match context::with_if(id.executor(), look) {
        Some(Some(joined)) => joined,
        Some(None) => poll_join_cloning(id, slot, cx),
        None => JoinPoll::Remote,
    }
}

/// The same for somebody else's waker. To clone it is other people's code, which may end the task.
#[cold]
fn poll_join_cloning(id: Id, slot: u32, cx: &Context<'_>) -> JoinPoll {
    let mut waker = Some(cx.waker().clone());
    let leave = |scheduler: &Scheduler| scheduler.set_join_waker(id.key(slot), &mut waker);
    match context::with_if(id.executor(), leave) {
        Some(true) => JoinPoll::Pending,
        // There is something else to be found now.
        _ => poll_join(id, slot, cx),
    }
}

/// Does something about a task, on its thread.
fn send(key: TaskKey, what: fn(&Scheduler, TaskKey)) {
    match context::get_if(key.executor) {
        Some(scheduler) => what(&scheduler, key),
        None => {
            if let Some(inbox) = Inbox::find(key.executor) {
                inbox.send(Box::new(move |scheduler| what(scheduler, key)));
            }
        }
    }
}

/// Aborts a task, and can be cloned. Made by [`JoinHandle::abort_handle`].
///
/// It does not keep the task alive, and does nothing once the task has finished.
#[derive(Clone)]
pub struct AbortHandle {
    id: Id,
    location: Location,
}

impl AbortHandle {
    /// The task's identity.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Asks the task to end. See [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.location.abort(self.id);
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Where the output of a task meets a join handle on another thread.
pub(crate) struct OutputCell<T>(Mutex<OutputState<T>>);

enum OutputState<T> {
    Waiting(Option<Waker>),
    Complete(Result<T, JoinError>),
    /// The output was given out, or the handle was dropped.
    Taken,
}

impl<T> OutputCell<T> {
    pub(crate) fn new() -> Arc<OutputCell<T>> {
        Arc::new(OutputCell(Mutex::new(OutputState::Waiting(None))))
    }

    /// Takes the output there, unless there is one or the handle was dropped, and wakes who waits.
    pub(crate) fn complete(&self, output: &mut Option<Result<T, JoinError>>) {
        if let Some(waker) = self.put(output) {
            wake_catching(waker);
        }
    }

    /// As `complete`, and leaves the waking to the caller.
    pub(crate) fn put(&self, output: &mut Option<Result<T, JoinError>>) -> Option<Waker> {
        let mut state = self.0.lock();
        let OutputState::Waiting(waker) = &mut *state else {
            return None;
        };
        let waker = waker.take();
        let Some(output) = output.take() else {
            unreachable!("a task is mailed once");
        };
        *state = OutputState::Complete(output);
        waker
    }

    /// The handle is dropped.
    fn detach(&self) {
        let before = mem::replace(&mut *self.0.lock(), OutputState::Taken);
        match before {
            OutputState::Complete(Err(error)) if error.is_panic() => unhandled_panic(error),
            before => drop_catching(before),
        }
    }

    fn is_complete(&self) -> bool {
        !matches!(*self.0.lock(), OutputState::Waiting(_))
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let mut new = None;
        loop {
            let mut state = self.0.lock();
            let before = match &mut *state {
                OutputState::Waiting(Some(waker)) if waker.will_wake(cx.waker()) => {
                    return Poll::Pending;
                }
                OutputState::Waiting(waker) => match new.take() {
                    Some(new) => waker.replace(new),
                    None => {
                        // Cloned, as it is dropped, while the lock is not held.
                        drop(state);
                        new = Some(cx.waker().clone());
                        continue;
                    }
                },
                _ => match mem::replace(&mut *state, OutputState::Taken) {
                    OutputState::Complete(output) => return Poll::Ready(output),
                    _ => unreachable!("a handle is not polled after it was ready"),
                },
            };
            drop(state);
            drop(before);
            return Poll::Pending;
        }
    }
}

/// Models in every interleaving that loom can think of. CONTRIBUTING.md says how to run them.
#[cfg(all(test, loom))]
mod loom_tests {
    use std::sync::Arc;
    use std::task::Wake;

    use loom::sync::atomic::{AtomicBool, Ordering};
    use loom::thread;

    use super::*;

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn poll_until_woken(cell: &OutputCell<u8>) -> Result<u8, JoinError> {
        loop {
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let waker = flag.clone().into();
            if let Poll::Ready(output) = cell.poll(&Context::from_waker(&waker)) {
                return output;
            }
            while !flag.0.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_handle_on_another_thread_gets_the_output() {
        loom::model(|| {
            let cell = OutputCell::new();
            let remote_join = RemoteJoin::new(Id::new(0, 1), cell.clone());
            let task = thread::spawn(move || {
                remote_join.deliver(&mut Some(Ok::<u8, JoinError>(7)));
            });
            assert_eq!(poll_until_woken(&cell).unwrap(), 7);
            task.join().unwrap();
        });
    }

    #[test]
    fn a_handle_on_another_thread_learns_that_the_runtime_is_gone() {
        loom::model(|| {
            let cell = OutputCell::<u8>::new();
            let remote_join = RemoteJoin::new(Id::new(0, 1), cell.clone());
            let runtime = thread::spawn(move || drop(remote_join));
            assert!(poll_until_woken(&cell).unwrap_err().is_cancelled());
            runtime.join().unwrap();
        });
    }

    #[test]
    fn an_output_whose_handle_is_dropped_is_dropped_by_it_or_stays_with_the_task() {
        loom::model(|| {
            let counted = Arc::new(());
            let cell = OutputCell::<Arc<()>>::new();
            let remote_join = RemoteJoin::new(Id::new(0, 1), cell.clone());
            let mut output = Some(Ok::<_, JoinError>(counted.clone()));
            let task = thread::spawn(move || {
                remote_join.deliver(&mut output);
                output
            });
            let polled = cell.poll(&Context::from_waker(Waker::noop()));
            if polled.is_pending() {
                cell.detach();
            }
            let kept = task.join().unwrap();
            assert!(!(polled.is_ready() && kept.is_some()));
            drop((polled, kept));
            assert_eq!(Arc::strong_count(&counted), 1);
        });
    }

    #[test]
    fn a_handle_that_is_polled_anew_is_woken_by_the_last_waker() {
        loom::model(|| {
            let cell = OutputCell::<u8>::new();
            let remote_join = RemoteJoin::new(Id::new(0, 1), cell.clone());
            let task =
                thread::spawn(move || remote_join.deliver(&mut Some(Ok::<u8, JoinError>(7))));
            let polled = cell.poll(&Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(output) => assert_eq!(output.unwrap(), 7),
                Poll::Pending => assert_eq!(poll_until_woken(&cell).unwrap(), 7),
            }
            task.join().unwrap();
        });
    }
}
