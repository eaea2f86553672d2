//! What the tests of this directory share.

#![allow(dead_code, reason = "no test uses all of it")]

use std::fs::File;
use std::os::fd::FromRawFd;

/// How many descriptors below 1024 are open. /dev/fd has them all on some systems, on others not.
pub(crate) fn descriptors() -> usize {
    // SAFETY: F_GETFD takes no pointer, and says EBADF of what is not open.
    let is_open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1;
    (0..1024).filter(is_open).count()
}

#[cfg(target_os = "linux")]
pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Where nothing counts them.
#[cfg(not(target_os = "linux"))]
pub(crate) fn threads() -> usize {
    0
}

/// A terminal, and what its emulator would hold, first.
pub(crate) fn pseudo_terminal() -> (File, File) {
    let (mut controller, mut terminal) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: openpty writes two descriptors to places that hold one each; it is given no place
    // for a name, and neither modes nor size to read.
    let result = unsafe {
        libc::openpty(
            &mut controller,
            &mut terminal,
            none,
            none.cast(),
            none.cast(),
        )
    };
    assert_eq!(result, 0);
    // SAFETY: openpty has just given us these descriptors, and nobody else knows them.
    [controller, terminal]
        .map(|fd| unsafe { File::from_raw_fd(fd) })
        .into()
}
