//! The generator that decides at which branch a `select!` begins.

use core::cell::Cell;

thread_local! {
    /// The state of the generator. Never zero.
    static STATE: Cell<u64> = const { Cell::new(0x9E37_79B9_7F4A_7C15) };
}

/// Exchanges the state of the generator, for a runtime with a seed.
pub(crate) fn replace_state(state: u64) -> u64 {
    STATE.replace(state)
}

/// Returns a number below `bound`, each about equally likely.
///
/// The generator is xorshift64*, one per thread and always with the same seed, unless the runtime
/// has one: fairness needs no secret, and a failing test should fail again. A plain counter would
/// not do, because two selects of two branches that alternate would then each see only even
/// numbers, or only odd ones.
pub(crate) fn random_below(bound: usize) -> usize {
    let mut state = STATE.get();
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    STATE.set(state);
    let high_bits = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
    ((high_bits * bound as u64) >> 32) as usize
}
