//! Waiting for the peer's end, or for urgent data, and for no operation.

mod support;

use std::io::Write;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::{io, thread};

use runtime_reactor::{Backend, Interest, Reactor, Readiness, Ready};
use support::{Task, block_on, look, pipe, poll_read, reactor, tcp_pair, turn_until, watchdog};

fn poll<T: std::os::fd::AsFd>(
    ready: &mut Ready<'_, T>,
    task: &Task,
) -> Poll<io::Result<Readiness>> {
    let waker = task.waker();
    Pin::new(ready).poll(&mut Context::from_waker(&waker))
}

/// select knows of no end.
fn supported(reactor: &Reactor) -> bool {
    reactor.backend() != Backend::Select
}

#[test]
fn the_end_is_told_while_data_lies_unread_and_takes_none_of_it() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    let mut closed = source.ready(Interest::CLOSED);
    assert!(poll(&mut closed, &task).is_pending());
    peer.write_all(b"unread").unwrap();
    // Its event is one of data, and of nothing else.
    for _ in 0..3 {
        look(&reactor);
        assert!(poll(&mut closed, &task).is_pending());
    }
    assert_eq!(
        task.count(),
        0,
        "data is no news to whoever waits for the end"
    );
    peer.shutdown(Shutdown::Write).unwrap();
    let readiness = block_on(&reactor, closed).unwrap();
    assert!(readiness.is_read_closed());
    let mut got = [0; 64];
    let read = poll_read(&source, &Task::default(), &mut got);
    assert!(matches!(read, Poll::Ready(Ok(6))), "{read:?}");
    assert!(
        block_on(&reactor, source.ready(Interest::CLOSED)).is_ok(),
        "and it stays so"
    );
}

#[test]
fn an_end_that_came_before_anybody_waited_is_told() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (source, mut peer) = tcp_pair();
    peer.write_all(b"unread").unwrap();
    drop(peer);
    assert!(block_on(&reactor, source.ready(Interest::CLOSED)).is_ok());
}

#[test]
fn the_end_of_our_own_half_is_not_the_peers() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (source, peer) = tcp_pair();
    let task = Task::default();
    let mut closed = source.ready(Interest::CLOSED);
    source.get_ref().shutdown(Shutdown::Write).unwrap();
    assert!(poll(&mut closed, &task).is_pending());
    look(&reactor);
    assert!(poll(&mut closed, &task).is_pending());
    drop(peer);
    assert!(block_on(&reactor, closed).is_ok());
}

#[test]
fn a_reader_is_not_disturbed_by_a_watcher() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (source, mut peer) = tcp_pair();
    let (reader, watcher) = (Task::default(), Task::default());
    let mut buffer = [0; 8];
    assert!(poll_read(&source, &reader, &mut buffer).is_pending());
    let mut closed = source.ready(Interest::CLOSED);
    peer.write_all(b"x").unwrap();
    reactor.turn(None).unwrap();
    assert!(poll(&mut closed, &watcher).is_pending());
    let read = poll_read(&source, &reader, &mut buffer);
    assert!(
        matches!(read, Poll::Ready(Ok(1))),
        "readiness was not taken away"
    );
    assert!(poll_read(&source, &reader, &mut buffer).is_pending());
    drop(closed);
    peer.write_all(b"y").unwrap();
    reactor.turn(None).unwrap();
    assert_eq!((reader.count(), watcher.count()), (2, 0));
}

#[test]
fn many_watchers_are_all_told_and_are_forgotten_in_bounded_room() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (source, peer) = tcp_pair();
    let tasks: Vec<Task> = (0..300).map(|_| Task::default()).collect();
    for task in &tasks {
        assert!(poll(&mut source.ready(Interest::CLOSED), task).is_pending());
        assert!(poll(&mut source.ready(Interest::CLOSED), task).is_pending());
    }
    drop(peer);
    reactor.turn(None).unwrap();
    // Some were woken for lack of room: they would have come back.
    assert!(tasks.iter().all(|task| task.count() >= 1));
}

#[test]
fn the_end_reaches_another_thread() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (source, mut peer) = tcp_pair();
    assert!(poll_read(&source, &Task::default(), &mut [0; 4]).is_pending());
    let (waiting, waits) = mpsc::channel();
    let notifier = reactor.notifier();
    let over = AtomicBool::new(false);
    thread::scope(|s| {
        let watcher = s.spawn(|| {
            // A reactor of its own, to wait in; the source belongs to the other one.
            let here = Reactor::new().unwrap();
            let _entered = here.enter();
            let task = Task::default();
            let mut closed = source.ready(Interest::CLOSED);
            assert!(poll(&mut closed, &task).is_pending());
            // Polled for no reason, it does not make one up.
            assert!(poll(&mut closed, &task).is_pending());
            waiting.send(()).unwrap();
            let told = loop {
                match poll(&mut closed, &task) {
                    Poll::Ready(told) => break told,
                    Poll::Pending => thread::yield_now(),
                }
            };
            over.store(true, Ordering::SeqCst);
            notifier.notify();
            told
        });
        waits.recv().unwrap();
        peer.write_all(b"unread").unwrap();
        look(&reactor);
        peer.shutdown(Shutdown::Write).unwrap();
        turn_until(&reactor, || over.load(Ordering::SeqCst));
        assert!(watcher.join().unwrap().unwrap().is_read_closed());
    });
}

#[test]
fn waiting_for_the_end_fails_outside_and_after() {
    let (source, _peer) = tcp_pair();
    let task = Task::default();
    let outside = poll(&mut source.ready(Interest::CLOSED), &task);
    assert!(matches!(outside, Poll::Ready(Err(_))));
    {
        let (reactor, _entered) = reactor();
        if !supported(&reactor) {
            return;
        }
        let mut closed = source.ready(Interest::CLOSED);
        assert!(poll(&mut closed, &task).is_pending());
        reactor.close();
        assert_eq!(task.count(), 1, "nobody waits for ever");
        assert!(matches!(poll(&mut closed, &task), Poll::Ready(Err(_))));
    }
    let gone = poll(&mut source.ready(Interest::CLOSED), &task);
    assert!(matches!(gone, Poll::Ready(Err(_))));
}

#[test]
fn the_writer_of_a_pipe_hears_that_the_reader_is_gone() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (reader, writer) = pipe();
    let writer = runtime_reactor::Source::new(writer);
    let task = Task::default();
    let mut broken = writer.ready(Interest::ERROR);
    assert!(poll(&mut broken, &task).is_pending());
    look(&reactor);
    assert!(poll(&mut broken, &task).is_pending());
    drop(reader);
    assert!(block_on(&reactor, broken).is_ok());
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn urgent_data_is_told_once_an_arrival() {
    use std::os::fd::AsRawFd;
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (source, peer) = tcp_pair();
    let task = Task::default();
    for round in [b'1', b'2'] {
        let mut urgent = source.ready(Interest::PRIORITY);
        assert!(poll(&mut urgent, &task).is_pending());
        // SAFETY: one byte is read from a live value.
        let sent = unsafe {
            libc::send(
                peer.as_raw_fd(),
                (&raw const round).cast(),
                1,
                libc::MSG_OOB,
            )
        };
        assert_eq!(sent, 1);
        assert!(block_on(&reactor, urgent).unwrap().is_priority());
        assert!(
            block_on(&reactor, source.ready(Interest::PRIORITY)).is_ok(),
            "until it is tried"
        );
        let mut byte = 0_u8;
        let received = source.try_priority(|stream| {
            // SAFETY: one byte is written to a live value.
            Ok(unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_OOB) })
        });
        assert_eq!((received.unwrap(), byte), (1, round));
    }
}

#[test]
fn what_a_backend_cannot_tell_of_is_refused_on_every_thread() {
    let reactor = Reactor::with_backend(Backend::Select).unwrap();
    let _entered = reactor.enter();
    let (source, _peer) = tcp_pair();
    let refused = |interest| {
        let told = poll(&mut source.ready(interest), &Task::default());
        matches!(told, Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::Unsupported)
    };
    for interest in [Interest::CLOSED, Interest::PRIORITY, Interest::ERROR] {
        assert!(refused(interest), "{interest:?}");
        // The first one registered it.
        assert!(thread::scope(|s| s
            .spawn(|| refused(interest))
            .join()
            .unwrap()));
    }
}

/// poll(2) says so at every wait, asked or not.
#[test]
fn an_end_of_another_kind_does_not_wake_a_watcher_again_and_again() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !supported(&reactor) {
        return;
    }
    let (reader, writer) = pipe();
    let writer = runtime_reactor::Source::new(writer);
    drop(reader);
    let task = Task::default();
    // The reader's end is an error to the writer.
    let mut closed = writer.ready(Interest::CLOSED);
    for _ in 0..10 {
        if poll(&mut closed, &task).is_ready() {
            return; // to kqueue it is a hang-up
        }
        look(&reactor);
    }
    assert!(task.count() <= 2, "woken {} times", task.count());
    let told = block_on(&reactor, writer.ready(Interest::ERROR)).unwrap();
    assert!(told.is_error() || told.is_write_closed());
}
