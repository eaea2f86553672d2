//! The exit of a process, awaited by process ID.

use std::io;
use std::ptr;
use std::task::{Context, Poll};

use crate::context;
use crate::current_io::CurrentIo;
use crate::error::no_runtime;
use crate::inbox::{Inbox, Request};
use crate::interest::{Direction, Interest};
use crate::scheduled_io::ScheduledIo;

/// The exit of a process, which kqueue(2) reports without a descriptor (EVFILT_PROC).
///
/// The status remains for waitpid(2). Call waitpid(2) after each poll, ready or not. If there is no
/// status yet after a report or an error, use another notification, such as SIGCHLD: some kernels
/// report the exit a moment before the status is available, and return ESRCH for a process that is
/// about to exit.
///
/// Create at most one for each process and reactor. If there are two, the one that was polled first
/// never completes.
///
/// # Platform-specific behavior
/// Only kqueue supports this: on another [backend](crate::Backend) polling returns `Unsupported`.
/// On Linux use a pidfd, a descriptor like any other. On OpenBSD, pledge(2) must include the
/// promise "proc".
///
/// # Examples
/// ```
/// use std::task::{Context, Poll, Waker};
/// use runtime_reactor::{Backend, Process, Reactor};
///
/// # fn main() -> std::io::Result<()> {
/// let reactor = Reactor::new()?;
/// let _guard = reactor.enter();
/// let mut child = std::process::Command::new("true").spawn()?;
/// let end = Process::new(child.id());
/// let mut cx = Context::from_waker(Waker::noop());
/// while child.try_wait()?.is_none() {
///     match end.poll_ended(&mut cx) {
///         Poll::Pending if child.try_wait()?.is_none() => reactor.turn(None)?,
///         Poll::Pending => break,
///         Poll::Ready(_) => drop(child.wait()?), // it has ended, or is about to
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Process {
    id: u32,
    /// The state shared with the registration, which is written by the thread that first polls.
    scheduled: CurrentIo,
}

impl Process {
    /// Creates a source for the exit of the process with this ID, without a system call. The
    /// process must not be reaped before, because its ID may then belong to another one.
    pub fn new(id: u32) -> Process {
        Process {
            id,
            scheduled: CurrentIo::default(),
        }
    }

    /// Polls for the exit of the process. If it was not reported yet, arranges for the task of `cx`
    /// to be woken once it is. The first poll registers the process in the reactor of the polling
    /// thread, with one system call.
    ///
    /// # Errors
    /// Returns ESRCH for a process that does not exist or is about to exit; on NetBSD, OpenBSD and
    /// macOS also for one that has exited and was not reaped. Returns `Unsupported` on a backend
    /// without this, EACCES on macOS for a process of another user, and ENOMEM. Returns an error
    /// outside a runtime. If the runtime where it was first polled was dropped, it is registered
    /// again.
    ///
    /// # Cancel safety
    /// Not polling again loses nothing.
    pub fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let scheduled = match self.scheduled.get() {
            Some(scheduled) => scheduled,
            None => self.register()?,
        };
        if scheduled.is_ready(Direction::Read) {
            return Poll::Ready(Ok(()));
        }
        let token = scheduled.token;
        if let Some(reactor) = context::get_if(scheduled.reactor) {
            let polled = reactor.poll_ready(token, Interest::READABLE, cx);
            return polled.map_ok(drop);
        }
        let request = Request::Wait {
            token,
            direction: Direction::Read,
            waker: cx.waker().clone(),
        };
        Inbox::send_to(scheduled.reactor, request, "this process")?;
        Poll::Pending
    }

    #[cold]
    fn register(&self) -> io::Result<&ScheduledIo> {
        let reactor = context::get()
            .ok_or_else(|| no_runtime(&format!("the wait for process {}", self.id)))?;
        let scheduled = reactor.register_process(self.id)?;
        let registered = self.scheduled.set(&scheduled);
        if !ptr::eq(registered, &*scheduled) {
            // Another thread was first, so it belongs to that thread's reactor.
            reactor.remove(scheduled.token);
        }
        Ok(registered)
    }
}

impl Drop for Process {
    /// Makes no system call: what the kernel reports when the process ends is then stale.
    fn drop(&mut self) {
        let Some(scheduled) = self.scheduled.last() else {
            return;
        };
        match context::get_if(scheduled.reactor) {
            Some(reactor) => reactor.remove(scheduled.token),
            None => {
                if let Some(inbox) = Inbox::find(scheduled.reactor) {
                    inbox.remove(scheduled.token, None);
                }
            }
        }
    }
}
