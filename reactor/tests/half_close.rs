//! Half-closed connections: the data sent before the end, and the direction that stays open.

mod support;

use std::io::Write;
use std::net::Shutdown;
use std::task::{Context, Poll, Waker};

use runtime_reactor::{Direction, Interest};
use support::{
    Task, block_on, has_levels, poll_read, poll_write, reactor, reports_ends, tcp_pair, watchdog,
};

#[test]
fn data_sent_before_the_end_is_read_before_it() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    let mut buffer = [0; 64];
    assert!(poll_read(&source, &task, &mut buffer).is_pending());
    peer.write_all(b"the last words").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    reactor.turn(None).unwrap();
    // If one event reported both, a short read must not be taken for a drained socket.
    let mut got = Vec::new();
    loop {
        match poll_read(&source, &task, &mut buffer) {
            Poll::Ready(Ok(0)) => break,
            Poll::Ready(read) => got.extend_from_slice(&buffer[..read.unwrap()]),
            Poll::Pending => reactor.turn(None).unwrap(),
        }
    }
    assert_eq!(got, b"the last words");
    assert!(matches!(
        poll_read(&source, &task, &mut buffer),
        Poll::Ready(Ok(0))
    ));
    assert!(
        matches!(poll_write(&source, &task, b"an answer"), Poll::Ready(Ok(9))),
        "the other half is open"
    );
}

#[test]
fn readiness_distinguishes_a_half_close_from_data() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
    peer.write_all(b"data").unwrap();
    let readiness = block_on(&reactor, source.ready(Interest::READABLE)).unwrap();
    assert!(readiness.is_readable() && !readiness.is_read_closed());
    if has_levels(&reactor) {
        // A level backend reports the end only to a waiter, and a reader with data left is none.
        assert!(poll_read(&source, &task, &mut [0; 8]).is_ready());
        assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
    }
    peer.shutdown(Shutdown::Write).unwrap();
    reactor.turn(None).unwrap();
    let both = Interest::READABLE | Interest::WRITABLE;
    let readiness = block_on(&reactor, source.ready(both)).unwrap();
    assert_eq!(readiness.is_read_closed(), reports_ends(&reactor));
    assert!(!readiness.is_write_closed());
}

#[test]
fn our_own_shutdown_does_not_look_like_the_peers() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
    source.get_ref().shutdown(Shutdown::Write).unwrap();
    support::look(&reactor);
    let mut cx = Context::from_waker(Waker::noop());
    let polled = source.poll_io(Direction::Read, &mut cx, |mut stream| {
        std::io::Read::read(&mut stream, &mut [0; 8])
    });
    assert!(polled.is_pending(), "the peer may still send");
    peer.write_all(b"x").unwrap();
    reactor.turn(None).unwrap();
    assert!(matches!(
        poll_read(&source, &task, &mut [0; 8]),
        Poll::Ready(Ok(1))
    ));
}
