//! The waker of a task: a vtable whose data is a [`WakerId`].
//!
//! Cloning and dropping such a waker touch no memory. Waking is a look-up of the thread's scheduler
//! and a push to its run queue; on another thread it is a message in the executor's inbox.
//!
//! `wake`, `context` and `scheduler` import each other. The circle is inherent to a waker that is a
//! number: waking looks up the scheduler of the thread, and the scheduler makes wakers.

use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::context;
use crate::inbox::Inbox;
use crate::record::WakerNumber;
use crate::waker_id::WakerId;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, drop_nothing);

/// Makes the waker with this number.
pub(crate) fn waker(id: WakerId) -> Waker {
    // SAFETY: the contract of RawWaker asks that the functions of the vtable be thread-safe and
    // keep alive what `data` points to. They are safe functions, and `data` points to nothing.
    unsafe { Waker::new(id.data(), &VTABLE) }
}

/// Returns the number of a waker that was made here.
pub(crate) fn id_of(waker: &Waker) -> Option<WakerId> {
    ptr::eq(waker.vtable(), &VTABLE).then(|| WakerId::from_data(waker.data()))
}

/// Returns the number of a waker that was made here, for a list of tasks.
pub(crate) fn number_of(waker: &Waker) -> Option<WakerNumber> {
    id_of(waker).map(WakerNumber::new)
}

fn clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    let id = WakerId::from_data(data);
    if !wake_here(id) {
        wake_remote(id);
    }
}

/// Wakes a task of the executor that is entered on this thread. Returns false, and does nothing, if
/// the waker is not that of such a task. Runs no foreign code.
#[inline]
pub fn wake_local(waker: &Waker) -> bool {
    id_of(waker).is_some_and(wake_here)
}

#[inline(always)]
fn wake_here(id: WakerId) -> bool {
    context::with(|scheduler| scheduler.wake(id)) == Some(true)
}

/// Wakes a task of another thread. Not inlined, so that a wake of this thread saves no registers
/// for it.
#[cold]
#[inline(never)]
fn wake_remote(id: WakerId) {
    Inbox::wake(id);
}

fn drop_nothing(_: *const ()) {}
