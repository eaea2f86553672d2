//! The reactor of [`runtime`](https://docs.rs/uniloop): waits for descriptors and deadlines.
//!
//! It knows descriptors, deadlines and wakers, and nothing of tasks. It is the only code of the
//! runtime that blocks a thread.
//!
//! # Examples
//! A source waits in the reactor that its thread has entered; [`Reactor::turn`] wakes its task.
//! ```
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//! use std::task::{Context, Poll, Waker};
//! use runtime_reactor::{Direction, Reactor, Source};
//!
//! # fn main() -> std::io::Result<()> {
//! let reactor = Reactor::new()?;
//! let _guard = reactor.enter();
//! let (ours, mut theirs) = UnixStream::pair()?;
//! ours.set_nonblocking(true)?;
//! let source = Source::new(ours);
//! let mut cx = Context::from_waker(Waker::noop()); // an executor has one for each task
//! let mut buf = [0; 16];
//! let n = loop {
//!     match source.poll_io(Direction::Read, &mut cx, |mut io| io.read(&mut buf)) {
//!         Poll::Ready(n) => break n?,
//!         Poll::Pending => {
//!             theirs.write_all(b"hello")?;
//!             reactor.turn(None)?;
//!         }
//!     }
//! };
//! assert_eq!(&buf[..n], b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Types
//! * [`Reactor`] waits and wakes; a thread has at most one entered, and [`Reactor::turn`] is one
//!   pass of it. [`Notifier`] ends its wait from other threads.
//! * [`Source`] is a non-blocking descriptor whose operations can be awaited. [`Interest`],
//!   [`Readiness`] and [`Direction`] say what it waits for and what the kernel reported.
//! * [`Timer`] is a deadline that can be awaited.
//! * [`Process`] is the exit of a process that can be awaited, where the kernel reports it by
//!   process ID.
//! * [`Backend`] names the system calls to wait with, and [`Stats`] counts them.
//!
//! Sources, timers and processes are `Send + Sync`: they are addresses. On the thread of their
//! reactor they access its state directly, without a lock; on other threads they send it messages.
//!
//! # Modules
//! The modules are private; this is the order to read them in. Each imports only those above it.
//!
//! | module | contents |
//! |---|---|
//! | `token`, `interest` | what is exchanged with a selector |
//! | `sys` | the system calls: the contract of a selector, and the backends |
//! | `error` | errors that name the operation |
//! | `wake_list`, `stats`, `sync`, `quota`, `tick` | wakers to call, counters, locks, fairness |
//! | `clock`, `lateness`, `timers` | the time, and the queue of deadlines |
//! | `scheduled_io`, `waiters`, `registrations` | what is registered, and the wakers that wait |
//! | `paused` | a clock that stands |
//! | `inbox` | messages from other threads, and the end of a wait |
//! | `message_queue` | the queue of those messages, without repeated waits |
//! | `reactor` | the turn |
//! | `context` | the reactor of this thread |
//! | `descriptor` | questions about a descriptor |
//! | `source`, `timer`, `process`, `advance` | what is awaited |
//! | `rng` | numbers that a seed decides |
//! | `inspect` | a list of what waits, for the other crates of this workspace |

#![deny(unsafe_code)]

#[cfg(not(target_has_atomic = "64"))]
compile_error!("the runtime counts in 64-bit atomics, which this target does not have");

mod advance;
mod backlog;
mod clock;
mod context;
mod current_io;
mod descriptor;
mod error;
mod far_timers;
mod inbox;
mod inspect;
mod interest;
mod lateness;
mod message_queue;
mod paused;
mod process;
mod quota;
mod reactor;
mod registrations;
mod rng;
mod scheduled_io;
mod source;
mod stats;
mod sync;
#[allow(unsafe_code, reason = "system calls; each block has a SAFETY note")]
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

/// The simulated kernel. Not part of the public API: the crate `runtime` has what is.
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim {
    pub use crate::context::host as current_host;
    pub use crate::sys::sim::*;
}

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

/// Items for the other crates of this workspace. Not part of the public API.
#[doc(hidden)]
pub mod internal {
    pub use crate::backlog::Backlog;
    /// The clock of a thread.
    pub mod clock {
        pub use crate::advance::{Advance, is_exchanged, pause, paused_at, resume};
        pub use crate::clock::{Clock, get, now, replace, saturating_add};
        pub use crate::paused::{DEFAULT_PATIENCE, PauseOwner};
    }
    pub use crate::context::now;
    pub use crate::descriptor::{check_pollable, is_ready};
    pub use crate::error::{os_error, with_context};
    pub use crate::inspect::{
        Awaited, age, count_lateness, descriptors, lateness, timers_armed, visit_waiters,
    };
    pub use crate::lateness::Lateness;
    pub use crate::rng::Rng;
    pub use crate::sys::{forks, pipe, set_nonblocking};
    pub use crate::wake_list::until_no_panic;

    /// Creates a reactor that delivers the events of a wait in an order that `rng` decides.
    pub fn shuffled_reactor(
        backend: Option<crate::Backend>,
        rng: Rng,
    ) -> std::io::Result<std::rc::Rc<crate::Reactor>> {
        crate::Reactor::shuffled(backend, rng)
    }

    /// Returns true if the deadline of a timer has passed, by the clock. Returns false if the timer
    /// waits in a reactor of another thread that has a clock of its own.
    pub fn has_passed(timer: &crate::Timer) -> bool {
        timer.has_passed_here()
    }

    /// Returns the number of events that the last turn of `reactor` took.
    pub fn event_count(reactor: &crate::Reactor) -> usize {
        reactor.event_count()
    }

    /// Sets a function that wakes a task of this thread without running foreign code, and returns
    /// false if the waker is not that of such a task. Dropping a waker for which it returned true
    /// must run no foreign code either. Then the waker stays where it is stored, for the next wait.
    pub fn set_wake_local(reactor: &crate::Reactor, wake_local: fn(&std::task::Waker) -> bool) {
        reactor.set_wake_local(wake_local);
    }

    /// Sets whether the loop of a host, which watches the descriptor of `reactor`, runs futures of
    /// its own now.
    pub fn set_host_runs(reactor: &crate::Reactor, runs: bool) {
        reactor.set_host_runs(runs);
    }
}
