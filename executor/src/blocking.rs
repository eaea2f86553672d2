//! The pool of threads for closures that block.
//!
//! There is no thread before the first job. A job goes to an idle thread, or to a new one while the
//! limit allows it. A thread that has been idle for a while exits.
//!
//! Closing the pool cancels the jobs that have not begun, except mandatory ones. These hold data
//! that was accepted and must not be lost, such as bytes for a file: [`Pool::finish`] waits until
//! all have run.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fmt, io, mem, thread};

use crate::config::PoolConfig;
use crate::inbox::Inbox;
use crate::job::Job;
use crate::record::{AwaiterOf, JobCounts, JobRecord};
use crate::sync::{Condvar, Mutex};

/// A queue of jobs, and the threads that run them.
pub(crate) struct Pool {
    config: PoolConfig,
    state: Mutex<State>,
    job_queued: Condvar,
    mandatory_done: Condvar,
}

/// The treatment of a job that has not begun when the pool is closed, or for which no thread can
/// be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It is canceled or rejected: its handle returns an error.
    Cancelable,
    /// It still runs, if necessary on the thread that submits it or closes the pool.
    Mandatory,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Arc<dyn Job>, Class)>,
    /// The jobs that threads of the pool run. Weak, so that dropping one runs no foreign code.
    running: Vec<(Weak<dyn Job>, Instant)>,
    /// True while a thread waits for the last job.
    awaits_idle: bool,
    /// The executor that is unparked after the last job.
    unparked_when_idle: Option<Arc<Inbox>>,
    /// The number of jobs that were ever queued.
    submitted: u64,
    /// The number of mandatory jobs that are queued or running.
    mandatory: usize,
    /// The functions that run after the last mandatory job of a closed pool.
    finishers: Vec<Box<dyn FnOnce() + Send>>,
    threads: usize,
    /// The number of threads that wait for a job.
    waiting: usize,
    /// The number of threads that have run a job and are about to look for the next.
    returning: usize,
    closed: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.is_empty()
    }

    /// Takes the jobs that are not mandatory out of the queue.
    fn take_cancelable(&mut self) -> Vec<Arc<dyn Job>> {
        let mut canceled = Vec::new();
        for _ in 0..self.queue.len() {
            match self.queue.pop_front() {
                Some((job, Class::Cancelable)) => canceled.push(job),
                Some(mandatory) => self.queue.push_back(mandatory),
                None => break,
            }
        }
        canceled
    }
}

impl Pool {
    /// # Errors
    /// Returns `InvalidInput` if the thread name has a NUL in it.
    pub(crate) fn new(config: PoolConfig) -> io::Result<Arc<Pool>> {
        if config.thread_name.bytes().any(|byte| byte == 0) {
            let name = &config.thread_name;
            let text = format!("blocking thread name {name:?} has a NUL in it: remove it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Arc::new(Pool {
            config,
            state: Mutex::default(),
            job_queued: Condvar::default(),
            mandatory_done: Condvar::default(),
        }))
    }

    /// Returns the name of the executor.
    pub(crate) fn executor_name(&self) -> Option<&str> {
        self.config.name.as_deref()
    }

    /// Queues a job. If that starts a thread, `on_thread_start` is its first action.
    pub(crate) fn submit(
        self: &Arc<Self>,
        job: Arc<dyn Job>,
        class: Class,
        on_thread_start: impl FnOnce() + Send + 'static,
    ) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return match class {
                Class::Cancelable => job.cancel(),
                Class::Mandatory => job.run(&|| {}),
            };
        }
        state.mandatory += usize::from(class == Class::Mandatory);
        state.submitted += 1;
        state.queue.push_back((job, class));
        #[cfg(feature = "sim")]
        if self.config.is_threadless {
            return;
        }
        // Each of these threads takes one job without being notified.
        if state.queue.len() <= state.returning {
            return;
        }
        if state.queue.len() <= state.returning + state.waiting {
            drop(state);
            self.job_queued.notify_one();
        } else if state.threads < self.config.max_threads.max(1) {
            state.threads += 1;
            drop(state);
            if let Err(error) = self.start_thread(on_thread_start) {
                self.on_spawn_failed(error);
            }
        }
    }

    fn start_thread(
        self: &Arc<Self>,
        on_thread_start: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let pool = self.clone();
        let builder = thread::Builder::new().name(self.config.thread_name.clone());
        builder.spawn(move || {
            on_thread_start();
            pool.config.on_thread_start.call();
            pool.run_jobs();
            pool.config.on_thread_stop.call();
        })?;
        Ok(())
    }

    /// Rejects all jobs, unless there is another thread that will run them. Mandatory jobs run on
    /// this thread instead.
    fn on_spawn_failed(&self, error: io::Error) {
        let error = Arc::new(error);
        let mut state = self.state.lock();
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        let rejected = mem::take(&mut state.queue);
        drop(state);
        for (job, class) in rejected {
            match class {
                Class::Cancelable => job.reject(error.clone()),
                Class::Mandatory => self.run_here(job),
            }
        }
    }

    /// Runs jobs until the thread has been idle for too long or the pool is closed.
    fn run_jobs(&self) {
        let mut state = self.state.lock();
        loop {
            while let Some((job, class)) = state.queue.pop_front() {
                let address = Arc::as_ptr(&job).cast::<()>();
                state.running.push((Arc::downgrade(&job), Instant::now()));
                drop(state);
                // The task that is woken may submit another job before this thread is back here.
                // Counted as returning, this thread takes it: no second one is woken or started.
                job.run(&|| self.state.lock().returning += 1);
                drop(job);
                state = self.state.lock();
                state.returning -= 1;
                let is_it = |(job, _): &(Weak<dyn Job>, _)| job.as_ptr().cast::<()>() == address;
                if let Some(index) = state.running.iter().position(is_it) {
                    state.running.swap_remove(index);
                }
                let mut unparked = None;
                if state.is_idle() {
                    unparked = state.unparked_when_idle.take();
                    if state.awaits_idle {
                        self.mandatory_done.notify_all();
                    }
                }
                self.count_done(&mut state, class);
                if let Some(inbox) = unparked {
                    drop(state);
                    inbox.unpark();
                    state = self.state.lock();
                }
            }
            if state.closed {
                break;
            }
            state.waiting += 1;
            let timed_out;
            (state, timed_out) = self.job_queued.wait_timeout(state, self.config.keep_alive);
            state.waiting -= 1;
            if timed_out && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    /// Returns true if a job is queued.
    #[cfg(feature = "sim")]
    pub(crate) fn has_queued(&self) -> bool {
        !self.state.lock().queue.is_empty()
    }

    /// Runs a queued job on the thread that calls this. `choose` returns its number, which is below
    /// the argument. Returns false if no job is queued.
    #[cfg(feature = "sim")]
    pub(crate) fn run_one(&self, choose: impl FnOnce(u64) -> u64) -> bool {
        let mut state = self.state.lock();
        let count = state.queue.len() as u64;
        if count == 0 {
            return false;
        }
        let chosen = state.queue.remove(choose(count) as usize);
        drop(state);
        let Some((job, class)) = chosen else {
            return false;
        };
        job.run(&|| {});
        drop(job);
        self.count_done(&mut self.state.lock(), class);
        true
    }

    /// Runs a mandatory job on the thread that calls this.
    fn run_here(&self, job: Arc<dyn Job>) {
        job.run(&|| {});
        drop(job);
        self.count_done(&mut self.state.lock(), Class::Mandatory);
    }

    fn count_done(&self, state: &mut State, class: Class) {
        // After a `forget` the count is 0 already.
        if class == Class::Mandatory && state.mandatory > 0 {
            state.mandatory -= 1;
            if state.mandatory == 0 {
                self.mandatory_done.notify_all();
            }
        }
    }

    pub(crate) fn counts(&self) -> JobCounts {
        let state = self.state.lock();
        JobCounts {
            submitted: state.submitted,
            queued: state.queue.len() as u64,
            running: state.running.len() as u64,
            threads: state.threads as u64,
        }
    }

    /// Returns a record of every job that is running or queued.
    pub(crate) fn records(&self, awaiter_of: AwaiterOf<'_>) -> Vec<JobRecord> {
        let jobs: Vec<(Arc<dyn Job>, Option<Instant>)> = {
            let state = self.state.lock();
            let running = state.running.iter();
            let running = running.filter_map(|(job, begun)| Some((job.upgrade()?, Some(*begun))));
            let queued = state.queue.iter().map(|(job, _)| (job.clone(), None));
            running.chain(queued).collect()
        };
        // Without the lock, because dropping a job may be foreign code.
        let record = |(job, begun): &(Arc<dyn Job>, Option<Instant>)| {
            job.record(begun.map(|begun| begun.elapsed()), awaiter_of)
        };
        jobs.iter().map(record).collect()
    }

    /// Returns true if there is a thread. Does not wait for the lock; a thread may hold it.
    pub(crate) fn has_threads(&self) -> bool {
        self.state.try_lock().is_none_or(|state| state.threads > 0)
    }

    /// Cancels the jobs that have not begun and are not mandatory, and lets the threads exit. Does
    /// not wait for them.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let canceled = state.take_cancelable();
        drop(state);
        self.job_queued.notify_all();
        canceled.into_iter().for_each(|job| job.cancel());
    }

    /// Waits until the mandatory jobs of a closed pool have run. Those that are still queued run on
    /// this thread, because all threads of the pool may be busy forever.
    pub(crate) fn finish(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some((job, _)) = state.queue.pop_front() {
                drop(state);
                self.run_here(job);
                state = self.state.lock();
            } else if state.mandatory > 0 {
                state = self.mandatory_done.wait(state);
            } else {
                break;
            }
        }
        let finishers = mem::take(&mut state.finishers);
        drop(state);
        finishers.into_iter().for_each(|finisher| finisher());
    }

    /// Waits until no job runs or is queued, at most for `limit`.
    pub(crate) fn wait_until_idle(&self, limit: Duration) {
        #[cfg(feature = "sim")]
        if self.config.is_threadless {
            while self.run_one(|_| 0) {}
            return;
        }
        let begin = Instant::now();
        let mut state = self.state.lock();
        while !state.is_idle() {
            let Some(rest) = limit.checked_sub(begin.elapsed()) else {
                break;
            };
            state.awaits_idle = true;
            (state, _) = self.mandatory_done.wait_timeout(state, rest);
        }
        state.awaits_idle = false;
    }

    /// Returns true if no job runs or is queued. Otherwise unparks the executor of `inbox` once
    /// none does.
    pub(crate) fn is_idle_or_unpark(&self, inbox: &Arc<Inbox>) -> bool {
        let mut state = self.state.lock();
        let is_idle = state.is_idle();
        state.unparked_when_idle = (!is_idle).then(|| inbox.clone());
        is_idle
    }

    /// Adds a function that runs after the last mandatory job, when the pool is closed. If that has
    /// happened, it runs at once.
    pub(crate) fn on_finish(&self, finisher: Box<dyn FnOnce() + Send>) {
        let mut state = self.state.lock();
        if state.closed && state.mandatory == 0 {
            drop(state);
            return finisher();
        }
        state.finishers.push(finisher);
    }

    /// Closes the pool in a child of fork(2), which has no threads: the threads and all jobs belong
    /// to the parent.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.mandatory = 0;
        let finishers = mem::take(&mut state.finishers);
        drop(state);
        drop(finishers);
        loop {
            let next = self.state.lock().queue.pop_front();
            let Some((job, _)) = next else {
                break;
            };
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
