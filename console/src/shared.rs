//! State that the connections of a console share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use runtime::task::{Id, try_id};

use crate::builder::Builder;

/// The part of the thread's time that making events may take, as a divisor.
const MAX_SHARE: u32 = 20;

/// State that all connections share. They run on one thread, so it needs no lock.
pub(crate) struct Shared {
    pub(crate) options: Builder,
    pub(crate) latest: RefCell<Latest>,
    /// The number of open pages.
    pub(crate) pages: Cell<usize>,
    /// The tasks that serve the page.
    own_tasks: RefCell<Vec<Id>>,
}

impl Shared {
    pub(crate) fn new(options: Builder) -> Shared {
        Shared {
            options,
            latest: RefCell::default(),
            pages: Cell::new(0),
            own_tasks: RefCell::default(),
        }
    }

    /// Returns true if a task serves the page.
    pub(crate) fn is_own(&self, task: Id) -> bool {
        self.own_tasks.borrow().contains(&task)
    }
}

/// A guard during whose life a task is known to serve the page.
pub(crate) struct OwnTask {
    shared: Rc<Shared>,
    id: Option<Id>,
}

impl OwnTask {
    /// Notes the current task. The future of `block_on` is none.
    pub(crate) fn note(shared: &Rc<Shared>) -> OwnTask {
        let id = try_id();
        shared.own_tasks.borrow_mut().extend(id);
        OwnTask {
            shared: shared.clone(),
            id,
        }
    }
}

impl Drop for OwnTask {
    fn drop(&mut self) {
        let mut own_tasks = self.shared.own_tasks.borrow_mut();
        own_tasks.retain(|id| Some(*id) != self.id);
    }
}

/// The latest event, which all pages share.
#[derive(Default)]
pub(crate) struct Latest {
    /// The number of the event, counted from 1.
    pub(crate) number: u64,
    pub(crate) event: Bytes,
    pub(crate) made: Option<Instant>,
    /// The time that it took to make it.
    pub(crate) cost: Duration,
}

impl Latest {
    /// Returns true if another event is due.
    pub(crate) fn is_old(&self, period: Duration) -> bool {
        let least = (period / 2).max(self.cost * MAX_SHARE);
        let is_young = self.made.is_some_and(|made| made.elapsed() < least);
        !is_young || self.event.is_empty()
    }
}
