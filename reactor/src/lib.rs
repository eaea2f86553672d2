//! The reactor of [`runtime`](https://docs.rs/runtime): the only code that waits.
//!
//! It knows descriptors, deadlines and wakers, and nothing of tasks. Four types make it up:
//!
//! * [`Reactor`] waits, and wakes. One a thread; [`Reactor::turn`] is the whole of it.
//! * [`Source`] is a non-blocking descriptor whose operations can be awaited.
//! * [`Timer`] is a deadline that can be awaited.
//! * [`Process`] is the end of a process that can be awaited, where the kernel tells it by number.
//!
//! Sources, timers and processes are `Send + Sync`: they are addresses. On the thread of their
//! reactor they go straight to its state, which no lock guards; elsewhere they send it mail.

#![deny(unsafe_code)]

mod context;
mod error;
mod interest;
mod mailbox;
mod process;
mod quota;
mod reactor;
mod registrations;
mod scheduled_io;
mod source;
mod stats;
mod sync;
#[allow(
    unsafe_code,
    reason = "system calls; every block says what it owes to whom"
)]
mod sys;
#[cfg(all(test, not(loom)))]
mod tests;
mod tick;
mod timer;
mod timers;
mod token;
mod waiters;
mod wake_list;

pub use context::EnterGuard;
pub use interest::{Direction, Interest, Readiness};
pub use process::Process;
pub use reactor::{Notifier, Reactor};
pub use source::{Ready, Source};
pub use stats::Stats;
pub use sys::Backend;
pub use timer::Timer;

/// What only the other crates of this workspace use; not part of the interface.
#[doc(hidden)]
pub mod internal {
    pub use crate::context::now;
    pub use crate::error::with_context;
    pub use crate::sys::{check_pollable, is_ready, set_nonblocking};
}
