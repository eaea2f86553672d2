//! A set of tasks, awaited in the order of their completion.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use slab::Slab;

use crate::error::JoinError;
use crate::group::{Group, GroupKind, Member};
use crate::handle::Handle;
use crate::id::Id;
use crate::join::{AbortHandle, JoinHandle};
use crate::proceed::{Proceed, without_budget};
use crate::sync::Mutex;
use crate::task::is_large;
use crate::task::member::member_waker;
use crate::unwind::drop_catching;

/// A set of tasks that are awaited in the order of their completion.
///
/// Dropping the set aborts its tasks.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let mut set = runtime::task::JoinSet::new();
/// for n in 1..=3 {
///     set.spawn(async move { n * n });
/// }
/// let mut sum = 0;
/// while let Some(square) = set.join_next().await {
///     sum += square.unwrap();
/// }
/// assert_eq!(sum, 14);
/// # });
/// ```
pub struct JoinSet<T> {
    tasks: Slab<Task<T>>,
    group: Arc<Group>,
    proceed: Proceed,
}

struct Task<T> {
    handle: JoinHandle<T>,
    member: Arc<Member>,
    /// The waker of the member.
    waker: Waker,
    /// The output of a task that was complete when it was inserted. An output need not be `Sync`.
    /// The mutex makes the set so.
    output: Mutex<Option<Result<T, JoinError>>>,
}

impl<T> JoinSet<T> {
    /// Returns an empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet {
            tasks: Slab::new(),
            group: Group::new(GroupKind::JoinSet),
            proceed: Proceed::default(),
        }
    }

    /// Returns the number of tasks in the set: those that run, and those whose output was not
    /// taken.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Returns true if there is no task in the set.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Aborts all tasks. They stay in the set until they are joined.
    pub fn abort_all(&self) {
        for (_, task) in &self.tasks {
            task.handle.abort();
        }
    }

    /// Removes all tasks from the set without aborting them: they continue to run, detached.
    pub fn detach_all(&mut self) {
        self.tasks.clear();
        self.group.set_len(0);
        self.group.clear();
    }
}

impl<T: 'static> JoinSet<T> {
    fn insert(&mut self, mut handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let entry = self.tasks.vacant_entry();
        let member = self.group.member(entry.key());
        let waker = member_waker(member.clone());
        // Stores the member's waker in the task.
        let mut cx = Context::from_waker(&waker);
        let polled = without_budget(|| Pin::new(&mut handle).poll(&mut cx));
        let output = match polled {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        };
        let finished = output.is_some().then(|| member.clone());
        entry.insert(Task {
            handle,
            member,
            waker,
            output: Mutex::new(output),
        });
        self.group.set_len(self.tasks.len());
        if let Some(member) = finished {
            member.wake();
        }
        abort
    }

    /// Spawns a task and inserts it. See [`spawn`](crate::spawn).
    ///
    /// # Panics
    /// Panics outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(if const { is_large::<F>() } {
            crate::spawn::spawn(Box::pin(future))
        } else {
            crate::spawn::spawn(future)
        })
    }

    /// Runs a closure that blocks on the blocking pool, and inserts it. See
    /// [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    /// Panics outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, job: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(crate::spawn::spawn_blocking(job))
    }

    /// Spawns a task on the runtime of a handle, from any thread, and inserts it. See
    /// [`Handle::spawn`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// let mut set = runtime::task::JoinSet::new();
    /// set.spawn_on(async { 6 * 7 }, runtime.handle());
    /// let answer = runtime.block_on(set.join_next()).unwrap();
    /// assert_eq!(answer.unwrap(), 42);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn(future))
    }

    /// Runs a closure that blocks on the blocking pool of a runtime, and inserts it. See
    /// [`Handle::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, job: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn_blocking(job))
    }

    /// Waits for the next task to complete, and removes it. Returns `None` once the set is empty.
    ///
    /// # Errors
    /// Returns a [`JoinError`] if the task panicked, was aborted, or was dropped with its runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: no output is lost if the future is dropped.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// Waits for the next task to complete, removes it and returns its identity with its output.
    /// Returns `None` once the set is empty.
    ///
    /// # Errors
    /// Returns a [`JoinError`] if the task panicked, was aborted, or was dropped with its runtime.
    /// The error has the identity of the task.
    ///
    /// # Cancel safety
    /// Cancel safe: no output is lost if the future is dropped.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let mut set = runtime::task::JoinSet::new();
    /// let id = set.spawn(async { 7 }).id();
    /// assert_eq!(set.join_next_with_id().await.unwrap().unwrap(), (id, 7));
    /// # });
    /// ```
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// Poll-based version of [`join_next`](JoinSet::join_next). Only the last waker is woken.
    ///
    /// # Errors
    /// Returns a [`JoinError`] if the task panicked, was aborted, or was dropped with its runtime.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx)
            .map(|next| next.map(without_id))
    }

    /// Poll-based version of [`join_next_with_id`](JoinSet::join_next_with_id). Only the last waker
    /// is woken.
    ///
    /// # Errors
    /// Returns a [`JoinError`] if the task panicked, was aborted, or was dropped with its runtime.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        let may_complete = self.tasks.is_empty() || self.group.has_woken();
        if may_complete {
            ready!(self.proceed.poll(cx));
        }
        loop {
            if self.tasks.is_empty() {
                return Poll::Ready(None);
            }
            match self.group.take_woken() {
                Some(index) => {
                    if let Some(output) = self.poll_task(index) {
                        return Poll::Ready(Some(output));
                    }
                }
                None if self.group.wait(cx) => {
                    self.proceed.set_waited();
                    return Poll::Pending;
                }
                None => {} // A task was woken in the meantime.
            }
        }
    }

    /// Removes the next task that is complete and returns its output, or `None` if there is none.
    ///
    /// # Errors
    /// Returns a [`JoinError`] if the task panicked, was aborted, or was dropped with its runtime.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.try_join_next_with_id().map(without_id)
    }

    /// Removes the next task that is complete and returns its identity with its output, or `None`
    /// if there is none.
    ///
    /// # Errors
    /// Returns a [`JoinError`] if the task panicked, was aborted, or was dropped with its runtime.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        loop {
            let index = self.group.take_woken()?;
            if let Some(output) = self.poll_task(index) {
                return Some(output);
            }
        }
    }

    /// Removes a task if it is complete.
    fn poll_task(&mut self, index: usize) -> Option<Result<(Id, T), JoinError>> {
        let task = self.tasks.get_mut(index)?;
        if !task.member.take_wake() {
            return None; // An earlier task at this index was woken.
        }
        let id = task.handle.id();
        let polled = match task.output.get_mut().take() {
            Some(output) => Poll::Ready(output),
            None => {
                // The set counts the output itself: a member that yielded would wake the set.
                let mut cx = Context::from_waker(&task.waker);
                without_budget(|| Pin::new(&mut task.handle).poll(&mut cx))
            }
        };
        match polled {
            Poll::Pending => None,
            Poll::Ready(output) => {
                let task = self.tasks.remove(index);
                self.group.set_len(self.tasks.len());
                drop_catching(task);
                Some(output.map(|output| (id, output)))
            }
        }
    }

    /// Waits for all tasks, and returns their outputs in the order of completion.
    ///
    /// # Panics
    /// Panics if a task panicked, with the same payload, or was aborted. The other tasks are
    /// aborted.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future drops the set with the outputs in it, and aborts its
    /// tasks.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let mut set = runtime::task::JoinSet::new();
    /// set.spawn(async { 1 });
    /// set.spawn(async { 2 });
    /// assert_eq!(set.join_all().await, [1, 2]);
    /// # });
    /// ```
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(output) = self.join_next().await {
            match output {
                Ok(output) => outputs.push(output),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => panic!("JoinSet::join_all: {error}"),
            }
        }
        outputs
    }

    /// Aborts all tasks and waits until they are dropped, or, for blocking jobs that have begun,
    /// complete.
    ///
    /// # Cancel safety
    /// Cancel safe: if the future is dropped, the tasks stay aborted, and another call waits for
    /// the rest.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }
}

fn without_id<T>(output: Result<(Id, T), JoinError>) -> Result<T, JoinError> {
    output.map(|(_, output)| output)
}

impl<T: 'static, F: Future<Output = T> + 'static> Extend<F> for JoinSet<T> {
    /// Spawns each future and inserts its task.
    ///
    /// # Panics
    /// Panics outside a runtime.
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}

impl<T: 'static, F: Future<Output = T> + 'static> FromIterator<F> for JoinSet<T> {
    /// Spawns each future.
    ///
    /// # Panics
    /// Panics outside a runtime.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// use runtime::task::JoinSet;
    ///
    /// let squares: JoinSet<_> = (1..=3).map(|n| async move { n * n }).collect();
    /// assert_eq!(squares.join_all().await.iter().sum::<i32>(), 14);
    /// # });
    /// ```
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        set.extend(futures);
        set
    }
}

impl<T> Unpin for JoinSet<T> {}

// After a panic its state is as valid as before: no user code runs while that state changes.
impl<T> UnwindSafe for JoinSet<T> {}
impl<T> RefUnwindSafe for JoinSet<T> {}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}
