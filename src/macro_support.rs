//! Functions and types that the expansions of `select!`, `join!` and `try_join!` call, as
//! `runtime::__macro`. They are not part of the public interface and change without notice.

use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Polls the future of a branch, and drops it as soon as it completes.
///
/// Returns `Ready(None)` if the branch has no future: it was disabled, or has already completed.
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

/// Takes the output of a completed branch.
///
/// # Panics
///
/// Panics if there is none, which would be a bug in the macros.
#[inline]
pub fn take_output<T>(output: &mut Option<T>) -> T {
    output
        .take()
        .expect("a branch that completed has an output")
}

/// Consumes the outputs of the branches that lost, all of which are `None`, so that the handler
/// may use what they would have borrowed.
#[inline]
pub fn discard<T>(_: T) {}

/// The order in which one poll of a `select!` visits its branches: from the first branch around to
/// the one before it, each exactly once.
#[derive(Debug)]
pub struct BranchOrder {
    /// The number of branches to skip before the first visit.
    skip: usize,
    /// The number of branches not visited yet.
    left: usize,
}

impl BranchOrder {
    /// Creates an order that begins with the first of `count` branches.
    #[inline]
    pub fn in_order(count: usize) -> Self {
        Self {
            skip: 0,
            left: count,
        }
    }

    /// Creates an order that begins with a random one of `count` branches.
    #[inline]
    pub fn at_random(count: usize) -> Self {
        Self {
            skip: random_below(count),
            left: count,
        }
    }

    /// Returns true if some branch was not visited yet.
    #[inline]
    pub fn has_next(&self) -> bool {
        self.left > 0
    }

    /// Advances to the next branch in source order, and returns true if it is to be visited now.
    #[inline]
    pub fn is_next(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let is_next = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_next
    }
}

/// Returns a number below `bound`, each about equally likely.
///
/// The generator is xorshift64*, one per thread and always with the same seed: fairness needs no
/// secret, and a failing test should fail again. A plain counter would not do, because two selects
/// of two branches that alternate would then each see only even numbers, or only odd ones.
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

/// Panics on behalf of a `select!` without `else` whose branches are all disabled.
///
/// # Panics
///
/// Always.
#[cold]
#[track_caller]
pub fn all_disabled() -> ! {
    panic!("every branch of this `select!` is disabled, and it has no `else`")
}

/// Runs a future on a new runtime with tokio's context.
///
/// # Panics
/// Panics if the runtime cannot be made, and as `Runtime::block_on`.
#[cfg(feature = "tokio")]
#[track_caller]
pub fn block_on_tokio<F: Future>(future: F) -> F::Output {
    match crate::Runtime::builder().tokio(true).build() {
        Ok(runtime) => runtime.block_on(future),
        Err(e) => panic!("cannot make a runtime with tokio's context: {e}"),
    }
}

/// Refuses to compile.
#[cfg(not(feature = "tokio"))]
pub fn block_on_tokio<F: Future + FeatureTokio>(_: F) -> F::Output {
    unreachable!("nothing implements FeatureTokio")
}

/// A bound that no type meets, for the text of the compiler's error.
#[cfg(not(feature = "tokio"))]
#[diagnostic::on_unimplemented(
    message = "the argument `tokio` needs the feature `tokio` of the crate `runtime`",
    label = "add features = [\"tokio\"] to the dependency on `runtime`"
)]
pub trait FeatureTokio {}
