//! Reading the counters of a runtime.

use std::time::Duration;

use runtime_executor::Handle;
use runtime_executor::internal::{self, Inspection};
use runtime_reactor::internal::{age, lateness, timers_armed};

use super::attached::attached;
use super::histogram::Histogram;
use super::metrics::{Metrics, TrackedMetrics};
use super::request::Request;
use crate::sys::thread_cpu_time;

/// Requests the counters from the thread of `handle`'s runtime.
pub(crate) fn request_metrics(handle: &Handle) -> Request<Metrics> {
    Request::new(internal::call(handle, measure))
}

fn measure(inspection: &Inspection) -> Metrics {
    let counts = inspection.counts();
    let jobs = inspection.job_counts();
    let attached = attached(inspection);
    let reactor = attached.and_then(|attached| attached.reactor.upgrade());
    let observer = attached.and_then(|attached| attached.observer());
    let stats = reactor
        .as_ref()
        .map(|reactor| reactor.stats())
        .unwrap_or_default();
    let (stalls, longest_stall) = observer
        .map(|observer| observer.pulse.stalls())
        .unwrap_or_default();
    let tracked = observer.and_then(|observer| observer.measured());
    let late = reactor.as_ref().and_then(|reactor| lateness(reactor));
    Metrics {
        runtime: inspection.name().map(str::to_owned),
        elapsed: reactor
            .as_ref()
            .map_or(Duration::ZERO, |reactor| age(reactor)),
        cpu_time: thread_cpu_time(),
        turns: stats.waits,
        spurious_turns: stats.spurious_wakes,
        events: stats.events,
        stale_events: stats.stale_events,
        registrations: stats.registrations,
        reregistrations: stats.reregistrations,
        removals: stats.removals,
        notifications: stats.notifications,
        sources: stats.sources,
        timers_armed: reactor.as_ref().map_or(0, |reactor| timers_armed(reactor)),
        timers_fired: stats.timers_fired,
        timers: stats.timers,
        tasks_spawned: counts.spawned,
        tasks_finished: counts.spawned.saturating_sub(counts.tasks),
        tasks_panicked: counts.panicked,
        tasks_aborted: counts.aborted,
        tasks: counts.tasks,
        polls: counts.polls,
        jobs_submitted: jobs.submitted,
        jobs_queued: jobs.queued,
        jobs_running: jobs.running,
        blocking_threads: jobs.threads,
        stalls,
        longest_stall,
        tracked: tracked.map(|measured| TrackedMetrics {
            busy: measured.busy,
            idle: measured.idle,
            empty_waits: measured.empty_waits,
            batches: measured.batches,
            poll_times: measured.polls,
            longest_poll: measured.longest_poll,
            lateness: late
                .map(|late| Histogram::from_counts(&late.counts, late.sum))
                .unwrap_or_default(),
        }),
    }
}
