//! How the end of a process is noticed.
//!
//! A notice says no more than "look now": whether it has ended, and how, is what waitpid(2) says,
//! which std calls. So a notice that comes for nothing, or twice, or for another, does no harm.

#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
#[path = "kqueue.rs"]
mod descriptor;
#[cfg(target_os = "linux")]
#[path = "pidfd.rs"]
mod descriptor;
#[cfg(not(any(
    target_os = "linux",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
)))]
#[path = "none.rs"]
mod descriptor;

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Source};

use crate::signal::unix::{Signal, SignalKind, signal};

/// What is waited for.
#[derive(Debug)]
pub(super) enum Exit {
    /// A descriptor that is readable once the process has ended.
    Descriptor(Source<OwnedFd>),
    /// SIGCHLD, which says that some child has.
    AnyChild(Signal),
}

impl Exit {
    /// Begins to watch a process that is not reaped yet. It may have ended by now: then the next
    /// look at it, which has to follow, says so.
    pub(super) fn watch(process: u32) -> io::Result<Exit> {
        match descriptor::watch(process) {
            Ok(descriptor) => Ok(Exit::Descriptor(Source::new(descriptor).sole_owner())),
            // The kernel is too old, a sandbox does not know the call, no descriptor is left, or
            // (NetBSD, OpenBSD, macOS) the process is just about to end.
            Err(_) => Exit::watch_all(),
        }
    }

    fn watch_all() -> io::Result<Exit> {
        signal(SignalKind::child()).map(Exit::AnyChild)
    }

    /// Waits for the end of `child`.
    pub(super) fn poll_ended(
        &mut self,
        child: &mut Child,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<ExitStatus>> {
        match self {
            Exit::Descriptor(source) => source.poll_io(Direction::Read, cx, |_| {
                child.try_wait()?.ok_or(io::ErrorKind::WouldBlock.into())
            }),
            Exit::AnyChild(signal) => loop {
                // After the listener was made, or has heard: what ends later is heard again.
                if let Some(status) = child.try_wait()? {
                    return Poll::Ready(Ok(status));
                }
                ready!(signal.poll_recv(cx))?;
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::process::{Command, Stdio};

    use super::*;

    /// What is used where the kernel has no descriptor for it.
    #[test]
    fn sigchld_alone_is_enough_to_notice_the_end_of_several_children() {
        crate::block_on(async {
            let start = |_| {
                let mut command = Command::new("sh");
                let command = command.args(["-c", "read -r line; exit 7"]);
                command.stdin(Stdio::piped()).spawn().unwrap()
            };
            let children = [(); 5].map(start);
            let tasks = children.map(|mut child| {
                let mut exit = Exit::watch_all().unwrap();
                let stdin = child.stdin.take();
                let wait = async move { poll_fn(|cx| exit.poll_ended(&mut child, cx)).await };
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
