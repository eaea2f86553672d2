//! What the expansions of `select!`, `join!` and `try_join!` call. Not for other use: it changes
//! without notice.

use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Polls the future of a branch, and drops it the moment it completes.
///
/// `Ready(None)` says that the branch has no future: it was disabled, or has completed before.
#[inline]
pub fn poll_branch<F: Future>(
    mut branch: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Option<F::Output>> {
    let Some(future) = branch.as_mut().as_pin_mut() else {
        return Poll::Ready(None);
    };
    let output = core::task::ready!(future.poll(cx));
    branch.set(None);
    Poll::Ready(Some(output))
}

/// Takes the output that a completed branch left behind.
///
/// # Panics
///
/// Panics if there is none, which would be a mistake of the macros.
#[inline]
pub fn take_output<T>(output: &mut Option<T>) -> T {
    output
        .take()
        .expect("a branch that completed has an output")
}

/// Ends the life of the outputs of the branches that lost, none of which is there, so that what
/// they would have borrowed is free for the handler.
#[inline]
pub fn discard<T>(_: T) {}

/// One lap over the branches of a `select!`: from the branch it begins with around to the one
/// before, each has its turn once.
#[derive(Debug)]
pub struct Lap {
    /// Branches to pass by before the first turn.
    skip: usize,
    /// Turns not yet taken.
    left: usize,
}

impl Lap {
    /// Begins with the first of `count` branches.
    #[inline]
    pub fn in_order(count: usize) -> Self {
        Self {
            skip: 0,
            left: count,
        }
    }

    /// Begins with any of `count` branches.
    #[inline]
    pub fn at_random(count: usize) -> Self {
        Self {
            skip: random_below(count),
            left: count,
        }
    }

    /// Whether a branch is left that has not had its turn.
    #[inline]
    pub fn goes_on(&self) -> bool {
        self.left > 0
    }

    /// Asked by each branch as the lap comes by, whether it is its turn.
    #[inline]
    pub fn is_turn(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let turn = self.left > 0;
        self.left = self.left.saturating_sub(1);
        turn
    }
}

/// A number below `bound`, each about as likely as the other.
///
/// The generator is xorshift64*, one a thread, always seeded the same: fairness needs no secret,
/// and a test that fails should fail again. A plain counter would not do. Two selects of two
/// branches that take turns would then each see only even numbers, or only odd ones.
fn random_below(bound: usize) -> usize {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0x9E37_79B9_7F4A_7C15) };
    }
    let mut state = STATE.get();
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    STATE.set(state);
    let high_bits = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
    ((high_bits * bound as u64) >> 32) as usize
}

/// What a `select!` without `else` comes to when no branch can win any more.
///
/// # Panics
///
/// Panics: that is what it is for.
#[cold]
#[track_caller]
pub fn all_disabled() -> ! {
    panic!("every branch of this `select!` is disabled, and it has no `else`")
}
