//! Drops of tasks and jobs that will not run.

use std::any::Any;
use std::cell::Cell;
use std::mem::{self, ManuallyDrop};

use crate::unhandled::log;
use crate::unwind::drop_catching;

/// The number of values that [`discard`] drops because of one call.
const MAX_DISCARDED: usize = 100_000;

/// Values to drop, in the order in which they came.
type Discarded = Vec<Box<dyn Any>>;

thread_local! {
    /// The values that [`discard`] drops next; `None` while it drops nothing. Has no destructor, so
    /// that it exists while the thread is torn down.
    static DISCARDED: Cell<ManuallyDrop<Option<Discarded>>> =
        const { Cell::new(ManuallyDrop::new(None)) };
}

/// Drops the future or closure of a task or job that will not run.
///
/// Its destructor may spawn another one, which is not run either. That one is dropped after it, not
/// inside of its drop, so a chain of them does not overflow the stack. A chain that may have no end
/// is cut: the values that are left are leaked, and a line on standard error says so.
#[cold]
pub(crate) fn discard(value: Box<dyn Any>) {
    if let Some(mut list) = exchange(None) {
        list.push(value);
        exchange(Some(list));
        return;
    }
    let (mut list, mut count) = (vec![value], 0);
    while !list.is_empty() {
        count += list.len();
        if count > MAX_DISCARDED {
            log(format_args!(
                "a destructor spawned on a runtime that was dropped, the destructor of that future \
                 did so too, and so on, {MAX_DISCARDED} times: the rest is leaked"
            ));
            mem::forget(list);
            return;
        }
        exchange(Some(Vec::new()));
        list.into_iter().for_each(drop_catching);
        list = exchange(None).unwrap_or_default();
    }
}

/// Replaces the list of the values to drop next.
fn exchange(list: Option<Discarded>) -> Option<Discarded> {
    ManuallyDrop::into_inner(DISCARDED.replace(ManuallyDrop::new(list)))
}
