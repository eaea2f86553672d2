//! The content of an event: the state of the runtime, in bounded size.

use std::time::Duration;

use runtime::Handle;
use runtime::insight::{Metrics, Stall, TaskInfo, TaskList, TaskState, Wait};
use runtime::task;
use serde::Serialize;

use crate::shared::Shared;

/// The number of tasks that an event lists.
const MAX_TASKS: usize = 100;
/// The number of those that are listed for the durations of their polls.
const MAX_BY_POLL: usize = MAX_TASKS / 2;
/// The number of waits of a task that an event lists.
const MAX_WAITS: usize = 4;
/// The number of characters of a name or a place.
const MAX_NAME: usize = 120;
/// The number of characters of the text of a wait.
const MAX_WAIT: usize = 240;

/// The state of the runtime at one moment. Durations are in seconds, except in the counters.
#[derive(Serialize)]
pub(crate) struct Snapshot {
    runtime: Option<String>,
    process: u32,
    /// The time between two events.
    period: f64,
    /// The duration of a poll from which on its task is slow.
    slow_poll: f64,
    metrics: Option<Metrics>,
    root_waits: Waits,
    tasks: Tasks,
    /// The last stalls, if they are kept.
    stalls: Option<Vec<StallRow>>,
}

#[derive(Serialize)]
struct Tasks {
    /// The number of all tasks but those that serve the page.
    total: usize,
    /// The number of tasks that serve the page.
    own: usize,
    states: Vec<(String, usize)>,
    rows: Vec<Row>,
    /// The number of tasks that are not in `rows`.
    rest: usize,
    /// The waits of those tasks, by kind.
    rest_waits: Vec<(&'static str, usize)>,
}

#[derive(Serialize)]
struct Row {
    id: String,
    name: Option<String>,
    spawned_at: Option<String>,
    state: String,
    size: Option<usize>,
    polls: Option<u64>,
    age: Option<f64>,
    polled: Option<f64>,
    longest_poll: Option<f64>,
    idle: Option<f64>,
    is_slow: bool,
    waits: Waits,
}

/// Some of the waits of a task, and the number of the others.
#[derive(Serialize)]
struct Waits {
    shown: Vec<String>,
    rest: usize,
}

#[derive(Serialize)]
struct StallRow {
    /// The task; `None` for the future of `block_on`.
    task: Option<String>,
    name: Option<String>,
    spawned_at: Option<String>,
    duration: f64,
    is_over: bool,
    thread: Option<String>,
    /// The time since the stall was recorded.
    ago: f64,
}

impl Snapshot {
    /// Takes the state of the runtime of this thread.
    pub(crate) fn take(shared: &Shared) -> Snapshot {
        let options = &shared.options;
        let mut list = task::all();
        let all = list.tasks.len();
        list.tasks.retain(|task| !shared.is_own(task.id));
        // On the runtime's own thread the request is complete at once.
        let metrics = Handle::current().metrics().wait(Duration::ZERO).ok();
        let metrics = metrics.map(|mut metrics| {
            metrics.runtime = None;
            metrics
        });
        let stalls = options.stalls.as_ref().map(|log| {
            let entries = log.entries().into_iter();
            entries
                .map(|(stall, ago)| StallRow::of(&stall, ago))
                .collect()
        });
        Snapshot {
            runtime: list.runtime.as_deref().map(|name| shorten(name, MAX_NAME)),
            process: std::process::id(),
            period: options.period.as_secs_f64(),
            slow_poll: options.slow_poll.as_secs_f64(),
            metrics,
            root_waits: Waits::of(&list.root_waits),
            tasks: Tasks::of(&list, all - list.tasks.len(), options.slow_poll),
            stalls,
        }
    }
}

impl Tasks {
    fn of(list: &TaskList, own: usize, slow_poll: Duration) -> Tasks {
        let states = [
            TaskState::Running,
            TaskState::Scheduled,
            TaskState::Waiting,
            TaskState::Complete,
        ];
        let (shown, rest) = choose(&list.tasks);
        let mut rest_waits: Vec<(&'static str, usize)> = Vec::new();
        for wait in rest.iter().flat_map(|task| &task.waits) {
            match rest_waits.iter_mut().find(|(kind, _)| *kind == wait.kind()) {
                Some((_, count)) => *count += 1,
                None => rest_waits.push((wait.kind(), 1)),
            }
        }
        Tasks {
            total: list.tasks.len(),
            own,
            states: states
                .map(|state| (state.to_string(), list.count(state)))
                .into(),
            rows: shown.iter().map(|task| Row::of(task, slow_poll)).collect(),
            rest: rest.len(),
            rest_waits,
        }
    }
}

fn longest_poll(task: &TaskInfo) -> Option<Duration> {
    task.timing.map(|timing| timing.longest_poll)
}

/// Divides tasks into those that are listed, and the others. Of too many, those with the longest
/// polls are listed, and of the others those that have waited longest.
///
/// The tasks that are listed have the order of the list.
fn choose(tasks: &[TaskInfo]) -> (Vec<&TaskInfo>, Vec<&TaskInfo>) {
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    if tasks.len() > MAX_TASKS {
        order.sort_by_key(|at| std::cmp::Reverse(longest_poll(&tasks[*at])));
        order[MAX_BY_POLL..].sort_by_key(|at| {
            let is_waiting = tasks[*at].state == TaskState::Waiting;
            let idle = tasks[*at].timing.map(|timing| timing.idle);
            std::cmp::Reverse((is_waiting, idle))
        });
        // In one place the rows can be read while the page is refreshed.
        order[..MAX_TASKS].sort_unstable();
    }
    let (shown, rest) = order.split_at(order.len().min(MAX_TASKS));
    let of = |order: &[usize]| order.iter().map(|at| &tasks[*at]).collect();
    (of(shown), of(rest))
}

impl Row {
    fn of(task: &TaskInfo, slow_poll: Duration) -> Row {
        let timing = task.timing;
        Row {
            id: task.id.to_string(),
            name: task.name.as_deref().map(|name| shorten(name, MAX_NAME)),
            spawned_at: task.spawned_at.map(|place| end_of(&place.to_string())),
            state: task.state.to_string(),
            size: task.size,
            polls: task.polls,
            age: task.age.map(|age| age.as_secs_f64()),
            polled: timing.map(|timing| timing.polled.as_secs_f64()),
            longest_poll: timing.map(|timing| timing.longest_poll.as_secs_f64()),
            idle: timing.map(|timing| timing.idle.as_secs_f64()),
            is_slow: longest_poll(task).is_some_and(|longest| longest >= slow_poll),
            waits: Waits::of(&task.waits),
        }
    }
}

impl Waits {
    fn of(waits: &[Wait]) -> Waits {
        let shown = waits.iter().take(MAX_WAITS);
        Waits {
            shown: shown
                .map(|wait| shorten(&wait.to_string(), MAX_WAIT))
                .collect(),
            rest: waits.len().saturating_sub(MAX_WAITS),
        }
    }
}

impl StallRow {
    fn of(stall: &Stall, ago: Duration) -> StallRow {
        StallRow {
            task: stall.task.map(|id| id.to_string()),
            name: stall.name.as_deref().map(|name| shorten(name, MAX_NAME)),
            spawned_at: stall.spawned_at.map(|place| end_of(&place.to_string())),
            duration: stall.duration.as_secs_f64(),
            is_over: stall.is_over,
            thread: stall
                .thread
                .as_deref()
                .map(|state| shorten(state, MAX_NAME)),
            ago: ago.as_secs_f64(),
        }
    }
}

/// Returns the beginning of a text that is too long, with an ellipsis.
fn shorten(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the end of a place that is too long, where the name of the file is.
fn end_of(place: &str) -> String {
    match place.char_indices().nth_back(MAX_NAME) {
        Some((at, first)) => format!("…{}", &place[at + first.len_utf8()..]),
        None => place.to_owned(),
    }
}
