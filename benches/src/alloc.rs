//! A counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// The allocations of this thread so far, and its bytes that are not freed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) allocations: i64,
    pub(crate) bytes: i64,
}

thread_local! {
    static COUNT: Cell<Count> = const { Cell::new(Count { allocations: 0, bytes: 0 }) };
}

/// Set only while memory is measured, because counting costs time.
static ON: AtomicBool = AtomicBool::new(false);

/// Starts counting.
pub(crate) fn count() {
    ON.store(true, Ordering::Relaxed);
}

pub(crate) fn now() -> Count {
    COUNT.get()
}

#[inline]
fn add(allocations: i64, bytes: i64) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    // An exiting thread allocates and frees after its thread-locals were destroyed.
    let _ = COUNT.try_with(|count| {
        let Count {
            allocations: before,
            bytes: held,
        } = count.get();
        count.set(Count {
            allocations: before + allocations,
            bytes: held + bytes,
        });
    });
}

// SAFETY: all calls are forwarded unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(1, layout.size() as i64);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(1, layout.size() as i64);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(0, -(layout.size() as i64));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
