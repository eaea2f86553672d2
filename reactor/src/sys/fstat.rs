//! fstat(2): which descriptors can be waited for.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::{io, mem};

use super::cvt::cvt;

/// The reason why some descriptors cannot be waited for, and the remedy.
pub(crate) const UNPOLLABLE: &str = "regular files and directories always count as ready and \
     cannot be waited for; use fs, or spawn_blocking";

/// Checks that a descriptor is of a kind that can be waited for.
///
/// Regular files and directories are not, because kernels report them ready even while an operation
/// would wait for the disk.
///
/// # Errors
/// Returns `Unsupported` for a regular file or a directory, and the error of fstat(2).
pub(crate) fn check_pollable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let fd = fd.as_raw_fd();
    let Some(kind) = unpollable_kind(&stat(fd)?) else {
        return Ok(());
    };
    let text = format!("descriptor {fd} is a {kind}: {UNPOLLABLE}");
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// Refuses regular files and directories with the error that epoll_ctl(2) has for them.
///
/// # Errors
/// Returns `EPERM` for those, and the error of fstat(2), which is `EBADF` for a number that is not
/// open.
pub(super) fn refuse_files(fd: RawFd) -> io::Result<libc::stat> {
    let stat = stat(fd)?;
    match unpollable_kind(&stat) {
        Some(_) => Err(io::Error::from_raw_os_error(libc::EPERM)),
        None => Ok(stat),
    }
}

/// Returns device and inode of the open file, which no other open file shares.
///
/// # Errors
/// Returns the error of fstat(2).
#[cfg(feature = "sim")]
pub(super) fn identity(fd: RawFd) -> io::Result<(u64, u64)> {
    let stat = stat(fd)?;
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

/// Returns true if a descriptor is an end of a pipe.
///
/// # Errors
/// Returns the error of fstat(2).
#[cfg(feature = "sim")]
pub(super) fn is_pipe(fd: RawFd) -> io::Result<bool> {
    Ok(stat(fd)?.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

fn stat(fd: RawFd) -> io::Result<libc::stat> {
    let mut stat = mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the pointer is valid for the one `stat` that fstat writes. The number need not be
    // open: the kernel answers EBADF for one that is closed, and describes another file if the
    // number was reused, as may happen to a source that its owner leaked.
    cvt(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so it has initialized the whole `stat`.
    Ok(unsafe { stat.assume_init() })
}

/// Returns the name of the kind, if it is one that cannot be waited for.
fn unpollable_kind(stat: &libc::stat) -> Option<&'static str> {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Some("regular file"),
        libc::S_IFDIR => Some("directory"),
        _ => None,
    }
}
