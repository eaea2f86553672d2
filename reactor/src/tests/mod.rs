//! The reactor on a scripted selector: the calls it makes, and how it handles the answers. No test
//! here blocks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::context::EnterGuard;
use crate::interest::{Direction, Readiness};
use crate::reactor::Reactor;
use crate::source::Source;
use crate::sys::Event;
use crate::sys::scripted::{Call, Script};
use crate::token::Token;

mod closing;
mod foreign_code;
mod listening;
mod messages;
mod pausing;
mod quota;
mod resting;
mod timing;
mod turning;
mod waiting;
mod writing;

/// A reactor on a scripted selector, entered on this thread.
struct Stage {
    script: Script,
    reactor: Rc<Reactor>,
    _entered: EnterGuard,
}

impl Stage {
    fn new() -> Stage {
        Stage::on(Script::default())
    }

    /// Creates a stage whose selector reports levels instead of edges.
    fn with_levels() -> Stage {
        Stage::on(Script {
            level: true,
            ..Script::default()
        })
    }

    fn on(script: Script) -> Stage {
        let reactor = Reactor::with_selector(script.selector()).unwrap();
        let entered = reactor.enter();
        Stage {
            script,
            reactor,
            _entered: entered,
        }
    }

    /// Returns a source that waits for reading already, and its token.
    fn waiting_source(&self, waker: &Waker) -> (Source<File>, Token) {
        let source = Source::new(null());
        assert!(poll(&source, Direction::Read, waker, blocked).is_pending());
        let token = self.added();
        (source, token)
    }

    /// Registers what is queued, without a turn, and returns the token of the last source.
    fn added(&self) -> Token {
        self.reactor.flush_registrations_now();
        self.script.last_added()
    }

    /// Runs one turn without a limit, in which the kernel reports `events`.
    fn turn_with(&self, events: &[Event]) {
        self.script.tell(events.to_vec());
        self.reactor.turn(None).unwrap();
    }

    /// Returns the limits of the waits since the calls were last taken.
    fn limits(&self) -> Vec<Option<std::time::Duration>> {
        let calls = self.script.take_calls().into_iter();
        calls
            .filter_map(|call| match call {
                Call::Wait(limit) => Some(limit),
                _ => None,
            })
            .collect()
    }
}

/// Returns a descriptor that serves as a name only.
fn null() -> File {
    File::open("/dev/null").unwrap()
}

fn event(token: Token, readiness: Readiness) -> Event {
    Event::new(token, readiness)
}

/// An operation that finds nothing.
fn blocked<T>(_: &T) -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}

/// An operation that finds one byte.
fn one<T>(_: &T) -> io::Result<usize> {
    Ok(1)
}

/// An operation that must not be attempted.
fn untried<T>(_: &T) -> io::Result<usize> {
    panic!("it was known that there is nothing")
}

fn poll<T: AsFd>(
    source: &Source<T>,
    direction: Direction,
    waker: &Waker,
    op: impl FnMut(&T) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    source.poll_io(direction, &mut Context::from_waker(waker), op)
}

fn error<R: std::fmt::Debug>(poll: Poll<io::Result<R>>) -> io::Error {
    match poll {
        Poll::Ready(Err(e)) => e,
        other => panic!("not an error: {other:?}"),
    }
}

thread_local! {
    static ACTIONS: RefCell<VecDeque<Box<dyn FnOnce()>>> = const { RefCell::new(VecDeque::new()) };
}

/// A waker that runs the next action of its thread, queued by [`then`], when it is woken or, if it
/// never was, dropped.
#[derive(Default)]
struct Acting {
    when_dropped: bool,
}

/// Queues an action of an [`Acting`] waker.
fn then(action: impl FnOnce() + 'static) {
    ACTIONS.with(|actions| actions.borrow_mut().push_back(Box::new(action)));
}

fn act() {
    let action = ACTIONS.with(|actions| actions.borrow_mut().pop_front());
    action.expect("an action is lined up")();
}

/// Returns the number of actions that were not run yet.
fn actions_left() -> usize {
    ACTIONS.with(|actions| actions.borrow().len())
}

impl Wake for Acting {
    fn wake(self: Arc<Self>) {
        if !self.when_dropped {
            act();
        }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        if self.when_dropped {
            act();
        }
    }
}

fn acts_when_woken() -> Waker {
    Arc::new(Acting::default()).into()
}

fn acts_when_dropped() -> Waker {
    Arc::new(Acting { when_dropped: true }).into()
}
