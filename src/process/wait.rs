//! A child process whose exit can be awaited.

use std::io;
use std::pin::Pin;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_reactor::Timer;

use super::exit::ExitWatch;

/// True if a process that executes a program may lose a signal that it was sent before.
///
/// NetBSD clears the pending signals, SIGKILL too, after it has closed the pipe whose end makes
/// `spawn` return (`execsigs` in kern_sig.c).
pub(super) const EXEC_LOSES_SIGNALS: bool = cfg!(target_os = "netbsd");

/// The time after which a child that was killed is killed again, if it may have lost the signal.
const KILL_INTERVAL: Duration = Duration::from_millis(10);

/// A child process, and the source of its exit notification.
#[derive(Debug)]
pub(super) struct Waitable {
    pub(super) std: Child,
    /// Created by the first wait that finds the process still running.
    watch: Option<ExitWatch>,
    is_killed: bool,
    /// True if a wait for a child that was killed kills it again.
    repeats_kill: bool,
    /// Expires when a child that was killed and is waited for is killed again.
    next_kill: Option<Timer>,
}

impl Waitable {
    pub(super) fn new(std: Child) -> Waitable {
        Waitable {
            std,
            watch: None,
            is_killed: false,
            repeats_kill: EXEC_LOSES_SIGNALS,
            next_kill: None,
        }
    }

    /// Kills the process, if it was not noticed to have exited.
    ///
    /// # Errors
    /// Returns ECHILD if other code has taken the status: then the process ID may be that of
    /// another process, and no signal is sent.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        if self.std.try_wait()?.is_none() {
            self.std.kill()?;
            self.is_killed = true;
        }
        Ok(())
    }

    pub(super) fn is_killed(&self) -> bool {
        self.is_killed
    }

    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        if let Some(status) = self.std.try_wait()? {
            // The watch is no longer needed: std remembers the status.
            self.watch = None;
            return Poll::Ready(Ok(status));
        }
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => none.insert(ExitWatch::new(self.std.id())),
        };
        let exited = watch.poll_exit(&mut self.std, cx);
        if exited.is_pending() && self.is_killed && self.repeats_kill {
            self.kill_again(cx)?;
        }
        exited
    }

    /// Kills the process again if the time has come, and arranges for the task of `cx` to be woken
    /// for the next time.
    #[cold]
    fn kill_again(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let timer = self
                .next_kill
                .get_or_insert_with(|| Timer::after(KILL_INTERVAL));
            match Pin::new(timer).poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(expired) => expired?,
            }
            self.next_kill = None;
            self.std.kill()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_that_lost_the_signal_is_killed_again_by_the_wait() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let _input = child.stdin.take();
        let mut child = Waitable::new(child);
        child.repeats_kill = true;
        child.is_killed = true; // the signal was lost
        let status = crate::block_on(poll_fn(|cx| child.poll_wait(cx))).unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    }
}
