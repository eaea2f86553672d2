//! Connects the executor to the reactor, which do not know each other.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime_executor::internal::wake_local;
use runtime_executor::{Park, ParkMode, Unpark};
use runtime_reactor::internal::{event_count, set_wake_local};
use runtime_reactor::{Notifier, Reactor};

/// The number of polls after which the reactor is turned while tasks are ready. It is not turned
/// after every batch, because a turn is a system call, which may take as long as a poll.
pub(crate) const POLLS_PER_TURN: usize = 64;

/// The reactor as the executor's [`Park`].
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) reactor: Rc<Reactor>,
    /// The number of polls since the last turn.
    polled: Cell<usize>,
}

impl Driver {
    pub(crate) fn new(reactor: Rc<Reactor>) -> Driver {
        set_wake_local(&reactor, wake_local);
        Driver {
            reactor,
            polled: Cell::new(0),
        }
    }

    fn turn(&self, limit: Option<Duration>) {
        self.polled.set(0);
        if let Err(e) = self.reactor.turn(limit) {
            // `block_on` returns the output of its future, so it has no other way to fail.
            panic!("the runtime can no longer wait for events: {e}");
        }
    }

    /// Turns the reactor without blocking. Returns true if there was an event.
    #[cold]
    pub(crate) fn poll(&self) -> bool {
        self.turn(Some(Duration::ZERO));
        event_count(&self.reactor) > 0
    }

    pub(crate) fn unparker(&self) -> Arc<dyn Unpark> {
        Arc::new(Unparker(self.reactor.notifier()))
    }
}

impl Park for Driver {
    // There are several loops. Inlined into each, it saves a turn about 10 instructions.
    #[inline(always)]
    fn park(&self, mode: ParkMode) {
        let limit = match mode {
            ParkMode::Block => None,
            ParkMode::Yield { polled } => {
                // A batch without a poll has drained the inbox, which counts too.
                let polled = self.polled.get() + polled.max(1);
                if polled < POLLS_PER_TURN && !self.reactor.wants_turn() {
                    self.polled.set(polled);
                    return;
                }
                Some(Duration::ZERO)
            }
        };
        self.turn(limit);
    }
}

struct Unparker(Notifier);

impl Unpark for Unparker {
    fn unpark(&self) {
        self.0.notify();
    }
}
