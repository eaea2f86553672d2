//! The state of a clock that stands, and moves only when everything rests.

use std::cell::{Cell, RefCell};
use std::mem;
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// The [patience](PauseOwner::patience) of a runtime.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(5);

/// The part of a runtime that knows what its reactor does not, for a clock that is paused.
pub trait PauseOwner {
    /// Returns true if no work is in flight of which the reactor knows nothing. Otherwise
    /// [notifies](crate::Notifier) the reactor once none is.
    fn is_idle(&self) -> bool;

    /// Reports that nothing is left to wait for, by a panic.
    fn report_stuck(&self) -> !;

    /// Reports that I/O has kept the clock from moving for a while.
    fn report_held_by_io(&self);

    /// Returns the time by the clock of the system after which the reactor makes these reports.
    /// Until then another thread may wake a task.
    fn patience(&self) -> Duration {
        DEFAULT_PATIENCE
    }
}

/// A clock that stands.
pub(crate) struct Paused {
    pub(crate) owner: Rc<dyn PauseOwner>,
    /// True if the clock moves although I/O is waited for.
    pub(crate) moves_with_io: bool,
    /// The place that paused it.
    pub(crate) paused_at: &'static Location<'static>,
    /// True once the owner has reported that I/O keeps the clock from moving.
    pub(crate) reported: Cell<bool>,
    pub(crate) advances: RefCell<Advances>,
}

/// The requests to move the clock that are not complete.
#[derive(Default)]
pub(crate) struct Advances {
    list: Vec<PendingAdvance>,
    last_id: u64,
}

struct PendingAdvance {
    id: u64,
    target: Instant,
    waker: Waker,
}

impl Advances {
    pub(crate) fn add(&mut self, target: Instant, waker: Waker) -> u64 {
        self.last_id += 1;
        self.list.push(PendingAdvance {
            id: self.last_id,
            target,
            waker,
        });
        self.last_id
    }

    /// Stores the waker of a request. Returns the one that is not needed, or `None` if the request
    /// is complete.
    pub(crate) fn set_waker(&mut self, id: u64, waker: Waker) -> Result<Waker, Waker> {
        match self.list.iter_mut().find(|pending| pending.id == id) {
            Some(pending) => Ok(mem::replace(&mut pending.waker, waker)),
            None => Err(waker),
        }
    }

    /// Removes a request, and returns its waker, which the caller drops.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Waker> {
        let index = self.list.iter().position(|pending| pending.id == id)?;
        Some(self.list.remove(index).waker)
    }

    /// Returns the earliest instant to which the clock is to be moved.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.list.iter().map(|pending| pending.target).min()
    }

    /// Takes the wakers of the requests that are complete at `now`.
    pub(crate) fn take_complete(&mut self, now: Instant) -> Vec<Waker> {
        let all = mem::take(&mut self.list).into_iter();
        let (complete, rest) = all.partition(|pending| pending.target <= now);
        self.list = rest;
        let complete: Vec<PendingAdvance> = complete;
        complete.into_iter().map(|pending| pending.waker).collect()
    }

    /// Takes the wakers of all requests.
    pub(crate) fn take_all(&mut self) -> Vec<Waker> {
        mem::take(&mut self.list)
            .into_iter()
            .map(|pending| pending.waker)
            .collect()
    }
}
