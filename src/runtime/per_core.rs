//! A runtime per core, for programs that need more than one thread.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{Location, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use super::block_on::{Runtime, runs_on_this_thread};
use super::builder::Builder;
use crate::handle::Handle;

/// Runs `main` on `cores` new threads, each with a runtime of its own, and waits for all of them.
///
/// This is [`Builder::run_per_core`] with default options.
///
/// # Errors
/// Returns the errors that [`Builder::run_per_core`] lists.
///
/// # Panics
/// Panics in the cases that [`Builder::run_per_core`] lists.
///
/// # Examples
/// ```
/// let doubled = runtime::per_core(2, async |core| Ok(core.index() * 2))?;
/// assert_eq!(doubled, [0, 2]);
/// # std::io::Result::Ok(())
/// ```
#[track_caller]
pub fn per_core<F, Fut, T>(cores: usize, main: F) -> io::Result<Vec<T>>
where
    F: Fn(PerCore) -> Fut + Sync,
    Fut: Future<Output = io::Result<T>>,
    T: Send,
{
    Runtime::builder().run_per_core(cores, main)
}

/// One of the runtimes of [`per_core`]: its index, and handles to all of them.
#[derive(Debug, Clone)]
pub struct PerCore {
    index: usize,
    handles: Arc<[Handle]>,
}

impl PerCore {
    /// Returns the index of this runtime, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns handles to the runtimes of all cores, including this one, by index.
    ///
    /// A task spawned on a core that has ended is dropped, and its join handle returns an error.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

impl Builder {
    /// Sets whether [`run_per_core`](Builder::run_per_core) binds each thread to a processor.
    /// Default false: the system may move the threads.
    ///
    /// The threads are bound to the processors that the process may use, in their order, beginning
    /// again with the first if there are more threads.
    ///
    /// # Platform-specific behavior
    /// Has an effect on Linux and Android only.
    pub fn pin_cores(mut self, pin: bool) -> Builder {
        self.pin_cores = pin;
        self
    }

    /// Runs `main` on `cores` new threads, each with a runtime of its own made by this builder, and
    /// blocks the calling thread until all have ended.
    ///
    /// Returns the outputs by core index.
    /// [`available_parallelism`](std::thread::available_parallelism) suggests a number of cores.
    ///
    /// A process may have up to 4,096 runtimes, or 32 on 32-bit platforms, those of other threads
    /// included.
    ///
    /// The runtimes share nothing, and their tasks need not be `Send`. All runtimes are created
    /// before `main` begins on any. If `main` fails or panics on one core, the futures of the
    /// others are dropped where they wait, together with their tasks.
    ///
    /// # Distributing connections
    /// On Linux and FreeBSD all cores can listen on one port, by
    /// [`TcpListener::bind_shared`](crate::net::TcpListener::bind_shared), and the system
    /// distributes the clients. On every platform one core can accept connections and pass them on
    /// through [`PerCore::handles`]: a connection belongs to the runtime in which it first has to
    /// wait, so one that was only accepted can move freely. A connection that has already waited
    /// moves by `into_std` and `from_std`.
    ///
    /// # Errors
    /// Returns `InvalidInput` if `cores` is 0; the errors that [`build`](Builder::build) lists; the
    /// system's error if a thread cannot be started or bound to its processor. In these cases
    /// `main` runs on no core. If `main` fails, returns an error with kind and source of the failed
    /// core with the lowest index, and the text of every failed core, such as `core 0: ...; core 2:
    /// ...`.
    ///
    /// # Panics
    /// Panics if a runtime already runs on this thread. Once all cores have ended, resumes the
    /// panic of `main`, or of a detached task if the [`PanicPolicy`](crate::PanicPolicy) is
    /// `Propagate` or `ShutDown`.
    ///
    /// # Examples
    /// ```
    /// use runtime::Runtime;
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    /// use runtime::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// // Core 0 accepts, core 1 serves.
    /// let builder = Runtime::builder().pin_cores(true);
    /// builder.run_per_core(2, async |core| {
    ///     if core.index() == 1 {
    ///         return std::future::pending().await;
    ///     }
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let mut client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (mut stream, _) = listener.accept().await?;
    ///     core.handles()[1].spawn_fn(move || {
    ///         runtime::spawn(async move { stream.write_all(b"from core 1").await })
    ///     });
    ///     let mut said = String::new();
    ///     client.read_to_string(&mut said).await?;
    ///     assert_eq!(said, "from core 1");
    ///     Err::<(), _>(std::io::Error::other("enough")) // ends the other one too
    /// }).unwrap_err();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn run_per_core<F, Fut, T>(self, cores: usize, main: F) -> io::Result<Vec<T>>
    where
        F: Fn(PerCore) -> Fut + Sync,
        Fut: Future<Output = io::Result<T>>,
        T: Send,
    {
        assert!(
            !runs_on_this_thread(),
            "per_core was called at {} inside a runtime, whose thread it would block",
            Location::caller()
        );
        if cores == 0 {
            let text = "per_core needs at least one core";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let (stop, main) = (Stop::default(), &main);
        let ended: Vec<thread::Result<io::Result<Option<T>>>> = thread::scope(|scope| {
            let (built, handles) = channel();
            let mut threads = Vec::new();
            let mut starts = Vec::new();
            for index in 0..cores {
                let (start, started) = channel();
                let (builder, built, stop) = (self.clone(), built.clone(), &stop);
                let name = format!("runtime-core-{index}");
                let thread = thread::Builder::new()
                    .name(name)
                    .spawn_scoped(scope, move || {
                        let runtime = builder.build_core(index)?;
                        run_core(&runtime, index, main, stop, built, &started)
                    });
                match thread {
                    Ok(thread) => threads.push(thread),
                    // Returning drops `starts`, which ends the threads that were started.
                    Err(e) => return vec![Ok(Err(e))],
                }
                starts.push(start);
            }
            drop(built);
            start_cores(cores, &handles, starts);
            // All threads are joined before the first panic is resumed.
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        collect_results(ended)
    }

    fn build_core(self, index: usize) -> io::Result<Runtime> {
        if self.pin_cores {
            crate::sys::pin_thread(index)?;
        }
        self.build()
    }
}

/// Lets all cores begin once all runtimes exist. If one could not be created, none begins.
fn start_cores(cores: usize, built: &Receiver<(usize, Handle)>, starts: Vec<Sender<PerCore>>) {
    let mut handles: Vec<(usize, Handle)> = built.iter().collect();
    if handles.len() < cores {
        return;
    }
    handles.sort_by_key(|(index, _)| *index);
    let handles: Arc<[Handle]> = handles.into_iter().map(|(_, handle)| handle).collect();
    for (index, start) in starts.into_iter().enumerate() {
        let handles = handles.clone();
        // An error means that the thread has panicked, which joining it reports.
        let _ = start.send(PerCore { index, handles });
    }
}

/// Runs `main` on one core. Returns `None` if the core was stopped.
fn run_core<F, Fut, T>(
    runtime: &Runtime,
    index: usize,
    main: &F,
    stop: &Stop,
    built: Sender<(usize, Handle)>,
    started: &Receiver<PerCore>,
) -> io::Result<Option<T>>
where
    F: Fn(PerCore) -> Fut,
    Fut: Future<Output = io::Result<T>>,
{
    let _ = built.send((index, runtime.handle().clone()));
    drop(built);
    let Ok(core) = started.recv() else {
        return Ok(None);
    };
    stop.register(runtime.executor.root_waker());
    let mut guard = StopOnDrop(Some(stop));
    let result = runtime.block_on(async {
        let mut main = pin!(main(core));
        poll_fn(|cx| {
            if stop.is_requested() {
                Poll::Ready(Ok(None))
            } else {
                main.as_mut().poll(cx).map_ok(Some)
            }
        })
        .await
    });
    if result.is_ok() {
        guard.0 = None;
    }
    result
}

/// Combines the results of all cores.
fn collect_results<T>(ended: Vec<thread::Result<io::Result<Option<T>>>>) -> io::Result<Vec<T>> {
    let (mut outputs, mut errors) = (Vec::new(), Vec::new());
    for (index, ended) in ended.into_iter().enumerate() {
        match ended {
            Ok(Ok(output)) => outputs.extend(output),
            Ok(Err(e)) => errors.push((index, e)),
            Err(panic) => resume_unwind(panic),
        }
    }
    match errors.first() {
        None => Ok(outputs),
        Some((_, first)) => Err(io::Error::new(first.kind(), CoreErrors(errors))),
    }
}

/// The request that all cores end.
#[derive(Default)]
struct Stop {
    requested: AtomicBool,
    /// Wakers of the root futures that have begun.
    roots: Mutex<Vec<Waker>>,
}

impl Stop {
    fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Registers a root future to be woken by `request`. One that registers later checks the flag
    /// in its first poll.
    fn register(&self, root: Waker) {
        self.lock().push(root);
    }

    fn request(&self) {
        self.requested.store(true, Ordering::Release);
        let roots = std::mem::take(&mut *self.lock());
        roots.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the other cores when dropped, unless it was disarmed because this core has succeeded.
struct StopOnDrop<'a>(Option<&'a Stop>);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(stop) = self.0 {
            stop.request();
        }
    }
}

/// The errors of the failed cores, by index; at least one.
#[derive(Debug)]
struct CoreErrors(Vec<(usize, io::Error)>);

impl fmt::Display for CoreErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (index, error)) in self.0.iter().enumerate() {
            let separator = if nth == 0 { "" } else { "; " };
            write!(f, "{separator}core {index}: {error}")?;
        }
        Ok(())
    }
}

impl Error for CoreErrors {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.first().map(|(_, e)| e as &(dyn Error + 'static))
    }
}
