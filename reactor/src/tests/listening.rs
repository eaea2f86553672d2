//! Listeners: how often they are tried, and how the selector watches them.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Stage, blocked, event, null, one, untried};
use crate::backlog::Backlog;
use crate::interest::Readiness;
use crate::source::Source;
use crate::sys::Event;
use crate::sys::scripted::Call;
use crate::token::Token;
use crate::wake_list::tests::CountingWaker;

struct Listener {
    source: Source<std::fs::File>,
    backlog: Backlog,
    waker: CountingWaker,
}

impl Listener {
    fn new() -> Listener {
        Listener {
            source: Source::new(null()),
            backlog: Backlog::default(),
            waker: CountingWaker::new(),
        }
    }

    /// Creates a listener that has waited and is registered.
    fn waiting(stage: &Stage) -> (Listener, Token) {
        let listener = Listener::new();
        assert!(listener.accept(blocked).is_pending());
        (listener, stage.added())
    }

    fn accept(
        &self,
        op: impl FnMut(&std::fs::File) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let waker = self.waker.waker();
        let mut cx = Context::from_waker(&waker);
        self.source.poll_accept(&self.backlog, &mut cx, op)
    }
}

fn readable(token: Token) -> Event {
    event(token, Readiness::READABLE)
}

/// Returns the changes of triggers since the calls were last taken.
fn changes(stage: &Stage) -> Vec<bool> {
    let calls = stage.script.take_calls().into_iter();
    calls
        .filter_map(|call| match call {
            Call::SetLevel(_, _, is_level) => Some(is_level),
            _ => None,
        })
        .collect()
}

#[test]
fn a_listener_that_waits_repeatedly_is_tried_only_when_it_is_reported() {
    let stage = Stage::new();
    let (listener, token) = Listener::waiting(&stage);
    stage.turn_with(&[readable(token)]);
    assert!(listener.accept(one).is_ready());
    assert!(listener.accept(blocked).is_pending(), "one attempt in vain");
    assert_eq!(changes(&stage), [true]);
    for _ in 0..5 {
        stage.turn_with(&[readable(token)]);
        stage.turn_with(&[]);
        assert!(listener.accept(one).is_ready());
        assert!(listener.accept(untried).is_pending());
    }
    assert_eq!(listener.waker.count(), 6);
    assert_eq!(changes(&stage), []);
}

#[test]
fn a_listener_of_a_level_backend_is_tried_only_when_it_is_reported() {
    let stage = Stage::with_levels();
    let (listener, token) = Listener::waiting(&stage);
    for _ in 0..5 {
        stage.turn_with(&[readable(token)]);
        assert!(listener.accept(one).is_ready());
        assert!(listener.accept(untried).is_pending());
    }
    assert_eq!(changes(&stage), []);
}

#[test]
fn a_listener_whose_connections_are_counted_is_tried_as_often() {
    let stage = Stage::new();
    let (listener, token) = Listener::waiting(&stage);
    for connections in [1, 3, 7] {
        let report = Event {
            unread: connections,
            ..readable(token)
        };
        stage.turn_with(&[report]);
        for _ in 0..connections {
            assert!(listener.accept(one).is_ready());
        }
        assert!(listener.accept(untried).is_pending());
    }
    assert_eq!(changes(&stage), []);
}

/// Makes a listener that is watched by level.
fn by_level(stage: &Stage) -> (Listener, Token) {
    let (listener, token) = Listener::waiting(stage);
    stage.turn_with(&[readable(token)]);
    assert!(listener.accept(blocked).is_pending());
    assert_eq!(changes(stage), [true]);
    (listener, token)
}

#[test]
fn a_listener_from_which_no_task_accepts_is_watched_by_edge() {
    let stage = Stage::new();
    let (listener, token) = by_level(&stage);
    stage.turn_with(&[readable(token)]);
    assert!(listener.accept(one).is_ready());
    assert_eq!(changes(&stage), []);
    stage.turn_with(&[readable(token)]);
    assert_eq!(changes(&stage), [false]);
    stage.turn_with(&[readable(token)]);
    assert_eq!(changes(&stage), []);
    // Now all connections have to be accepted.
    assert!(listener.accept(one).is_ready() && listener.accept(one).is_ready());
    assert!(listener.accept(blocked).is_pending());
    stage.turn_with(&[readable(token)]);
    assert!(listener.accept(one).is_ready() && listener.accept(one).is_ready());
}

#[test]
fn a_listener_is_watched_by_level_again_after_many_attempts_in_vain() {
    let stage = Stage::new();
    let (listener, token) = by_level(&stage);
    stage.turn_with(&[readable(token)]);
    stage.turn_with(&[readable(token)]);
    assert_eq!(changes(&stage), [false]);
    let mut attempts = 0;
    while changes(&stage).is_empty() {
        assert!(listener.accept(blocked).is_pending());
        stage.turn_with(&[readable(token)]);
        attempts += 1;
    }
    assert_eq!(attempts, 8);
}

#[test]
fn a_listener_is_not_watched_by_edge_because_its_task_was_not_polled_yet() {
    let stage = Stage::new();
    let (_listener, token) = by_level(&stage);
    stage.turn_with(&[readable(token)]);
    // Other tasks are ready, so the turn does not block.
    stage.script.tell(vec![readable(token)]);
    stage.reactor.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(changes(&stage), []);
}

#[test]
fn an_attempt_without_waiting_is_made_where_waiting_would_be() {
    let stage = Stage::with_levels();
    let (listener, token) = Listener::waiting(&stage);
    stage.turn_with(&[readable(token)]);
    assert!(listener.accept(one).is_ready());
    assert!(listener.accept(untried).is_pending());
    let Listener {
        source, backlog, ..
    } = &listener;
    assert!(source.try_accept(backlog, one).is_ok());
    assert!(source.try_accept(backlog, blocked).is_err());
}

#[test]
fn a_dropped_listener_is_forgotten() {
    let stage = Stage::new();
    let (listener, token) = by_level(&stage);
    drop(listener);
    let (other, next) = Listener::waiting(&stage);
    assert_eq!(token.index(), next.index());
    stage.turn_with(&[readable(token), readable(next)]);
    assert_eq!(other.waker.count(), 1);
    assert_eq!(changes(&stage), []);
}
