//! The counters of a reactor.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of a reactor's counters. Every value is a total since the reactor was created, except
/// `sources` and `timers`.
///
/// To learn the cost of a request, divide the difference of two snapshots by the number of requests
/// served between them.
///
/// # Examples
/// ```
/// let runtime = runtime::Runtime::new()?;
/// let before = runtime.stats();
/// runtime.block_on(runtime::time::sleep(std::time::Duration::from_millis(1)));
/// let after = runtime.stats();
/// assert_eq!(after.timers_fired - before.timers_fired, 1);
/// assert!(after.waits > before.waits);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Calls of the waiting system call (`epoll_wait`, `kevent`, `poll`, `select`).
    pub waits: u64,
    /// Registrations of descriptors. On epoll each is a system call, on kqueue none. On poll and
    /// select each is one too, `fstat`, although nothing changes in the kernel.
    pub registrations: u64,
    /// Repeated registrations, made because a wait came from another thread, or because tasks began
    /// or ceased to accept from a listener.
    pub reregistrations: u64,
    /// Removals of descriptors from the kernel by a call of their own. A plain close needs none. On
    /// poll and select there is no call, but the removal is counted.
    pub removals: u64,
    /// System calls made by other threads to end a wait.
    pub notifications: u64,
    /// Events that the kernel delivered.
    pub events: u64,
    /// Events for a source that no longer existed, which were dropped.
    pub stale_events: u64,
    /// Waits without a limit that ended and woke no task: a signal came, every event was stale, or
    /// no task waited any more for what became ready.
    pub spurious_wakes: u64,
    /// Timers that reached their deadline.
    pub timers_fired: u64,
    /// Sources that are registered now.
    pub sources: u64,
    /// Timers that are armed now.
    pub timers: u64,
}

/// The live counters. The reactor's thread writes and any thread reads; any thread also writes
/// `removals` and `notifications`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) waits: Counter,
    pub(crate) registrations: Counter,
    pub(crate) reregistrations: Counter,
    pub(crate) removals: AtomicU64,
    pub(crate) notifications: AtomicU64,
    pub(crate) events: Counter,
    pub(crate) stale_events: Counter,
    pub(crate) spurious_wakes: Counter,
    pub(crate) timers_fired: Counter,
    pub(crate) sources: Counter,
    pub(crate) timers: Counter,
}

/// A number that one thread changes and others may read: a plain load and store, never a
/// read-modify-write.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        Stats {
            waits: self.waits.get(),
            registrations: self.registrations.get(),
            reregistrations: self.reregistrations.get(),
            removals: self.removals.load(Ordering::Relaxed),
            notifications: self.notifications.load(Ordering::Relaxed),
            events: self.events.get(),
            stale_events: self.stale_events.get(),
            spurious_wakes: self.spurious_wakes.get(),
            timers_fired: self.timers_fired.get(),
            sources: self.sources.get(),
            timers: self.timers.get(),
        }
    }
}
