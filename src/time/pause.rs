//! A clock that stands, and moves only when everything rests.

use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use runtime_executor::Handle;
use runtime_executor::internal::{Inspection, is_idle_or_unpark, log};
use runtime_reactor::Reactor;
use runtime_reactor::internal::clock::{self, DEFAULT_PATIENCE, PauseOwner};

use crate::insight::{all, attached_reactor};

/// Stops the clock of the runtime that runs on this thread.
///
/// [`Instant::now`](super::Instant::now) then stands still, and all timers go by it. The clock
/// moves only when everything rests: no task is ready, no other thread has sent a message, no
/// blocking job runs or is queued, and no task waits for I/O. It then moves straight to the next
/// deadline. So a test of an hour's timeout takes no time, and always takes the same course.
///
/// The clock belongs to the runtime. Other threads, other runtimes of this thread and
/// [`std::time::Instant`] keep the time of the system. It stands between two calls of
/// [`block_on`](crate::Runtime::block_on) as well.
///
/// # I/O
/// While a task waits for a socket, a pipe, a signal or a child process, the runtime really waits
/// for that, and the clock does not move: timers are not due before, however long that takes. After
/// five seconds it writes to standard error which tasks wait. [`advance`] moves the clock
/// nevertheless, and with [`Builder::advance_with_io`](crate::Builder::advance_with_io) it moves to
/// the next deadline as soon as no event is there. Sockets and timers that no task waits for do not
/// count, nor do descriptors of the runtime itself.
///
/// [`Runtime::turn`](crate::Runtime::turn) and [`Runtime::shutdown`](crate::Runtime::shutdown) move
/// the clock by their limit at most. If a task waits for I/O, they first wait for that as long by
/// the clock of the system.
///
/// # Panics
/// Panics outside a runtime, if the clock is paused already, in a runtime with tokio's context,
/// which goes by tokio's clock, and if other code has exchanged the clock of the thread, as a
/// simulation does.
///
/// Later [`block_on`](crate::Runtime::block_on) panics if nothing is left to wait for: no timer, no
/// I/O and no job. It first waits five seconds for other threads, because it cannot know whether
/// one of them is about to wake a task. The text of the panic lists the tasks and what they wait
/// for.
///
/// # Examples
/// ```
/// use runtime::time::{self, Duration, Instant, sleep};
///
/// # runtime::block_on(async {
/// time::pause();
/// let start = Instant::now();
/// sleep(Duration::from_secs(3600)).await; // takes no time
/// assert_eq!(start.elapsed(), Duration::from_secs(3600));
/// # });
/// ```
#[track_caller]
pub fn pause() {
    let at = Location::caller();
    let Some((reactor, options)) = attached_reactor() else {
        panic!("time::pause was called at {at} outside a runtime: call it in a task");
    };
    if let Some(before) = clock::paused_at(&reactor) {
        panic!("time::pause was called at {at}, and the clock is paused already, at {before}");
    }
    assert!(
        !options.is_hosted,
        "time::pause was called at {at} in a runtime with tokio's context: its clock is tokio's"
    );
    assert!(
        !clock::is_exchanged(),
        "time::pause was called at {at} in a simulation, which moves the clock itself"
    );
    pause_reactor(&reactor, &Handle::current(), options.moves_with_io, at);
}

/// Stops the clock of a runtime that has been built.
pub(crate) fn pause_reactor(
    reactor: &Reactor,
    handle: &Handle,
    moves_with_io: bool,
    at: &'static Location<'static>,
) {
    let owner = Owner {
        handle: handle.clone(),
        patience: DEFAULT_PATIENCE,
    };
    clock::pause(reactor, Rc::new(owner), moves_with_io, at);
}

/// Lets the clock run again, from where it stands.
///
/// The clock of the runtime differs from that of [`std::time::Instant`] from then on, and runs as
/// fast.
///
/// # Panics
/// Panics outside a runtime, and if the clock is not paused.
///
/// # Examples
/// ```
/// use runtime::time::{self, Duration, Instant, sleep};
///
/// # runtime::block_on(async {
/// time::pause();
/// let start = Instant::now();
/// sleep(Duration::from_secs(60)).await; // takes no time
/// time::resume();
/// sleep(Duration::from_millis(2)).await; // takes 2 milliseconds
/// assert!(start.elapsed() >= Duration::from_millis(60_002));
/// # });
/// ```
#[track_caller]
pub fn resume() {
    clock::resume(&paused_reactor("time::resume", Location::caller()));
}

/// Moves a paused clock by `by`, and fires what lies between.
///
/// The clock moves from deadline to deadline, in their order. What a timer wakes runs until it
/// rests before the clock moves on, and may arm further timers. The future completes when the clock
/// has arrived and everything rests but tasks that wait for I/O. Unlike a [`sleep`](super::sleep)
/// it is not kept by I/O, and completes after all timers of the same instant.
///
/// # Panics
/// Panics outside a runtime, and if the clock is not paused.
///
/// # Cancel safety
/// Dropping the future leaves the clock where it stands.
///
/// # Examples
/// ```
/// use runtime::time::{self, Duration, sleep};
///
/// # runtime::block_on(async {
/// time::pause();
/// let task = runtime::spawn(sleep(Duration::from_secs(2)));
/// time::advance(Duration::from_secs(1)).await;
/// assert!(!task.is_finished());
/// time::advance(Duration::from_secs(1)).await;
/// assert!(task.is_finished());
/// # });
/// ```
#[track_caller]
pub fn advance(by: Duration) -> impl Future<Output = ()> {
    let _ = paused_reactor("time::advance", Location::caller());
    clock::Advance::new(by)
}

/// Returns the reactor of this thread, whose clock is paused.
#[track_caller]
fn paused_reactor(what: &str, at: &Location<'_>) -> Rc<Reactor> {
    let Some((reactor, _)) = attached_reactor() else {
        panic!("{what} was called at {at} outside a runtime: call it in a task");
    };
    assert!(
        clock::paused_at(&reactor).is_some(),
        "{what} was called at {at}, and the clock is not paused: call time::pause first"
    );
    reactor
}

/// The part of a runtime that knows its tasks and jobs.
struct Owner {
    handle: Handle,
    patience: Duration,
}

impl PauseOwner for Owner {
    fn is_idle(&self) -> bool {
        is_idle_or_unpark(&self.handle)
    }

    fn report_stuck(&self) -> ! {
        panic!(
            "the clock of the runtime is paused, and nothing is left that could wake a task: no \
             timer is armed, no I/O, signal or child is awaited, and no blocking job runs\n{}",
            all()
        );
    }

    fn report_held_by_io(&self) {
        if Inspection::current().is_some() {
            log(format_args!(
                "the clock of the runtime is paused, and does not move while a task waits for \
                 I/O (Builder::advance_with_io changes that)\n{}",
                all()
            ));
        }
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::time::sleep;
    use crate::{Runtime, task};

    #[test]
    fn a_wait_that_nothing_can_end_is_a_panic_that_lists_the_tasks() {
        const HOUR: Duration = Duration::from_secs(3600);
        let runtime = Runtime::new().unwrap();
        let run = || {
            runtime.block_on(async {
                let (reactor, _) = attached_reactor().unwrap();
                let owner = Owner {
                    handle: Handle::current(),
                    patience: Duration::ZERO,
                };
                clock::pause(&reactor, Rc::new(owner), false, Location::caller());
                task::Builder::new().name("lost").spawn(pending::<()>());
                sleep(HOUR).await;
                pending::<()>().await;
            });
        };
        let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        let text = payload.downcast_ref::<String>().expect("a text");
        assert!(
            text.starts_with("the clock of the runtime is paused, and nothing is left"),
            "{text}"
        );
        for part in ["\"lost\"", file!(), "channel or other waker"] {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
        // The runtime still works.
        runtime.block_on(sleep(HOUR));
    }
}
