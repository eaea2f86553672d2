//! Many tasks, awaited in the order in which they finish.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use crate::error::JoinError;
use crate::join::{AbortHandle, JoinHandle};
use crate::sync::Mutex;
use crate::unwind::drop_catching;

/// Tasks that belong together: awaited as they finish, aborted when the set is dropped.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// let mut set = runtime_executor::JoinSet::new();
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
    members: Slab<Member<T>>,
    shared: Arc<Shared>,
}

struct Member<T> {
    handle: JoinHandle<T>,
    waker: Waker,
    /// Of a task that had finished when it came into the set. In a mutex because an output need not
    /// be `Sync`, and a set of handles is.
    output: Mutex<Option<Result<T, JoinError>>>,
}

/// What the members' wakers tell the set.
#[derive(Default)]
struct Shared(Mutex<Completed>);

#[derive(Default)]
struct Completed {
    /// Those to be looked at, because they finished, in that order.
    changed: VecDeque<usize>,
    waiter: Option<Waker>,
}

/// The waker of one member.
struct MemberWaker {
    index: usize,
    shared: Arc<Shared>,
}

impl Wake for MemberWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiter = {
            let mut completed = self.shared.0.lock();
            completed.changed.push_back(self.index);
            completed.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl Shared {
    /// Leaves a waker there, unless one completed meanwhile.
    fn wait(&self, cx: &Context<'_>) -> Option<usize> {
        // Cloned and dropped while the lock is not held.
        let new = cx.waker().clone();
        let mut completed = self.0.lock();
        let first = completed.changed.pop_front();
        let unwanted = match first {
            Some(_) => Some(new),
            None => completed.waiter.replace(new),
        };
        drop(completed);
        drop(unwanted);
        first
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet {
            members: Slab::new(),
            shared: Arc::default(),
        }
    }

    /// How many tasks are in the set: those that run, and those that finished and were not taken.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Aborts every task. They stay in the set until they are taken, or say that they were aborted.
    pub fn abort_all(&self) {
        for (_, member) in &self.members {
            member.handle.abort();
        }
    }

    /// Empties the set without aborting anything: the tasks run on, detached.
    pub fn detach_all(&mut self) {
        self.members.clear();
        self.shared.0.lock().changed.clear();
    }
}

impl<T: 'static> JoinSet<T> {
    fn insert(&mut self, mut handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let entry = self.members.vacant_entry();
        let waker = Waker::from(Arc::new(MemberWaker {
            index: entry.key(),
            shared: self.shared.clone(),
        }));
        // So that it knows whom to wake.
        let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        let output = match polled {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        };
        let finished = output.is_some().then(|| waker.clone());
        entry.insert(Member {
            handle,
            waker,
            output: Mutex::new(output),
        });
        if let Some(waker) = finished {
            waker.wake();
        }
        abort
    }

    /// Spawns a task into the set. See [`spawn`](crate::spawn).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(crate::spawn::spawn(future))
    }

    /// Runs a blocking job in the set. See [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, job: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(crate::spawn::spawn_blocking(job))
    }

    /// Waits for the next task to finish and takes it out; `None` once the set is empty.
    ///
    /// # Errors
    /// Those of the task: see [`JoinHandle`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](JoinSet::join_next), for those who poll. Only the last waker is woken.
    ///
    /// # Errors
    /// Those of the task: see [`JoinHandle`].
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        loop {
            if self.members.is_empty() {
                return Poll::Ready(None);
            }
            let first = self.shared.0.lock().changed.pop_front();
            let Some(index) = first.or_else(|| self.shared.wait(cx)) else {
                return Poll::Pending;
            };
            if let Some(output) = self.poll_member(index) {
                return Poll::Ready(Some(output));
            }
        }
    }

    /// The next task that has finished already, if there is one.
    ///
    /// # Errors
    /// Those of the task: see [`JoinHandle`].
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        loop {
            let index = self.shared.0.lock().changed.pop_front()?;
            if let Some(output) = self.poll_member(index) {
                return Some(output);
            }
        }
    }

    /// Takes a member out if it has finished.
    fn poll_member(&mut self, index: usize) -> Option<Result<T, JoinError>> {
        let member = self.members.get_mut(index)?;
        let polled = match member.output.get_mut().take() {
            Some(output) => Poll::Ready(output),
            None => Pin::new(&mut member.handle).poll(&mut Context::from_waker(&member.waker)),
        };
        match polled {
            Poll::Pending => None,
            Poll::Ready(output) => {
                drop_catching(self.members.remove(index));
                Some(output)
            }
        }
    }

    /// Waits for all tasks, and gives their outputs in the order in which they finished.
    ///
    /// # Panics
    /// If a task panicked, with its payload, or was aborted. The tasks that are left are aborted.
    ///
    /// # Cancel safety
    /// Not: dropping the future drops the set, which aborts the tasks, and the outputs there are.
    ///
    /// # Examples
    /// ```
    /// # mod support { include!("../tests/support/block_on.rs"); }
    /// # support::block_on(async {
    /// let mut set = runtime_executor::JoinSet::new();
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

    /// Aborts every task and waits until they are gone. A blocking job that has begun is waited
    /// for.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the tasks aborted, and those that have not been waited for in the
    /// set; another call waits for them.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }
}

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
