//! Children whose [`Child`](super::Child) was dropped before their end.

use std::future::poll_fn;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime_executor::Handle;

use super::child::Running;

/// Those that no task looks after.
static LEFT: Mutex<Vec<process::Child>> = Mutex::new(Vec::new());

fn left() -> MutexGuard<'static, Vec<process::Child>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to it that the status of a child is taken: by a task of this thread's runtime, or, if there
/// is none or it is dropped first, by the next [`reap`].
pub(super) fn adopt(running: Running) {
    reap();
    let mut orphan = Orphan(Some(running));
    if let Some(handle) = Handle::try_current() {
        drop(handle.spawn(async move { orphan.end().await }));
    }
}

/// Takes the status of those that have ended by now. One system call each.
pub(super) fn reap() {
    left().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}

/// A child that is waited for; if that comes to nothing it is left to others.
struct Orphan(Option<Running>);

impl Orphan {
    async fn end(&mut self) {
        let Some(running) = &mut self.0 else {
            return;
        };
        // An error to wait (no descriptor is left) leaves it to others.
        if poll_fn(|cx| running.poll_wait(cx)).await.is_ok() {
            self.0 = None;
        }
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some(mut running) = self.0.take() {
            if matches!(running.std.try_wait(), Ok(None)) {
                left().push(running.std);
            }
        }
    }
}
