//! The long polls of a runtime, kept for the page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runtime::insight::Stall;

/// The number of stalls that are kept.
const MAX_KEPT: usize = 20;

/// The last 20 stalls of a runtime, recorded by the function of
/// [`Builder::on_stall`](runtime::Builder::on_stall) and shown by the page.
///
/// Clones share the same stalls.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime_console::StallLog;
///
/// # fn main() -> std::io::Result<()> {
/// let stalls = StallLog::new();
/// let log = stalls.clone();
/// let runtime = runtime::Runtime::builder()
///     .on_stall(Duration::from_millis(100), move |stall| log.record(stall))
///     .build()?;
/// let console = runtime_console::Builder::new().stalls(stalls);
/// # drop(console);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct StallLog {
    entries: Arc<Mutex<VecDeque<Entry>>>,
}

/// A stall and the time at which it was recorded.
#[derive(Debug, Clone)]
struct Entry {
    stall: Stall,
    recorded: Instant,
}

impl StallLog {
    /// Returns an empty log.
    pub fn new() -> StallLog {
        StallLog::default()
    }

    /// Records a stall. The report of its end replaces that of its beginning.
    pub fn record(&self, stall: &Stall) {
        let entry = Entry {
            stall: stall.clone(),
            recorded: Instant::now(),
        };
        let mut entries = self.lock();
        let is_same = entries.back().is_some_and(|last| {
            !last.stall.is_over
                && (&last.stall.runtime, last.stall.task) == (&stall.runtime, stall.task)
        });
        if stall.is_over && is_same {
            entries.pop_back();
        }
        if entries.len() == MAX_KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// Returns the stalls and the times since they were recorded, the last one first.
    pub(crate) fn entries(&self) -> Vec<(Stall, Duration)> {
        let entries: Vec<Entry> = self.lock().iter().rev().cloned().collect();
        let entries = entries.into_iter();
        entries
            .map(|entry| (entry.stall, entry.recorded.elapsed()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        // No code panics while it is locked.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
