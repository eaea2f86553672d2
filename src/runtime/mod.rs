//! The loop, and what it is made of.

mod embed;
mod fork;
mod per_core;

use std::cell::OnceCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_executor::{Config, Executor, Handle, JoinHandle, PanicPolicy, Park};
use runtime_reactor::{Backend, Reactor, Stats};

pub use per_core::{PerCore, per_core};

use crate::driver::Driver;
use crate::net::resolver::BlockingResolver;

/// An executor and a reactor, for one thread.
///
/// Most programs need no more of it than [`#[runtime::main]`](crate::main). Make one yourself to
/// choose its [options](Builder), or to keep tasks from one [`block_on`](Runtime::block_on) to the
/// next.
///
/// There can be as many as one likes, one after the other or on several threads; they share
/// nothing. It starts no thread before the first blocking job.
///
/// # Dropping it
/// Drops all tasks, on this thread, in the order in which they were spawned (those that came from
/// other threads last); then wakes whatever
/// still waits for a socket or timer of this runtime, on whatever thread, to an error. Blocking jobs
/// that have not begun are cancelled, and nobody waits for those that have.
///
/// # Examples
/// ```
/// use runtime::Runtime;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = Runtime::new()?;
/// let answer = runtime.block_on(async {
///     let task = runtime::spawn(async { 6 * 7 });
///     task.await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
pub struct Runtime {
    executor: Executor,
    driver: Driver,
    resolver: Rc<BlockingResolver>,
    /// What somebody else's loop watches; made when it is asked for.
    fd: OnceCell<OwnedFd>,
}

impl Runtime {
    /// A runtime with the default options.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Runtime> {
        Runtime::builder().build()
    }

    /// A runtime with options to choose.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs a future to its end, and the tasks of this runtime meanwhile. Tasks that have not
    /// finished by then rest until the next call.
    ///
    /// # Panics
    /// If the future does; if a runtime runs on this thread already; in a child of fork(2), before
    /// [`after_fork_child`](Runtime::after_fork_child); if a detached task panicked
    /// and the [`PanicPolicy`] says so, now or, with `ShutDown`, in an earlier call.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.enter_exclusive("block_on", Location::caller());
        assert!(
            !self.driver.reactor.is_forked(),
            "block_on was called in a child of fork(2): call Runtime::after_fork_child first, or make \
             a new runtime"
        );
        let waker = self.executor.root_waker();
        let mut root = pin!(future);
        let mut cx = Context::from_waker(&waker);
        waker.wake_by_ref();
        loop {
            let root_woken = self.executor.take_root_wake();
            if root_woken {
                if let Poll::Ready(output) = root.as_mut().poll(&mut cx) {
                    self.flush_changes();
                    return output;
                }
            }
            let polled = self.executor.run_ready() + usize::from(root_woken);
            self.driver.park(self.executor.park_mode(polled));
        }
    }

    /// Spawns a task. It runs during [`block_on`](Runtime::block_on). See [`spawn`](crate::spawn).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// let task = runtime.spawn(async { 6 * 7 });
    /// assert!(!task.is_finished()); // nothing has run yet
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.executor.spawn(future)
    }

    /// What other threads use to spawn tasks here, and to run closures.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// let other = std::thread::spawn(move || handle.spawn(async { 6 * 7 }));
    /// let task = other.join().unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle(&self) -> &Handle {
        self.executor.handle()
    }

    /// What the reactor counted: system calls, events, timers. O(1). It takes a `Runtime` of one's
    /// own: `#[runtime::main]` keeps its to itself.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// runtime.block_on(async { runtime::task::yield_now().await });
    /// assert_eq!(runtime.stats().waits, 0); // the kernel was never asked
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        self.driver.reactor.stats()
    }

    /// The system calls it is built on.
    pub fn backend(&self) -> Backend {
        self.driver.reactor.backend()
    }

    /// Makes reactor, executor and resolver those of this thread until the guards are dropped.
    fn enter(&self) -> Entered {
        Entered {
            _executor: self.executor.enter(),
            _reactor: self.driver.reactor.enter(),
            _resolver: runtime_net::enter_resolver(self.resolver.clone()),
        }
    }

    #[track_caller]
    fn enter_exclusive(&self, what: &str, at: &Location<'_>) -> Entered {
        assert!(
            !Executor::is_entered(),
            "{what} was called at {at} inside a runtime, whose thread it would block: await the \
             future instead, or spawn it"
        );
        assert!(
            !self.executor.is_closed(),
            "{what} was called at {at} on a runtime that the panic of a task has shut down \
             (PanicPolicy::ShutDown): make a new one"
        );
        self.enter()
    }
}

/// Dropped as a whole: what each of them restores is its own.
struct Entered {
    _executor: runtime_executor::EnterGuard,
    _reactor: runtime_reactor::EnterGuard,
    _resolver: runtime_net::ResolverEntered,
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.driver.reactor.is_forked() {
            self.forget_inherited_fd();
        }
        let _entered = self.enter();
        self.executor.close();
        self.driver.reactor.close();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("executor", &self.executor)
            .field("reactor", &self.driver.reactor)
            .finish()
    }
}

/// Options of a [`Runtime`].
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = runtime::Runtime::builder()
///     .max_blocking_threads(4)
///     .blocking_thread_keep_alive(Duration::from_secs(1))
///     .panic_policy(runtime::PanicPolicy::ShutDown)
///     .build()?;
/// # drop(runtime);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is made until `build` is called"]
pub struct Builder {
    backend: Option<Backend>,
    executor: Config,
    pin_cores: bool,
}

impl Builder {
    /// The system calls to build on; [`Backend::available`] lists what this platform has. Default:
    /// what the variable `RUNTIME_BACKEND` names (`epoll`, `kqueue`, `poll` or `select`), or the best
    /// there is. The variable is read by [`build`](Builder::build), once for each runtime, and only
    /// where this was not called.
    ///
    /// # Examples
    /// ```
    /// use runtime::{Backend, Runtime};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = Runtime::builder().backend(Backend::Poll).build()?;
    /// assert_eq!(runtime.backend(), Backend::Poll);
    /// # Ok(())
    /// # }
    /// ```
    pub fn backend(mut self, backend: Backend) -> Builder {
        self.backend = Some(backend);
        self
    }

    /// So many threads for blocking jobs at the most, at least 1; more jobs queue up. Default: 512.
    pub fn max_blocking_threads(mut self, threads: usize) -> Builder {
        self.executor = self.executor.max_blocking_threads(threads);
        self
    }

    /// How long a thread for blocking jobs waits for the next one before it ends. Default: 10
    /// seconds.
    pub fn blocking_thread_keep_alive(mut self, keep_alive: Duration) -> Builder {
        self.executor = self.executor.blocking_thread_keep_alive(keep_alive);
        self
    }

    /// What the threads for blocking jobs are called. Default: `runtime-blocking`.
    pub fn blocking_thread_name(mut self, name: impl Into<String>) -> Builder {
        self.executor = self.executor.blocking_thread_name(name);
        self
    }

    /// What becomes of the panic of a task whose handle was dropped. Default: it is reported.
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Builder {
        self.executor = self.executor.panic_policy(policy);
        self
    }

    /// Makes the runtime.
    ///
    /// # Errors
    /// `InvalidInput` if `RUNTIME_BACKEND` names no backend or the thread name has a NUL in it; an
    /// error if there are 4,096 runtimes already; `Unsupported` for a backend that this
    /// platform has not, naming those it has, and what the system says when it has no descriptor or memory left (two
    /// descriptors are needed).
    pub fn build(self) -> io::Result<Runtime> {
        let reactor = match self.backend {
            Some(backend) => Reactor::with_backend(backend)?,
            None => Reactor::new()?,
        };
        let driver = Driver::new(reactor);
        let executor = Executor::new(driver.unparker(), self.executor)?;
        Ok(Runtime {
            executor,
            driver,
            resolver: Rc::new(BlockingResolver),
            fd: OnceCell::new(),
        })
    }
}

/// Runs a future to its end on a new runtime, which is dropped after.
///
/// # Panics
/// As [`Runtime::block_on`], and if no runtime can be made; [`Runtime::new`] gives that as an error.
///
/// # Examples
/// ```
/// let answer = runtime::block_on(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(future),
        Err(e) => panic!("block_on cannot make a runtime: {e}"),
    }
}
