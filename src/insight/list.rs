//! Making the list of tasks: the executor's tasks and the reactor's waits, joined by waker.

use std::os::fd::RawFd;
use std::time::Duration;

use runtime_executor::Handle;
use runtime_executor::internal::{self, Awaiter, GroupKind, Inspection, TaskRecord, WakerNumber};
use runtime_reactor::internal::{Awaited, clock, visit_waiters};

use super::attached::attached;
use super::describe::{describe, process_of};
use super::observer::Observer;
use super::request::Request;
use super::tasks::{Descriptor, TaskInfo, TaskList, TaskState, Wait};
use crate::task::scope::live_scopes;

/// The number of descriptors that a list describes. Each takes a few system calls.
const MAX_DESCRIBED: usize = 1_000;

/// Returns all tasks of the runtime that runs on this thread, and what each of them waits for.
///
/// The task that calls this is in the list, without its name and the place where it was spawned,
/// unless the runtime is [observed](crate::insight#observed-runtimes).
///
/// # Panics
/// Panics if no runtime runs on this thread. [`Handle::tasks`](crate::Handle::tasks) works on every
/// thread.
///
/// # Complexity
/// O(n log n) in the number of tasks, timers and sockets, and a few system calls for each of the
/// first 1,000 descriptors that tasks wait for.
///
/// # Examples
/// ```
/// use runtime::insight::TaskState;
///
/// # runtime::block_on(async {
/// let task = runtime::spawn(std::future::pending::<()>());
/// runtime::task::yield_now().await;
/// let tasks = runtime::task::all();
/// assert_eq!(tasks.tasks[0].id, task.id());
/// assert_eq!(tasks.tasks[0].state, TaskState::Waiting);
/// assert_eq!(tasks.tasks[0].waits[0].to_string(), "channel or other waker");
/// # });
/// ```
#[track_caller]
pub fn all() -> TaskList {
    match Inspection::current() {
        Some(inspection) => list_tasks(&inspection),
        None => panic!(
            "task::all was called outside a runtime: call it in a task, or use Handle::tasks"
        ),
    }
}

/// Requests the list from the thread of `handle`'s runtime.
pub(crate) fn request_tasks(handle: &Handle) -> Request<TaskList> {
    Request::new(internal::call(handle, list_tasks))
}

pub(super) fn list_tasks(inspection: &Inspection) -> TaskList {
    let mut records = inspection.tasks();
    records.sort_by_key(|record| record.id);
    let mut waits = Waits::of(inspection, &records);
    let root_waits = waits.take(inspection.root());
    let observer = attached(inspection).and_then(|attached| attached.observer());
    let tasks = records.into_iter().map(|record| {
        let found = waits.take(record.waker);
        let slot = record.slot;
        let mut task = task_info(record, found);
        if let Some(observer) = observer {
            add_tracked(&mut task, slot, observer);
        }
        task
    });
    TaskList {
        runtime: inspection.name().map(str::to_owned),
        root_waits,
        tasks: tasks.collect(),
    }
}

fn task_info(record: TaskRecord, found: Vec<Wait>) -> TaskInfo {
    let (state, waits) = match record.state {
        internal::TaskState::Running => (TaskState::Running, Vec::new()),
        internal::TaskState::Scheduled => (TaskState::Scheduled, Vec::new()),
        internal::TaskState::Complete => (TaskState::Complete, Vec::new()),
        internal::TaskState::Waiting if found.is_empty() => (TaskState::Waiting, vec![Wait::Other]),
        internal::TaskState::Waiting => (TaskState::Waiting, found),
    };
    TaskInfo {
        id: record.id,
        name: record.name,
        spawned_at: record.spawned_at,
        state,
        size: record.size,
        polls: None,
        age: None,
        timing: None,
        waits,
    }
}

/// Adds what the observer knows of a task.
fn add_tracked(task: &mut TaskInfo, slot: u32, observer: &Observer) {
    let Some(tracked) = observer.tracked(slot, task.id) else {
        // It was not polled yet.
        task.polls = Some(0);
        return;
    };
    task.polls = Some(tracked.polls);
    task.age = tracked.first_poll.map(|first| first.elapsed());
    task.timing = tracked.timing();
    if let Some(label) = observer.pulse.label_of(slot) {
        task.spawned_at = Some(label.spawned_at);
        task.name.clone_from(&label.name);
    }
}

/// All known waits, sorted by the tasks that wait, and those of one group next to each other.
struct Waits {
    sorted: Vec<(Awaiter, Found)>,
    described: usize,
}

/// A wait before it is described.
enum Found {
    InReactor(Awaited),
    Wait(Wait),
    /// No wait: the groups of the awaiter exist, although none of their wakers was found.
    Groups,
}

impl Waits {
    fn of(inspection: &Inspection, records: &[TaskRecord]) -> Waits {
        let mut sorted = Vec::new();
        if let Some(reactor) = attached(inspection).and_then(|it| it.reactor.upgrade()) {
            visit_waiters(&reactor, |awaited, waker| {
                if let Some(awaiter) = internal::awaiter_of(waker) {
                    sorted.push((awaiter, Found::InReactor(awaited)));
                }
            });
        }
        for record in records {
            // A complete task may keep a waker that only marks its handle.
            let is_complete = record.state == internal::TaskState::Complete;
            if let (Some(awaiter), false) = (record.joined_by.clone(), is_complete) {
                let wait = Wait::Join {
                    task: record.id,
                    name: record.name.clone(),
                    spawned_at: record.spawned_at,
                };
                sorted.push((awaiter, Found::Wait(wait)));
            }
        }
        for job in inspection.jobs() {
            if let Some(awaiter) = job.joined_by {
                let wait = Wait::BlockingJob {
                    name: job.name,
                    spawned_at: job.spawned_at,
                    running: job.running,
                };
                sorted.push((awaiter, Found::Wait(wait)));
            }
        }
        let scopes = live_scopes();
        let scopes = scopes.iter().filter_map(internal::awaiter_of_group);
        sorted.extend(scopes.map(|awaiter| (awaiter, Found::Groups)));
        sorted.sort_by(|(one, _), (other, _)| {
            let by_task = one.number.cmp(&other.number);
            by_task.then_with(|| group_ids(one).cmp(group_ids(other)))
        });
        Waits {
            sorted,
            described: 0,
        }
    }

    /// Describes the waits of a task.
    fn take(&mut self, number: WakerNumber) -> Vec<Wait> {
        let begin = self
            .sorted
            .partition_point(|(awaiter, _)| awaiter.number < number);
        let end = self
            .sorted
            .partition_point(|(awaiter, _)| awaiter.number <= number);
        describe_all(&self.sorted[begin..end], 0, &mut self.described)
    }
}

fn group_ids(awaiter: &Awaiter) -> impl Iterator<Item = usize> + '_ {
    awaiter.groups.iter().map(|group| group.id)
}

/// Describes waits whose first `depth` groups are the same.
fn describe_all(found: &[(Awaiter, Found)], depth: usize, described: &mut usize) -> Vec<Wait> {
    let (mut waits, mut rest) = (Vec::new(), found);
    while let Some(((awaiter, first), others)) = rest.split_first() {
        let Some(group) = awaiter.groups.get(depth) else {
            rest = others;
            waits.extend(match first {
                Found::InReactor(awaited) => Some(describe_wait(*awaited, described)),
                Found::Wait(wait) => Some(wait.clone()),
                Found::Groups => None,
            });
            continue;
        };
        let is_in_group = |(awaiter, _): &&(Awaiter, Found)| {
            let other = awaiter.groups.get(depth);
            other.is_some_and(|other| other.id == group.id)
        };
        let (inner, others) = rest.split_at(rest.iter().take_while(is_in_group).count());
        rest = others;
        waits.push(match group.kind {
            GroupKind::JoinSet => Wait::JoinNext { tasks: group.len },
            GroupKind::Scope => Wait::Scope {
                children: group.len,
                waits: describe_all(inner, depth + 1, described),
            },
        });
    }
    // Descriptors first, as they are found; then timers, by deadline.
    waits.sort_by_key(|wait| match wait {
        Wait::Timer { remaining } => Some(*remaining),
        _ => None,
    });
    waits
}

fn describe_wait(awaited: Awaited, described: &mut usize) -> Wait {
    match awaited {
        Awaited::Deadline(deadline) => Wait::Timer {
            remaining: rounded_up(deadline.saturating_duration_since(clock::now())),
        },
        Awaited::Process(process) => Wait::Child { process },
        Awaited::Read(fd) => of_signal(fd).unwrap_or_else(|| describe_read(fd, described)),
        Awaited::Write(fd) => Wait::Write(describe_up_to_limit(fd, described)),
        Awaited::Event(fd) => Wait::Event(describe_up_to_limit(fd, described)),
    }
}

fn describe_read(fd: RawFd, described: &mut usize) -> Wait {
    let descriptor = describe_up_to_limit(fd, described);
    // Only descriptors of this kind are looked up, as that opens a file in /proc.
    let process = (descriptor.description == "pidfd").then(|| process_of(fd));
    match process.flatten() {
        Some(process) => Wait::Child { process },
        None => Wait::Read(descriptor),
    }
}

/// Rounds to the next tenth of a second, so that a timer of two seconds is not due in 1.9.
fn rounded_up(remaining: Duration) -> Duration {
    let tenths = remaining.as_millis().div_ceil(100);
    if tenths < 10 {
        return remaining;
    }
    Duration::from_millis(u64::try_from(tenths * 100).unwrap_or(u64::MAX))
}

fn describe_up_to_limit(fd: RawFd, described: &mut usize) -> Descriptor {
    *described += 1;
    if *described > MAX_DESCRIBED {
        return Descriptor {
            fd,
            description: "descriptor".to_owned(),
        };
    }
    describe(fd)
}

#[cfg(feature = "signal")]
fn of_signal(fd: RawFd) -> Option<Wait> {
    let kind = crate::signal::awaited_at(fd)?;
    Some(Wait::Signal {
        name: kind.to_string(),
    })
}

#[cfg(not(feature = "signal"))]
fn of_signal(_: RawFd) -> Option<Wait> {
    None
}
