//! A deadline that can be awaited.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::clock;
use crate::context;
use crate::error::no_runtime;
use crate::inbox::{Inbox, Message, Removal, Request};
use crate::reactor::Reactor;
use crate::tick::tick;
use crate::timers::{Armed, Nanos};

/// The most slack that a timer can have, in microseconds: an hour.
const MAX_SLACK: u32 = 3_600_000_000;

/// The name of the sender, for the error of a message that has no receiver.
const TIMER: &str = "this timer";

/// A future that completes once its deadline has passed, never before.
///
/// A timer is armed when it is first polled, in the reactor of the polling thread; until then it
/// costs nothing. On that thread arming, moving and dropping it take no lock, no system call and,
/// in the long run, no allocation. On other threads it sends messages to that reactor, which has to
/// run: a timer never moves from one live reactor to another. If its reactor was dropped, the timer
/// is armed again in the reactor of the thread that next polls it.
///
/// # Errors
/// Completes with an error if it is polled outside a runtime, also after the reactor in which it
/// waited was dropped.
///
/// # Cancel safety
/// Dropping the timer disarms it and loses nothing.
///
/// # Complexity
/// Arming is O(1). Moving and dropping are O(1), or amortized O(log n) for one of the earliest of n
/// armed timers. Timers of one duration cost O(1) each, in whatever order they are dropped.
///
/// # Examples
/// ```
/// use std::future::Future;
/// use std::pin::pin;
/// use std::task::{Context, Waker};
/// use std::time::Duration;
/// use runtime_reactor::{Reactor, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let reactor = Reactor::new()?;
/// let _guard = reactor.enter();
/// let mut timer = pin!(Timer::after(Duration::from_millis(2)));
/// let mut cx = Context::from_waker(Waker::noop());
/// while timer.as_mut().poll(&mut cx).is_pending() {
///     reactor.turn(None)?; // blocks until the timer is due
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Timer {
    deadline: Instant,
    armed: Option<Armed>,
    /// Microseconds.
    slack: u32,
}

impl Timer {
    /// Creates a timer for `deadline`. The timer completes at once if the reactor knows the
    /// deadline to be past, and in the next turn if it has passed since the last one.
    pub fn at(deadline: Instant) -> Timer {
        Timer {
            deadline,
            armed: None,
            slack: 0,
        }
    }

    /// Creates a timer that completes `duration` from now. A duration that the clock cannot
    /// represent counts as thirty years.
    pub fn after(duration: Duration) -> Timer {
        Timer::at(clock::saturating_add(clock::now(), duration))
    }

    /// Returns the deadline.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns true if the deadline had passed when the reactor of this thread last read the clock,
    /// or has passed now on a thread without a reactor.
    pub fn is_elapsed(&self) -> bool {
        let known = context::with(|reactor| reactor.is_past(self.deadline));
        known.unwrap_or_else(|| self.has_passed())
    }

    /// Sets how much later than its deadline the timer may complete, in whole microseconds up to an
    /// hour. Timers with slack complete together, in fewer wake-ups. Default zero.
    pub fn set_slack(&mut self, slack: Duration) {
        self.slack =
            u32::try_from(slack.as_micros()).map_or(MAX_SLACK, |slack| slack.min(MAX_SLACK));
        if self.armed.is_some() {
            self.reset(self.deadline);
        }
    }

    /// Returns how much later than its deadline the timer may complete.
    pub fn slack(&self) -> Duration {
        Duration::from_micros(self.slack.into())
    }

    fn slack_nanos(&self) -> Nanos {
        Nanos::from(self.slack) * 1_000
    }

    /// Moves the deadline. A timer that is being awaited stays armed, and one that has completed
    /// starts again. On a thread other than its reactor's it is disarmed, and the task that awaits
    /// it is woken to poll it again.
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        let Some(armed) = self.armed else { return };
        let slack = self.slack_nanos();
        let reset = |reactor: &Reactor| reactor.reset_timer(armed.key, deadline, slack);
        match context::with_if(armed.reactor(), reset) {
            Some(true) => {}
            // It has fired.
            Some(false) => self.armed = None,
            None => {
                self.armed = None;
                send(armed.reactor(), Removal::MovedTimer(armed.key));
            }
        }
    }

    #[inline]
    fn disarm(&mut self) {
        let Some(armed) = self.armed.take() else {
            return;
        };
        let (reactor, key) = (armed.reactor(), armed.key);
        match context::with_if(reactor, |reactor| reactor.remove_timer(key)) {
            // Dropped here, where nothing is borrowed.
            Some(waker) => drop(waker),
            None => send(reactor, Removal::Timer(key)),
        }
    }

    /// Performs the first poll.
    #[inline(never)]
    fn arm(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        // Cloned before anything is borrowed, and dropped afterwards if it is not needed.
        let mut waker = Some(cx.waker().clone());
        let slack = self.slack_nanos();
        let insert = |reactor: &Reactor| reactor.insert_timer(self.deadline, slack, &mut waker);
        match context::with(insert).ok_or_else(|| no_runtime("a timer"))?? {
            None => Poll::Ready(Ok(())),
            armed => {
                self.armed = armed;
                Poll::Pending
            }
        }
    }

    /// Polls in another task or on another thread than before.
    #[inline(never)]
    fn poll_moved(&mut self, armed: Armed, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if is_stranded(armed) {
            return self.arm(cx);
        }
        let result = match context::get_if(armed.reactor()) {
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

    /// Polls on a thread other than the reactor's.
    #[cold]
    fn poll_remote(&self, armed: Armed, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.has_passed_here() {
            return Poll::Ready(Ok(()));
        }
        let request = Request::WaitTimer {
            key: armed.key,
            waker: cx.waker().clone(),
        };
        match Inbox::send_to(armed.reactor(), request, TIMER) {
            Ok(()) => Poll::Pending,
            Err(e) => Poll::Ready(Err(e)),
        }
    }

    /// Returns true if the deadline has passed by the clock of this thread, unless the reactor on
    /// another thread in which the timer waits has a clock of its own.
    pub(crate) fn has_passed_here(&self) -> bool {
        let may_differ = |armed: Armed| armed.reactor() != tick().reactor();
        let other = self.armed.filter(|armed| may_differ(*armed));
        self.has_passed() && !other.is_some_and(|armed| Inbox::has_own_clock(armed.reactor()))
    }

    /// Reads the clock, because other threads do not share the reactor's time.
    fn has_passed(&self) -> bool {
        clock::now() >= self.deadline
    }
}

/// Returns true if the reactor of a timer was dropped, and this thread has another one.
fn is_stranded(armed: Armed) -> bool {
    armed.reactor() != tick().reactor()
        && context::is_entered()
        && Inbox::find(armed.reactor()).is_none()
}

/// Sends a removal, which needs no answer: if the reactor was dropped, so were its timers.
#[cold]
fn send(reactor: u32, removal: Removal) {
    if let Some(inbox) = Inbox::find(reactor) {
        let _ = inbox.send(Message::Removal(removal));
    }
}

impl Future for Timer {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(armed) = self.armed else {
            return self.arm(cx);
        };
        let poll = |reactor: &Reactor| reactor.try_poll_timer(armed.key, cx.waker());
        match context::with_if(armed.reactor(), poll).flatten() {
            Some(polled) => {
                if polled.is_ready() {
                    self.armed = None;
                }
                polled
            }
            None => self.poll_moved(armed, cx),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}
