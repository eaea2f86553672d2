//! The runtime and its loop.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, Location, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;

use runtime_executor::internal::is_large;
use runtime_executor::{Executor, JoinHandle, Park};
use runtime_reactor::{Backend, Stats};

use super::busy_poll::BusyPoll;
use super::park_hooks::ParkHooks;
use super::seeded::{Seeded, Seeding};
use crate::driver::Driver;
use crate::handle::Handle;
use crate::insight::{Attached, ClockOptions, Observing, WatchOptions, Watching, attach};
use crate::net::resolver::BlockingResolver;

/// A single-threaded executor and the reactor that wakes its tasks.
///
/// Most programs use [`#[runtime::main]`](crate::main) instead. Create a `Runtime` to choose
/// [options](crate::Builder), to keep tasks from one [`block_on`](Runtime::block_on) to the next,
/// or to run inside [another event loop](Runtime::turn).
///
/// A runtime belongs to the thread that creates it; a [`Handle`] reaches it from other threads. A
/// process may have up to 4,096 runtimes at a time (32 on 32-bit platforms), which share nothing,
/// and 2^32 altogether. A runtime starts no thread before its first blocking job.
///
/// # Dropping
/// Dropping a runtime drops its tasks on this thread, in the order in which they were spawned;
/// those that other threads spawned come last. A future that a destructor spawns is dropped as
/// well. Sockets and timers that wait in it, on any thread, are then woken: in another runtime they
/// wait again, outside of any they return an error. Blocking jobs that have not begun are canceled,
/// and the drop does not wait for running ones. It waits only for writes to files and standard
/// streams that have returned `Ok` and continue in the background.
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
    pub(super) executor: Executor,
    pub(super) driver: Driver,
    handle: Handle,
    resolver: Rc<BlockingResolver>,
    /// The descriptor for another event loop, created by the first `pollable_fd`.
    pub(super) fd: OnceCell<OwnedFd>,
    pub(super) hooks: Option<Box<ParkHooks>>,
    pub(super) observer: Option<Rc<dyn Observing>>,
    /// The loop of a runtime with options that the loop of `drive` does not know. Set by them, so
    /// that a program that uses none of them does not contain its code.
    pub(super) drive_with_options: Option<Drive>,
    pub(super) seeded: Option<Rc<Seeded>>,
    /// The watching thread and the options it was started with. Ended before the tasks are dropped.
    pub(super) watch: Option<(Box<dyn Watching>, WatchOptions)>,
    pub(super) busy_poll: BusyPoll,
    /// Dropped after the tasks of this runtime, which may use tokio's context until then.
    #[cfg(feature = "tokio")]
    pub(super) host: Option<super::host::Host>,
}

impl Runtime {
    pub(super) fn from_parts(
        executor: Executor,
        driver: Driver,
        observer: Option<Rc<dyn Observing>>,
        clock: ClockOptions,
        seeding: Option<Seeding>,
    ) -> Runtime {
        let (seeded, rng) = seeding.map(|it| (it.seeded, it.program)).unzip();
        let attached = Attached {
            reactor: Rc::downgrade(&driver.reactor),
            observer: observer.clone(),
            clock,
            rng: rng.map(RefCell::new),
        };
        attach(&executor, attached);
        Runtime {
            handle: Handle::new(executor.handle().clone()),
            executor,
            driver,
            resolver: Rc::new(BlockingResolver),
            fd: OnceCell::new(),
            hooks: None,
            observer,
            drive_with_options: None,
            seeded,
            watch: None,
            busy_poll: BusyPoll::default(),
            #[cfg(feature = "tokio")]
            host: None,
        }
    }

    /// Runs a future to completion, driving this runtime's tasks, I/O and timers.
    ///
    /// Unfinished tasks stay suspended until the next call.
    ///
    /// # Panics
    /// Panics if the future panics; if a runtime already runs on this thread; in a child of fork(2)
    /// in which [`after_fork_child`](Runtime::after_fork_child) was not called; if a detached task
    /// panicked and the [`PanicPolicy`](crate::PanicPolicy) is `Propagate` or `ShutDown`; if the
    /// runtime was shut down by such a panic in an earlier call.
    ///
    /// Panics if the system call that waits for events fails, because other code of the process has
    /// closed or replaced the runtime's own descriptor. The panic can be caught, and the runtime
    /// can be dropped afterwards. The other errors of these system calls do not end the call: a
    /// lack of memory, an interruption by a signal, and more descriptors than the process may have.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.enter_exclusive("block_on", Location::caller());
        assert!(
            !self.driver.reactor.is_forked(),
            "block_on was called in a child of fork(2): call Runtime::after_fork_child first, or \
             make a new runtime"
        );
        if const { is_large::<F>() } {
            self.drive_boxed(Box::pin(future))
        } else {
            self.drive_unboxed(future)
        }
    }

    fn drive_boxed<F: Future>(&self, mut future: Pin<Box<F>>) -> F::Output {
        self.drive(future.as_mut())
    }

    fn drive_unboxed<F: Future>(&self, future: F) -> F::Output {
        self.drive(pin!(future))
    }

    /// Runs the loop until the future is complete.
    fn drive<F: Future>(&self, mut root: Pin<&mut F>) -> F::Output {
        #[cfg(feature = "tokio")]
        if let Some(host) = &self.host {
            return self.block_on_hosted(host, root);
        }
        if let Some(drive) = self.drive_with_options {
            return complete(|poll| drive(self, poll), root);
        }
        let waker = self.executor.root_waker();
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

    /// Spawns a task, which makes progress during [`block_on`](Runtime::block_on) and
    /// [`turn`](Runtime::turn).
    ///
    /// See [`spawn`](crate::spawn), which does the same inside the runtime.
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
        if const { is_large::<F>() } {
            self.executor.spawn(Box::pin(future))
        } else {
            self.executor.spawn(future)
        }
    }

    /// Returns a handle with which any thread can spawn tasks and run closures on this runtime.
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
        &self.handle
    }

    /// Returns the reactor's counts of system calls, events and timers.
    ///
    /// `#[runtime::main]` keeps its runtime private: to count, create a `Runtime`.
    ///
    /// # Complexity
    /// O(1).
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

    /// Returns the backend: the system calls that the reactor waits with.
    pub fn backend(&self) -> Backend {
        self.driver.reactor.backend()
    }

    /// Returns the seed that decides the order of the tasks, or `None` if they run in the order in
    /// which they become ready. See [`Builder::seed`](crate::Builder::seed).
    pub fn seed(&self) -> Option<u64> {
        self.seeded.as_ref().map(|seeded| seeded.seed())
    }

    /// Makes this runtime the current one of the thread until the guard is dropped.
    ///
    /// In the meantime [`spawn`](crate::spawn), [`spawn_blocking`](crate::spawn_blocking) and
    /// [`Handle::current`] find it. Tasks are not polled before the next
    /// [`block_on`](Runtime::block_on) or [`turn`](Runtime::turn), which may be called in the
    /// meantime. Guards may be nested; the last one that was created has precedence, and guards are
    /// dropped in the reverse order.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// let guard = runtime.enter();
    /// let task = runtime::spawn(async { 6 * 7 }); // would panic outside a runtime
    /// drop(guard);
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _entered: self.enter_context(),
            #[cfg(feature = "tokio")]
            _tokio: self.host.as_ref().map(|host| host.tokio.enter()),
            _runtime: PhantomData,
        }
    }

    fn enter_context(&self) -> Entered {
        Entered {
            _executor: self.executor.enter(),
            _reactor: self.driver.reactor.enter(),
            _resolver: runtime_net::internal::enter_resolver(self.resolver.clone()),
        }
    }

    /// Makes this runtime the current one, and the one that the thread runs.
    pub(super) fn enter_running(&self) -> Running {
        Running {
            _entered: self.enter_context(),
            outer: RUNS.replace(true),
            seeded: self.seeded.clone().inspect(|it| it.exchange_select_state()),
        }
    }

    /// Like `enter_running`, for operations that block the thread or poll tasks.
    ///
    /// # Panics
    /// Panics if a runtime already runs on this thread, or if this one was shut down.
    #[track_caller]
    pub(super) fn enter_exclusive(&self, what: &str, at: &Location<'_>) -> Running {
        assert!(
            !runs_on_this_thread(),
            "{what} was called at {at} inside a runtime, whose thread it would block: await the \
             future instead, or spawn it"
        );
        assert!(
            !self.executor.is_closed(),
            "{what} was called at {at} on a runtime that the panic of a task has shut down \
             (PanicPolicy::ShutDown): make a new one"
        );
        self.enter_running()
    }
}

/// A loop that calls a function whenever the root future was woken, until that returns `Ready`.
pub(super) type Drive = fn(&Runtime, &mut dyn FnMut(&mut Context<'_>) -> Poll<()>);

/// Runs a future to completion by a loop that knows neither its type nor that of its output.
fn complete<F: Future>(
    drive: impl FnOnce(&mut dyn FnMut(&mut Context<'_>) -> Poll<()>),
    mut root: Pin<&mut F>,
) -> F::Output {
    let mut output = None;
    drive(&mut |cx| root.as_mut().poll(cx).map(|it| output = Some(it)));
    output.expect("the loop ends when the future is complete")
}

/// The guards of executor, reactor and resolver. Their order does not matter: each restores state
/// of its own.
struct Entered {
    _executor: runtime_executor::EnterGuard,
    _reactor: runtime_reactor::EnterGuard,
    _resolver: runtime_net::internal::ResolverGuard,
}

thread_local! {
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// Returns true if the thread runs a runtime, which is more than having entered one.
pub(super) fn runs_on_this_thread() -> bool {
    RUNS.get()
}

/// A guard during whose life the thread runs a runtime.
pub(super) struct Running {
    _entered: Entered,
    outer: bool,
    seeded: Option<Rc<Seeded>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNS.set(self.outer);
        if let Some(seeded) = &self.seeded {
            seeded.exchange_select_state();
        }
    }
}

/// A guard during whose life a runtime is the thread's current one. Created by [`Runtime::enter`].
#[must_use = "the runtime is left when the guard is dropped"]
pub struct EnterGuard<'a> {
    _entered: Entered,
    #[cfg(feature = "tokio")]
    _tokio: Option<tokio::runtime::EnterGuard<'a>>,
    _runtime: PhantomData<&'a Runtime>,
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterGuard").finish_non_exhaustive()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.watch = None;
        if self.driver.reactor.is_forked() {
            self.forget_inherited_fd();
            self.executor.forget_blocking_jobs();
        }
        #[cfg(feature = "tokio")]
        let _tokio = self.host.as_ref().map(|host| host.tokio.enter());
        let _entered = self.enter_running();
        self.executor.close();
        let close = || self.driver.reactor.close();
        if thread::panicking() {
            // Waking is foreign code. A panic of it would be the second one, which aborts.
            let _ = catch_unwind(AssertUnwindSafe(close));
        } else {
            close();
        }
    }
}

// After a panic its state is as valid as before: the panics of tasks are caught, and no user code
// runs while that state changes.
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("executor", &self.executor)
            .field("reactor", &self.driver.reactor)
            .finish()
    }
}
