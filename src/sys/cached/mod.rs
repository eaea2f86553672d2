//! File operations that do not wait for a disk: each is attempted, and the kernel says whether it
//! would block.

use std::fs::File;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod unsupported;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use unsupported as system;

pub(crate) use system::{
    can_send, is_readable, metadata, open, open_for_reading, read, read_to_end_of, read_vectored,
    set_blocking, wait_for_writer,
};

/// The result of a read that was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "other systems attempt nothing")
)]
pub(crate) enum Attempt {
    /// The number of bytes that were read. 0 bytes are the end of the file.
    Read(usize),
    /// The read would block, or failed. A read that may block returns the error.
    Blocked,
    /// The kernel cannot say whether reads of this file block.
    Unsupported,
}

/// A file that was opened to be read whole.
#[derive(Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "other systems open nothing")
)]
pub(crate) enum ToRead {
    /// A regular file and its size.
    Regular(File, u64),
    /// A file of another type, which is read after [`wait_for_writer`].
    Other(File),
}

/// The access mode of a file that exists.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "other systems open nothing")
)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
}
