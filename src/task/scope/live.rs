//! The scopes that exist on this thread, for lists of tasks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use runtime_executor::internal::Group;

thread_local! {
    /// The groups by their addresses. A scope that is forgotten stays here.
    static LIVE: RefCell<BTreeMap<usize, Weak<Group>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The entry of a scope, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Live(usize);

impl Live {
    pub(super) fn new(group: &Arc<Group>) -> Live {
        let address = Arc::as_ptr(group).addr();
        let weak = Arc::downgrade(group);
        let _ = LIVE.try_with(|live| live.borrow_mut().insert(address, weak));
        Live(address)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A scope may be dropped by the destructor of another thread-local value.
        let _ = LIVE.try_with(|live| live.borrow_mut().remove(&self.0));
    }
}

/// Returns the groups of the scopes of this thread.
pub(crate) fn live_scopes() -> Vec<Arc<Group>> {
    let upgrade = |live: &RefCell<BTreeMap<_, Weak<Group>>>| {
        let live = live.borrow();
        live.values().filter_map(Weak::upgrade).collect()
    };
    LIVE.try_with(upgrade).unwrap_or_default()
}
