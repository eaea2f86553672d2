//! A simulated host: a runtime of its own on the thread of the world.

use std::error::Error;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use runtime_executor::internal::{has_blocking_job, run_blocking_job};
use runtime_reactor::internal::Rng;
use runtime_reactor::internal::clock::Clock;
use runtime_reactor::sim as kernel;

use super::current::{Current, RunsHost};
use super::failure::FailureKind;
use super::skew::Skew;
use crate::{JoinError, JoinHandle, Runtime};

/// The result of the main future of a host. `?` converts any error to it.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The main future of a host.
pub(super) type Main = Pin<Box<dyn Future<Output = Result>>>;

/// A simulated host, up or down.
pub(super) struct Host {
    pub(super) name: Arc<str>,
    pub(super) net: kernel::Host,
    /// The instant of virtual time zero on a clock without skew.
    start: Instant,
    skew: Skew,
    program: Program,
    /// The origin of the seeds of its runtimes.
    rng: Rng,
    /// The number of times that it has been started.
    starts: u64,
    current: Current,
    running: Option<Running>,
}

/// The program of a host.
pub(super) enum Program {
    /// It begins again after a crash.
    Server(Box<dyn FnMut() -> Main>),
    /// The world ends with it.
    Client(Option<Main>),
}

struct Running {
    /// Dropped first: its output may be of the program.
    main: Option<JoinHandle<Result>>,
    runtime: Runtime,
}

/// A failure of a host: its kind, and the text.
pub(super) type Problem = (FailureKind, String);

impl Host {
    pub(super) fn new(
        net: kernel::Host,
        program: Program,
        clock: (Instant, Skew),
        rng: Rng,
        current: Current,
    ) -> Host {
        Host {
            name: current.host.clone(),
            net,
            start: clock.0,
            skew: clock.1,
            program,
            rng,
            starts: 0,
            current,
            running: None,
        }
    }

    /// Creates the runtime and spawns the main future.
    ///
    /// # Errors
    /// Returns the errors of [`crate::Builder::build`].
    pub(super) fn start(&mut self) -> io::Result<()> {
        self.current.crashes = self.current.world.state(self.current.index).crashes;
        let _runs = self.enter();
        self.starts += 1;
        let seed = self.rng.fork(self.starts).seed();
        let runtime = crate::Builder::build_on_host(&self.net, &self.name, seed)?;
        let entered = runtime.enter();
        let main = match &mut self.program {
            Program::Server(make) => Some(make()),
            Program::Client(main) => main.take(),
        };
        drop(entered);
        let main = main.map(|main| runtime.spawn(main));
        self.running = Some(Running { main, runtime });
        Ok(())
    }

    /// Drops the runtime, with all tasks.
    pub(super) fn stop(&mut self) {
        let _runs = self.enter();
        let running = self.running.take();
        // The destructors of tasks are foreign code.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(running)));
    }

    fn enter(&self) -> RunsHost {
        let now = self.skew.local(self.start, self.net.kernel().now());
        self.current.clone().enter(Clock::At(now))
    }

    /// Returns true if the host has a runtime.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Returns true if the host has a runtime, and crashed since that was made.
    pub(super) fn is_crashed(&self) -> bool {
        self.is_running() && !self.current.is_alive()
    }

    /// Returns true for a client that has neither finished nor crashed.
    pub(super) fn is_awaited(&self) -> bool {
        let is_client = matches!(self.program, Program::Client(_));
        is_client
            && self
                .running
                .as_ref()
                .is_some_and(|running| running.main.is_some())
    }

    pub(super) fn is_client(&self) -> bool {
        matches!(self.program, Program::Client(_))
    }

    /// Returns the virtual time of the next timer, or now if a task is ready.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let running = self.running.as_ref()?;
        if self.net.has_ready() {
            return Some(self.net.kernel().now());
        }
        let _runs = self.enter();
        let deadline = running.runtime.next_deadline()?;
        Some(self.skew.virtual_time(self.start, deadline.into()))
    }

    /// Runs the reactor and the ready tasks once, or until one of them crashes the host. From then
    /// on nothing that the host does is a problem.
    pub(super) fn turn(&mut self) -> std::result::Result<(), Problem> {
        let _runs = self.enter();
        let Some(running) = &self.running else {
            return Ok(());
        };
        let is_alive = || self.current.is_alive();
        let turn = || running.runtime.turn_simulated(&is_alive);
        match catch_unwind(AssertUnwindSafe(turn)) {
            _ if !is_alive() => Ok(()),
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err((FailureKind::Error, format!("its reactor failed: {e}"))),
            Err(payload) => Err((FailureKind::Panic, panic_text(&*payload))),
        }
    }

    /// Runs a blocking job that `rng` chooses. Returns false if there is none.
    pub(super) fn run_blocking_job(&self, rng: &mut Rng) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        // Each host is asked at each rest, and most have none.
        if !has_blocking_job(running.runtime.handle()) {
            return false;
        }
        let _runs = self.enter();
        let _entered = running.runtime.enter();
        run_blocking_job(running.runtime.handle(), |count| rng.below(count))
    }

    /// Returns the output of the main future, once, unless the host has crashed.
    pub(super) fn take_output(&mut self) -> Option<std::result::Result<(), Problem>> {
        let is_alive = self.current.is_alive();
        let running = self.running.as_mut().filter(|_| is_alive)?;
        if !running.main.as_ref().is_some_and(JoinHandle::is_finished) {
            return None;
        }
        let mut main = running.main.take()?;
        let _entered = running.runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(output) = Pin::new(&mut main).poll(&mut cx) else {
            running.main = Some(main);
            return None;
        };
        Some(match output {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err((FailureKind::Error, with_causes(&*e))),
            Err(e) => Err((FailureKind::Panic, e.to_string())),
        })
    }

    /// Describes the tasks and sockets, for a report.
    pub(super) fn describe(&self) -> String {
        let name = &self.name;
        let Some(running) = &self.running else {
            return format!("host {name:?} is down");
        };
        let _runs = self.enter();
        let _entered = running.runtime.enter();
        let mut text = crate::task::all().to_string();
        for socket in self.net.open_sockets() {
            text.push_str("\nopen: ");
            text.push_str(&socket);
        }
        text
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Returns the text of a panic: that of a detached task names the task.
pub(super) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(error) = payload.downcast_ref::<JoinError>() {
        return error.to_string();
    }
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic whose payload is no text")
        .to_owned()
}
