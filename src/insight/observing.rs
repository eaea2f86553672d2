//! The observer as the runtime sees it.
//!
//! The runtime has a trait object, which the options make that need an observer. So a program that
//! uses none of these options does not contain their code.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use runtime_executor::Executor;
use runtime_reactor::Reactor;

/// A function that makes the observer of a runtime.
pub(crate) type MakeObserver = fn(ObserverOptions, &Reactor) -> Rc<dyn Observing>;

/// The options of an observer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ObserverOptions {
    /// The flag of [`Builder::track_tasks`](crate::Builder::track_tasks).
    pub(crate) tracks: bool,
    /// The flag of `Builder::trace`.
    #[cfg(feature = "tracing")]
    pub(crate) traces: bool,
}

/// The observer of a runtime.
pub(crate) trait Observing: fmt::Debug {
    /// Polls the ready tasks once, as [`Executor::run_ready`] does.
    fn run_batch(&self, executor: &Executor) -> usize;
    /// Notes the end of a batch and its number of polls.
    fn end_batch(&self, polled: usize);
    /// Notes that the root future is about to be polled.
    fn begin_root(&self);
    /// Notes that the poll of the root future has ended.
    fn end_root(&self);
    /// Notes the beginning of a call that runs the runtime.
    fn enter(&self);
    /// Notes the end of a call that runs the runtime.
    fn leave(&self);
    /// Notes that the thread is about to wait.
    fn begin_idle(&self);
    /// Notes that the thread has waited, and the number of events that it got.
    fn end_idle(&self, events: usize);
    /// Returns the observer, for code that knows its type.
    fn as_any(&self) -> &dyn Any;
}

/// A guard during whose life the root future is polled.
pub(crate) struct RootPoll<'a>(&'a dyn Observing);

impl<'a> RootPoll<'a> {
    pub(crate) fn begin(observer: &'a dyn Observing) -> RootPoll<'a> {
        observer.begin_root();
        RootPoll(observer)
    }
}

impl Drop for RootPoll<'_> {
    fn drop(&mut self) {
        self.0.end_root();
    }
}

/// A guard during whose life the runtime runs.
pub(crate) struct ObservedRun<'a>(&'a dyn Observing);

impl<'a> ObservedRun<'a> {
    pub(crate) fn begin(observer: &'a dyn Observing) -> ObservedRun<'a> {
        observer.enter();
        ObservedRun(observer)
    }
}

impl Drop for ObservedRun<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
