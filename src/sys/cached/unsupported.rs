//! Systems without calls that say whether a file operation would block.

use std::fs::{File, Metadata};
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::Path;

use super::{Access, Attempt, ToRead};

/// Opens nothing.
pub(crate) fn open(_: &Path, _: Access) -> Option<File> {
    None
}

/// Opens nothing.
pub(crate) fn open_for_reading(_: &Path) -> Option<ToRead> {
    None
}

/// Does nothing: no file was opened.
pub(crate) fn set_blocking(_: &File) {}

/// Does nothing: no file was opened.
pub(crate) fn wait_for_writer(_: &File) {}

/// Finds nothing.
pub(crate) fn metadata(_: &Path, _follow: bool) -> Option<Metadata> {
    None
}

/// Returns false.
pub(crate) fn is_readable(_: &File) -> bool {
    false
}

/// Returns true if sendfile(2) reads from the disk without waiting for it, as that of FreeBSD does.
pub(crate) fn can_send(_: BorrowedFd<'_>, _: Range<u64>) -> bool {
    cfg!(target_os = "freebsd")
}

/// Reads nothing.
pub(crate) fn read(_: &File, _: &mut [u8], _offset: Option<u64>) -> Attempt {
    Attempt::Unsupported
}

/// Reads nothing.
pub(crate) fn read_vectored(_: &File, _: &mut [IoSliceMut<'_>]) -> Attempt {
    Attempt::Unsupported
}

/// Reads nothing.
pub(crate) fn read_to_end_of(_: &mut Vec<u8>, _: &File, _max: usize) -> Attempt {
    Attempt::Unsupported
}
