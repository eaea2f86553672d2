//! The runtime: its options, its loop, and the ways to use it besides `block_on`.

use std::future::Future;

use runtime_executor::internal::is_large;

// The documentation lists methods in the order of these modules.
mod builder;

mod block_on;

mod busy_poll;
mod embed;
mod fork;
#[cfg(feature = "tokio")]
mod host;
#[cfg(feature = "tokio")]
mod hosted;
mod observed;
mod park_hooks;
mod per_core;
mod seeded;
mod shutdown;

pub use block_on::{EnterGuard, Runtime};
pub use builder::Builder;
pub use per_core::{PerCore, per_core};

/// Runs a future to completion on a new runtime, and then drops the runtime.
///
/// # Panics
/// Panics if no runtime can be created ([`Runtime::new`] returns that as an error), and in the
/// cases that [`Runtime::block_on`] lists.
///
/// # Examples
/// ```
/// let answer = runtime::block_on(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(e) => panic!("block_on cannot make a runtime: {e}"),
    };
    if const { is_large::<F>() } {
        runtime.block_on(Box::pin(future))
    } else {
        runtime.block_on(future)
    }
}
