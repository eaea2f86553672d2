//! How the end of a process is noticed.
//!
//! A notice says no more than "look now": whether it has ended, and how, is what waitpid(2) says,
//! which std calls. So a notice that comes for nothing, or twice, or for another, does no harm.

#[cfg(target_os = "linux")]
#[path = "pidfd.rs"]
mod descriptor;
#[cfg(not(target_os = "linux"))]
#[path = "none.rs"]
mod descriptor;

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Process, Source};

use crate::signal::unix::{Signal, SignalKind, signal};

/// What is waited for.
#[derive(Debug)]
pub(super) enum Exit {
    /// A descriptor that is readable once the process has ended.
    Descriptor(Source<OwnedFd>),
    /// A notice of kqueue's.
    Notice(Process),
    /// SIGCHLD, which says that some child has.
    AnyChild(Signal),
}

impl Exit {
    /// Begins to watch a process that is not reaped yet. It may have ended by now: then the next
    /// look at it, which has to follow, says so.
    pub(super) fn watch(process: u32) -> Exit {
        match descriptor::watch(process) {
            Ok(descriptor) => Exit::Descriptor(Source::new(descriptor).sole_owner()),
            // The system has none, a sandbox does not know the call, or none is left.
            Err(_) => Exit::Notice(Process::new(process)),
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
        loop {
            let noticed = match self {
                Exit::Descriptor(source) => {
                    return source.poll_io(Direction::Read, cx, |_| {
                        child.try_wait()?.ok_or(io::ErrorKind::WouldBlock.into())
                    });
                }
                Exit::Notice(process) => process.poll_ended(cx),
                Exit::AnyChild(signal) => signal.poll_recv(cx),
            };
            // After it was asked for, so that what ends later is noticed.
            if let Some(status) = child.try_wait()? {
                return Poll::Ready(Ok(status));
            }
            let noticed = ready!(noticed);
            match self {
                Exit::AnyChild(_) => noticed?,
                // This backend or sandbox has no such notices. Or the process is about to end: some
                // kernels do not find it any more (ESRCH), or tell its end before its status can be
                // taken (libuv's pull requests 3451 and 3521), and neither comes again.
                _ => *self = Exit::watch_all()?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::process::{Command, Stdio};

    use super::*;

    /// What is used where the kernel has no descriptor for it: kqueue's notices, where it is kqueue
    /// that waits, and else, or with none of either, a listener to SIGCHLD.
    #[test]
    fn without_a_descriptor_the_end_of_several_children_is_noticed() {
        for watch in [
            |id| Ok(Exit::Notice(Process::new(id))),
            |_| Exit::watch_all(),
        ] {
            end_five_watched_by(watch);
        }
    }

    fn end_five_watched_by(watch: fn(u32) -> io::Result<Exit>) {
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
