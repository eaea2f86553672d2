//! The thread that watches the thread of a runtime. It is started only if it was asked for.
//!
//! It [looks](Looks) at the [`Pulse`] four times in the threshold, so the thread of the runtime
//! reads no clock. It also writes the dump that a signal requests, because the thread of the
//! runtime may be busy then. It runs the callbacks of the program, which may block or panic without
//! an effect on the runtime.
//!
//! Rejected: a backtrace of the thread, made in a signal handler. Unwinding takes locks and
//! allocates, so it may block forever or damage the heap if the signal arrives inside of an
//! allocation. The state of the thread in /proc is safe to read and says whether it computes or
//! sleeps.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, process, thread};

use runtime_executor::Handle;
use runtime_executor::internal::log;

use super::list::request_tasks;
use super::looks::{Finding, Looks};
use super::observer::Observer;
use super::observing::Observing;
use super::pulse::{Label, Pulse};
use super::request::no_answer;
use super::span::Span;
use super::stall::{OnStall, Stall, state_of, this_thread};

/// The time for which a dump waits for the thread of the runtime.
const DUMP_LIMIT: Duration = Duration::from_secs(1);

/// The options that need a watching thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct WatchOptions {
    on_stall: Option<(Duration, OnStall)>,
    #[cfg(feature = "signal")]
    dump_on: Option<crate::signal::unix::SignalKind>,
    /// Starts the thread. Set by the options, so that a program that uses none of them does not
    /// contain the code of the thread.
    start: Option<Start>,
}

type Start = fn(&WatchOptions, &dyn Observing, Handle) -> io::Result<Box<dyn Watching>>;

/// A watching thread, which ends when this is dropped.
pub(crate) trait Watching: fmt::Debug {}

impl Watching for Watch {}

impl WatchOptions {
    pub(crate) fn set_on_stall(&mut self, threshold: Duration, callback: OnStall) {
        self.on_stall = Some((threshold, callback));
        self.start = Some(Watch::start);
    }

    #[cfg(feature = "signal")]
    pub(crate) fn set_dump_on(&mut self, signal: crate::signal::unix::SignalKind) {
        self.dump_on = Some(signal);
        self.start = Some(Watch::start);
    }

    /// Starts the thread for the runtime of the calling thread, if an option needs it.
    pub(crate) fn start(
        &self,
        observer: &dyn Observing,
        handle: &Handle,
    ) -> io::Result<Option<Box<dyn Watching>>> {
        match self.start {
            Some(start) => start(self, observer, handle.clone()).map(Some),
            None => Ok(None),
        }
    }
}

/// A watching thread, which ends when this is dropped. The drop does not wait for it, because a
/// callback may block.
#[derive(Debug)]
struct Watch {
    /// Its end ends the thread.
    control: UnixStream,
    /// The process of the thread. A child of fork(2) has a copy of this, but no thread.
    process: u32,
    #[cfg(feature = "signal")]
    _installed: Option<crate::signal::Installed>,
}

impl Watch {
    fn start(
        options: &WatchOptions,
        observer: &dyn Observing,
        handle: Handle,
    ) -> io::Result<Box<dyn Watching>> {
        let observer = observer.as_any().downcast_ref::<Observer>();
        let pulse = observer.map(|observer| observer.pulse.clone());
        let (reader, control) = UnixStream::pair()?;
        #[cfg(feature = "signal")]
        let installed = match options.dump_on {
            None => None,
            Some(kind) => {
                let writer = control.try_clone()?;
                writer.set_nonblocking(true)?;
                Some(crate::signal::Installed::for_kind(kind, writer, &reader)?)
            }
        };
        let on_stall = options.on_stall.clone();
        let stalls = on_stall.map(|(threshold, callback)| Stalls {
            looks: Looks::new(threshold, Instant::now()),
            callback,
            label: None,
        });
        let watcher = Watcher {
            stalls,
            thread: this_thread().ok(),
            pulse: pulse.unwrap_or_default(),
            handle,
        };
        thread::Builder::new()
            .name("runtime-watch".to_owned())
            .spawn(move || watcher.run(&reader))?;
        Ok(Box::new(Watch {
            control,
            process: process::id(),
            #[cfg(feature = "signal")]
            _installed: installed,
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The parent of a forked child has the same socket, and its thread must go on.
        if process::id() == self.process {
            let _ = self.control.shutdown(Shutdown::Both);
        }
    }
}

/// The state of the watching thread.
struct Watcher {
    stalls: Option<Stalls>,
    /// The folder of the watched thread in /proc.
    thread: Option<PathBuf>,
    pulse: Arc<Pulse>,
    handle: Handle,
}

/// The search for polls that last too long.
struct Stalls {
    looks: Looks,
    callback: OnStall,
    /// The task whose poll was reported last; `None` for the root future.
    label: Option<Arc<Label>>,
}

impl Watcher {
    fn run(mut self, reader: &UnixStream) {
        let mut requests = [0; 64];
        loop {
            // Requests and signals that interrupt the wait do not move the next look.
            let timeout = self.look_when_due();
            if reader.set_read_timeout(timeout).is_err() {
                return;
            }
            match (&mut &*reader).read(&mut requests) {
                Ok(0) => return,
                Ok(_) => self.dump(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Looks if it is time to, and returns the time until the next look, if there is one.
    fn look_when_due(&mut self) -> Option<Duration> {
        let mut stalls = self.stalls.take()?;
        if stalls.looks.next() <= Instant::now() {
            self.look(&mut stalls);
        }
        let next = stalls.looks.next();
        self.stalls = Some(stalls);
        // A callback may have taken long. No timeout may be zero.
        let rest = next.saturating_duration_since(Instant::now());
        Some(rest.max(Duration::from_micros(1)))
    }

    fn look(&self, stalls: &mut Stalls) {
        // In this order, so that the time is not before the beginning of the poll.
        let (poll, now) = (self.pulse.poll(), Instant::now());
        match stalls.looks.look(poll, now) {
            Finding::Nothing => {}
            Finding::TooLong { since } => {
                let label = self.pulse.label();
                if self.pulse.poll() != poll {
                    return; // The label may be that of the next poll.
                }
                self.pulse.set_reported(poll);
                stalls.looks.set_reported();
                stalls.label.clone_from(&label);
                self.report(&stalls.callback, label, now - since, false);
            }
            Finding::Ended { poll, since } => {
                let end = self.pulse.end_of(poll).unwrap_or(now);
                let duration = end.saturating_duration_since(since);
                self.pulse.add_stall(duration);
                self.report(&stalls.callback, stalls.label.take(), duration, true);
            }
        }
    }

    fn report(
        &self,
        on_stall: &OnStall,
        label: Option<Arc<Label>>,
        duration: Duration,
        is_over: bool,
    ) {
        let stall = self.stall(label, duration, is_over);
        #[cfg(feature = "tracing")]
        tracing::warn!(target: "runtime::stall", "{stall}");
        // The panic hook of the process reports a panic; this thread continues to watch.
        let _ = catch_unwind(AssertUnwindSafe(|| on_stall.call(&stall)));
    }

    fn stall(&self, label: Option<Arc<Label>>, duration: Duration, is_over: bool) -> Stall {
        let label = label.as_deref();
        let thread = self.thread.as_deref().filter(|_| !is_over);
        Stall {
            runtime: self.handle.name().map(str::to_owned),
            task: label.map(|label| label.id),
            name: label.and_then(|label| label.name.clone()),
            spawned_at: label.map(|label| label.spawned_at),
            duration,
            is_over,
            thread: thread.and_then(state_of),
        }
    }

    /// Writes the list of tasks to standard error, or the task that keeps the thread from making
    /// one.
    fn dump(&mut self) {
        let (begin, poll) = (Instant::now(), self.pulse.poll());
        let mut request = request_tasks(&self.handle);
        let answer = loop {
            let rest = DUMP_LIMIT.saturating_sub(begin.elapsed());
            let until_look = self.look_when_due().unwrap_or(rest);
            match request.wait_at_most(rest.min(until_look)) {
                Some(answer) => break answer,
                None if rest.is_zero() => break Err(no_answer(DUMP_LIMIT)),
                None => {}
            }
        };
        match answer {
            Ok(tasks) => log(format_args!("{tasks}")),
            Err(_) if poll != 0 && self.pulse.poll() == poll => {
                let stalls = self.stalls.as_ref();
                let since = stalls.and_then(|stalls| stalls.looks.since(poll));
                let duration = since.unwrap_or(begin).elapsed();
                let stall = self.stall(self.pulse.label(), duration, false);
                log(format_args!("{stall}"));
            }
            Err(e) => {
                let name = self.handle.name().unwrap_or("without a name");
                let waited = Span(begin.elapsed());
                log(format_args!(
                    "no list of the tasks of runtime {name:?} in {waited}: {e}"
                ));
            }
        }
    }
}
