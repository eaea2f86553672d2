//! The tasks of a runtime, as plain data.

use std::fmt;
use std::os::fd::RawFd;
use std::panic::Location;
use std::time::Duration;

use runtime_executor::Id;

use super::span::Span;

/// The number of tasks that the text of a list shows.
const MAX_SHOWN: usize = 200;

/// The number of waits that the text of a scope shows.
const MAX_IN_SCOPE: usize = 3;

/// The tasks of a runtime at one moment, ordered by ID: first those that were spawned on the
/// runtime's thread, in that order, then those of other threads.
///
/// Its text is a dump for readers: counts, then the first 200 tasks with what they wait for.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaskList {
    /// The name of the runtime, if it was given one.
    pub runtime: Option<String>,
    /// The waits of the future of `block_on`.
    pub root_waits: Vec<Wait>,
    /// All tasks that are not complete, or whose output was not taken.
    pub tasks: Vec<TaskInfo>,
}

/// A task at one moment.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaskInfo {
    /// The identity of the task.
    #[cfg_attr(feature = "serde", serde(serialize_with = "text::serialize"))]
    pub id: Id,
    /// The name that [`task::Builder`](crate::task::Builder) has set.
    pub name: Option<String>,
    /// The place where the task was spawned. It is unknown of the task that requests the list
    /// itself, unless the runtime is [observed](super#observed-runtimes).
    #[cfg_attr(feature = "serde", serde(serialize_with = "text::serialize_some"))]
    pub spawned_at: Option<&'static Location<'static>>,
    /// The state of the task.
    pub state: TaskState,
    /// The size of the future in bytes. It is unknown of the task that requests the list itself.
    pub size: Option<usize>,
    /// The number of polls, in a runtime that is [observed](super#observed-runtimes).
    pub polls: Option<u64>,
    /// The time since the first poll, in a runtime that [tracks its
    /// tasks](crate::Builder::track_tasks).
    pub age: Option<Duration>,
    /// The durations of the polls, once the task was polled in a runtime that [tracks its
    /// tasks](crate::Builder::track_tasks).
    pub timing: Option<TaskTiming>,
    /// The waits of a task that is [`Waiting`](TaskState::Waiting), at least one; empty in other
    /// states.
    pub waits: Vec<Wait>,
}

/// The durations of the polls of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaskTiming {
    /// The sum of the durations of all polls.
    pub polled: Duration,
    /// The duration of the longest poll.
    pub longest_poll: Duration,
    /// The time since the last poll has ended; zero in the first poll.
    pub idle: Duration,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum TaskState {
    /// The task is being polled: it has requested the list itself.
    Running,
    /// The task was woken or has just been spawned, and will be polled.
    Scheduled,
    /// The task waits to be woken.
    Waiting,
    /// The task is complete, and its join handle has not returned the output yet.
    Complete,
}

/// Something that a task waits for. A task may wait for several things at once, such as a socket
/// and a timeout.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Wait {
    /// Waits until a descriptor is readable, or a listener has a connection.
    ///
    /// A task that has stopped waiting for a socket without closing it may still be listed with it,
    /// until the socket is ready.
    Read(Descriptor),
    /// Waits until a descriptor is writable, or a socket is connected.
    Write(Descriptor),
    /// Waits for a hang-up, an error or urgent data of a descriptor.
    Event(Descriptor),
    /// Waits for a timer.
    Timer {
        /// The time until the deadline; zero if it has passed.
        remaining: Duration,
    },
    /// Waits for the output of a task of this runtime.
    Join {
        /// The identity of that task.
        #[cfg_attr(feature = "serde", serde(serialize_with = "text::serialize"))]
        task: Id,
        /// The name of that task.
        name: Option<String>,
        /// The place where that task was spawned.
        #[cfg_attr(feature = "serde", serde(serialize_with = "text::serialize_some"))]
        spawned_at: Option<&'static Location<'static>>,
    },
    /// Waits for the next of the tasks of a [`JoinSet`](crate::task::JoinSet).
    JoinNext {
        /// The number of tasks in the set.
        tasks: usize,
    },
    /// Waits in a [scope](crate::task::scope()).
    Scope {
        /// The number of children that are not complete.
        children: usize,
        /// The known waits of the body and of the children.
        waits: Vec<Wait>,
    },
    /// Waits for a blocking job of this runtime.
    BlockingJob {
        /// The name of an operation of this crate, such as `read`, or an empty string for a closure
        /// of the program.
        name: &'static str,
        /// The place where the job was spawned.
        #[cfg_attr(feature = "serde", serde(serialize_with = "text::serialize"))]
        spawned_at: &'static Location<'static>,
        /// The time for which the job has run; `None` if it is queued.
        running: Option<Duration>,
    },
    /// Waits for the exit of a child process.
    Child {
        /// The process ID.
        process: u32,
    },
    /// Waits for a signal.
    Signal {
        /// The name of the signal, such as `SIGHUP`.
        name: String,
    },
    /// Waits for something that this runtime does not know: a channel, a lock, or a future of
    /// another crate with wakers of its own, such as `FuturesUnordered`.
    Other,
}

/// A descriptor and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Descriptor {
    /// The number of the descriptor.
    pub fd: RawFd,
    /// The kind of a socket and its addresses, the path of a file, or `descriptor` if the system
    /// says no more.
    pub description: String,
}

impl TaskList {
    /// Returns the number of tasks in a state.
    pub fn count(&self, state: TaskState) -> usize {
        let tasks = self.tasks.iter();
        tasks.filter(|task| task.state == state).count()
    }
}

impl Wait {
    /// Returns the kind of the wait in one or two words, for counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Wait::Read(_) => "read",
            Wait::Write(_) => "write",
            Wait::Event(_) => "event",
            Wait::Timer { .. } => "timer",
            Wait::Join { .. } | Wait::JoinNext { .. } => "join",
            Wait::Scope { .. } => "scope",
            Wait::BlockingJob { .. } => "blocking job",
            Wait::Child { .. } => "child",
            Wait::Signal { .. } => "signal",
            Wait::Other => "other",
        }
    }
}

impl fmt::Display for TaskList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.runtime {
            write!(f, "runtime {name:?}: ")?;
        }
        let all = self.tasks.len();
        write!(f, "{all} task{}", plural(all))?;
        let states = [
            TaskState::Running,
            TaskState::Scheduled,
            TaskState::Waiting,
            TaskState::Complete,
        ];
        let counts = states.map(|state| (state.to_string(), self.count(state)));
        write_counts(f, &counts)?;
        if !self.root_waits.is_empty() {
            write!(f, "\nthe future of block_on")?;
            write_waits(f, &self.root_waits)?;
        }
        for task in self.tasks.iter().take(MAX_SHOWN) {
            write!(f, "\n{task}")?;
        }
        if all > MAX_SHOWN {
            write!(f, "\nand {} more", all - MAX_SHOWN)?;
            let mut counts: Vec<(String, usize)> = Vec::new();
            for wait in self.tasks[MAX_SHOWN..].iter().flat_map(|task| &task.waits) {
                match counts.iter_mut().find(|(kind, _)| kind == wait.kind()) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((wait.kind().to_owned(), 1)),
                }
            }
            write_counts(f, &counts)?;
        }
        Ok(())
    }
}

/// Writes the counts that are not zero after a colon.
fn write_counts(f: &mut fmt::Formatter<'_>, counts: &[(String, usize)]) -> fmt::Result {
    let mut separator = ": ";
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        write!(f, "{separator}{count} {name}")?;
        separator = ", ";
    }
    Ok(())
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Writes a scope in one line, with the first of its waits.
fn write_scope(f: &mut fmt::Formatter<'_>, children: usize, waits: &[Wait]) -> fmt::Result {
    let noun = if children == 1 { "child" } else { "children" };
    write!(f, "scope of {children} {noun}")?;
    let mut separator = ": ";
    for wait in waits.iter().take(MAX_IN_SCOPE) {
        write!(f, "{separator}{wait}")?;
        separator = "; ";
    }
    match waits.len().saturating_sub(MAX_IN_SCOPE) {
        0 => Ok(()),
        more => write!(f, "; {more} more"),
    }
}

fn write_waits(f: &mut fmt::Formatter<'_>, waits: &[Wait]) -> fmt::Result {
    for wait in waits {
        write!(f, "\n    {wait}")?;
    }
    Ok(())
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = Origin(&self.name, self.spawned_at);
        write!(f, "task {}{origin}", self.id)?;
        if let Some(size) = self.size {
            write!(f, ", {size} bytes")?;
        }
        if let Some(polls) = self.polls {
            write!(f, ", {polls} poll{}", if polls == 1 { "" } else { "s" })?;
        }
        if let Some(age) = self.age {
            write!(f, ", since {}", Span(age))?;
        }
        write!(f, ": {}", self.state)?;
        write_waits(f, &self.waits)
    }
}

/// The name of a task and the place where it was spawned, as a phrase.
pub(super) struct Origin<'a>(
    pub(super) &'a Option<String>,
    pub(super) Option<&'static Location<'static>>,
);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin(name, spawned_at) = self;
        if let Some(name) = name {
            write!(f, " {name:?}")?;
        }
        if let Some(spawned_at) = spawned_at {
            write!(f, ", spawned at {spawned_at}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskState::Running => "running",
            TaskState::Scheduled => "scheduled",
            TaskState::Waiting => "waiting",
            TaskState::Complete => "complete",
        })
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Read(descriptor) => write!(f, "read on {descriptor}"),
            Wait::Write(descriptor) => write!(f, "write on {descriptor}"),
            Wait::Event(descriptor) => {
                write!(f, "hang-up, error or urgent data of {descriptor}")
            }
            Wait::Timer { remaining } => write!(f, "timer in {}", Span(*remaining)),
            Wait::Join {
                task,
                name,
                spawned_at,
            } => {
                let origin = Origin(name, *spawned_at);
                write!(f, "join of task {task}{origin}")
            }
            Wait::JoinNext { tasks } => {
                write!(f, "join of one of {tasks} task{}", plural(*tasks))
            }
            Wait::Scope { children, waits } => write_scope(f, *children, waits),
            Wait::BlockingJob {
                name,
                spawned_at,
                running,
            } => {
                match *name {
                    "" => write!(f, "blocking job spawned at {spawned_at}")?,
                    name => write!(f, "blocking job ({name})")?,
                }
                match running {
                    Some(running) => write!(f, ", running for {}", Span(*running)),
                    None => write!(f, ", queued"),
                }
            }
            Wait::Child { process } => write!(f, "exit of child {process}"),
            Wait::Signal { name } => write!(f, "signal {name}"),
            Wait::Other => write!(f, "channel or other waker"),
        }
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (fd {})", self.description, self.fd)
    }
}

/// Serializes values as their text.
#[cfg(feature = "serde")]
pub(super) mod text {
    use std::fmt::Display;

    use serde::Serializer;

    pub(in crate::insight) fn serialize<S: Serializer>(
        value: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::insight) fn serialize_some<S: Serializer>(
        value: &Option<impl Display>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_thousands_of_tasks_is_bounded_and_counts_the_rest() {
        let id = crate::block_on(async { crate::spawn(async {}).id() });
        let task = |n: u64| TaskInfo {
            id,
            name: None,
            spawned_at: None,
            state: TaskState::Waiting,
            size: Some(8),
            polls: None,
            age: None,
            timing: None,
            waits: vec![if n % 4 == 0 {
                Wait::Other
            } else {
                Wait::Timer {
                    remaining: Duration::from_secs(n),
                }
            }],
        };
        let list = TaskList {
            runtime: Some("crowd".to_owned()),
            root_waits: vec![Wait::Other],
            tasks: (0..10_200).map(task).collect(),
        };
        let text = list.to_string();
        assert!(
            text.starts_with("runtime \"crowd\": 10200 tasks: 10200 waiting\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\nand 10000 more: 2500 other, 7500 timer"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1 + 2 + 2 * MAX_SHOWN + 1);
    }
}
