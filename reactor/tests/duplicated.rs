//! Duplicated descriptors, which keep an open file registered after its source is dropped.

mod support;

use std::io::{Read, Write};
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_reactor::{Backend, Source};
use support::{Task, has_levels, look, poll_read, reactor, tcp_pair, turn_until, watchdog};

#[test]
fn a_file_kept_open_by_a_duplicate_causes_no_endless_events() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
    let mut duplicate = source.get_ref().try_clone().unwrap();
    // The source claims to be the sole owner, which is false.
    drop(source);
    peer.write_all(b"unread").unwrap();
    for _ in 0..10 {
        look(&reactor);
    }
    assert_eq!(task.count(), 0);
    let stats = reactor.stats();
    assert!(stats.stale_events <= 1, "{stats:?}");
    assert_eq!(stats.events, stats.stale_events);
    assert_eq!(duplicate.read(&mut [0; 8]).unwrap(), 6);
}

#[test]
fn a_source_that_may_have_duplicates_is_removed_from_the_kernel() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    for elsewhere in [false, true] {
        let (source, mut peer) = tcp_pair();
        let source = Source::new(source.into_inner());
        assert!(poll_read(&source, &Task::default(), &mut [0; 8]).is_pending());
        look(&reactor);
        let duplicate = source.get_ref().try_clone().unwrap();
        if elsewhere {
            std::thread::spawn(move || drop(source)).join().unwrap();
        } else {
            drop(source);
        }
        let events = reactor.stats().events;
        peer.write_all(b"unread").unwrap();
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(reactor.stats().events, events);
        drop(duplicate);
    }
    assert_eq!(reactor.stats().removals, 2);
    look(&reactor);
    assert_eq!(reactor.stats().sources, 0);
}

#[test]
fn a_descriptor_taken_out_of_a_source_can_be_a_source_again() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (mut source, mut peer) = tcp_pair();
    let task = Task::default();
    for round in 1..=3 {
        assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
        peer.write_all(b"x").unwrap();
        // The first event of a registration may be that the socket is writable.
        turn_until(&reactor, || task.count() >= round);
        assert_eq!(task.count(), round);
        source = Source::new(source.into_inner()).sole_owner();
        assert!(poll_read(&source, &task, &mut [0; 8]).is_ready());
    }
    assert_eq!(reactor.stats().registrations, 3);
}

#[test]
fn a_second_source_on_a_descriptor_takes_nothing_from_the_first_except_on_kqueue() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (ours, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = std::sync::Arc::new(ours);
    let (first, second) = (Source::new(ours.clone()), Source::new(ours));
    let task = Task::default();
    let read = |source: &Source<std::sync::Arc<std::os::unix::net::UnixStream>>| {
        let waker = task.waker();
        let mut cx = Context::from_waker(&waker);
        source.poll_io(runtime_reactor::Direction::Read, &mut cx, |io| {
            (&**io).read(&mut [0; 8])
        })
    };
    assert!(read(&first).is_pending() && read(&second).is_pending());
    look(&reactor);
    if reactor.backend() == Backend::Kqueue {
        // It has one entry for a descriptor, which is now that of the second.
        peer.write_all(b"x").unwrap();
        turn_until(&reactor, || task.count() > 0);
        assert!(read(&second).is_ready());
        return;
    }
    match read(&second) {
        Poll::Ready(Err(refused)) => {
            assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
        }
        // A level backend has one entry for each.
        other => assert!(other.is_pending() && has_levels(&reactor)),
    }
    drop(second);
    let before = task.count();
    peer.write_all(b"x").unwrap();
    reactor.turn(None).unwrap();
    assert_eq!(task.count(), before + 1);
    assert!(read(&first).is_ready());
}
