//! The error of a write that continues in the background.

use std::io;
use std::path::Path;
use std::sync::Arc;

use runtime_executor::internal::log;

/// The error of a write that had returned `Ok` before. If it is dropped before an operation has
/// returned it, it is logged.
pub(crate) struct WriteError {
    /// Taken by the operation that returns it.
    error: Option<io::Error>,
    /// The name of the file in the log. `None` for an error that is not logged.
    name: Option<Arc<Path>>,
}

impl WriteError {
    pub(crate) fn new(error: io::Error, name: Arc<Path>) -> WriteError {
        WriteError {
            error: Some(error),
            name: Some(name),
        }
    }

    /// Creates the error of an operation that had not returned `Ok`. The next operation also
    /// returns it, but it need not be logged.
    pub(crate) fn unlogged(error: io::Error) -> WriteError {
        WriteError {
            error: Some(error),
            name: None,
        }
    }

    /// Returns the error, which an operation is about to return.
    pub(crate) fn into_inner(mut self) -> io::Error {
        let error = self.error.take();
        error.expect("only this function takes the error")
    }
}

impl Drop for WriteError {
    fn drop(&mut self) {
        if let (Some(error), Some(name)) = (&self.error, &self.name) {
            log(format_args!(
                "write {}: {error} (no operation has returned this error)",
                name.display()
            ));
        }
    }
}
