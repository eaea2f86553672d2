//! Notifications that a child process may have exited.
//!
//! A notification only says that it is time to call waitpid(2), which std does. So a notification
//! that is spurious, repeated or meant for another process is harmless.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Process, Source};

use crate::signal::unix::{Signal, SignalKind, signal};

/// The source of exit notifications for one child.
#[derive(Debug)]
pub(super) enum ExitWatch {
    /// A pidfd, which is readable once the process has exited.
    Pidfd(Source<OwnedFd>),
    /// EVFILT_PROC in the reactor's kqueue.
    Kqueue(Process),
    /// SIGCHLD, which is sent when any child exits.
    Sigchld(Signal),
}

impl ExitWatch {
    /// Begins to watch a process that is not reaped yet. It may already have exited, so the caller
    /// must check its status afterwards.
    pub(super) fn new(process: u32) -> ExitWatch {
        match pidfd::open(process) {
            Ok(pidfd) => ExitWatch::Pidfd(Source::new(pidfd).sole_owner()),
            // The system has no pidfds, a sandbox refuses the call, or no descriptor is available.
            Err(_) => ExitWatch::Kqueue(Process::new(process)),
        }
    }

    fn any_child() -> io::Result<ExitWatch> {
        signal(SignalKind::child()).map(ExitWatch::Sigchld)
    }

    /// Waits until `child` has exited.
    pub(super) fn poll_exit(
        &mut self,
        child: &mut Child,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<ExitStatus>> {
        loop {
            let notified = match self {
                ExitWatch::Pidfd(source) => {
                    return source.poll_io(Direction::Read, cx, |_| {
                        child.try_wait()?.ok_or(io::ErrorKind::WouldBlock.into())
                    });
                }
                ExitWatch::Kqueue(process) => process.poll_ended(cx),
                ExitWatch::Sigchld(signal) => signal.poll_recv(cx),
            };
            // Checked only after the notification was requested, so that no exit is missed.
            if let Some(status) = child.try_wait()? {
                return Poll::Ready(Ok(status));
            }
            let notified = ready!(notified);
            match self {
                ExitWatch::Sigchld(_) => notified?,
                // The backend or a sandbox has no such notifications. Or the process is about to
                // exit: some kernels no longer find it (ESRCH), or report the exit before the
                // status can be taken (libuv's pull requests 3451 and 3521), and do not repeat it.
                _ => *self = ExitWatch::any_child()?,
            }
        }
    }
}

/// pidfd_open(2), since Linux 5.3.
#[cfg(target_os = "linux")]
mod pidfd {
    use std::io;
    use std::os::fd::{FromRawFd, OwnedFd};

    /// Opens a descriptor that is readable once the process has exited.
    ///
    /// # Errors
    /// Returns `Unsupported` (ENOSYS) before Linux 5.3, `PermissionDenied` (EPERM) in sandboxes
    /// that do not know the call, and EMFILE or ENFILE if no descriptor is available.
    pub(super) fn open(process: u32) -> io::Result<OwnedFd> {
        let process = process as libc::pid_t;
        let flags: libc::c_uint = 0;
        // SAFETY: pidfd_open takes two integers, and no pointer. It is called by number because
        // older C libraries have no function for it.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process, flags) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just returned this descriptor, close-on-exec, so that nothing else
        // owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }
}

/// Systems without pidfds.
#[cfg(not(target_os = "linux"))]
mod pidfd {
    use std::io;
    use std::os::fd::OwnedFd;

    /// # Errors
    /// Always returns `Unsupported`.
    pub(super) fn open(_: u32) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::process::{Command, Stdio};

    use super::*;

    /// Covers what is used where the kernel has no pidfd: EVFILT_PROC if the backend is kqueue, and
    /// SIGCHLD otherwise.
    #[test]
    fn without_a_pidfd_the_exit_of_several_children_is_noticed() {
        for watch in [
            |id| Ok(ExitWatch::Kqueue(Process::new(id))),
            |_| ExitWatch::any_child(),
        ] {
            end_five_watched_by(watch);
        }
    }

    fn end_five_watched_by(watch: fn(u32) -> io::Result<ExitWatch>) {
        crate::block_on(async {
            let start = |_| {
                let mut command = Command::new("sh");
                let command = command.args(["-c", "read -r line; exit 7"]);
                command.stdin(Stdio::piped()).spawn().unwrap()
            };
            let children = [(); 5].map(start);
            let tasks = children.map(|mut child| {
                let mut exit = watch(child.id()).unwrap();
                let stdin = child.stdin.take();
                let wait = async move { poll_fn(|cx| exit.poll_exit(&mut child, cx)).await };
                (crate::spawn(wait), stdin)
            });
            crate::task::yield_now().await; // all of them wait
            for (task, stdin) in tasks {
                drop(stdin);
                assert_eq!(task.await.unwrap().unwrap().code(), Some(7));
            }
        });
    }
}
