//! The number in a waker: executor, slot and serial number.
//!
//! The number is too short to distinguish every task that has ever been in a slot. A waker that
//! outlives its task may wake a later occupant of the slot, once in 33 million occupants (on 32-bit
//! targets: in 128). That is a spurious wake, which every future has to allow for. Nothing worse
//! can happen, because the number is not a pointer.

use std::ptr;

/// The address of a task or of the root future, packed into one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WakerId(usize);

// From the top bit down: executor, serial number, slot.

/// 4,096 executors at a time, 33 million serial numbers, 134 million tasks per executor.
#[cfg(target_pointer_width = "64")]
const BITS: (u32, u32, u32) = (12, 25, 27);

/// 32 executors at a time, 128 serial numbers, a million tasks per executor.
#[cfg(not(target_pointer_width = "64"))]
const BITS: (u32, u32, u32) = (5, 7, 20);

const EXECUTOR_BITS: u32 = BITS.0;
const SERIAL_BITS: u32 = BITS.1;
const SLOT_BITS: u32 = BITS.2;
const EXECUTOR_SHIFT: u32 = SERIAL_BITS + SLOT_BITS;
const SERIAL_SHIFT: u32 = SLOT_BITS;
const EXECUTOR_MASK: usize = (1 << EXECUTOR_BITS) - 1;
const SERIAL_MASK: usize = (1 << SERIAL_BITS) - 1;
const SLOT_MASK: usize = (1 << SLOT_BITS) - 1;
const _: () = assert!(EXECUTOR_BITS + SERIAL_BITS + SLOT_BITS == usize::BITS);

impl WakerId {
    /// The number of executors that can exist at a time.
    pub(crate) const MAX_EXECUTORS: usize = EXECUTOR_MASK + 1;
    /// The number of tasks that an executor can have.
    pub(crate) const MAX_TASKS: usize = SLOT_MASK;
    /// The slot number of the root future. No task has it.
    pub(crate) const ROOT: u32 = SLOT_MASK as u32;

    pub(crate) fn new(executor: u32, slot: u32, serial: u32) -> WakerId {
        let executor = executor as usize & EXECUTOR_MASK;
        let serial = serial as usize & SERIAL_MASK;
        WakerId(executor << EXECUTOR_SHIFT | serial << SERIAL_SHIFT | slot as usize)
    }

    /// Reads the data pointer of a waker, which is the number.
    pub(crate) fn from_data(data: *const ()) -> WakerId {
        WakerId(data.addr())
    }

    /// Returns the number as the data pointer of a waker. It points to nothing.
    pub(crate) fn data(self) -> *const () {
        ptr::without_provenance(self.0)
    }

    pub(crate) fn slot(self) -> u32 {
        (self.0 & SLOT_MASK) as u32
    }

    /// Returns true if the low bits of `serial` are those of this number.
    pub(crate) fn matches_serial(self, serial: u32) -> bool {
        have_same_low_bits(self.0 >> SERIAL_SHIFT, serial, SERIAL_BITS)
    }

    /// Returns true if the low bits of `executor` are those of this number.
    pub(crate) fn matches_executor(self, executor: u32) -> bool {
        have_same_low_bits(self.0 >> EXECUTOR_SHIFT, executor, EXECUTOR_BITS)
    }
}

/// Returns true if the lowest `bits` of two numbers are equal. By a shift, which takes fewer
/// instructions than two masks.
fn have_same_low_bits(one: usize, other: u32, bits: u32) -> bool {
    (one as u32 ^ other) << (u32::BITS - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waker_id_returns_what_was_packed_into_it() {
        let id = WakerId::new(3, 5, 7);
        assert!(id.matches_executor(3) && id.slot() == 5 && id.matches_serial(7));
        assert!(!id.matches_executor(4) && !id.matches_serial(8));
        assert_eq!(WakerId::from_data(id.data()), id);
        let full = WakerId::new(u32::MAX, WakerId::ROOT, u32::MAX);
        assert!(full.matches_executor(u32::MAX) && full.matches_serial(u32::MAX));
        assert_eq!(full.slot(), WakerId::ROOT);
        assert_eq!(full.0, usize::MAX);
    }
}
