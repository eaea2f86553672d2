//! A deadline that can be awaited.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::context;
use crate::mailbox::{Mailbox, Message};
use crate::reactor::Reactor;
use crate::timers::TimerKey;

/// Completes once its deadline has passed, never before.
///
/// It is armed when it is first polled, in the reactor of the polling thread; until then it costs
/// nothing. Arming, moving and dropping it there take no lock, no system call and, in the long
/// run, no allocation. On other threads it sends mail to that reactor.
///
/// # Errors
/// Polled outside a runtime, or after the reactor in which it waits is gone.
///
/// # Cancel safety
/// Dropping it disarms it and loses nothing.
///
/// # Complexity
/// O(1) to arm, or O(log n) if it is among the earliest; O(1) to postpone or drop, n being the armed
/// timers of the reactor. All over time: now and then one of these, or a turn, looks through all n.
#[derive(Debug)]
pub struct Timer {
    deadline: Instant,
    armed: Option<Armed>,
}

/// Which timer of which reactor it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Armed {
    pub(crate) reactor: u32,
    pub(crate) key: TimerKey,
}

impl Timer {
    /// A timer for `deadline`. One that the reactor knows to be past completes at once, one that has
    /// passed since its last turn completes in the next.
    pub fn at(deadline: Instant) -> Timer {
        Timer {
            deadline,
            armed: None,
        }
    }

    /// A timer that completes `duration` from now.
    ///
    /// # Panics
    /// If that is beyond what an `Instant` can say, which is in some hundred billion years.
    pub fn after(duration: Duration) -> Timer {
        Timer::at(Instant::now() + duration)
    }

    /// When it completes.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed, as of the last time the reactor of this thread looked at
    /// the clock, or as of now where there is none.
    pub fn is_elapsed(&self) -> bool {
        let known = context::with(|reactor| reactor.is_past(self.deadline));
        known.unwrap_or_else(|| self.has_passed())
    }

    /// Moves the deadline. A timer that is being awaited stays so; one that has completed starts
    /// anew. Elsewhere than on its reactor's thread it is disarmed, and who awaits it is woken to poll
    /// it again.
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        let Some(armed) = self.armed else { return };
        let reset = |reactor: &Reactor| reactor.reset_timer(armed.key, deadline);
        match context::with_if(armed.reactor, reset) {
            Some(true) => {}
            // It has fired.
            Some(false) => self.armed = None,
            // Whoever awaits it is woken, and arms it anew.
            None => {
                self.armed = None;
                send(armed.reactor, Message::TimerMove { key: armed.key });
            }
        }
    }

    #[inline]
    fn disarm(&mut self) {
        let Some(Armed { reactor, key }) = self.armed.take() else {
            return;
        };
        match context::with_if(reactor, |reactor| reactor.remove_timer(key)) {
            // Dropped here, where nothing is borrowed.
            Some(waker) => drop(waker),
            None => send(reactor, Message::TimerRemove { key }),
        }
    }

    /// The first poll.
    fn arm(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        // Cloned before anything is borrowed, and what is not needed of it dropped after.
        let mut waker = Some(cx.waker().clone());
        let insert = |reactor: &Reactor| reactor.insert_timer(self.deadline, &mut waker);
        match context::with(insert).ok_or_else(|| context::no_runtime("a timer"))?? {
            None => Poll::Ready(Ok(())),
            armed => {
                self.armed = armed;
                Poll::Pending
            }
        }
    }

    /// The poll of a thread that is not the reactor's.
    #[cold]
    fn poll_remote(&self, armed: Armed, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.has_passed() {
            return Poll::Ready(Ok(()));
        }
        let message = Message::TimerWait {
            key: armed.key,
            waker: cx.waker().clone(),
        };
        match Mailbox::find(armed.reactor).map(|mailbox| mailbox.send(message)) {
            Some(Ok(())) => Poll::Pending,
            Some(Err(_)) | None => Poll::Ready(Err(context::shut_down("this timer"))),
        }
    }

    /// Read from the clock, since other threads do not share the reactor's time.
    fn has_passed(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// Sends what needs no answer. A mailbox that is closed has no timers either.
#[cold]
fn send(reactor: u32, message: Message) {
    if let Some(mailbox) = Mailbox::find(reactor) {
        let _ = mailbox.send(message);
    }
}

impl Future for Timer {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(armed) = self.armed else {
            return self.arm(cx);
        };
        let result = match context::get_if(armed.reactor) {
            Some(reactor) => {
                let result = ready!(reactor.poll_timer(armed.key, cx));
                self.armed = None;
                result
            }
            None => {
                let result = ready!(self.poll_remote(armed, cx));
                self.disarm();
                result
            }
        };
        Poll::Ready(result)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}
