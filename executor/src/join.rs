//! The handles of a task: to await its output, on its thread or another, and to abort it.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};

use crate::context;
use crate::error::JoinError;
use crate::id::{Id, TaskKey};
use crate::inbox::{Inbox, RemoteOp};
use crate::proceed::poll_proceed;
use crate::scheduler::{JoinPoll, Scheduler};
use crate::task::output::{Abort, OutputCell, RemoteJoin};
use crate::task::{runtime_dropped, take_output};

/// An owned permission to await the output of a task.
///
/// Awaiting it returns a `Result`. Dropping it *detaches* the task, which continues to run. The
/// handle is `Send` and `Sync` if the output is `Send`: on the task's own thread it accesses the
/// task directly, on others it sends messages.
///
/// On the task's own thread any executor can await the handle, and the output of a complete task is
/// there at once, even while the runtime is not running. On other threads, and for a task that is
/// not complete, the runtime has to run: a runtime that is suspended between two calls of
/// `block_on` or `turn` is notified, and sends the output in the next call.
///
/// # Errors
/// The output is a [`JoinError`] if the task panicked, was aborted, or was dropped with its
/// runtime.
///
/// # Panics
/// Panics if it is polled after completion.
///
/// # Cancel safety
/// Awaiting `&mut handle` is cancel safe: no output is lost if that future is dropped.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let answer = runtime::spawn(async { 6 * 7 });
/// assert_eq!(answer.await.unwrap(), 42);
///
/// let endless = runtime::spawn(std::future::pending::<()>());
/// endless.abort();
/// assert!(endless.await.unwrap_err().is_cancelled());
/// # });
/// ```
pub struct JoinHandle<T> {
    id: Id,
    location: Location<T>,
    /// True if the output was counted in the budget, which happens once.
    yielded: bool,
}

/// The place where a join handle finds the output.
enum Location<T> {
    /// The task was spawned on the executor's thread and is in this slot.
    Local {
        slot: u32,
        /// Made when the handle is first used away from that thread. From then on the output
        /// arrives only there.
        requested: OnceLock<Arc<OutputCell<T>>>,
    },
    /// The task was spawned from another thread, or is a blocking job.
    Remote {
        cell: Arc<OutputCell<T>>,
        abort: Arc<dyn Abort + Send + Sync>,
    },
    /// The output was taken.
    Taken,
}

impl<T> JoinHandle<T> {
    pub(crate) fn local(key: TaskKey) -> JoinHandle<T> {
        JoinHandle {
            id: key.id(),
            location: Location::Local {
                slot: key.slot,
                requested: OnceLock::new(),
            },
            yielded: false,
        }
    }

    pub(crate) fn remote(
        id: Id,
        cell: Arc<OutputCell<T>>,
        abort: Arc<dyn Abort + Send + Sync>,
    ) -> JoinHandle<T> {
        JoinHandle {
            id,
            location: Location::Remote { cell, abort },
            yielded: false,
        }
    }

    /// Returns the task's identity.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Aborts the task: it is dropped, in its turn, instead of being polled again. Awaiting the
    /// handle then returns an error, unless the task had completed before.
    ///
    /// A blocking job that has begun cannot be stopped: the call has no effect on it.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// task.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort(&self) {
        self.abort_handle().abort();
    }

    /// Returns a handle that can only abort the task, and can be cloned.
    pub fn abort_handle(&self) -> AbortHandle {
        let target = match &self.location {
            Location::Local { slot, .. } => AbortTarget::Local(*slot),
            Location::Remote { abort, .. } => AbortTarget::Remote(abort.clone()),
            Location::Taken => AbortTarget::Complete,
        };
        AbortHandle {
            id: self.id,
            target,
        }
    }

    /// Gives up the output.
    #[inline(never)]
    fn detach(&self) {
        let (cell, slot) = match &self.location {
            Location::Local { slot, requested } => (requested.get(), Some(*slot)),
            Location::Remote { cell, .. } => (Some(cell), None),
            Location::Taken => return,
        };
        if let Some(error) = cell.and_then(|cell| cell.detach()) {
            context::send(self.id.executor(), RemoteOp::UnhandledPanic(error));
        }
        if let Some(slot) = slot {
            context::send(self.id.executor(), RemoteOp::Detach(self.id.key(slot)));
        }
    }
}

impl<T: 'static> JoinHandle<T> {
    /// Returns true if the task is complete, so that awaiting the handle does not wait.
    ///
    /// On the task's own thread the result is current, whether the runtime is running or not. On
    /// others it may lag behind: the first call requests the output and returns false until that
    /// has arrived, for which the runtime has to run.
    pub fn is_finished(&self) -> bool {
        match &self.location {
            Location::Local { slot, requested } => {
                let key = self.id.key(*slot);
                if let Some(cell) = requested.get() {
                    return cell.is_complete()
                        || resting(key.executor).is_some_and(|resting| resting.is_complete(key));
                }
                match context::get_if(key.executor).or_else(|| context::own(key.executor)) {
                    Some(scheduler) => scheduler.is_complete(key),
                    None => request_output(key, requested).is_complete(),
                }
            }
            Location::Remote { cell, .. } => cell.is_complete(),
            Location::Taken => true,
        }
    }

    /// Polls for an output that arrives in a cell.
    #[cold]
    #[track_caller]
    fn poll_remote(&mut self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let cell = match &self.location {
            Location::Local { slot, requested } => {
                let key = self.id.key(*slot);
                let cell = request_output(key, requested);
                if !cell.is_complete() {
                    // The output of a suspended runtime of this thread is taken here.
                    if let Some(resting) = resting(key.executor) {
                        resting.drain_inbox();
                    }
                }
                cell
            }
            Location::Remote { cell, .. } => cell,
            Location::Taken => panic!("JoinHandle was polled after completion"),
        };
        if !self.yielded && cell.is_complete() {
            self.yielded = true;
            ready!(poll_proceed(cx));
        }
        let output = ready!(cell.poll(cx));
        self.location = Location::Taken;
        Poll::Ready(output)
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let this = &mut *self;
        let Location::Local { slot, requested } = &this.location else {
            return this.poll_remote(cx);
        };
        if requested.get().is_some() {
            return this.poll_remote(cx);
        }
        let output = match poll_local(this.id.key(*slot), cx.waker()) {
            Some(JoinPoll::Complete(task)) => take_output(task, this.id),
            Some(JoinPoll::Pending(previous)) => {
                // Foreign code, called where nothing is borrowed.
                drop(previous);
                return Poll::Pending;
            }
            Some(JoinPoll::Yield) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(JoinPoll::NoTask) => runtime_dropped(this.id),
            None => return this.poll_remote(cx),
        };
        this.location = Location::Taken;
        Poll::Ready(output)
    }
}

impl<T> Unpin for JoinHandle<T> {}

// After a panic its state is as valid as before: no user code runs while that state changes.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.location, Location::Taken) {
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

/// Polls a task on its own thread. Returns `None` on any other.
fn poll_local(key: TaskKey, waker: &Waker) -> Option<JoinPoll> {
    match context::with_if(key.executor, |scheduler| scheduler.poll_join(key, waker)) {
        Some(Some(poll)) => Some(poll),
        Some(None) => poll_local_cloning(key, waker),
        None => poll_resting(key, waker),
    }
}

/// Polls a task on its own thread while its executor is not entered.
#[cold]
fn poll_resting(key: TaskKey, waker: &Waker) -> Option<JoinPoll> {
    let poll = resting(key.executor)?.poll_join(key, waker);
    poll.or_else(|| poll_local_cloning(key, waker))
}

/// Returns the scheduler with this number if it belongs to this thread and is not entered.
#[cold]
fn resting(number: u32) -> Option<Rc<Scheduler>> {
    match context::get_if(number) {
        Some(_) => None,
        None => context::own(number),
    }
}

/// Like [`poll_local`], with a foreign waker that has to be cloned. The clone is foreign code,
/// which may complete the task or close the executor.
#[cold]
fn poll_local_cloning(key: TaskKey, waker: &Waker) -> Option<JoinPoll> {
    let clone = waker.clone();
    let scheduler = context::get_if(key.executor).or_else(|| context::own(key.executor))?;
    match scheduler.set_join_waker(key, clone) {
        Ok(previous) => Some(JoinPoll::Pending(previous)),
        Err(unused) => {
            drop(unused);
            // The task is complete or was dropped, and no longer needs a waker.
            Some(scheduler.poll_join(key, waker).unwrap_or(JoinPoll::NoTask))
        }
    }
}

/// Requests the output of a task from its executor, unless that was done already.
#[cold]
fn request_output<T: 'static>(
    key: TaskKey,
    requested: &OnceLock<Arc<OutputCell<T>>>,
) -> &Arc<OutputCell<T>> {
    if let Some(cell) = requested.get() {
        return cell;
    }
    let cell = OutputCell::new();
    let join = RemoteJoin::new(key.id(), cell.clone());
    // Sent afterwards: unparking is foreign code, which may use this handle and wait for others
    // that do.
    let first = requested.set(cell).is_ok();
    if first {
        // If the executor was dropped, the drop of the operation completes the cell.
        context::send(key.executor, RemoteOp::RequestOutput { key, join });
    } else {
        // The cell of this one is not in use, so completing it wakes nothing.
        drop(join);
    }
    match requested.get() {
        Some(cell) => cell,
        None => unreachable!("it was set above"),
    }
}

/// A handle that aborts a task, and can be cloned. Created by [`JoinHandle::abort_handle`].
///
/// It does not keep the task alive, and has no effect once the task is complete. An exception is a
/// handle that is kept while its runtime spawns 2^31 further tasks: it aborts the later task that
/// has the same number, if that is also in the same place in memory.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(std::future::pending::<()>());
/// let abort = task.abort_handle();
/// runtime::spawn(async move { abort.abort() });
/// assert!(task.await.unwrap_err().is_cancelled());
/// # });
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    id: Id,
    target: AbortTarget,
}

#[derive(Clone)]
enum AbortTarget {
    /// A task in this slot of its executor.
    Local(u32),
    /// A task that another thread spawned, or a blocking job.
    Remote(Arc<dyn Abort + Send + Sync>),
    /// A task whose output was taken.
    Complete,
}

impl AbortHandle {
    /// Returns the task's identity.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Aborts the task. See [`JoinHandle::abort`].
    pub fn abort(&self) {
        match &self.target {
            AbortTarget::Local(slot) => {
                context::send(self.id.executor(), RemoteOp::Abort(self.id.key(*slot)));
            }
            AbortTarget::Remote(task) => task.clone().abort(),
            AbortTarget::Complete => {}
        }
    }

    /// Returns true if the task or blocking job is complete.
    ///
    /// Only the runtime's own thread knows this of a task. On other threads, and while the runtime
    /// is not running, the result is false until the runtime was dropped. Use
    /// [`JoinHandle::is_finished`] there.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(async {});
    /// let abort = task.abort_handle();
    /// assert!(!abort.is_finished());
    /// task.await.unwrap();
    /// assert!(abort.is_finished());
    /// # });
    /// ```
    pub fn is_finished(&self) -> bool {
        match &self.target {
            AbortTarget::Local(slot) => is_complete(self.id.key(*slot)),
            AbortTarget::Remote(task) => task.is_finished() || task.key().is_some_and(is_complete),
            AbortTarget::Complete => true,
        }
    }
}

/// Queries the executor of a task, which was dropped or is on this thread. Returns false on other
/// threads.
fn is_complete(key: TaskKey) -> bool {
    context::with_if(key.executor, |scheduler| scheduler.is_complete(key))
        .unwrap_or_else(|| Inbox::find(key.executor).is_none())
}

// After a panic its state is as valid as before: no user code runs while that state changes.
impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
