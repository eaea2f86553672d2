//! The state of the thread of a runtime that the watching thread reads.

use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runtime_executor::Id;

/// The slot of the root future. Too large for a task.
pub(super) const ROOT: u32 = u32::MAX;

/// The poll that the thread of a runtime is in. That thread writes it, by plain stores; the
/// watching thread reads it now and then.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// The number of the poll, counted from 1; 0 between two polls.
    poll: AtomicU64,
    /// The slot of the task that is polled.
    slot: AtomicU32,
    /// The poll that was found to last too long.
    reported: AtomicU64,
    /// The end of that poll.
    ended: Mutex<Option<(u64, Instant)>>,
    /// The tasks by slot, each entered before its first poll.
    labels: Mutex<Vec<Option<Arc<Label>>>>,
    stalls: AtomicU64,
    longest_stall: Mutex<Duration>,
}

/// The properties of a task that a report names.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) id: Id,
    pub(super) name: Option<String>,
    pub(super) spawned_at: &'static Location<'static>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while one of them is locked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// For the thread of the runtime.
impl Pulse {
    #[inline]
    pub(super) fn begin(&self, poll: u64, slot: u32) {
        self.slot.store(slot, Ordering::Relaxed);
        self.poll.store(poll, Ordering::Release);
    }

    #[inline]
    pub(super) fn end(&self, poll: u64) {
        self.poll.store(0, Ordering::Relaxed);
        if self.reported.load(Ordering::Relaxed) == poll {
            self.end_reported(poll);
        }
    }

    #[cold]
    fn end_reported(&self, poll: u64) {
        *lock(&self.ended) = Some((poll, Instant::now()));
    }

    pub(super) fn set_label(&self, slot: u32, label: Label) {
        let (mut labels, index) = (lock(&self.labels), slot as usize);
        if labels.len() <= index {
            labels.resize_with(index + 1, || None);
        }
        labels[index] = Some(Arc::new(label));
    }
}

// For any thread.
impl Pulse {
    /// Returns the number of the poll that the thread is in, or 0.
    pub(super) fn poll(&self) -> u64 {
        self.poll.load(Ordering::Acquire)
    }

    /// Returns the task that is polled; `None` for the root future.
    pub(super) fn label(&self) -> Option<Arc<Label>> {
        self.label_of(self.slot())
    }

    /// Returns the slot of the task that is polled or was polled last, or [`ROOT`].
    #[inline]
    pub(super) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }

    pub(super) fn label_of(&self, slot: u32) -> Option<Arc<Label>> {
        lock(&self.labels).get(slot as usize)?.clone()
    }

    pub(super) fn set_reported(&self, poll: u64) {
        self.reported.store(poll, Ordering::Relaxed);
        self.stalls.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the end of a poll that was reported, if the thread has noted it.
    pub(super) fn end_of(&self, poll: u64) -> Option<Instant> {
        let ended = *lock(&self.ended);
        ended.filter(|(ended, _)| *ended == poll).map(|(_, at)| at)
    }

    pub(super) fn add_stall(&self, duration: Duration) {
        let mut longest = lock(&self.longest_stall);
        *longest = duration.max(*longest);
    }

    /// Returns the number of polls that were reported, and the duration of the longest.
    pub(super) fn stalls(&self) -> (u64, Duration) {
        let longest = *lock(&self.longest_stall);
        (self.stalls.load(Ordering::Relaxed), longest)
    }
}
