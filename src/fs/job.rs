//! Jobs on the blocking pool.

use std::io;
use std::path::Path;

use runtime_executor::Handle;
use runtime_executor::internal::spawn_blocking_named;
use runtime_reactor::internal::with_context;

/// Returns the handle of the current runtime, whose pool runs the jobs.
///
/// # Errors
/// Returns `Other` outside a runtime.
pub(crate) fn pool() -> io::Result<Handle> {
    Handle::try_current().ok_or_else(|| {
        io::Error::other(
            "file operations need a runtime, and none is entered on this thread: await them inside \
             one",
        )
    })
}

/// Runs `job` on the pool with `path`. The text of an error begins with `what` and the path.
pub(super) async fn on_path<R: Send + 'static>(
    what: &'static str,
    path: &Path,
    job: impl FnOnce(&Path) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let owned = path.to_owned();
    let result = on_pool(what, move || job(&owned)).await;
    result.map_err(|e| with_context(format!("{what} {}", path.display()), e))
}

/// Runs `job` on the pool. `what` names it in a list of tasks.
pub(super) async fn on_pool<R: Send + 'static>(
    what: &'static str,
    job: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let job = spawn_blocking_named(&pool()?, what, job);
    job.await.unwrap_or_else(|e| Err(e.into()))
}

/// Like [`on_path`], with two paths.
pub(super) async fn on_paths<R: Send + 'static>(
    what: &'static str,
    (from, to): (&Path, &Path),
    job: impl FnOnce(&Path, &Path) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let owned = (from.to_owned(), to.to_owned());
    let result = on_pool(what, move || job(&owned.0, &owned.1)).await;
    result.map_err(|e| {
        let text = format!("{what} {} to {}", from.display(), to.display());
        with_context(text, e)
    })
}
