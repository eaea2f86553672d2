//! The options of a runtime, and its creation.

use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime_executor::{Config, Executor, Handle, PanicPolicy};
use runtime_reactor::internal::shuffled_reactor;
use runtime_reactor::{Backend, Reactor};

use super::block_on::{Drive, Runtime};
use super::busy_poll::BusyPoll;
use super::park_hooks::ParkHooks;
use super::seeded::{Seeding, rng_of_events, seed_or_variable};
use crate::driver::Driver;
use crate::insight::{
    ClockOptions, MakeObserver, Observer, ObserverOptions, Observing, OnStall, Stall, WatchOptions,
};
use crate::time::pause_reactor;

impl Runtime {
    /// Creates a runtime with default options.
    ///
    /// # Errors
    /// Returns the errors that [`Builder::build`] lists.
    pub fn new() -> io::Result<Runtime> {
        Runtime::builder().build()
    }

    /// Returns a builder with default options.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// A function that opens a reactor for a seed, and returns what else that decides.
type OpenSeeded = fn(Option<Backend>, u64) -> io::Result<(Rc<Reactor>, Seeding)>;

fn open_seeded(backend: Option<Backend>, seed: u64) -> io::Result<(Rc<Reactor>, Seeding)> {
    let seed = seed_or_variable(seed)?;
    let reactor = shuffled_reactor(backend, rng_of_events(seed))?;
    Ok((reactor, Seeding::new(seed)))
}

/// A function that pauses the clock of a reactor.
type Pause = fn(&Reactor, &Handle, bool, &'static Location<'static>);

/// Builder of a [`Runtime`] with options.
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
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    backend: Option<Backend>,
    executor: Config,
    hooks: ParkHooks,
    observer: ObserverOptions,
    observe: Option<MakeObserver>,
    drive_with_options: Option<Drive>,
    watch: WatchOptions,
    pub(super) pin_cores: bool,
    clock: ClockOptions,
    /// Set with the function that makes the reactor, so that other programs do not contain it.
    seed: Option<(u64, OpenSeeded)>,
    /// Set if the clock is paused from the beginning. A pointer, so that other programs do not
    /// contain the code.
    pause: Option<(Pause, &'static Location<'static>)>,
    #[cfg(feature = "tokio")]
    tokio: bool,
}

impl Builder {
    /// Sets the backend: the system calls that the reactor waits with.
    ///
    /// [`Backend::available`] lists the backends of this platform. By default
    /// [`build`](Builder::build) reads the environment variable `RUNTIME_BACKEND` (`epoll`,
    /// `kqueue`, `poll` or `select`), once for each runtime; if it is not set, the most efficient
    /// one is used.
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

    /// Sets the maximum number of blocking-pool threads; further jobs are queued. Minimum 1,
    /// default 512.
    pub fn max_blocking_threads(mut self, threads: usize) -> Builder {
        self.executor = self.executor.max_blocking_threads(threads);
        self
    }

    /// Sets how long an idle blocking-pool thread waits for a job before it exits. Default 10
    /// seconds.
    pub fn blocking_thread_keep_alive(mut self, keep_alive: Duration) -> Builder {
        self.executor = self.executor.blocking_thread_keep_alive(keep_alive);
        self
    }

    /// Sets the name of the blocking-pool threads. Default `runtime-blocking`.
    ///
    /// [`build`](Builder::build) rejects a name that contains a NUL byte.
    pub fn blocking_thread_name(mut self, name: impl Into<String>) -> Builder {
        self.executor = self.executor.blocking_thread_name(name);
        self
    }

    /// Sets a function that each blocking-pool thread calls before its first job. The thread of
    /// the runtime itself does not call it.
    ///
    /// A panic in the function is reported by the panic hook of the process and has no other
    /// effect.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::builder()
    ///     .on_thread_start(|| println!("a thread for blocking jobs starts"))
    ///     .on_thread_stop(|| println!("a thread for blocking jobs ends"))
    ///     .build()?;
    /// # drop(runtime);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.executor = self.executor.on_thread_start(hook);
        self
    }

    /// Sets a function that each blocking-pool thread calls after its last job. A process that ends
    /// does not wait for it.
    ///
    /// A panic in the function is reported by the panic hook of the process and has no other
    /// effect.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.executor = self.executor.on_thread_stop(hook);
        self
    }

    /// Sets how long the thread asks the kernel again and again for events before it sleeps.
    /// Default zero.
    ///
    /// The time begins when there is nothing to do, and begins again with each event. An event that
    /// comes within it does not have to wake the thread, which takes the kernel several
    /// microseconds, and on a virtual machine tens of them.
    ///
    /// The price is the processor: the thread uses all of it for that time after each event, and
    /// with a limit above the time between events always. Without a processor of its own it takes
    /// the time from the threads and processes that would produce the events, and latency rises.
    ///
    /// It concerns [`block_on`](Runtime::block_on) and has no effect on a runtime with the context
    /// of tokio, nor on [`turn`](Runtime::turn). The hook [`on_park`](Builder::on_park) is called
    /// when the thread sleeps, and not while it polls.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::Runtime;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = Runtime::builder()
    ///     .busy_poll(Duration::from_micros(50))
    ///     .build()?;
    /// # runtime.block_on(async {});
    /// # Ok(())
    /// # }
    /// ```
    pub fn busy_poll(mut self, limit: Duration) -> Builder {
        self.hooks.busy_poll = limit;
        self.drive_with_options = Some(Runtime::drive_with_options);
        self
    }

    /// Sets a function that [`block_on`](Runtime::block_on) calls before the thread waits because
    /// no task is ready. If it wakes or spawns a task, the thread does not wait.
    ///
    /// [`Runtime::turn`] does not call it, because its caller decides when to wait. A panic in the
    /// function is a panic of `block_on`.
    ///
    /// In a runtime with tokio's context, tokio waits and calls it.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let waits = Arc::new(AtomicU32::new(0));
    /// let counted = waits.clone();
    /// let runtime = runtime::Runtime::builder()
    ///     .on_park(move || {
    ///         counted.fetch_add(1, Ordering::Relaxed);
    ///     })
    ///     .build()?;
    /// runtime.block_on(runtime::time::sleep(Duration::from_millis(1)));
    /// assert!(waits.load(Ordering::Relaxed) > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_park(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks.on_park = Some(Arc::new(hook));
        self.drive_with_options = Some(Runtime::drive_with_options);
        self
    }

    /// Sets a function that [`block_on`](Runtime::block_on) calls after the thread has waited, once
    /// for each call of [`on_park`](Builder::on_park).
    ///
    /// A panic in the function is a panic of `block_on`.
    pub fn on_unpark(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks.on_unpark = Some(Arc::new(hook));
        self.drive_with_options = Some(Runtime::drive_with_options);
        self
    }

    /// Sets the name of the runtime, which
    /// [`Handle::name`](runtime_executor::Handle::name) returns. Default none.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.executor = self.executor.name(name);
        self
    }

    /// Sets how the runtime handles a panic in a detached task. Default [`PanicPolicy::Report`].
    ///
    /// A task is detached if its [`JoinHandle`](crate::JoinHandle) was dropped. The panic of any
    /// other task is returned by its handle.
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Builder {
        self.executor = self.executor.panic_policy(policy);
        self
    }

    /// Sets whether the clock is paused from the beginning. Default false.
    ///
    /// See [`time::pause`](crate::time::pause). [`build`](Builder::build) rejects this in a runtime
    /// with tokio's context.
    ///
    /// # Examples
    /// ```
    /// use runtime::time::{Duration, Instant, sleep};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::builder().start_paused(true).build()?;
    /// runtime.block_on(async {
    ///     let start = Instant::now();
    ///     sleep(Duration::from_secs(3600)).await; // takes no time
    ///     assert_eq!(start.elapsed(), Duration::from_secs(3600));
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn start_paused(mut self, paused: bool) -> Builder {
        self.pause = paused.then_some((pause_reactor as Pause, Location::caller()));
        self
    }

    /// Sets whether a paused clock moves to the next deadline while tasks wait for I/O. Default
    /// false.
    ///
    /// The runtime still handles all events that are there before the clock moves. Sockets of the
    /// same runtime work as they do in real time, because the kernel passes their data on at once.
    /// Data from another thread or process may come too late: the clock does not wait for it.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::TcpListener;
    /// use runtime::time::{Duration, timeout};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let builder = runtime::Runtime::builder();
    /// let runtime = builder.start_paused(true).advance_with_io(true).build()?;
    /// runtime.block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let accepted = timeout(Duration::from_secs(3600), listener.accept()).await;
    ///     assert!(accepted.is_err());
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn advance_with_io(mut self, advance: bool) -> Builder {
        self.clock.moves_with_io = advance;
        self
    }

    /// Sets the seed that decides in which order things happen that may happen in any order.
    ///
    /// These are the polls of the tasks that are ready together, and of the future of
    /// [`block_on`](Runtime::block_on) among them; the branch at which a [`select!`](crate::select)
    /// begins; and the events of one wait. A test that runs with many seeds finds the errors that
    /// depend on them, and finds one again with the same seed. [`rng`](crate::rng()) returns
    /// numbers from the seed. What other threads, the kernel and the clock do is not part of it; a
    /// [paused](Builder::start_paused) clock is.
    ///
    /// Without a seed, tasks run in the order in which they become ready.
    ///
    /// The environment variable `RUNTIME_SEED` replaces the seed of each runtime that has one. It
    /// is read by [`build`](Builder::build), which returns `InvalidInput` if it is not a number.
    ///
    /// # Examples
    /// ```
    /// use std::cell::RefCell;
    /// use std::rc::Rc;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let order = |seed| {
    ///     let runtime = runtime::Runtime::builder().seed(seed).build()?;
    ///     let order = Rc::new(RefCell::new(Vec::new()));
    ///     for n in 0..10 {
    ///         let order = order.clone();
    ///         runtime.spawn(async move { order.borrow_mut().push(n) });
    ///     }
    ///     runtime.block_on(runtime::task::yield_now());
    ///     std::io::Result::Ok(order.take())
    /// };
    /// # if std::env::var_os("RUNTIME_SEED").is_some() {
    /// #     return Ok(());
    /// # }
    /// assert_eq!(order(1)?, order(1)?);
    /// assert_ne!(order(1)?, order(2)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = Some((seed, open_seeded));
        self.drive_with_options = Some(Runtime::drive_with_options);
        self
    }

    /// Sets whether the runtime tracks its tasks. Default false.
    ///
    /// It then records the polls and the age of each task, which a
    /// [`TaskList`](crate::insight::TaskList) shows, and what
    /// [`TrackedMetrics`](crate::insight::TrackedMetrics) lists. It reads the clock after each poll
    /// and around each wait. Without this option none of that costs anything.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::builder().track_tasks(true).build()?;
    /// runtime.block_on(async {
    ///     runtime::spawn(std::future::pending::<()>());
    ///     runtime::task::yield_now().await;
    ///     assert_eq!(runtime::task::all().tasks[0].polls, Some(1));
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn track_tasks(mut self, track: bool) -> Builder {
        self.observer.tracks = track;
        if track {
            self.observe();
        }
        self
    }

    /// Sets a function that is called when one poll keeps the thread from all other tasks for
    /// longer than `threshold`.
    ///
    /// It is called twice for each such poll: while it lasts, and after it has ended. The first
    /// call is due at most one and a quarter times the threshold after the poll has begun, or a
    /// millisecond after the threshold if that is later. The [`Stall`] names the task, the place
    /// where it was spawned, and the duration. The minimum of the threshold is a millisecond.
    /// [`print_stall`](crate::insight::print_stall) writes it to standard error.
    ///
    /// The function runs on a thread that [`build`](Builder::build) starts, and that looks at the
    /// thread of the runtime four times in each threshold. If the function panics, the panic hook
    /// of the process reports it, and later stalls are still reported. If it blocks, no other stall
    /// is reported in the meantime. Neither has an effect on the runtime, and dropping the runtime
    /// does not wait for the function.
    ///
    /// The poll itself reads no clock for this. Destructors and wakers that run outside a poll are
    /// not watched.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::insight::print_stall;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::builder()
    ///     .on_stall(Duration::from_millis(100), print_stall)
    ///     .build()?;
    /// # drop(runtime);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_stall(
        mut self,
        threshold: Duration,
        callback: impl Fn(&Stall) + Send + Sync + 'static,
    ) -> Builder {
        self.watch.set_on_stall(threshold, OnStall::new(callback));
        self.observe();
        self
    }

    /// Sets whether each poll of a task is in a span of tracing. Default false.
    ///
    /// The span has the name `task`, the target `runtime::task`, the level `INFO`, and the fields
    /// `id`, `name` and `spawned_at`. The first poll of the task creates it, so its events come
    /// while this thread has the subscriber. Waits of the thread are events of the level `TRACE`
    /// with the target `runtime::turn`, and stalls events of the level `WARN` with the target
    /// `runtime::stall`, if [`on_stall`](Builder::on_stall) is set. A future that is instrumented
    /// has its own span inside of that of its task.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::builder().trace(true).build()?;
    /// runtime.block_on(async { runtime::spawn(async {}).await.unwrap() });
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tracing")]
    pub fn trace(mut self, trace: bool) -> Builder {
        self.observer.traces = trace;
        if trace {
            self.observe();
        }
        self
    }

    /// Sets a signal that writes the list of tasks to standard error.
    ///
    /// A thread that [`build`](Builder::build) starts waits for the signal. If the thread of the
    /// runtime is in the poll of a task and does not answer within a second, the dump is a line
    /// that names this task and says for how long it has been polled.
    ///
    /// The signal has no other effect while the runtime exists. [`build`](Builder::build) rejects a
    /// signal that cannot be caught.
    ///
    /// # Examples
    /// ```
    /// use runtime::signal::unix::SignalKind;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// // Ctrl-\ shows the tasks of a program in a terminal.
    /// let runtime = runtime::Runtime::builder().dump_on(SignalKind::quit()).build()?;
    /// # drop(runtime);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "signal")]
    pub fn dump_on(mut self, signal: crate::signal::unix::SignalKind) -> Builder {
        self.watch.set_dump_on(signal);
        self.observe();
        self
    }

    /// Sets whether tasks find the context of a tokio runtime. Default false.
    ///
    /// Libraries that call `tokio::spawn`, or use tokio's timers, sockets or files, then work in
    /// every task of the runtime, and [`spawn`](crate::spawn) and all other functions of this crate
    /// work in tasks that tokio has spawned. All of them run on this thread. See
    /// [`compat::tokio`](crate::compat::tokio).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # if std::env::var_os("RUNTIME_BACKEND").is_some() {
    /// #     return Ok(()); // poll and select have no descriptor that tokio could watch
    /// # }
    /// let runtime = runtime::Runtime::builder().tokio(true).build()?;
    /// runtime.block_on(async {
    ///     runtime::spawn(tokio::time::sleep(std::time::Duration::from_millis(1)))
    ///         .await
    ///         .unwrap();
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn tokio(mut self, tokio: bool) -> Builder {
        self.tokio = tokio;
        self
    }

    /// Has the polls reported to an observer.
    fn observe(&mut self) {
        self.observe = Some(Observer::make);
        self.drive_with_options = Some(Runtime::drive_with_options);
    }

    /// Creates the runtime.
    ///
    /// # Errors
    /// Returns `InvalidInput` if `RUNTIME_BACKEND` names no backend or the thread name contains a
    /// NUL byte; `Unsupported` if the platform does not have the backend (the text lists those it
    /// has), or if tokio's context was requested and the backend has no descriptor that tokio can
    /// watch, or the clock is paused; `Other` if the process already has 4,096 runtimes (32 on
    /// 32-bit platforms). Returns the system's error if no memory or descriptor is available; a
    /// runtime needs two descriptors. Its text names the backend, and
    /// [`io::os_error`](crate::io::os_error) returns its number.
    pub fn build(self) -> io::Result<Runtime> {
        let (reactor, seeding) = match (self.seed, self.backend) {
            (Some((seed, open)), backend) => {
                let (reactor, seeding) = open(backend, seed)?;
                (reactor, Some(seeding))
            }
            (None, Some(backend)) => (Reactor::with_backend(backend)?, None),
            (None, None) => (Reactor::new()?, None),
        };
        let observer = self.observe.map(|make| make(self.observer, &reactor));
        let driver = Driver::new(reactor);
        let (watch, drive_with_options) = (self.watch.clone(), self.drive_with_options);
        let mut runtime = self.build_on(driver, observer, seeding)?;
        runtime.drive_with_options = drive_with_options;
        runtime.start_watch(watch)?;
        Ok(runtime)
    }

    /// Creates the runtime of a simulated host.
    #[cfg(feature = "sim")]
    pub(crate) fn build_on_host(
        host: &runtime_reactor::sim::Host,
        name: &str,
        seed: u64,
    ) -> io::Result<Runtime> {
        let reactor = Reactor::on_host(host)?;
        let executor = Config::new()
            .name(name)
            .panic_policy(PanicPolicy::Propagate)
            .panic_with_error(true)
            .threadless_blocking(true);
        let driver = Driver::new(reactor);
        let executor = Executor::new(driver.unparker(), executor)?;
        Ok(Runtime::from_parts(
            executor,
            driver,
            None,
            ClockOptions::default(),
            Some(Seeding::new(seed)),
        ))
    }

    fn build_on(
        self,
        driver: Driver,
        observer: Option<Rc<dyn Observing>>,
        seeding: Option<Seeding>,
    ) -> io::Result<Runtime> {
        #[cfg(feature = "tokio")]
        if self.tokio {
            if let Some((_, at)) = self.pause {
                let text = format!(
                    "start_paused was set at {at} for a runtime with tokio's context, whose clock \
                     is tokio's: remove one of them"
                );
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            return Runtime::hosted(driver, self.executor, self.hooks, observer, seeding);
        }
        let executor = Executor::new(driver.unparker(), self.executor)?;
        let mut runtime = Runtime::from_parts(executor, driver, observer, self.clock, seeding);
        if let Some((pause, at)) = self.pause {
            let handle = runtime.executor.handle();
            pause(
                &runtime.driver.reactor,
                handle,
                self.clock.moves_with_io,
                at,
            );
        }
        runtime.busy_poll = BusyPoll::new(self.hooks.busy_poll);
        runtime.hooks = self.hooks.boxed();
        Ok(runtime)
    }
}

impl Runtime {
    /// Starts the watching thread if an option needs it.
    pub(super) fn start_watch(&mut self, options: WatchOptions) -> io::Result<()> {
        if let Some(observer) = &self.observer {
            let watch = options.start(&**observer, self.executor.handle())?;
            self.watch = watch.map(|watch| (watch, options));
        }
        Ok(())
    }
}
