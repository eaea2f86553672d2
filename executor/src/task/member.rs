//! The waker of a member of a group: a vtable whose data is an `Arc<Member>`.
//!
//! Such a waker is what [`std::task::Wake`] makes of a member, except that it can be recognized: a
//! list of tasks follows it to the waker that awaits the group, and so to the task.

use std::ptr;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::group::{Group, Member};
use crate::record::{Awaiter, GroupRecord, WakerNumber};
use crate::task::wake::number_of;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_member);

/// The number of groups inside each other that a list of tasks follows.
const MAX_DEPTH: usize = 16;

/// Makes a waker of a member.
pub fn member_waker(member: Arc<Member>) -> Waker {
    let data = Arc::into_raw(member).cast();
    // SAFETY: the contract of RawWaker asks that the functions of the vtable be thread-safe and
    // keep alive what `data` points to. A `Member` is Send and Sync, each waker owns one count of
    // its `Arc`, and only `wake` and `drop_member` give a count up.
    unsafe { Waker::new(data, &VTABLE) }
}

/// Returns the member of a waker that was made here.
fn member_of(waker: &Waker) -> Option<&Member> {
    if !ptr::eq(waker.vtable(), &VTABLE) {
        return None;
    }
    // SAFETY: the pointer must be valid for the lifetime of the result. Only `member_waker` and
    // `clone` use this vtable, with a pointer of `Arc::into_raw`, of which the waker owns a count.
    Some(unsafe { &*waker.data().cast::<Member>() })
}

fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the pointer must come from `Arc::into_raw`, and a count must exist. It is that of a
    // waker, which owns a count.
    unsafe { Arc::increment_strong_count(data.cast::<Member>()) };
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    // SAFETY: the pointer must come from `Arc::into_raw`, and its count must not be used again. It
    // is that of a waker that is consumed by this call.
    let member = unsafe { Arc::from_raw(data.cast::<Member>()) };
    member.wake();
}

fn wake_by_ref(data: *const ()) {
    // SAFETY: the pointer must be valid during the call. The waker that is borrowed owns a count.
    let member = unsafe { &*data.cast::<Member>() };
    member.wake();
}

fn drop_member(data: *const ()) {
    // SAFETY: the pointer must come from `Arc::into_raw`, and its count must not be used again. It
    // is that of a waker that is dropped by this call.
    let member = unsafe { Arc::from_raw(data.cast::<Member>()) };
    drop(member);
}

/// Returns the task that a waker wakes, and the groups on the way to it. Runs no foreign code.
pub fn awaiter_of(waker: &Waker) -> Option<Awaiter> {
    match step(waker) {
        Step::Task(number) => Some(Awaiter {
            number,
            groups: Vec::new(),
        }),
        Step::Group(group) => awaiter_of_group(&group),
        Step::Unknown => None,
    }
}

/// Returns the task that awaits a group, and the groups on the way to it, this one included. Runs
/// no foreign code.
pub fn awaiter_of_group(group: &Arc<Group>) -> Option<Awaiter> {
    let mut groups = Vec::new();
    let mut next = group.clone();
    while groups.len() < MAX_DEPTH {
        groups.insert(0, GroupRecord::new(&next));
        let step = next.with_waiter(|waiter| waiter.map_or(Step::Unknown, step));
        next = match step {
            Step::Task(number) => return Some(Awaiter { number, groups }),
            Step::Group(outer) => outer,
            Step::Unknown => return None,
        };
    }
    None
}

/// The target of a waker.
enum Step {
    Task(WakerNumber),
    Group(Arc<Group>),
    Unknown,
}

fn step(waker: &Waker) -> Step {
    match (number_of(waker), member_of(waker)) {
        (Some(number), _) => Step::Task(number),
        (None, Some(member)) => Step::Group(member.group().clone()),
        (None, None) => Step::Unknown,
    }
}
