//! The allocator, counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// What this thread has allocated and not freed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) allocations: i64,
    pub(crate) bytes: i64,
}

thread_local! {
    static COUNT: Cell<Count> = const { Cell::new(Count { allocations: 0, bytes: 0 }) };
}

/// Off until memory is what is measured, so as not to cost time elsewhere.
static ON: AtomicBool = AtomicBool::new(false);

/// Counts from now on.
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
    // A thread that ends allocates and frees after its thread-locals are gone.
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

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(1, layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(1, layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(0, -(layout.size() as i64));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
