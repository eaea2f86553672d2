//! Pausing and moving the clock of a reactor.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::clock::{self, Clock};
use crate::context;
use crate::paused::PauseOwner;
use crate::reactor::Reactor;

/// Returns the place that has paused the clock of a reactor, or `None` if it runs.
pub fn paused_at(reactor: &Reactor) -> Option<&'static Location<'static>> {
    reactor.paused_at()
}

/// Returns true if the clock of this thread is neither the system's nor that of the reactor that is
/// entered: then other code has exchanged it.
pub fn is_exchanged() -> bool {
    let own = context::with(Reactor::own_clock).unwrap_or(Clock::System);
    !matches!(clock::get(), Clock::System) && clock::get() != own
}

/// Stops the clock of a reactor.
pub fn pause(
    reactor: &Reactor,
    owner: Rc<dyn PauseOwner>,
    moves_with_io: bool,
    paused_at: &'static Location<'static>,
) {
    let now = clock::now();
    reactor.pause(now, owner, moves_with_io, paused_at);
    show(reactor);
}

/// Lets the clock of a reactor, which is entered, run from where it stands.
pub fn resume(reactor: &Reactor) {
    reactor.resume(Clock::Running {
        since: clock::system(),
        from: clock::now(),
    });
    show(reactor);
}

/// Makes the clock of a reactor that of its thread, if the reactor is entered.
fn show(reactor: &Reactor) {
    if context::with(|current| std::ptr::eq(current, reactor)) == Some(true) {
        clock::replace(reactor.own_clock());
    }
}

/// A future that completes once a paused clock has been moved by a duration, all timers that are
/// due by then have fired, and all that they woke rests.
///
/// It completes at once if the clock is not paused, and when it is resumed.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Advance {
    by: Duration,
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    reactor: u32,
    target: Instant,
    id: Option<u64>,
}

impl Advance {
    /// Creates a request, which begins when it is first polled.
    pub fn new(by: Duration) -> Advance {
        Advance { by, begun: None }
    }
}

impl Future for Advance {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(reactor) = context::get() else {
            return Poll::Ready(());
        };
        let by = self.by;
        let begun = self.begun.get_or_insert_with(|| Begun {
            reactor: reactor.number(),
            target: clock::saturating_add(clock::now(), by),
            id: None,
        });
        if begun.reactor != reactor.number() {
            return Poll::Ready(());
        }
        reactor.poll_advance(&mut begun.id, begun.target, cx)
    }
}

impl Drop for Advance {
    fn drop(&mut self) {
        let Some(begun) = &self.begun else { return };
        if let (Some(id), Some(reactor)) = (begun.id, context::get_if(begun.reactor)) {
            reactor.cancel_advance(id);
        }
    }
}
