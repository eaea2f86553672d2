//! Why a task has no output.

use std::any::Any;
use std::panic::Location;
use std::sync::Arc;
use std::{error, fmt, io};

use crate::id::Id;
use crate::sync::Mutex;

/// What awaiting a [`JoinHandle`](crate::JoinHandle) gives for a task that did not come to its end:
/// it panicked, or it was cancelled.
///
/// Its text names the task, the message of a panic, and, unless the runtime was gone before anybody
/// asked, where the task was spawned.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// let task = runtime_executor::spawn(async { panic!("no answer") });
/// let error = task.await.map(|()| ()).unwrap_err();
/// assert!(error.is_panic());
/// assert!(error.to_string().ends_with("panicked: no answer"));
/// # });
/// ```
pub struct JoinError(Box<Reason>);

struct Reason {
    id: Id,
    /// The task's name and place of birth, as a phrase.
    whose: String,
    why: Why,
}

enum Why {
    Aborted,
    /// Its runtime was dropped, before the task ended or before the output was taken.
    Gone,
    /// No thread could be started for it.
    Refused(Arc<io::Error>),
    /// In a mutex because a payload need not be `Sync`, and an error should be.
    Panicked(Mutex<Box<dyn Any + Send>>),
}

impl JoinError {
    #[cold]
    fn new(id: Id, whose: String, why: Why) -> JoinError {
        JoinError(Box::new(Reason { id, whose, why }))
    }

    pub(crate) fn aborted(id: Id) -> JoinError {
        JoinError::new(id, String::new(), Why::Aborted)
    }

    pub(crate) fn gone(id: Id) -> JoinError {
        JoinError::new(id, String::new(), Why::Gone)
    }

    pub(crate) fn refused(id: Id, error: Arc<io::Error>) -> JoinError {
        JoinError::new(id, String::new(), Why::Refused(error))
    }

    /// Says whose error it is.
    pub(crate) fn of(mut self, name: Option<&str>, spawned_at: &Location<'_>) -> JoinError {
        self.0.whose = whose(name, spawned_at);
        self
    }

    pub(crate) fn panicked(
        id: Id,
        name: Option<&str>,
        spawned_at: &Location<'_>,
        payload: Box<dyn Any + Send>,
    ) -> JoinError {
        let why = Why::Panicked(Mutex::new(payload));
        JoinError::new(id, whose(name, spawned_at), why)
    }

    /// The task this is about.
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.why, Why::Panicked(_))
    }

    /// Whether the task was dropped before its end: it was aborted, its runtime is gone, or, for a
    /// blocking job, no thread could be started.
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// The payload of the panic, for [`resume_unwind`](std::panic::resume_unwind).
    ///
    /// # Panics
    /// If the task did not panic.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("JoinError::into_panic was called, but {error}"),
        }
    }

    /// The payload of the panic, or the error back.
    ///
    /// # Errors
    /// Itself, if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        match self.0.why {
            Why::Panicked(payload) => Ok(payload.into_inner()),
            _ => Err(self),
        }
    }
}

/// A task's name and place of birth, as a phrase to stand between its id and a verb.
fn whose(name: Option<&str>, spawned_at: &Location<'_>) -> String {
    match name {
        Some(name) => format!(" {name:?}, spawned at {spawned_at},"),
        None => format!(", spawned at {spawned_at},"),
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { id, whose, why } = &*self.0;
        match why {
            Why::Aborted => write!(f, "task {id}{whose} was aborted"),
            Why::Gone => write!(f, "task {id}{whose} was cancelled: its runtime is gone"),
            Why::Refused(e) => write!(
                f,
                "blocking job {id}{whose} was not run: no thread for it: {e}"
            ),
            Why::Panicked(payload) => {
                // Copied, so that the lock is not held while somebody's writer is called.
                let message = text_of(&**payload.lock());
                write!(f, "task {id}{whose} panicked: {message}")
            }
        }
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or(payload.downcast_ref::<String>().map(String::as_str));
    message.unwrap_or("a payload that is no text").to_owned()
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl error::Error for JoinError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.why {
            Why::Refused(e) => Some(e),
            _ => None,
        }
    }
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        io::Error::other(error)
    }
}
