//! The counters of a runtime, as plain data.

use std::fmt::{self, Write};
use std::ops::Sub;
use std::time::Duration;

use super::histogram::Histogram;
use super::span::Span;

/// The counters of a runtime at one moment. Created by [`Handle::metrics`](crate::Handle::metrics).
///
/// All values are totals since the runtime was created, except those that are called a current
/// number. The difference of two snapshots, `&after - &before`, has the totals of the time between
/// them, and the current numbers of the later one.
///
/// Its text has one line for each value, for readers; [`to_prometheus`](Metrics::to_prometheus) is
/// for programs.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let handle = runtime::Handle::current();
/// let before = handle.metrics().await?;
/// runtime::spawn(async {}).await.unwrap();
/// let after = handle.metrics().await?;
/// let between = &after - &before;
/// assert_eq!((between.tasks_spawned, between.tasks_finished), (1, 1));
/// println!("{:.0} % busy", 100.0 * between.utilization());
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Metrics {
    /// The name of the runtime, if it was given one.
    pub runtime: Option<String>,
    /// The time since the runtime was created.
    pub elapsed: Duration,
    /// The processor time of the runtime's thread, also of what it did before.
    pub cpu_time: Duration,
    /// Turns of the reactor, each with one waiting system call.
    pub turns: u64,
    /// Turns without a limit that woke no task.
    pub spurious_turns: u64,
    /// Events that the kernel delivered.
    pub events: u64,
    /// Events for a source that no longer existed.
    pub stale_events: u64,
    /// Registrations of descriptors.
    pub registrations: u64,
    /// Repeated registrations, made because a wait came from another thread.
    pub reregistrations: u64,
    /// Removals of descriptors by a call of their own.
    pub removals: u64,
    /// System calls made by other threads to end a wait.
    pub notifications: u64,
    /// The current number of sources that are registered.
    pub sources: u64,
    /// Timers that were armed.
    pub timers_armed: u64,
    /// Timers that reached their deadline.
    pub timers_fired: u64,
    /// The current number of timers that are armed.
    pub timers: u64,
    /// Tasks that were spawned.
    pub tasks_spawned: u64,
    /// Tasks that are complete and whose output was taken or dropped.
    pub tasks_finished: u64,
    /// Tasks that panicked.
    pub tasks_panicked: u64,
    /// Tasks that were aborted before they were complete.
    pub tasks_aborted: u64,
    /// The current number of tasks that are not finished.
    pub tasks: u64,
    /// Polls of tasks.
    pub polls: u64,
    /// Blocking jobs that were queued.
    pub jobs_submitted: u64,
    /// The current number of blocking jobs that no thread has begun.
    pub jobs_queued: u64,
    /// The current number of blocking jobs that run.
    pub jobs_running: u64,
    /// The current number of threads for blocking jobs.
    pub blocking_threads: u64,
    /// Polls that were longer than the threshold of
    /// [`Builder::on_stall`](crate::Builder::on_stall).
    pub stalls: u64,
    /// The duration of the longest of them since the runtime was created.
    pub longest_stall: Duration,
    /// Values that are measured if the runtime [tracks its tasks](crate::Builder::track_tasks).
    pub tracked: Option<TrackedMetrics>,
}

/// The measurements of a runtime that [tracks its tasks](crate::Builder::track_tasks).
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TrackedMetrics {
    /// The time in `block_on` that was not idle.
    pub busy: Duration,
    /// The time for which the thread has waited because no task was ready.
    pub idle: Duration,
    /// Waits because no task was ready that ended without an event.
    pub empty_waits: u64,
    /// The numbers of polls of the batches, which are the tasks that are polled between two looks
    /// for events.
    pub batches: Histogram,
    /// The durations of polls.
    pub poll_times: Histogram,
    /// The duration of the longest poll since the runtime was created.
    pub longest_poll: Duration,
    /// The times by which timers fired after their deadlines.
    pub lateness: Histogram,
}

impl Metrics {
    /// Returns the part of the time, between 0 and 1, for which the runtime's thread used a
    /// processor.
    ///
    /// It makes sense for the difference of two snapshots.
    pub fn utilization(&self) -> f64 {
        if self.elapsed.is_zero() {
            return 0.0;
        }
        (self.cpu_time.as_secs_f64() / self.elapsed.as_secs_f64()).min(1.0)
    }

    /// Returns the values in the text format of Prometheus. The name of the runtime is the label
    /// `runtime`.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let text = runtime::Handle::current().metrics().await?.to_prometheus();
    /// assert!(text.contains("# TYPE runtime_polls_total counter\nruntime_polls_total 0\n"));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        let label = self.runtime.as_ref().map(|name| {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("runtime=\"{}\"", name.replace('\n', "\\n"))
        });
        let label = label.unwrap_or_default();
        for Value { name, help, number } in self.values() {
            let (kind, suffix) = match number {
                Number::Total(_) | Number::Seconds(_) => ("counter", "_total"),
                Number::Current(_) => ("gauge", ""),
            };
            let braced = if label.is_empty() {
                String::new()
            } else {
                format!("{{{label}}}")
            };
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "# HELP runtime_{name}{suffix} {help}\n# TYPE runtime_{name}{suffix} {kind}\n\
                 runtime_{name}{suffix}{braced} {number}\n"
            );
        }
        if let Some(tracked) = &self.tracked {
            let histograms = [
                ("batch_size", "Polls of a batch.", 1.0, &tracked.batches),
                (
                    "poll_seconds",
                    "Durations of polls.",
                    1e-9,
                    &tracked.poll_times,
                ),
                (
                    "timer_lateness_seconds",
                    "Lateness of timers.",
                    1e-9,
                    &tracked.lateness,
                ),
            ];
            for (name, help, unit, histogram) in histograms {
                write_histogram(&mut text, name, help, unit, histogram, &label);
            }
        }
        text
    }

    fn values(&self) -> Vec<Value> {
        use Number::{Current, Seconds, Total};
        let mut values = Vec::new();
        let mut add = |name, help, number| values.push(Value { name, help, number });
        add(
            "elapsed_seconds",
            "Time since the start.",
            Seconds(self.elapsed),
        );
        add(
            "cpu_seconds",
            "Processor time of the thread.",
            Seconds(self.cpu_time),
        );
        add("turns", "Turns of the reactor.", Total(self.turns));
        add(
            "spurious_turns",
            "Turns that woke no task.",
            Total(self.spurious_turns),
        );
        add("events", "Events of the kernel.", Total(self.events));
        add(
            "stale_events",
            "Events for dropped sources.",
            Total(self.stale_events),
        );
        add("registrations", "Registrations.", Total(self.registrations));
        add(
            "reregistrations",
            "Repeated registrations.",
            Total(self.reregistrations),
        );
        add("removals", "Removals by a call.", Total(self.removals));
        add(
            "notifications",
            "Notifications by threads.",
            Total(self.notifications),
        );
        add("sources", "Registered sources.", Current(self.sources));
        add(
            "timers_armed",
            "Timers that were armed.",
            Total(self.timers_armed),
        );
        add(
            "timers_fired",
            "Timers that fired.",
            Total(self.timers_fired),
        );
        add("timers", "Timers that are armed.", Current(self.timers));
        add(
            "tasks_spawned",
            "Tasks that were spawned.",
            Total(self.tasks_spawned),
        );
        add(
            "tasks_finished",
            "Tasks that are finished.",
            Total(self.tasks_finished),
        );
        add(
            "tasks_panicked",
            "Tasks that panicked.",
            Total(self.tasks_panicked),
        );
        add(
            "tasks_aborted",
            "Tasks that were aborted.",
            Total(self.tasks_aborted),
        );
        add("tasks", "Tasks that are not finished.", Current(self.tasks));
        add("polls", "Polls of tasks.", Total(self.polls));
        add(
            "jobs_submitted",
            "Blocking jobs.",
            Total(self.jobs_submitted),
        );
        add(
            "jobs_queued",
            "Blocking jobs in the queue.",
            Current(self.jobs_queued),
        );
        add(
            "jobs_running",
            "Blocking jobs that run.",
            Current(self.jobs_running),
        );
        add(
            "blocking_threads",
            "Threads for jobs.",
            Current(self.blocking_threads),
        );
        add("stalls", "Polls over the threshold.", Total(self.stalls));
        if let Some(tracked) = &self.tracked {
            add(
                "busy_seconds",
                "Time that was not idle.",
                Seconds(tracked.busy),
            );
            add("idle_seconds", "Time of waiting.", Seconds(tracked.idle));
            add(
                "empty_waits",
                "Waits without an event.",
                Total(tracked.empty_waits),
            );
        }
        values
    }
}

/// A value, for texts.
struct Value {
    name: &'static str,
    help: &'static str,
    number: Number,
}

enum Number {
    Total(u64),
    Current(u64),
    Seconds(Duration),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Total(number) | Number::Current(number) => number.fmt(f),
            Number::Seconds(span) => span.as_secs_f64().fmt(f),
        }
    }
}

fn write_histogram(
    text: &mut String,
    name: &str,
    help: &str,
    unit: f64,
    histogram: &Histogram,
    label: &str,
) {
    let (open, separator) = if label.is_empty() {
        ("", "")
    } else {
        ("{", ",")
    };
    let close = if label.is_empty() { "" } else { "}" };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "# HELP runtime_{name} {help}\n# TYPE runtime_{name} histogram\n"
    );
    let mut sum = 0;
    for (index, count) in histogram.counts.iter().enumerate() {
        sum += count;
        let bound = match Histogram::upper_bound(index) {
            Some(bound) => (bound as f64 * unit).to_string(),
            None => "+Inf".to_owned(),
        };
        let _ = writeln!(
            text,
            "runtime_{name}_bucket{{{label}{separator}le=\"{bound}\"}} {sum}"
        );
    }
    let total = histogram.sum as f64 * unit;
    let _ = write!(
        text,
        "runtime_{name}_sum{open}{label}{close} {total}\n\
         runtime_{name}_count{open}{label}{close} {sum}\n"
    );
}

impl Sub<&Metrics> for &Metrics {
    type Output = Metrics;

    fn sub(self, before: &Metrics) -> Metrics {
        let difference = |after: u64, before: u64| after.saturating_sub(before);
        let tracked = self.tracked.as_ref().map(|after| match &before.tracked {
            Some(before) => after - before,
            None => after.clone(),
        });
        Metrics {
            elapsed: self.elapsed.saturating_sub(before.elapsed),
            cpu_time: self.cpu_time.saturating_sub(before.cpu_time),
            turns: difference(self.turns, before.turns),
            spurious_turns: difference(self.spurious_turns, before.spurious_turns),
            events: difference(self.events, before.events),
            stale_events: difference(self.stale_events, before.stale_events),
            registrations: difference(self.registrations, before.registrations),
            reregistrations: difference(self.reregistrations, before.reregistrations),
            removals: difference(self.removals, before.removals),
            notifications: difference(self.notifications, before.notifications),
            timers_armed: difference(self.timers_armed, before.timers_armed),
            timers_fired: difference(self.timers_fired, before.timers_fired),
            tasks_spawned: difference(self.tasks_spawned, before.tasks_spawned),
            tasks_finished: difference(self.tasks_finished, before.tasks_finished),
            tasks_panicked: difference(self.tasks_panicked, before.tasks_panicked),
            tasks_aborted: difference(self.tasks_aborted, before.tasks_aborted),
            polls: difference(self.polls, before.polls),
            jobs_submitted: difference(self.jobs_submitted, before.jobs_submitted),
            stalls: difference(self.stalls, before.stalls),
            tracked,
            ..self.clone()
        }
    }
}

impl Sub<&TrackedMetrics> for &TrackedMetrics {
    type Output = TrackedMetrics;

    fn sub(self, before: &TrackedMetrics) -> TrackedMetrics {
        TrackedMetrics {
            busy: self.busy.saturating_sub(before.busy),
            idle: self.idle.saturating_sub(before.idle),
            empty_waits: self.empty_waits.saturating_sub(before.empty_waits),
            batches: &self.batches - &before.batches,
            poll_times: &self.poll_times - &before.poll_times,
            longest_poll: self.longest_poll,
            lateness: &self.lateness - &before.lateness,
        }
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.runtime {
            write!(f, "runtime {name:?}: ")?;
        }
        write!(f, "{:.1} % busy", 100.0 * self.utilization())?;
        for Value { name, number, .. } in self.values() {
            let name = name.trim_end_matches("_seconds").replace('_', " ");
            match number {
                Number::Seconds(span) => write!(f, "\n{name}: {}", Span(span))?,
                number => write!(f, "\n{name}: {number}")?,
            }
        }
        if let Some(tracked) = &self.tracked {
            write!(f, "\nlongest poll: {}", Span(tracked.longest_poll))?;
        }
        if self.stalls > 0 {
            write!(f, "\nlongest stall: {}", Span(self.longest_stall))?;
        }
        Ok(())
    }
}
