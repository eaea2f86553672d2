//! The joint between the executor and the reactor: neither knows the other.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime_executor::{Park, ParkMode, Unpark};
use runtime_reactor::{Notifier, Reactor};

/// While tasks are ready, the reactor is asked for news after the batch in which so many polls have
/// come together, not after every one: asking is a system call, and a poll may take no longer.
pub(crate) const POLLS_PER_TURN: usize = 64;

/// The reactor, as something an executor can park in.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) reactor: Rc<Reactor>,
    /// How many futures were polled since the last turn.
    polled: Cell<usize>,
}

impl Driver {
    pub(crate) fn new(reactor: Rc<Reactor>) -> Driver {
        Driver {
            reactor,
            polled: Cell::new(0),
        }
    }

    pub(crate) fn unparker(&self) -> Arc<dyn Unpark> {
        Arc::new(Unparker(self.reactor.notifier()))
    }
}

impl Park for Driver {
    fn park(&self, mode: ParkMode) {
        let limit = match mode {
            ParkMode::Block => None,
            ParkMode::Yield { polled } => {
                // A batch in which nothing was polled has drained the inbox.
                let polled = self.polled.get() + polled.max(1);
                if polled < POLLS_PER_TURN && !self.reactor.wants_turn() {
                    self.polled.set(polled);
                    return;
                }
                Some(Duration::ZERO)
            }
        };
        self.polled.set(0);
        if let Err(e) = self.reactor.turn(limit) {
            // Only if the descriptors of the reactor were closed behind its back.
            panic!("the reactor cannot wait any more: {e}");
        }
    }
}

struct Unparker(Notifier);

impl Unpark for Unparker {
    fn unpark(&self) {
        self.0.notify();
    }
}
