//! The report of a shutdown.

use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use runtime_executor::Id;
use runtime_executor::internal::{Inspection, JobRecord};
use runtime_reactor::internal::{clock, descriptors};

use super::attached::attached;
use super::describe::describe;
use super::list::list_tasks;
use super::span::Span;
use super::tasks::{Descriptor, TaskInfo, TaskState};

/// The number of descriptors that a report describes.
const MAX_DESCRIPTORS: usize = 100;

/// The number of tasks and of jobs that the text of a report shows.
const MAX_SHOWN: usize = 50;

/// The things that were still alive when a runtime was shut down. Returned by
/// [`Runtime::shutdown`](crate::Runtime::shutdown).
///
/// Its text is a list for readers.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The name of the runtime, if it was given one.
    pub runtime: Option<String>,
    /// The time that the runtime was given to finish, as far as it needed it.
    pub waited: Duration,
    /// The tasks that were not complete, with what they waited for. They were dropped.
    pub tasks: Vec<TaskInfo>,
    /// The blocking jobs that were not complete. Those that were queued were canceled, except
    /// writes that were accepted; those that run continue.
    pub jobs: Vec<JobInfo>,
    /// The descriptors that were still registered, at most 100. They belong to tasks, or to values
    /// that the program keeps.
    pub descriptors: Vec<Descriptor>,
}

/// A blocking job that was not complete.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct JobInfo {
    /// The identity of the job.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "super::tasks::text::serialize")
    )]
    pub id: Id,
    /// The name of an operation of this crate, or an empty string for a closure of the program.
    pub name: &'static str,
    /// The place where the job was spawned.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "super::tasks::text::serialize")
    )]
    pub spawned_at: &'static Location<'static>,
    /// The time for which the job has run; `None` if it was queued.
    pub running: Option<Duration>,
}

impl ShutdownReport {
    /// Returns true if all tasks and blocking jobs were complete.
    pub fn is_clean(&self) -> bool {
        self.tasks.is_empty() && self.jobs.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.runtime {
            write!(f, "runtime {name:?}: ")?;
        }
        let waited = Span(self.waited);
        if self.is_clean() {
            return write!(
                f,
                "all tasks and blocking jobs were complete after {waited}"
            );
        }
        let (tasks, jobs) = (self.tasks.len(), self.jobs.len());
        write!(
            f,
            "{tasks} tasks and {jobs} blocking jobs were not complete after {waited}"
        )?;
        for task in self.tasks.iter().take(MAX_SHOWN) {
            write!(f, "\n{task}")?;
        }
        if tasks > MAX_SHOWN {
            write!(f, "\nand {} more tasks", tasks - MAX_SHOWN)?;
        }
        for job in self.jobs.iter().take(MAX_SHOWN) {
            write!(f, "\n{job}")?;
        }
        if jobs > MAX_SHOWN {
            write!(f, "\nand {} more blocking jobs", jobs - MAX_SHOWN)?;
        }
        Ok(())
    }
}

impl fmt::Display for JobInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blocking job {}", self.id)?;
        if !self.name.is_empty() {
            write!(f, " ({})", self.name)?;
        }
        write!(f, ", spawned at {}: ", self.spawned_at)?;
        match self.running {
            Some(running) => write!(f, "running for {}", Span(running)),
            None => write!(f, "queued"),
        }
    }
}

/// The end of a limit, by the clock of the runtime.
pub(crate) struct Deadline {
    begin: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Deadline {
        Deadline {
            begin: clock::now(),
            limit,
        }
    }

    fn waited(&self) -> Duration {
        clock::now().saturating_duration_since(self.begin)
    }

    /// Returns the time that is left, or `None` if there is none.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let rest = self.limit.checked_sub(self.waited());
        rest.filter(|rest| !rest.is_zero())
    }
}

/// Reports what is alive now.
pub(crate) fn report_shutdown(inspection: &Inspection, deadline: &Deadline) -> ShutdownReport {
    let mut tasks = list_tasks(inspection).tasks;
    tasks.retain(|task| task.state != TaskState::Complete);
    let job = |job: JobRecord| JobInfo {
        id: job.id,
        name: job.name,
        spawned_at: job.spawned_at,
        running: job.running,
    };
    let reactor = attached(inspection).and_then(|attached| attached.reactor.upgrade());
    let registered = reactor
        .map(|reactor| descriptors(&reactor))
        .unwrap_or_default();
    ShutdownReport {
        runtime: inspection.name().map(str::to_owned),
        waited: deadline.waited(),
        tasks,
        jobs: inspection.jobs().into_iter().map(job).collect(),
        descriptors: registered
            .into_iter()
            .take(MAX_DESCRIPTORS)
            .map(describe)
            .collect(),
    }
}
