//! The errors of tasks, and the panic message outside a runtime.

use std::any::Any;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::{error, fmt, io};

use crate::id::Id;
use crate::sync::Mutex;

/// The error of a task that has no output: it panicked, or it was canceled.
///
/// Its text names the task, the panic message, and the place where the task was spawned, unless the
/// runtime was dropped before the handle was first polled.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(async { panic!("no answer") });
/// let error = task.await.map(|()| ()).unwrap_err();
/// assert!(error.is_panic());
/// assert!(error.to_string().ends_with("panicked: no answer"));
/// # });
/// ```
pub struct JoinError(Box<Reason>);

/// The rest of the panic messages about a missing runtime.
pub(crate) const NO_RUNTIME: &str = "outside a runtime: no runtime drives this thread. Call it \
     inside #[runtime::main], Runtime::block_on or a task, or pass a Handle here";

/// The same for a call by the destructor of a thread-local value.
pub(crate) const THREAD_ENDS: &str = "while its thread ends, in the destructor of a thread-local \
     value, where no runtime can be entered: spawn earlier, or pass a Handle here";

struct Reason {
    id: Id,
    /// The task's name and the place where it was spawned, as a phrase.
    origin: String,
    kind: Kind,
}

enum Kind {
    Aborted,
    /// Its runtime was dropped before the output was taken.
    RuntimeDropped,
    /// No thread could be started for it.
    Rejected(Arc<io::Error>),
    /// A payload need not be `Sync`. The mutex makes the error so.
    Panicked(Mutex<Box<dyn Any + Send>>),
}

impl JoinError {
    #[cold]
    fn new(id: Id, origin: String, kind: Kind) -> JoinError {
        JoinError(Box::new(Reason { id, origin, kind }))
    }

    pub(crate) fn aborted(id: Id) -> JoinError {
        JoinError::new(id, String::new(), Kind::Aborted)
    }

    pub(crate) fn runtime_dropped(id: Id) -> JoinError {
        JoinError::new(id, String::new(), Kind::RuntimeDropped)
    }

    pub(crate) fn rejected(id: Id, error: Arc<io::Error>) -> JoinError {
        JoinError::new(id, String::new(), Kind::Rejected(error))
    }

    /// Adds the task's name and the place where it was spawned.
    pub(crate) fn with_origin(
        mut self,
        name: Option<&str>,
        spawned_at: &Location<'_>,
    ) -> JoinError {
        self.0.origin = origin(name, spawned_at);
        self
    }

    pub(crate) fn panicked(
        id: Id,
        name: Option<&str>,
        spawned_at: &Location<'_>,
        payload: Box<dyn Any + Send>,
    ) -> JoinError {
        let kind = Kind::Panicked(Mutex::new(payload));
        JoinError::new(id, origin(name, spawned_at), kind)
    }

    /// Returns the identity of the task.
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// Returns true if the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.kind, Kind::Panicked(_))
    }

    /// Returns true if the task was canceled: it was aborted, its runtime was dropped, or, for a
    /// blocking job, no thread could be started.
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// Returns the payload of the panic, for [`resume_unwind`](std::panic::resume_unwind).
    ///
    /// # Panics
    /// Panics if the task did not panic. [`try_into_panic`](JoinError::try_into_panic) returns an
    /// error then.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(async { panic!("no answer") });
    /// let error = task.await.map(|()| ()).unwrap_err();
    /// let payload = error.into_panic();
    /// assert_eq!(payload.downcast_ref(), Some(&"no answer"));
    /// # });
    /// ```
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("JoinError::into_panic was called, but {error}"),
        }
    }

    /// Returns the payload of the panic.
    ///
    /// # Errors
    /// Returns the error unchanged if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        match self.0.kind {
            Kind::Panicked(payload) => Ok(payload.into_inner()),
            _ => Err(self),
        }
    }
}

/// Returns a task's name and the place where it was spawned, as a phrase that follows its id.
fn origin(name: Option<&str>, spawned_at: &Location<'_>) -> String {
    match name {
        Some(name) => format!(" {name:?}, spawned at {spawned_at},"),
        None => format!(", spawned at {spawned_at},"),
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { id, origin, kind } = &*self.0;
        match kind {
            Kind::Aborted => write!(f, "task {id}{origin} was aborted"),
            Kind::RuntimeDropped => write!(
                f,
                "task {id}{origin} was cancelled: its runtime was dropped"
            ),
            Kind::Rejected(e) => write!(
                f,
                "blocking job {id}{origin} was not run: no thread for it: {e}"
            ),
            Kind::Panicked(payload) => {
                // Copied, so that the lock is not held while the writer, foreign code, is called.
                let message = text_of(&**payload.lock());
                write!(f, "task {id}{origin} panicked: {message}")
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

// The payload of a panic is only read, never changed.
impl UnwindSafe for JoinError {}
impl RefUnwindSafe for JoinError {}

impl error::Error for JoinError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.kind {
            // The error itself, not the `Arc`, which callers could not downcast.
            Kind::Rejected(e) => Some(&**e),
            _ => None,
        }
    }
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        io::Error::other(error)
    }
}
