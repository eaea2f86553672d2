//! Functions and types that the expansions of `select!`, `join!` and `try_join!` call, as
//! `runtime::__macro`. They are not part of the public interface and change without notice.

use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::runtime::{Builder, Runtime};
use crate::select_order::random_below;

pin_project! {
    /// The branches of a macro, pinned together: the first one, and the rest of them or `()`.
    ///
    /// One pinned chain takes one reference in the future that polls it, where branches pinned one
    /// by one take a reference each.
    #[derive(Debug)]
    pub struct Branches<B, R> {
        #[pin]
        first: B,
        #[pin]
        rest: R,
    }
}

impl<B, R> Branches<B, R> {
    /// Puts a branch before others.
    #[inline]
    pub fn new(first: B, rest: R) -> Self {
        Self { first, rest }
    }

    /// Returns the first branch and the rest.
    #[inline]
    pub fn split(self: Pin<&mut Self>) -> (Pin<&mut B>, Pin<&mut R>) {
        let this = self.project();
        (this.first, this.rest)
    }
}

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

/// Consumes the outputs of the branches that lost, all of which are `None`, so that the handler
/// may use what they would have borrowed.
#[inline]
pub fn discard<T>(_: T) {}

/// Returns its argument, which has then been moved as a whole.
#[inline]
pub fn identity<T>(value: T) -> T {
    value
}

pin_project! {
    /// A branch of `join!` or `try_join!`: a future and, in the same place, its output later.
    #[allow(missing_docs, reason = "pin_project takes no comments on the fields of variants")]
    #[derive(Debug)]
    #[project = MaybeDoneProjection]
    #[project_replace = MaybeDoneTaken]
    pub enum MaybeDone<F: Future> {
        /// The future has not completed.
        Running {
            #[pin]
            future: F,
        },
        /// The output has not been taken.
        Done { output: F::Output },
        /// The output was taken.
        Taken,
    }
}

impl<F: Future> MaybeDone<F> {
    /// Creates a branch that has not been polled.
    #[inline]
    pub fn new(future: F) -> Self {
        MaybeDone::Running { future }
    }

    /// Polls the future unless it has completed, and drops it as soon as it completes.
    #[inline]
    pub fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let MaybeDoneProjection::Running { future } = self.as_mut().project() {
            let output = core::task::ready!(future.poll(cx));
            self.set(MaybeDone::Done { output });
        }
        Poll::Ready(())
    }

    /// Takes the output of a completed branch.
    ///
    /// # Panics
    ///
    /// Panics if there is none, which would be a bug in the macros.
    #[inline]
    pub fn take_output(self: Pin<&mut Self>) -> F::Output {
        match self.project_replace(MaybeDone::Taken) {
            MaybeDoneTaken::Done { output } => output,
            _ => unreachable!("a branch that completed has an output"),
        }
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> MaybeDone<F> {
    /// Takes the error if the branch has completed with one.
    #[inline]
    pub fn take_error(mut self: Pin<&mut Self>) -> Option<E> {
        match self.as_mut().project() {
            MaybeDoneProjection::Done { output: Err(_) } => self.take_output().err(),
            _ => None,
        }
    }

    /// Takes the value of a branch that has completed without an error.
    ///
    /// # Panics
    ///
    /// Panics if there is none, which would be a bug in the macros.
    #[inline]
    pub fn take_success(self: Pin<&mut Self>) -> T {
        match self.take_output() {
            Ok(value) => value,
            Err(_) => unreachable!("an error has ended the macro before"),
        }
    }
}

/// The orders of the polls of a `join!`, one after the other.
#[derive(Debug)]
pub struct Orders<N> {
    /// The number of polls so far, or `()` if every poll begins with the first branch.
    polls: N,
}

impl Orders<()> {
    /// Creates orders that all begin with the first branch.
    #[inline]
    pub fn in_order() -> Self {
        Orders { polls: () }
    }

    /// Returns the order of the next poll of `count` branches.
    #[inline]
    pub fn next(&mut self, count: usize) -> BranchOrder {
        let () = self.polls;
        BranchOrder::in_order(count)
    }
}

impl Orders<u32> {
    /// Creates orders of which each begins with another branch than the one before.
    #[inline]
    pub fn rotating() -> Self {
        Orders { polls: 0 }
    }

    /// Returns the order of the next poll of `count` branches.
    #[inline]
    pub fn next(&mut self, count: usize) -> BranchOrder {
        let skip = self.polls as usize % count;
        self.polls = self.polls.wrapping_add(1);
        BranchOrder { skip, left: count }
    }
}

/// The order in which one poll visits the branches: from the first branch around to
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

/// Runs a future on a new runtime with options. If it panics, writes the seed of the runtime, if
/// there is one, to standard error.
///
/// # Panics
/// Panics if the runtime cannot be created, and in the cases that `Runtime::block_on` lists.
#[track_caller]
pub fn block_on_with<F: Future>(builder: Builder, future: F) -> F::Output {
    match builder.build() {
        Ok(runtime) => block_on_seeded(&runtime, future),
        Err(e) => panic!("cannot make a runtime with these options: {e}"),
    }
}

#[track_caller]
fn block_on_seeded<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    struct PrintSeed(Option<u64>);

    impl Drop for PrintSeed {
        fn drop(&mut self) {
            if let (Some(seed), true) = (self.0, std::thread::panicking()) {
                eprintln!("the seed of the runtime was {seed}: RUNTIME_SEED={seed} sets it again");
            }
        }
    }

    let _print = PrintSeed(runtime.seed());
    runtime.block_on(future)
}

/// Runs a future on a new runtime with options and with tokio's context.
///
/// # Panics
/// Panics if the runtime cannot be created, and in the cases that `Runtime::block_on` lists.
#[cfg(feature = "tokio")]
#[track_caller]
pub fn block_on_tokio<F: Future>(builder: Builder, future: F) -> F::Output {
    match builder.tokio(true).build() {
        Ok(runtime) => block_on_seeded(&runtime, future),
        Err(e) => panic!("cannot make a runtime with tokio's context: {e}"),
    }
}

/// Fails to compile, because the feature `tokio` is off.
#[cfg(not(feature = "tokio"))]
pub fn block_on_tokio<F: Future + FeatureTokio>(_: Builder, _: F) -> F::Output {
    unreachable!("nothing implements FeatureTokio")
}

/// A bound that no type meets, for the text of the compiler's error.
#[cfg(not(feature = "tokio"))]
#[diagnostic::on_unimplemented(
    message = "the argument `tokio` needs the feature `tokio` of the crate `runtime`",
    label = "add features = [\"tokio\"] to the dependency on `runtime`"
)]
pub trait FeatureTokio {}
