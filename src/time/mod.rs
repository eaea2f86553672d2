//! Timers: sleeping, timeouts and intervals.
//!
//! A timer never fires early. It is armed when it is first polled, which takes no lock and no
//! system call; the waiting system call receives the earliest deadline, not rounded to milliseconds
//! where the kernel permits. How late a timer may fire depends on the system; see below.
//!
//! # Testing
//! A test can [pause](pause()) the clock, which then moves from deadline to deadline without
//! waiting. The [guide](crate::guide::testing) has examples.
//!
//! # Many timers
//! If many deadlines are close together, each wake-up costs more than handling a timer. A program
//! with thousands of timers a second that need no such precision gives them slack
//! ([`Sleep::slack`], [`Interval::slack`]): those whose windows overlap then complete in one
//! wake-up.
//!
//! # Platform-specific behavior
//! * Deadlines have the resolution of the waiting system call: nanoseconds with `epoll_pwait2`
//!   (Linux 5.11), `ppoll`, `pselect` and kqueue, otherwise milliseconds, rounded up.
//! * NetBSD and DragonFly BSD round up to the tick of their clock, usually 10 milliseconds
//!   (`tstohz` and `tstohz_high` in their `kern_event.c`).
//! * The kernel adds its timer slack: on Linux 50 microseconds by default (prctl(2),
//!   PR_SET_TIMERSLACK).
//! * Time is that of [`std::time::Instant`], unless it is [paused](pause()): on Linux and macOS it
//!   does not advance while the machine sleeps.

use runtime_reactor::internal::clock;

mod instant;
mod interval;
mod pause;
mod sleep;
mod timeout;

pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub(crate) use pause::pause_reactor;
pub use pause::{advance, pause, resume};
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::Duration;
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

/// Returns `start + duration`, or thirty years after `start` if the clock cannot represent that.
fn saturating_add(start: Instant, duration: Duration) -> Instant {
    clock::saturating_add(start.into(), duration).into()
}
