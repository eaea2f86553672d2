//! The pieces in which files are read on the thread of the runtime.

/// The maximum number of bytes that one attempt reads.
pub(super) const PIECE_BYTES: usize = 128 * 1024;

/// Returns the weight of a read in the budget of a poll. A poll reads 1 MiB or a little more.
pub(super) fn weight(bytes: usize) -> u32 {
    const BYTES_PER_COMPLETION: usize = 8 * 1024;
    (bytes / BYTES_PER_COMPLETION + 1) as u32
}
