//! The end of a process, told by its number.

use std::io;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use crate::context;
use crate::interest::{Direction, Interest};
use crate::mailbox::{Mailbox, Message};
use crate::slot::ScheduledIo;
use crate::source::send;

/// The end of a process, which kqueue(2) tells without a descriptor (EVFILT_PROC).
///
/// It is a notice and no more: it leaves the status where it is, to be taken with waitpid(2). Look for
/// it after each poll, whether that was ready or not, and have another way to hear of it, such as
/// SIGCHLD, for when there is nothing yet after a notice, or an error: some kernels tell the end of a
/// process a moment before its status can be taken, and of one that is just about to end they say that
/// it is not there.
///
/// One for each process and reactor: of two, the one that was polled first later hears of nothing.
///
/// # Platform notes
/// Only kqueue has this: polling it on another [backend](crate::Backend) is an error, `Unsupported`.
/// On Linux a pidfd is a descriptor like any other. OpenBSD: under pledge(2) it takes the promise
/// "proc".
///
/// # Examples
/// ```
/// use std::task::{Context, Poll, Waker};
/// use runtime_reactor::{Backend, Process, Reactor};
///
/// # fn main() -> std::io::Result<()> {
/// let reactor = Reactor::new()?;
/// let _entered = reactor.enter();
/// let mut child = std::process::Command::new("true").spawn()?;
/// let end = Process::new(child.id());
/// let mut cx = Context::from_waker(Waker::noop());
/// while child.try_wait()?.is_none() {
///     match end.poll_ended(&mut cx) {
///         Poll::Pending if child.try_wait()?.is_none() => reactor.turn(None)?,
///         Poll::Pending => break,
///         Poll::Ready(_) => drop(child.wait()?), // at once, or as good as
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Process {
    id: u32,
    /// Where it was first polled; written once, by the thread that did.
    scheduled: OnceLock<Arc<ScheduledIo>>,
}

impl Process {
    /// The end of the process with this number, which whoever reaps it keeps from being given to
    /// another one. No system call is made.
    pub fn new(id: u32) -> Process {
        Process {
            id,
            scheduled: OnceLock::new(),
        }
    }

    /// Whether the process was said to have ended; if not, the task of `cx` is woken once it is. The
    /// first poll registers it in the reactor of its thread, with one system call.
    ///
    /// # Errors
    /// ESRCH for a process that is gone or going, on NetBSD, OpenBSD and macOS for one that only waits
    /// to be reaped as well; `Unsupported` on a backend without this; EACCES on macOS for somebody
    /// else's; ENOMEM. And an error if it is polled outside a runtime, or the runtime where it was
    /// first polled is gone.
    ///
    /// # Cancel safety
    /// Nothing is lost by not polling it again.
    pub fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let scheduled = match self.scheduled.get() {
            Some(scheduled) => scheduled,
            None => self.register()?,
        };
        if scheduled.is_ready(Direction::Read) {
            return Poll::Ready(Ok(()));
        }
        match context::get_if(scheduled.reactor) {
            Some(reactor) => {
                let polled = reactor.poll_ready(scheduled.token, Interest::READABLE, cx);
                polled.map_ok(drop)
            }
            None => {
                let message = Message::Wait {
                    token: scheduled.token,
                    direction: Direction::Read,
                    waker: cx.waker().clone(),
                };
                send(scheduled, message)?;
                Poll::Pending
            }
        }
    }

    #[cold]
    fn register(&self) -> io::Result<&ScheduledIo> {
        let reactor = context::get()
            .ok_or_else(|| context::no_runtime(&format!("the wait for process {}", self.id)))?;
        let scheduled = reactor.register_process(self.id)?;
        let registered = self.scheduled.get_or_init(|| scheduled.clone());
        if !Arc::ptr_eq(registered, &scheduled) {
            // Another thread was first, so it is that reactor's.
            reactor.remove(scheduled.token);
        }
        Ok(registered)
    }
}

impl Drop for Process {
    /// The kernel is not told: what it says when the process ends is then stale.
    fn drop(&mut self) {
        let Some(scheduled) = self.scheduled.get() else {
            return;
        };
        match context::get_if(scheduled.reactor) {
            Some(reactor) => reactor.remove(scheduled.token),
            None => {
                if let Some(mailbox) = Mailbox::find(scheduled.reactor) {
                    let _ = mailbox.send(Message::Remove {
                        token: scheduled.token,
                    });
                }
            }
        }
    }
}
