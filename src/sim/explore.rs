//! Running a program with many seeds, until one fails.

use std::fmt;
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, io, thread};

use super::builder::Builder;
use super::host::{Result, panic_text};
use super::progress::Progress;
use super::replay::{SEED_VARIABLE, Started, replay_command};
use super::trace::Trace;
use super::world::World;

/// The environment variable that names the file for the diagram of a failed seed.
const DIAGRAM_VARIABLE: &str = "RUNTIME_SIM_DIAGRAM";
/// The number of events that a report shows.
const LINES: usize = 30;
/// The number of events that a report shows when one seed is replayed.
const REPLAY_LINES: usize = 300;

/// Runs a program in a new world for each seed, and stops at the first that fails.
///
/// The worlds have default options. [`Builder::explore`] runs others, and [`Explorer`] several at a
/// time.
///
/// # Panics
/// Panics if a seed fails, with the text that [`FailedSeed`] describes.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// runtime::sim::explore(0..20, |world| {
///     world.client("client", async {
///         runtime::time::sleep(Duration::from_secs(60)).await;
///         Ok(())
///     });
///     world.run()?;
///     Ok(())
/// });
/// ```
#[track_caller]
pub fn explore<S, F>(seeds: S, program: F) -> Explored
where
    S: IntoIterator<Item = u64>,
    S::IntoIter: Send,
    F: Fn(&mut World) -> Result + Sync,
{
    Builder::new().explore(seeds, program)
}

impl Builder {
    /// Runs a program in a new world with these options for each seed, and stops at the first that
    /// fails. The builder's own seed is ignored.
    ///
    /// It is [`Explorer::run`] on one thread, for tests: a failure is a panic.
    ///
    /// # Panics
    /// Panics if a seed fails, with the text that [`FailedSeed`] describes.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::sim::{Builder, Faults, Latency};
    ///
    /// let latency = Latency::Uniform(Duration::from_millis(1), Duration::from_millis(80));
    /// let explored = Builder::new()
    ///     .latency(latency)
    ///     .loss(0.01)
    ///     .faults(Faults::default().crashes(2).partitions(2))
    ///     .explore(0..20, |world| {
    ///         world.host("server", || std::future::pending());
    ///         world.run_for(Duration::from_secs(60))?;
    ///         Ok(())
    ///     });
    /// assert_eq!(explored.seeds, 20);
    /// ```
    #[track_caller]
    pub fn explore<S, F>(self, seeds: S, program: F) -> Explored
    where
        S: IntoIterator<Item = u64>,
        S::IntoIter: Send,
        F: Fn(&mut World) -> Result + Sync,
    {
        match Explorer::new().builder(self).run(seeds, program) {
            Ok(explored) => explored,
            Err(failed) => panic!("{failed}"),
        }
    }

    /// Runs a program twice in a world with these options and this seed, and compares the traces.
    /// Returns their hash.
    ///
    /// The guide [testing](crate::guide::testing) lists what commonly differs between two runs.
    ///
    /// # Panics
    /// Panics if the runs differ, with the first event that does; or if they fail.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::net::TcpStream;
    /// use runtime::sim::{Builder, Faults};
    ///
    /// let faults = Faults::default().crashes(2).partitions(2);
    /// let builder = Builder::new().seed(7).loss(0.1).faults(faults);
    /// builder.check_determinism(|world| {
    ///     world.host("server", || std::future::pending());
    ///     world.client("client", async {
    ///         for _ in 0..10 {
    ///             let _refused = TcpStream::connect("server:80").await;
    ///             runtime::time::sleep(Duration::from_secs(5)).await;
    ///         }
    ///         Ok(())
    ///     });
    ///     world.run()?;
    ///     Ok(())
    /// });
    /// ```
    #[track_caller]
    pub fn check_determinism<F>(self, program: F) -> u64
    where
        F: Fn(&mut World) -> Result,
    {
        let [(seed, one), (_, other)] = [(), ()].map(|()| {
            let mut world = self.clone().build();
            (world.seed(), run_world(&mut world, &program))
        });
        let trace = |run: &Outcome| match run {
            Ok(trace) | Err((_, trace)) => trace.clone(),
        };
        let (first, second) = (trace(&one), trace(&other));
        if let Some(difference) = first.difference(&second) {
            panic!("two runs with seed {seed} differ: {difference}");
        }
        match (one, other) {
            (Ok(trace), Ok(_)) => trace.hash(),
            (Err((reason, _)), Err(_)) => panic!("both runs with seed {seed} failed: {reason}"),
            (Err((reason, _)), Ok(_)) | (Ok(_), Err((reason, _))) => {
                panic!("of two runs with seed {seed} and equal traces one failed: {reason}")
            }
        }
    }
}

/// A search for a seed with which a program fails.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime::sim::{Builder, Explorer, Faults};
///
/// let explored = Explorer::new()
///     .builder(Builder::new().faults(Faults::default().crashes(2)))
///     .threads(2)
///     .run(0..20, |world| {
///         world.host("server", || std::future::pending());
///         world.run_for(Duration::from_secs(60))?;
///         Ok(())
///     })
///     .unwrap();
/// assert_eq!(explored.seeds, 20);
/// ```
#[derive(Debug, Clone)]
#[must_use = "an explorer does nothing until `run` is called"]
pub struct Explorer {
    builder: Builder,
    threads: usize,
}

/// The result of a search that found no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// The number of seeds that were run.
    pub seeds: u64,
}

impl Default for Explorer {
    fn default() -> Explorer {
        Explorer {
            builder: Builder::new(),
            threads: 1,
        }
    }
}

impl Explorer {
    /// Creates an explorer with default options.
    pub fn new() -> Explorer {
        Explorer::default()
    }

    /// Sets the options of the worlds. Their seed is replaced.
    pub fn builder(mut self, builder: Builder) -> Explorer {
        self.builder = builder;
        self
    }

    /// Sets the number of threads. Each seed runs on one of them. Default 1: the calling thread.
    pub fn threads(mut self, threads: usize) -> Explorer {
        self.threads = threads;
        self
    }

    /// Runs a program in a new world for each seed, and stops at the first that fails.
    ///
    /// A seed fails if the program returns an error or panics. The program adds hosts, and runs the
    /// world. It shares no state between seeds, or the failure cannot be replayed.
    ///
    /// A terminal shows a progress bar on standard error; otherwise a line is written after each
    /// tenth of the seeds.
    ///
    /// If the environment variable `RUNTIME_SIM_SEED` is set, only the seed that it names is run.
    /// If `RUNTIME_SIM_DIAGRAM` is set, the [diagram](Trace::to_svg) of a seed that fails is
    /// written to the file that it names.
    ///
    /// # Errors
    /// Returns the seed that failed, with the reason and the trace. With several threads that is
    /// the earliest of the seeds that failed by the time at which all threads have stopped.
    ///
    /// # Panics
    /// Panics if `RUNTIME_SIM_SEED` is set to a value that is no number.
    pub fn run<S, F>(self, seeds: S, program: F) -> std::result::Result<Explored, Box<FailedSeed>>
    where
        S: IntoIterator<Item = u64>,
        S::IntoIter: Send,
        F: Fn(&mut World) -> Result + Sync,
    {
        if let Some(seed) = seed_from_environment() {
            eprintln!("{SEED_VARIABLE}={seed}: this seed alone is run");
            return self.run_seeds([seed].into_iter(), REPLAY_LINES, &program);
        }
        self.run_seeds(seeds.into_iter(), LINES, &program)
    }

    fn run_seeds<S, F>(
        &self,
        seeds: S,
        lines: usize,
        program: &F,
    ) -> std::result::Result<Explored, Box<FailedSeed>>
    where
        S: Iterator<Item = u64> + Send,
        F: Fn(&mut World) -> Result + Sync,
    {
        let total = seeds.size_hint().1.map(|total| total as u64);
        let started = Started::here();
        let search = Mutex::new(Search {
            seeds: seeds.enumerate(),
            progress: Progress::new(total, io::stderr().is_terminal()),
            failed: None,
        });
        // A function, because in the condition of a loop the guard would live as long as its body.
        let next = || lock(&search).next();
        let work = || {
            while let Some((position, seed)) = next() {
                let mut world = self.builder.clone().seed(seed).build();
                let failure = run_world(&mut world, program).err();
                let failure = failure.map(|(reason, trace)| {
                    Box::new(FailedSeed {
                        seed,
                        reason,
                        trace,
                        replay: replay_command(seed, &started),
                        lines,
                    })
                });
                lock(&search).count(position, failure);
            }
        };
        if self.threads <= 1 {
            work();
        } else {
            thread::scope(|scope| {
                for _ in 0..self.threads {
                    scope.spawn(work);
                }
            });
        }
        let search = search.into_inner().unwrap_or_else(PoisonError::into_inner);
        let seeds = search.progress.finish();
        match search.failed {
            None => Ok(Explored { seeds }),
            Some((_, failed)) => {
                failed.write_diagram();
                Err(failed)
            }
        }
    }
}

/// The state that the threads share.
struct Search<S> {
    seeds: S,
    progress: Progress,
    /// The earliest failure, with the position of its seed.
    failed: Option<(usize, Box<FailedSeed>)>,
}

impl<S: Iterator<Item = (usize, u64)>> Search<S> {
    fn next(&mut self) -> Option<(usize, u64)> {
        if self.failed.is_some() {
            return None;
        }
        self.seeds.next()
    }

    fn count(&mut self, position: usize, failure: Option<Box<FailedSeed>>) {
        self.progress.advance();
        let Some(failure) = failure else {
            return;
        };
        let is_earlier = |(other, _): &(usize, _)| position < *other;
        if self.failed.as_ref().is_none_or(is_earlier) {
            self.failed = Some((position, failure));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The trace of a run, with the reason if the run failed.
type Outcome = std::result::Result<Trace, (String, Trace)>;

fn run_world(world: &mut World, program: &impl Fn(&mut World) -> Result) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| program(world)));
    let trace = world.trace();
    match outcome {
        Ok(Ok(())) => Ok(trace),
        Ok(Err(e)) => Err((e.to_string(), trace)),
        Err(payload) => Err((format!("panicked: {}", panic_text(&*payload)), trace)),
    }
}

fn seed_from_environment() -> Option<u64> {
    let text = env::var(SEED_VARIABLE).ok()?;
    match text.trim().parse() {
        Ok(seed) => Some(seed),
        Err(e) => panic!("the environment variable {SEED_VARIABLE}={text:?} is no seed: {e}"),
    }
}

/// A seed with which a program failed.
///
/// Its text names the seed and the reason, and shows the last events of the trace and the command
/// that replays the seed.
#[derive(Debug)]
pub struct FailedSeed {
    seed: u64,
    reason: String,
    trace: Trace,
    replay: String,
    lines: usize,
}

impl FailedSeed {
    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the text of the error or panic.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the trace of the run.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Returns the command that runs this seed alone.
    pub fn replay_command(&self) -> &str {
        &self.replay
    }

    fn write_diagram(&self) {
        let Some(path) = env::var_os(DIAGRAM_VARIABLE) else {
            return;
        };
        match fs::write(&path, self.trace.to_svg()) {
            Ok(()) => eprintln!("the diagram is in {}", path.to_string_lossy()),
            Err(e) => eprintln!(
                "cannot write the diagram to {}: {e}",
                path.to_string_lossy()
            ),
        }
    }
}

impl fmt::Display for FailedSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailedSeed { seed, reason, .. } = self;
        writeln!(f, "seed {seed} failed: {reason}")?;
        writeln!(f, "the last events:")?;
        write!(f, "{}", self.trace.last(self.lines))?;
        writeln!(f, "hash of the trace: {:016x}", self.trace.hash())?;
        write!(f, "replay it with:\n  {}", self.replay)
    }
}

impl std::error::Error for FailedSeed {}

/// Runs a program twice with one seed, and compares the traces. Returns their hash.
///
/// The worlds have default options. [`Builder::check_determinism`] runs others.
///
/// # Panics
/// Panics if the runs differ, with the first event that does; or if they fail.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// runtime::sim::check_determinism(7, |world| {
///     world.client("client", async {
///         runtime::time::sleep(Duration::from_secs(60)).await;
///         Ok(())
///     });
///     world.run()?;
///     Ok(())
/// });
/// ```
#[track_caller]
pub fn check_determinism<F>(seed: u64, program: F) -> u64
where
    F: Fn(&mut World) -> Result,
{
    Builder::new().seed(seed).check_determinism(program)
}
