//! A poll that keeps the thread from all other tasks.

use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs, io, path};

use runtime_executor::Id;
use runtime_executor::internal::log;

use super::span::Span;
use super::tasks::Origin;

/// A poll that lasts, or has lasted, longer than the threshold of
/// [`Builder::on_stall`](crate::Builder::on_stall).
///
/// Its text is a line for readers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stall {
    /// The name of the runtime, if it was given one.
    pub runtime: Option<String>,
    /// The identity of the task; `None` for the future of `block_on`.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "super::tasks::text::serialize_some")
    )]
    pub task: Option<Id>,
    /// The name of the task.
    pub name: Option<String>,
    /// The place where the task was spawned.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "super::tasks::text::serialize_some")
    )]
    pub spawned_at: Option<&'static Location<'static>>,
    /// The duration of the poll so far, or altogether. The poll began up to a quarter of the
    /// threshold earlier than this says.
    pub duration: Duration,
    /// True once the poll has ended.
    pub is_over: bool,
    /// The state of the thread, such as `running` or `sleeping in system call 230
    /// (hrtimer_nanosleep)`. `None` once the poll has ended, and on systems without /proc.
    pub thread: Option<String>,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(runtime) = &self.runtime {
            write!(f, "runtime {runtime:?}: ")?;
        }
        match self.task {
            Some(task) => write!(f, "task {task}{}", Origin(&self.name, self.spawned_at))?,
            None => write!(f, "the future of block_on")?,
        }
        let span = Span(self.duration);
        if self.is_over {
            return write!(f, " kept the thread from all other tasks for {span}");
        }
        write!(f, " has kept the thread from all other tasks for {span}")?;
        match &self.thread {
            Some(thread) => write!(f, "; the thread is {thread}"),
            None => Ok(()),
        }
    }
}

/// Writes a stall to standard error, for [`Builder::on_stall`](crate::Builder::on_stall).
pub fn print_stall(stall: &Stall) {
    log(format_args!("{stall}"));
}

/// The function that [`Builder::on_stall`](crate::Builder::on_stall) sets.
#[derive(Clone)]
pub(crate) struct OnStall(Arc<dyn Fn(&Stall) + Send + Sync>);

impl OnStall {
    pub(crate) fn new(callback: impl Fn(&Stall) + Send + Sync + 'static) -> OnStall {
        OnStall(Arc::new(callback))
    }

    pub(super) fn call(&self, stall: &Stall) {
        (self.0)(stall);
    }
}

// It is called inside a `catch_unwind`, and the runtime keeps no state of it.
impl UnwindSafe for OnStall {}
impl RefUnwindSafe for OnStall {}

impl fmt::Debug for OnStall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnStall").finish_non_exhaustive()
    }
}

/// Returns the folder of the calling thread in /proc.
pub(super) fn this_thread() -> io::Result<path::PathBuf> {
    Ok(path::Path::new("/proc").join(fs::read_link("/proc/thread-self")?))
}

/// Returns the state of a thread, from its folder in /proc.
pub(super) fn state_of(thread: &path::Path) -> Option<String> {
    let stat = fs::read_to_string(thread.join("stat")).ok()?;
    // The name of the program is in parentheses and may contain any character.
    let state = stat.rsplit_once(") ")?.1.chars().next()?;
    let state = match state {
        'R' => return Some("running".to_owned()),
        'S' => "sleeping",
        'D' => "waiting for a device",
        'T' | 't' => "stopped",
        _ => "not running",
    };
    let call = fs::read_to_string(thread.join("syscall")).unwrap_or_default();
    let number = call
        .split(' ')
        .next()
        .and_then(|word| word.parse::<u32>().ok());
    let function = fs::read_to_string(thread.join("wchan")).unwrap_or_default();
    let mut text = state.to_owned();
    if let Some(number) = number {
        text += &format!(" in system call {number}");
    }
    if !matches!(&*function, "" | "0") {
        text += &format!(" ({function})");
    }
    Some(text)
}
