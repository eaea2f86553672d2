//! The registration of a source, also after reactors in which it was registered were dropped.

use std::sync::{Arc, OnceLock};

use crate::context;
use crate::inbox::Inbox;
use crate::scheduled_io::ScheduledIo;

/// The registration of a source or process: none, or one after the other in reactors of which all
/// but the last were dropped.
#[derive(Debug, Default)]
pub(crate) struct CurrentIo(OnceLock<Arc<ScheduledIo>>);

impl CurrentIo {
    /// Returns the registration if it is in the reactor of this thread.
    #[inline]
    pub(crate) fn local(&self) -> Option<&ScheduledIo> {
        let first = self.0.get()?;
        if first.is_local() {
            return Some(first);
        }
        first.next.get()?;
        self.last().filter(|last| last.is_local())
    }

    /// Returns the registration, unless its reactor was dropped and this thread has another one,
    /// where the source can be registered again.
    #[inline]
    pub(crate) fn get(&self) -> Option<&ScheduledIo> {
        let first = self.0.get()?;
        if first.is_local() {
            return Some(first);
        }
        self.get_slow()
    }

    #[cold]
    fn get_slow(&self) -> Option<&ScheduledIo> {
        let is_usable = |last: &&ScheduledIo| {
            last.is_local() || Inbox::find(last.reactor).is_some() || !context::is_entered()
        };
        self.last().filter(is_usable)
    }

    /// Returns the last registration, whether its reactor was dropped or not.
    pub(crate) fn last(&self) -> Option<&ScheduledIo> {
        let mut last = self.0.get()?;
        while let Some(next) = last.next.get() {
            last = next;
        }
        Some(last)
    }

    /// Stores a registration of this thread's reactor, and returns it; or returns that of another
    /// thread, which was first.
    pub(crate) fn set(&self, new: &Arc<ScheduledIo>) -> &ScheduledIo {
        let mut cell = &self.0;
        loop {
            let stored = cell.get_or_init(|| new.clone());
            if Arc::ptr_eq(stored, new) || Inbox::find(stored.reactor).is_some() {
                return stored;
            }
            cell = &stored.next;
        }
    }
}
