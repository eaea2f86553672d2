//! Threads for what blocks.
//!
//! None exists before the first job. A job goes to an idle thread if there is one, or else to a new
//! one while there may be more; a thread that has been idle for some time ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::{fmt, io, mem, thread};

use crate::config::PoolConfig;
use crate::context;
use crate::error::JoinError;
use crate::handle::Handle;
use crate::id::Id;
use crate::join::{Abort, JoinHandle, OutputCell};
use crate::scheduler::unhandled_panic;
use crate::sync::{Condvar, Mutex};
use crate::task::{drop_catching, wake_catching};

/// A queue of jobs, and the threads that empty it.
pub(crate) struct Pool {
    config: PoolConfig,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<dyn Job>>,
    /// All threads; those of them that wait for a job; those that are about to look for one.
    threads: usize,
    waiting: usize,
    returning: usize,
    closed: bool,
}

trait Job: Abort + Send + Sync {
    /// Calls `done` when the work is done, and only its waiter is still to be woken.
    fn run(&self, done: &dyn Fn());
    /// The runtime is gone, before it began.
    fn cancel(&self);
    /// There is no thread for it.
    fn reject(&self, error: Arc<io::Error>);
}

/// One call of [`spawn_blocking`](crate::spawn_blocking).
struct BlockingJob<F, T> {
    id: Id,
    spawned_at: &'static Location<'static>,
    /// Taken by whoever is first: a thread that runs it, or somebody who aborts it.
    work: Mutex<Option<F>>,
    cell: Arc<OutputCell<T>>,
}

impl Pool {
    /// # Errors
    /// `InvalidInput` for a thread name that no thread can have.
    pub(crate) fn new(config: PoolConfig) -> io::Result<Arc<Pool>> {
        if config.thread_name.bytes().any(|byte| byte == 0) {
            let name = &config.thread_name;
            let text = format!("{name:?} cannot be the name of a thread: it has a NUL in it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Arc::new(Pool {
            config,
            state: Mutex::default(),
            work: Condvar::default(),
        }))
    }

    #[track_caller]
    pub(crate) fn spawn<F, T>(self: &Arc<Self>, handle: &Handle, id: Id, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let cell = OutputCell::new();
        let work = Mutex::new(Some(work));
        let job = Arc::new(BlockingJob {
            id,
            spawned_at: Location::caller(),
            work,
            cell: cell.clone(),
        });
        self.submit(job.clone(), handle);
        JoinHandle::remote(id, job, cell)
    }

    fn submit(self: &Arc<Self>, job: Arc<dyn Job>, handle: &Handle) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return job.cancel();
        }
        state.queue.push_back(job);
        // Each of these takes one job, whether it has noticed yet or not.
        if state.queue.len() <= state.returning {
            return;
        }
        if state.queue.len() <= state.returning + state.waiting {
            drop(state);
            self.work.notify_one();
        } else if state.threads < self.config.max_threads.max(1) {
            state.threads += 1;
            drop(state);
            if let Err(error) = self.start_thread(handle) {
                self.on_spawn_failed(error);
            }
        }
    }

    fn start_thread(self: &Arc<Self>, handle: &Handle) -> io::Result<()> {
        let (pool, handle) = (self.clone(), handle.clone());
        let builder = thread::Builder::new().name(self.config.thread_name.clone());
        builder.spawn(move || {
            context::set_pool_context(handle);
            pool.work();
        })?;
        Ok(())
    }

    /// The other threads will come to the job, if there are any.
    fn on_spawn_failed(&self, error: io::Error) {
        let error = Arc::new(error);
        let mut state = self.state.lock();
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        let refused = mem::take(&mut state.queue);
        drop(state);
        for job in refused {
            job.reject(error.clone());
        }
    }

    /// The life of a thread.
    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            while let Some(job) = state.queue.pop_front() {
                drop(state);
                // Whoever is woken may have another job at once, before this thread is back here: no
                // second one is woken or started for that.
                job.run(&|| self.state.lock().returning += 1);
                drop(job);
                state = self.state.lock();
                state.returning -= 1;
            }
            if state.closed {
                break;
            }
            state.waiting += 1;
            let timed_out;
            (state, timed_out) = self.work.wait_timeout(state, self.config.keep_alive);
            state.waiting -= 1;
            if timed_out && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    /// Whether there is any thread. It does not wait for the lock, which a thread may hold.
    pub(crate) fn has_threads(&self) -> bool {
        self.state.try_lock().is_none_or(|state| state.threads > 0)
    }

    /// Cancels what has not begun, and lets the threads end. Waits for nothing.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let queue = mem::take(&mut state.queue);
        drop(state);
        self.work.notify_all();
        for job in queue {
            job.cancel();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<F, T> BlockingJob<F, T> {
    fn end(&self, error: JoinError) {
        let work = self.work.lock().take();
        if work.is_some() {
            drop_catching(work);
            let error = error.of(None, self.spawned_at);
            self.cell.complete(&mut Some(Err(error)));
        }
    }
}

impl<F, T> Job for BlockingJob<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self, done: &dyn Fn()) {
        let work = self.work.lock().take();
        let waker = work.and_then(|work| {
            let output = catch_unwind(AssertUnwindSafe(work));
            let mut output =
                Some(output.map_err(|p| JoinError::panicked(self.id, None, self.spawned_at, p)));
            let waker = self.cell.put(&mut output);
            match output {
                Some(Err(error)) => unhandled_panic(error),
                output => drop_catching(output),
            }
            waker
        });
        done();
        if let Some(waker) = waker {
            wake_catching(waker);
        }
    }

    fn cancel(&self) {
        self.end(JoinError::gone(self.id));
    }

    fn reject(&self, error: Arc<io::Error>) {
        self.end(JoinError::rejected(self.id, error));
    }
}

impl<F, T> Abort for BlockingJob<F, T>
where
    F: FnOnce() -> T,
{
    fn abort(self: Arc<Self>) {
        self.end(JoinError::aborted(self.id));
    }
}
