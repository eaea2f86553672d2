#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

#[doc(hidden)]
#[path = "macros_support.rs"]
pub mod __macro;
pub mod compat;
mod driver;
mod error;
pub mod fs;
pub mod io;
mod macros;
pub mod net;
#[allow(
    unsafe_code,
    reason = "system calls; every block says what it owes to whom"
)]
pub mod process;
mod runtime;
#[allow(
    unsafe_code,
    reason = "signal handlers; every block says what it owes to whom"
)]
pub mod signal;
pub mod task;
pub mod time;

pub use runtime::{Builder, Runtime, block_on};
pub use runtime_executor::{Handle, PanicPolicy, spawn, spawn_blocking, task_local};
pub use runtime_macros::{main, test};
pub use runtime_reactor::{Backend, Stats};

pub use task::{JoinError, JoinHandle};
