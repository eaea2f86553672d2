#![doc = include_str!("../README.md")]
//!
//! # Features
//!
//! A server that reads and writes by [`io::copy`] or the `poll_` functions of the traits, and needs
//! no signal, saves five crates with `default-features = false`.
//!
//! | feature | default | brings | for |
//! |---|---|---|---|
//! | `io-util` | yes | the combinators of [`io`]: `AsyncReadExt`, `BufReader` and their kin | futures-lite |
//! | `process` | yes | [`process`] | the feature `signal` |
//! | `signal` | yes | [`signal`](mod@signal) | signal-hook-registry |
//! | `hyper` | no | [`compat::hyper`](compat) | hyper |
//! | `tokio-io` | no | tokio's `AsyncRead` and `AsyncWrite` on all streams, [`compat::tokio`](compat) | tokio without its features: one crate |
#![deny(unsafe_code)]

/// Gathers what the expansions of the macros call. It is not part of the public interface.
#[doc(hidden)]
pub mod __macro {
    pub use crate::macro_support::{BranchOrder, all_disabled, discard, poll_branch, take_output};
}

pub mod compat;
mod driver;
pub mod fs;
pub mod io;
mod macro_support;
mod macros;
pub mod net;
#[cfg(feature = "process")]
#[allow(
    unsafe_code,
    reason = "system calls; every block says what it owes to whom"
)]
pub mod process;
mod runtime;
#[cfg(feature = "signal")]
#[allow(
    unsafe_code,
    reason = "signal handlers; every block says what it owes to whom"
)]
pub mod signal;
#[allow(
    unsafe_code,
    reason = "system calls; every block says what it owes to whom"
)]
mod sys;
pub mod task;
pub mod time;

pub use runtime::{Builder, PerCore, Runtime, block_on, per_core};
pub use runtime_executor::{Handle, PanicPolicy, spawn, spawn_blocking, task_local};
pub use runtime_macros::{main, test};
pub use runtime_reactor::{Backend, Stats};

pub use task::{JoinError, JoinHandle};
