//! The parts of a runtime that its executor does not know, and keeps.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use runtime_executor::Executor;
use runtime_executor::internal::{self, Inspection};
use runtime_reactor::Reactor;
use runtime_reactor::internal::Rng;

use super::observer::Observer;
use super::observing::Observing;

/// The parts of a runtime that its executor does not know.
pub(crate) struct Attached {
    /// Weak, because the executor, which holds this, must not keep the reactor open.
    pub(crate) reactor: Weak<Reactor>,
    pub(crate) observer: Option<Rc<dyn Observing>>,
    pub(crate) clock: ClockOptions,
    /// The generator that seeds those of the program, if the runtime has a seed.
    pub(crate) rng: Option<RefCell<Rng>>,
}

/// The properties of the runtime's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClockOptions {
    /// True if a paused clock moves although I/O is awaited.
    pub(crate) moves_with_io: bool,
    /// True if tokio drives the runtime, by its own clock.
    pub(crate) is_hosted: bool,
}

impl Attached {
    /// Returns the observer, if the runtime is observed.
    pub(super) fn observer(&self) -> Option<&Observer> {
        self.observer.as_ref()?.as_any().downcast_ref()
    }
}

/// Keeps `attached` with the executor, where requests of other threads find it.
pub(crate) fn attach(executor: &Executor, attached: Attached) {
    internal::attach(executor, Rc::new(attached));
}

/// Returns the reactor of the runtime that this thread has entered.
pub(crate) fn attached_reactor() -> Option<(Rc<Reactor>, ClockOptions)> {
    let inspection = Inspection::current()?;
    let attached = attached(&inspection)?;
    Some((attached.reactor.upgrade()?, attached.clock))
}

/// Returns the next seed for a generator of the program, if the runtime that this thread has
/// entered has a seed.
pub(crate) fn attached_seed() -> Option<u64> {
    let inspection = Inspection::current()?;
    let rng = attached(&inspection)?.rng.as_ref()?;
    Some(rng.borrow_mut().next_u64())
}

pub(super) fn attached(inspection: &Inspection) -> Option<&Attached> {
    inspection.attachment()?.downcast_ref()
}
