//! What a runtime is doing: its tasks and what each of them waits for.
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

mod describe;
mod list;
mod request;
mod span;
mod tasks;

pub use list::all;
pub(crate) use list::{Attached, attach, request_tasks};
pub use request::Request;
pub use tasks::{Descriptor, TaskInfo, TaskList, TaskState, Wait};
