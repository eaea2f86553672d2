//! The order of a runtime that a seed decides.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::{env, io};

use runtime_executor::Executor;
use runtime_executor::internal::shuffle_ready;
use runtime_reactor::internal::Rng;

use crate::select_order::replace_state;

/// The generators of a runtime with a seed. Each purpose has one of its own, so that a program that
/// draws numbers does not change the order of its tasks.
#[derive(Debug)]
pub(super) struct Seeded {
    seed: u64,
    order: RefCell<Rng>,
    /// The state of the generator of `select!`, while the runtime does not run.
    select: Cell<u64>,
}

/// The parts of a new runtime that its seed decides.
pub(super) struct Seeding {
    pub(super) seeded: Rc<Seeded>,
    /// The generator that seeds those of the program.
    pub(super) program: Rng,
}

impl Seeding {
    pub(super) fn new(seed: u64) -> Seeding {
        Seeding {
            seeded: Rc::new(Seeded::new(seed)),
            program: Rng::new(seed).fork(PROGRAM),
        }
    }
}

/// The labels of the generators.
const ORDER: u64 = 1;
const SELECT: u64 = 2;
const EVENTS: u64 = 3;
const PROGRAM: u64 = 4;

impl Seeded {
    fn new(seed: u64) -> Seeded {
        let rng = Rng::new(seed);
        Seeded {
            seed,
            order: RefCell::new(rng.fork(ORDER)),
            // Zero would stay zero.
            select: Cell::new(rng.fork(SELECT).next_u64() | 1),
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Shuffles the ready tasks.
    pub(super) fn shuffle(&self, executor: &Executor) {
        let mut order = self.order.borrow_mut();
        shuffle_ready(executor, &mut |bound| order.below(bound));
    }

    /// Returns true if the ready tasks are polled before the future of `block_on`.
    pub(super) fn defers_root(&self) -> bool {
        self.order.borrow_mut().below(2) == 0
    }

    /// Exchanges the state of the generator of `select!` on this thread, when the runtime begins or
    /// ceases to run.
    pub(super) fn exchange_select_state(&self) {
        self.select.set(replace_state(self.select.get()));
    }
}

/// Returns the generator for the order of the events of one wait.
pub(super) fn rng_of_events(seed: u64) -> Rng {
    Rng::new(seed).fork(EVENTS)
}

/// Returns the seed that the variable `RUNTIME_SEED` sets instead of `seed`.
///
/// # Errors
/// Returns `InvalidInput` if the variable is not a number.
pub(super) fn seed_or_variable(seed: u64) -> io::Result<u64> {
    let Some(value) = env::var_os("RUNTIME_SEED") else {
        return Ok(seed);
    };
    let value = value.to_string_lossy();
    value.parse().map_err(|e| {
        let text = format!("the variable RUNTIME_SEED is {value:?}, not a number: {e}");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}
