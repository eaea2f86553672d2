//! Tasks: what is spawned, awaited, aborted and named.
//!
//! # Platform notes
//! None: nothing here asks the system for anything, but for the threads of [`spawn_blocking`].

pub use runtime_executor::{
    AbortHandle, AccessError, Builder, Id, JoinError, JoinHandle, JoinSet, TaskLocal, id, spawn,
    spawn_blocking, task_local, try_id, yield_now,
};
