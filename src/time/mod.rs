//! Waiting for a point in time.
//!
//! Nothing is ever early. How late it may be is the system's affair: see below.
//!
//! Where many deadlines lie close together, the slack decides how often the thread wakes up for
//! them, and each time costs more than all the rest. A program with thousands of timers a second
//! that need no such precision does best to raise it, for its thread: it is the kernel's to know.
//!
//! A timer is armed when it is first polled, which takes no lock and no system call; the wait itself
//! is given the earliest deadline.
//!
//! # Platform notes
//! * Deadlines are exact to the resolution of the waiting system call: nanoseconds where the kernel has
//!   `epoll_pwait2` (Linux 5.11), `ppoll`, `pselect` or kqueue, or else the next millisecond.
//! * NetBSD and DragonFly round up to the tick of their clock, usually 10 milliseconds (`tstohz` and
//!   `tstohz_high` in their `kern_event.c`).
//! * The kernel adds its timer slack: on Linux 50 microseconds by default (prctl(2),
//!   PR_SET_TIMERSLACK).
//! * Whether time goes on while the machine sleeps is that of [`Instant`]: on Linux and on macOS it
//!   does not.

mod interval;
mod sleep;
mod timeout;

pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::{Duration, Instant};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

/// `start + duration`, or so late that it never comes.
fn saturating_add(start: Instant, duration: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    start.checked_add(duration).unwrap_or_else(|| start + NEVER)
}
