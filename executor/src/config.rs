//! The configuration of an executor.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The executor's response to a panic in a detached task: one whose
/// [`JoinHandle`](crate::JoinHandle) was dropped.
///
/// A panic in a task whose handle still exists goes to the task that awaits the handle, whatever
/// the policy.
///
/// # Examples
/// ```
/// use runtime::{PanicPolicy, Runtime};
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = Runtime::builder()
///     .panic_policy(PanicPolicy::Propagate)
///     .build()?;
/// # drop(runtime);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// Writes one line to standard error: the task, where it was spawned, and the panic message.
    #[default]
    Report,
    /// Panics in `block_on` with the same payload. The other tasks are kept and continue in the
    /// next `block_on`.
    Propagate,
    /// Drops all tasks, then panics in `block_on` with the same payload. The runtime is shut down
    /// and cannot be used again.
    ShutDown,
}

/// The configuration of an [`Executor`](crate::Executor).
///
/// # Examples
/// ```
/// use runtime_executor::{Config, PanicPolicy};
///
/// let config = Config::new()
///     .panic_policy(PanicPolicy::ShutDown)
///     .max_blocking_threads(4);
/// # drop(config);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration has no effect until an executor is made with it"]
pub struct Config {
    pub(crate) panic_policy: PanicPolicy,
    pub(crate) pool: PoolConfig,
    /// True if a panic that is resumed has the [`JoinError`](crate::JoinError) as its payload.
    #[cfg(feature = "sim")]
    pub(crate) panics_with_error: bool,
}

/// The limits of the blocking pool.
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    pub(crate) max_threads: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) thread_name: String,
    pub(crate) on_thread_start: Hook,
    pub(crate) on_thread_stop: Hook,
    /// The name of the executor.
    pub(crate) name: Option<String>,
    /// True if no thread is started: jobs wait for [`run_blocking_job`].
    ///
    /// [`run_blocking_job`]: crate::internal::run_blocking_job
    #[cfg(feature = "sim")]
    pub(crate) is_threadless: bool,
}

/// A function that the configuration supplies.
#[derive(Clone, Default)]
pub(crate) struct Hook(Option<Arc<AssertUnwindSafe<Function>>>);

type Function = Box<dyn Fn() + Send + Sync>;

impl Hook {
    fn new(hook: impl Fn() + Send + Sync + 'static) -> Hook {
        Hook(Some(Arc::new(AssertUnwindSafe(Box::new(hook)))))
    }

    /// Calls the function. A panic ends it alone; the process's panic hook reports it.
    pub(crate) fn call(&self) {
        if let Some(hook) = &self.0 {
            let _ = catch_unwind(AssertUnwindSafe(|| (hook.0)()));
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.0.is_some()).finish()
    }
}

impl Config {
    /// Returns the default configuration.
    pub fn new() -> Config {
        Config {
            panic_policy: PanicPolicy::default(),
            pool: PoolConfig {
                max_threads: 512,
                keep_alive: Duration::from_secs(10),
                thread_name: "runtime-blocking".to_owned(),
                on_thread_start: Hook::default(),
                on_thread_stop: Hook::default(),
                name: None,
                #[cfg(feature = "sim")]
                is_threadless: false,
            },
            #[cfg(feature = "sim")]
            panics_with_error: false,
        }
    }

    /// Sets the response to a panic in a detached task. Default: [`PanicPolicy::Report`].
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Config {
        self.panic_policy = policy;
        self
    }

    /// Sets the maximum number of blocking-pool threads; further jobs are queued. Minimum 1,
    /// default 512.
    pub fn max_blocking_threads(mut self, threads: usize) -> Config {
        self.pool.max_threads = threads;
        self
    }

    /// Sets how long an idle blocking-pool thread waits for another job before it exits. Default:
    /// 10 seconds.
    pub fn blocking_thread_keep_alive(mut self, keep_alive: Duration) -> Config {
        self.pool.keep_alive = keep_alive;
        self
    }

    /// Sets the name of the blocking-pool threads. Default: `runtime-blocking`. Linux shows its
    /// first 15 bytes.
    pub fn blocking_thread_name(mut self, name: impl Into<String>) -> Config {
        self.pool.thread_name = name.into();
        self
    }

    /// Sets a function that each blocking-pool thread calls first, before its first job.
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Config {
        self.pool.on_thread_start = Hook::new(hook);
        self
    }

    /// Sets a function that each blocking-pool thread calls last, after its last job.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Config {
        self.pool.on_thread_stop = Hook::new(hook);
        self
    }

    /// Sets whether blocking jobs have no threads. Default: false.
    ///
    /// Jobs are queued until [`run_blocking_job`](crate::internal::run_blocking_job) runs them on
    /// the thread that calls it.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn threadless_blocking(mut self, is_threadless: bool) -> Config {
        self.pool.is_threadless = is_threadless;
        self
    }

    /// Sets whether the panic of a detached task is resumed with a [`JoinError`](crate::JoinError)
    /// as its payload, which names the task. Default: false, which resumes the payload of the task.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn panic_with_error(mut self, with_error: bool) -> Config {
        self.panics_with_error = with_error;
        self
    }

    /// Sets the name of the executor. Default: none.
    pub fn name(mut self, name: impl Into<String>) -> Config {
        self.pool.name = Some(name.into());
        self
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}
