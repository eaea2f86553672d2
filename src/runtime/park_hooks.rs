//! Functions that are called around a wait of the runtime's thread.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

type Hook = Arc<dyn Fn() + Send + Sync>;

/// The functions that `Builder::on_park` and `Builder::on_unpark` set, and what
/// `Builder::busy_poll` does before.
#[derive(Clone, Default)]
pub(super) struct ParkHooks {
    pub(super) busy_poll: Duration,
    pub(super) on_park: Option<Hook>,
    pub(super) on_unpark: Option<Hook>,
}

// The hooks are called outside of every `catch_unwind`, and the runtime keeps no state of theirs.
impl UnwindSafe for ParkHooks {}
impl RefUnwindSafe for ParkHooks {}

impl ParkHooks {
    /// Returns the hooks on the heap, or `None` if there are none.
    pub(super) fn boxed(self) -> Option<Box<ParkHooks>> {
        let has_any = self.on_park.is_some() || self.on_unpark.is_some();
        let has_any = has_any || !self.busy_poll.is_zero();
        has_any.then(|| Box::new(self))
    }

    pub(super) fn before_park(&self) {
        if let Some(hook) = &self.on_park {
            hook();
        }
    }

    pub(super) fn after_park(&self) {
        if let Some(hook) = &self.on_unpark {
            hook();
        }
    }
}

impl fmt::Debug for ParkHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkHooks")
            .field("busy_poll", &self.busy_poll)
            .field("on_park", &self.on_park.is_some())
            .field("on_unpark", &self.on_unpark.is_some())
            .finish()
    }
}
