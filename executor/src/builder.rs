//! Tasks with a name.

use std::future::Future;
use std::panic::Location;

use crate::current_scheduler;
use crate::join::JoinHandle;

/// Spawns a task with properties that [`spawn`](crate::spawn) does not give it.
///
/// # Examples
/// ```
/// # use runtime_executor::{Executor, Config, ThreadPark};
/// # let executor = Executor::new(ThreadPark::new().unparker(), Config::new()).unwrap();
/// # let _entered = executor.enter();
/// runtime_executor::Builder::new().name("accept").spawn(async { /* ... */ });
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is spawned until `spawn` is called"]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// A builder that does what [`spawn`](crate::spawn) does.
    pub fn new() -> Builder<'a> {
        Builder::default()
    }

    /// Names the task, for messages about it.
    pub fn name(self, name: &'a str) -> Builder<'a> {
        Builder { name: Some(name) }
    }

    /// Spawns a task on the executor of this thread.
    ///
    /// # Panics
    /// If no executor runs on this thread.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let (scheduler, at) = (
            current_scheduler("task::Builder::spawn"),
            Location::caller(),
        );
        match self.name {
            Some(name) => scheduler.spawn(future, Box::<str>::from(name), at),
            None => scheduler.spawn(future, (), at),
        }
    }
}
