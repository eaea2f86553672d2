//! Helpers shared by the tests of this directory.

#![allow(dead_code, reason = "no test uses every item")]

pub(crate) mod files;
pub(crate) mod relays;

use std::fs::File;
use std::os::fd::FromRawFd;

/// Returns the number of open descriptors below 1024. /dev/fd lists all of them on some systems
/// only.
pub(crate) fn descriptors() -> usize {
    // SAFETY: F_GETFD takes no pointer; for a closed descriptor it returns EBADF.
    let is_open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1;
    (0..1024).filter(is_open).count()
}

/// Returns true if the backend reports the end of the peer: select does not, nor poll without
/// POLLRDHUP.
pub(crate) fn reports_ends() -> bool {
    let has_pollrdhup = cfg!(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd"
    ));
    reports(has_pollrdhup)
}

/// Returns true if the backend reports the end of the reader of a pipe: select does not, nor
/// NetBSD's poll.
pub(crate) fn reports_errors() -> bool {
    reports(cfg!(not(target_os = "netbsd")))
}

fn reports(poll_does: bool) -> bool {
    match std::env::var("RUNTIME_BACKEND").as_deref() {
        Ok("select") => false,
        Ok("poll") => poll_does,
        _ => true,
    }
}

/// Returns the number of threads of this process.
#[cfg(target_os = "linux")]
pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Returns 0: only Linux has a count.
#[cfg(not(target_os = "linux"))]
pub(crate) fn threads() -> usize {
    0
}

/// Opens a pseudo terminal and returns its controlling side and the terminal.
pub(crate) fn pseudo_terminal() -> (File, File) {
    let (mut controller, mut terminal) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: openpty writes two descriptors, to two integers that outlive the call; null is
    // allowed for name, modes and size.
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
    // SAFETY: openpty has just opened these descriptors, and no other code owns them.
    [controller, terminal]
        .map(|fd| unsafe { File::from_raw_fd(fd) })
        .into()
}
