//! The observer of a runtime that was built to be watched: it counts the polls of each task, and
//! notes which poll the thread is in.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_executor::internal::{Observe, ObservedTask, run_ready_observed};
use runtime_executor::{Executor, Id};
use runtime_reactor::Reactor;
use runtime_reactor::internal::count_lateness;

use super::histogram::Histogram;
use super::observing::{ObserverOptions, Observing};
use super::pulse::{Label, Pulse, ROOT};
use super::tasks::TaskTiming;

/// Accessed on the thread of the runtime only.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    pub(crate) pulse: Arc<Pulse>,
    /// The tasks by slot.
    tasks: RefCell<Vec<Option<Tracked>>>,
    /// Counts polls, those of the root future included.
    polls: Cell<u64>,
    /// Set by [`Builder::track_tasks`](crate::Builder::track_tasks): what needs the clock.
    timing: Option<Box<Timing>>,
    /// Set by `Builder::trace`.
    #[cfg(feature = "tracing")]
    spans: Option<Box<super::traced::Spans>>,
}

/// A task that was polled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tracked {
    id: Id,
    pub(super) polls: u64,
    pub(super) first_poll: Option<Instant>,
    /// The end of the last poll.
    last_poll: Option<Instant>,
    /// The sum of the durations of all polls, in nanoseconds.
    polled: u64,
    /// The duration of the longest poll, in nanoseconds.
    longest_poll: u64,
}

impl Tracked {
    /// Returns the durations of the polls, if they are measured.
    pub(super) fn timing(&self) -> Option<TaskTiming> {
        self.first_poll?;
        Some(TaskTiming {
            polled: Duration::from_nanos(self.polled),
            longest_poll: Duration::from_nanos(self.longest_poll),
            idle: self.last_poll.map(|end| end.elapsed()).unwrap_or_default(),
        })
    }
}

#[derive(Debug)]
struct Timing {
    /// The end of the last poll, or the beginning of the batch.
    last: Cell<Instant>,
    /// The beginning of the call that runs the runtime.
    entered: Cell<Option<Instant>>,
    measured: RefCell<Measured>,
}

/// The measurements of a runtime that tracks its tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    pub(super) busy: Duration,
    pub(super) idle: Duration,
    pub(super) empty_waits: u64,
    pub(super) batches: Histogram,
    pub(super) polls: Histogram,
    pub(super) longest_poll: Duration,
}

impl Observer {
    /// Makes the observer of a runtime.
    pub(crate) fn make(options: ObserverOptions, reactor: &Reactor) -> Rc<dyn Observing> {
        let ObserverOptions { tracks, .. } = options;
        if tracks {
            count_lateness(reactor);
        }
        let timing = || Timing {
            last: Cell::new(Instant::now()),
            entered: Cell::new(None),
            measured: RefCell::default(),
        };
        Rc::new(Observer {
            timing: tracks.then(|| Box::new(timing())),
            #[cfg(feature = "tracing")]
            spans: options.traces.then(Box::default),
            ..Observer::default()
        })
    }

    /// Returns what is known of a task.
    pub(super) fn tracked(&self, slot: u32, id: Id) -> Option<Tracked> {
        let tasks = self.tasks.borrow();
        let tracked = (*tasks.get(slot as usize)?)?;
        (tracked.id == id).then_some(tracked)
    }

    /// Returns the measurements, if there are any.
    pub(super) fn measured(&self) -> Option<Measured> {
        let timing = self.timing.as_ref()?;
        let mut measured = timing.measured.borrow().clone();
        // The call that runs the runtime now is not added yet.
        if let Some(entered) = timing.entered.get() {
            measured.busy += entered.elapsed();
        }
        measured.busy = measured.busy.saturating_sub(measured.idle);
        Some(measured)
    }

    #[inline]
    fn begin(&self, slot: u32) {
        let poll = self.polls.get() + 1;
        self.polls.set(poll);
        self.pulse.begin(poll, slot);
    }

    #[inline]
    fn end(&self) {
        self.pulse.end(self.polls.get());
        if let Some(timing) = &self.timing {
            let now = Instant::now();
            let took = now - timing.last.replace(now);
            let mut measured = timing.measured.borrow_mut();
            measured.polls.record_duration(took);
            measured.longest_poll = took.max(measured.longest_poll);
            self.add_time(took, now);
        }
    }

    /// Adds a poll that has just ended to its task.
    #[inline]
    fn add_time(&self, took: Duration, now: Instant) {
        let mut tasks = self.tasks.borrow_mut();
        // The root future has no entry.
        if let Some(Some(tracked)) = tasks.get_mut(self.pulse.slot() as usize) {
            let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            tracked.polled = tracked.polled.saturating_add(took);
            tracked.longest_poll = took.max(tracked.longest_poll);
            tracked.last_poll = Some(now);
        }
    }

    #[cold]
    fn add(&self, task: &ObservedTask<'_>) {
        let (mut tasks, index) = (self.tasks.borrow_mut(), task.slot() as usize);
        if tasks.len() <= index {
            tasks.resize(index + 1, None);
        }
        tasks[index] = Some(Tracked {
            id: task.id(),
            polls: 0,
            first_poll: self.timing.as_ref().map(|timing| timing.last.get()),
            last_poll: None,
            polled: 0,
            longest_poll: 0,
        });
        let label = Label {
            id: task.id(),
            name: task.name().map(str::to_owned),
            spawned_at: task.spawned_at(),
        };
        self.pulse.set_label(task.slot(), label);
    }

    fn count(&self, task: &ObservedTask<'_>) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        match tasks.get_mut(task.slot() as usize) {
            Some(Some(tracked)) if tracked.id == task.id() => {
                tracked.polls += 1;
                true
            }
            _ => false,
        }
    }
}

impl Observe for Observer {
    fn before_poll(&self, task: &ObservedTask<'_>) {
        if !self.count(task) {
            self.add(task);
            self.count(task);
        }
        self.begin(task.slot());
        #[cfg(feature = "tracing")]
        if let Some(spans) = &self.spans {
            spans.enter(task);
        }
    }

    fn after_poll(&self) {
        #[cfg(feature = "tracing")]
        if let Some(spans) = &self.spans {
            spans.exit();
        }
        self.end();
    }
}

impl Observing for Observer {
    fn run_batch(&self, executor: &Executor) -> usize {
        run_ready_observed(executor, self)
    }

    fn end_batch(&self, polled: usize) {
        if let Some(timing) = self.timing.as_ref().filter(|_| polled > 0) {
            let mut measured = timing.measured.borrow_mut();
            measured.batches.record(polled as u64);
        }
    }

    fn begin_root(&self) {
        self.begin(ROOT);
    }

    fn end_root(&self) {
        self.end();
    }

    fn enter(&self) {
        if let Some(timing) = &self.timing {
            let now = Instant::now();
            timing.entered.set(Some(now));
            timing.last.set(now);
        }
    }

    fn leave(&self) {
        if let Some(timing) = &self.timing {
            if let Some(entered) = timing.entered.take() {
                timing.measured.borrow_mut().busy += entered.elapsed();
            }
        }
    }

    fn begin_idle(&self) {
        if let Some(timing) = &self.timing {
            timing.last.set(Instant::now());
        }
    }

    fn end_idle(&self, events: usize) {
        if let Some(timing) = &self.timing {
            let now = Instant::now();
            let mut measured = timing.measured.borrow_mut();
            measured.idle += now - timing.last.replace(now);
            measured.empty_waits += u64::from(events == 0);
        }
        #[cfg(feature = "tracing")]
        if self.spans.is_some() {
            tracing::trace!(target: "runtime::turn", events, "turn");
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
