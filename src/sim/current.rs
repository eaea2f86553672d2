//! The simulated host that this thread runs now.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use runtime_reactor::internal::clock::{self, Clock};

use super::entry::Event;
use super::handle::Handle;

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// A host, and the world that it is in.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) host: Arc<str>,
    pub(super) world: Handle,
    /// The number of the host.
    pub(super) index: usize,
    /// The number of times that the host had crashed when it was started.
    pub(super) crashes: u64,
}

/// A guard during whose life the thread runs a host, and has the host's clock.
pub(super) struct RunsHost {
    clock: Clock,
    outer: Option<Current>,
}

impl Current {
    pub(super) fn enter(self, clock: Clock) -> RunsHost {
        RunsHost {
            clock: clock::replace(clock),
            outer: CURRENT.replace(Some(self)),
        }
    }

    /// Returns true unless the host has crashed since it was started.
    pub(super) fn is_alive(&self) -> bool {
        self.world.state(self.index).crashes == self.crashes
    }
}

impl Drop for RunsHost {
    fn drop(&mut self) {
        clock::replace(self.clock);
        CURRENT.replace(self.outer.take());
    }
}

impl Handle {
    /// Returns a handle to the world whose host runs on this thread.
    ///
    /// # Panics
    /// Panics outside a simulation.
    #[track_caller]
    pub fn current() -> Handle {
        Handle::try_current().expect(
            "this thread runs no simulated host: call `sim::Handle::current` in a task of a host, \
             or `World::handle` outside",
        )
    }

    /// Returns a handle to the world whose host runs on this thread, or `None` outside a
    /// simulation.
    ///
    /// # Examples
    /// ```
    /// assert!(runtime::sim::Handle::try_current().is_none());
    /// ```
    pub fn try_current() -> Option<Handle> {
        CURRENT.with_borrow(|current| current.as_ref().map(|current| current.world.clone()))
    }
}

/// Writes a note into the trace of the world, at the host that runs now. Does nothing outside a
/// simulation.
///
/// # Examples
/// ```
/// runtime::sim::note("outside a simulation this has no effect");
/// ```
pub fn note(text: impl Into<String>) {
    CURRENT.with_borrow(|current| {
        if let Some(current) = current {
            let event = Event::Note(text.into());
            current.world.record(&current.host, event);
        }
    });
}

/// Returns the virtual time since the start of the world, or `None` outside a simulation.
///
/// # Examples
/// ```
/// assert_eq!(runtime::sim::elapsed(), None);
/// ```
pub fn elapsed() -> Option<Duration> {
    CURRENT.with_borrow(|current| current.as_ref().map(|current| current.world.elapsed()))
}
