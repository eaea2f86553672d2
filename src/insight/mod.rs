//! The state of a running runtime: its tasks and their waits, its counters, and the polls that take
//! too long.
//!
//! A waker is a number, and the reactor stores the wakers of everything that waits in it. So the
//! waits of a task are found by looking for its number, when a list is requested. Nothing is
//! recorded for that in advance, and a program that requests no list pays nothing.
//!
//! [`task::all`](crate::task::all) returns the tasks of the runtime of this thread, and
//! [`Handle::tasks`](crate::Handle::tasks) those of any runtime. The text of a [`TaskList`] is a
//! readable dump.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use runtime::task;
//!
//! # runtime::block_on(async {
//! task::Builder::new().name("ticker").spawn(async {
//!     runtime::time::sleep(Duration::from_secs(60)).await;
//! });
//! task::yield_now().await; // it is polled, and waits
//! let tasks = task::all();
//! let ticker = &tasks.tasks[0];
//! assert_eq!(ticker.name.as_deref(), Some("ticker"));
//! assert_eq!(ticker.waits[0].to_string(), "timer in 60 s");
//! println!("{tasks}");
//! # });
//! ```
//! The line that this prints:
//! ```text
//! 1 task: 1 waiting
//! task 0.1 "ticker", spawned at src/main.rs:5:33, 240 bytes: waiting
//!     timer in 60 s
//! ```
//!
//! # A page
//! The package `uniloop-console` serves a page that shows all of this while the program runs:
//! `runtime_console::spawn(6669).await?` in a task makes it available at `http://127.0.0.1:6669/`.
//!
//! # Counters
//! [`Handle::metrics`](crate::Handle::metrics) returns the counters of a runtime. They are those
//! that the runtime needs anyway, and what the kernel and the data structures know.
//!
//! # Observed runtimes
//! Some things cannot be known without a record of each poll. They are recorded only in a runtime
//! that was built for it, by one of these:
//!
//! * [`Builder::track_tasks`](crate::Builder::track_tasks): polls and age of each task, durations
//!   of polls by task and of all tasks, sizes of batches, idle time, lateness of timers.
//! * [`Builder::on_stall`](crate::Builder::on_stall): a function that is called when a poll takes
//!   too long, while it lasts and when it has ended.
//! * [`Builder::dump_on`](crate::Builder::dump_on): a signal that writes the list of tasks to
//!   standard error.
//! * `Builder::trace` (feature `tracing`): a span of tracing for each task.
//!
//! [`on_stall`](crate::Builder::on_stall) and [`dump_on`](crate::Builder::dump_on) start a thread.

mod attached;
mod describe;
mod histogram;
mod list;
mod looks;
mod measure;
mod metrics;
mod observer;
mod observing;
mod pulse;
mod request;
mod shutdown;
mod span;
mod stall;
mod tasks;
#[cfg(feature = "tracing")]
mod traced;
mod watch;

pub(crate) use attached::{Attached, ClockOptions, attach, attached_reactor, attached_seed};
pub use histogram::Histogram;
pub use list::all;
pub(crate) use list::request_tasks;
pub(crate) use measure::request_metrics;
pub use metrics::{Metrics, TrackedMetrics};
pub(crate) use observer::Observer;
pub(crate) use observing::{MakeObserver, ObservedRun, ObserverOptions, Observing, RootPoll};
pub use request::Request;
pub(crate) use shutdown::{Deadline, report_shutdown};
pub use shutdown::{JobInfo, ShutdownReport};
pub(crate) use stall::OnStall;
pub use stall::{Stall, print_stall};
pub use tasks::{Descriptor, TaskInfo, TaskList, TaskState, TaskTiming, Wait};
pub(crate) use watch::{WatchOptions, Watching};
