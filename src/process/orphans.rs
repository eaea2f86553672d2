//! Children whose [`Child`](super::Child) was dropped before they exited.

use std::future::poll_fn;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime_executor::Handle;

use super::wait::{EXEC_LOSES_SIGNALS, Waitable};

/// Dropped children that no task waits for.
static UNREAPED: Mutex<Vec<Unreaped>> = Mutex::new(Vec::new());

struct Unreaped {
    child: process::Child,
    is_killed: bool,
}

fn unreaped() -> MutexGuard<'static, Vec<Unreaped>> {
    UNREAPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Arranges for the exit status of a child to be taken: by a task of this thread's runtime, or, if
/// there is no runtime or it is dropped first, by the next call of [`reap`].
pub(super) fn reap_later(child: Waitable) {
    reap();
    let mut orphan = Orphan(Some(child));
    if let Some(handle) = Handle::try_current() {
        drop(handle.spawn(async move { orphan.wait().await }));
    }
}

/// Takes the exit statuses of those unreaped children that have exited, with one system call for
/// each unreaped child.
pub(super) fn reap() {
    unreaped().retain_mut(|Unreaped { child, is_killed }| {
        let runs = matches!(child.try_wait(), Ok(None));
        if runs && *is_killed && EXEC_LOSES_SIGNALS {
            // The child runs, so the only possible error is that it changed its user.
            let _ = child.kill();
        }
        runs
    });
}

/// A child that a task waits for. If the task does not finish, the child becomes unreaped.
struct Orphan(Option<Waitable>);

impl Orphan {
    async fn wait(&mut self) {
        let Some(child) = &mut self.0 else {
            return;
        };
        // On an error (no descriptor is available), dropping the orphan makes it unreaped.
        if poll_fn(|cx| child.poll_wait(cx)).await.is_ok() {
            self.0 = None;
        }
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            if matches!(child.std.try_wait(), Ok(None)) {
                let is_killed = child.is_killed();
                let child = child.std;
                unreaped().push(Unreaped { child, is_killed });
            }
        }
    }
}
