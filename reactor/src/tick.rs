//! The part of the reactor's state that every operation reads, kept in a thread-local for the price
//! of a load.

use std::cell::Cell;

use crate::quota;

thread_local! {
    static TICK: Cell<Tick> = const { Cell::new(Tick::NONE) };
}

/// The number of the reactor that this thread has entered, in the lower half, and the turn it is
/// in. One word, so that an operation loads both at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick(u64);

impl Tick {
    /// The tick of a thread without a reactor.
    pub(crate) const NONE: Tick = Tick(u32::MAX as u64);

    pub(crate) fn new(reactor: u32, turn: u32) -> Tick {
        Tick(u64::from(quota::unused(turn)) << u32::BITS | u64::from(reactor))
    }

    /// Returns the number of the reactor, or one that no reactor has.
    #[inline]
    pub(crate) fn reactor(self) -> u32 {
        self.0 as u32
    }

    /// Returns the quota counter of a source that has completed nothing in this turn.
    #[inline]
    pub(crate) fn unused_quota(self) -> u32 {
        (self.0 >> u32::BITS) as u32
    }

    /// Returns the lower bits of the number of the turn.
    pub(crate) fn turn(self) -> u32 {
        quota::turn(self.unused_quota())
    }
}

/// Returns the tick of this thread.
#[inline]
pub(crate) fn tick() -> Tick {
    TICK.get()
}

/// Sets the tick of this thread, whose reactor has changed.
pub(crate) fn set(tick: Tick) {
    TICK.set(tick);
}

/// Notes that a reactor begins a turn. It need not be the one that this thread has entered.
pub(crate) fn begin_turn(reactor: u32, turn: u32) {
    if tick().reactor() == reactor {
        set(Tick::new(reactor, turn));
    }
}
