//! Tasks: spawning, joining, aborting and identifying them, and task-local values.
//!
//! Dropping a [`JoinHandle`] detaches its task. Dropping a [`JoinSet`] aborts its tasks.

pub use runtime_executor::{
    AbortHandle, AccessError, Builder, Id, JoinError, JoinHandle, JoinSet, TaskLocal,
    TaskLocalFuture, id, spawn, spawn_blocking, task_local, try_id, yield_now,
};
