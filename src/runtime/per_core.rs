//! A runtime for each core: how a program outgrows one thread.

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

use runtime_executor::{Executor, Handle};

use super::{Builder, Runtime};

/// Runs `main` once on each of so many threads, each with a runtime of its own, and waits for all of
/// them. See [`Builder::run_per_core`].
///
/// # Errors
/// As `Builder::run_per_core`.
///
/// # Panics
/// As `Builder::run_per_core`.
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

/// Which one of several runtimes this is, and how to reach the others.
#[derive(Debug, Clone)]
pub struct PerCore {
    index: usize,
    handles: Arc<[Handle]>,
}

impl PerCore {
    /// Its number, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How to reach the runtimes of all cores, this one included, in their order.
    ///
    /// What is spawned on a core that has ended is dropped; its join handle says so.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

impl Builder {
    /// Whether [`per_core`](Builder::run_per_core) binds each thread to a processor: the first to the
    /// first that the process may use, and so on, beginning anew where there are no more. Default:
    /// no, so that the system may move them.
    ///
    /// # Platform notes
    /// Linux and Android only; elsewhere it changes nothing.
    pub fn pin_cores(mut self, pin: bool) -> Builder {
        self.pin_cores = pin;
        self
    }

    /// Runs `main` once on each of so many new threads, each with a runtime of its own made by this
    /// builder, and blocks the calling thread until all have ended. Gives what they returned, in
    /// their order.
    ///
    /// The runtimes share nothing; each is what a runtime on one thread is, and its tasks need not be
    /// `Send`. All are made before any begins. When one of them fails or panics, the future of every
    /// other one is dropped where it waits, and its tasks with it. As many as
    /// [`available_parallelism`](std::thread::available_parallelism) is a good number.
    ///
    /// # Connections
    /// On Linux and FreeBSD all of them listen on one port by
    /// [`TcpListener::bind_shared`](crate::net::TcpListener::bind_shared), and the system deals out the
    /// clients. Anywhere, one can accept and hand a connection on through
    /// [`PerCore::handles`]: it belongs to the runtime in which it first has to wait, so one that was
    /// only accepted is the other's from then on. (One that has waited already is taken along by
    /// `into_std` and `from_std`.)
    ///
    /// # Errors
    /// `InvalidInput` for no cores at all; what [`build`](Builder::build) says, or the system about
    /// another thread or its processor, and then `main` was run nowhere. If `main` failed, kind and
    /// source are those of the first core that did, and the text is that of each, as
    /// `core 0: ...; core 2: ...`.
    ///
    /// # Panics
    /// With the panic of a core's `main`, or of its detached tasks where the
    /// [`PanicPolicy`](crate::PanicPolicy) says so, once all have ended; if a runtime runs on this
    /// thread already.
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
            !Executor::is_entered(),
            "per_core was called at {} inside a runtime, whose thread it would block",
            Location::caller()
        );
        if cores == 0 {
            let text = "per_core needs one core at least";
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
                    // Dropping the places to start from ends those that there are.
                    Err(e) => return vec![Ok(Err(e))],
                }
                starts.push(start);
            }
            drop(built);
            start_cores(cores, &handles, starts);
            // All are waited for before the first panic is told.
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

/// Once all runtimes are made, lets all of them begin; if one is missing, none.
fn start_cores(cores: usize, built: &Receiver<(usize, Handle)>, starts: Vec<Sender<PerCore>>) {
    let mut handles: Vec<(usize, Handle)> = built.iter().collect();
    if handles.len() < cores {
        return;
    }
    handles.sort_by_key(|(index, _)| *index);
    let handles: Arc<[Handle]> = handles.into_iter().map(|(_, handle)| handle).collect();
    for (index, start) in starts.into_iter().enumerate() {
        let handles = handles.clone();
        // It waits for this, unless it panicked.
        let _ = start.send(PerCore { index, handles });
    }
}

/// The life of one core's thread. `None` if it was stopped.
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

/// Puts what became of each core into one result.
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

/// Whether all cores are to end.
#[derive(Default)]
struct Stop {
    requested: AtomicBool,
    /// The root futures of the cores there are.
    roots: Mutex<Vec<Waker>>,
}

impl Stop {
    fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Has a root future polled when the time comes. If it has come already, its first poll finds
    /// that out.
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

/// Ends the others when a core panics or fails.
struct StopOnDrop<'a>(Option<&'a Stop>);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(stop) = self.0 {
            stop.request();
        }
    }
}

/// What the cores said that failed, one at least.
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
