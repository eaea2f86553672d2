//! The simulated host that this thread runs now.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime_reactor::internal::clock::{self, Clock};
use runtime_reactor::sim::Kernel;

use super::entry::Event;
use super::trace::Trace;

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// A host, and where its notes go.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) host: Arc<str>,
    pub(super) kernel: Kernel,
    pub(super) trace: Rc<RefCell<Trace>>,
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
}

impl Drop for RunsHost {
    fn drop(&mut self) {
        clock::replace(self.clock);
        CURRENT.replace(self.outer.take());
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
            let at = current.kernel.now();
            let event = Event::Note(text.into());
            current
                .trace
                .borrow_mut()
                .push(at, current.host.clone(), event);
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
    CURRENT.with_borrow(|current| current.as_ref().map(|current| current.kernel.now()))
}
