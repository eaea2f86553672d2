//! Waits for the peer's end, an error or urgent data, without an operation.

mod support;

use std::io::Write;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::{io, thread};

use runtime_reactor::{Backend, Interest, Reactor, Readiness, Ready};
use support::{
    Task, block_on, look, pipe, poll_read, reactor, reports_ends, reports_errors, tcp_pair,
    turn_until, watchdog,
};

fn poll<T: std::os::fd::AsFd>(
    ready: &mut Ready<'_, T>,
    task: &Task,
) -> Poll<io::Result<Readiness>> {
    let waker = task.waker();
    Pin::new(ready).poll(&mut Context::from_waker(&waker))
}

#[test]
fn the_end_is_reported_while_data_is_unread_and_consumes_none_of_it() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) {
        return;
    }
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    let mut closed = source.ready(Interest::CLOSED);
    assert!(poll(&mut closed, &task).is_pending());
    peer.write_all(b"unread").unwrap();
    // This event reports data alone.
    for _ in 0..3 {
        look(&reactor);
        assert!(poll(&mut closed, &task).is_pending());
    }
    assert_eq!(task.count(), 0, "data does not wake a waiter for the end");
    peer.shutdown(Shutdown::Write).unwrap();
    let readiness = block_on(&reactor, closed).unwrap();
    assert!(readiness.is_read_closed());
    let mut got = [0; 64];
    let read = poll_read(&source, &Task::default(), &mut got);
    assert!(matches!(read, Poll::Ready(Ok(6))), "{read:?}");
    assert!(
        block_on(&reactor, source.ready(Interest::CLOSED)).is_ok(),
        "the end stays reported"
    );
}

#[test]
fn an_end_before_the_first_wait_is_reported() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) {
        return;
    }
    let (source, mut peer) = tcp_pair();
    peer.write_all(b"unread").unwrap();
    drop(peer);
    assert!(block_on(&reactor, source.ready(Interest::CLOSED)).is_ok());
}

#[test]
fn our_own_shutdown_is_not_the_peers_end() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) {
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
fn a_waiter_for_the_end_does_not_disturb_a_reader() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) {
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
        "the other waiter has not consumed the readiness"
    );
    assert!(poll_read(&source, &reader, &mut buffer).is_pending());
    drop(closed);
    peer.write_all(b"y").unwrap();
    reactor.turn(None).unwrap();
    assert_eq!((reader.count(), watcher.count()), (2, 0));
}

#[test]
fn many_waiters_for_the_end_are_all_woken() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) {
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
    // Some were woken early for lack of space, and would wait again.
    assert!(tasks.iter().all(|task| task.count() >= 1));
}

#[test]
fn the_end_wakes_a_task_on_another_thread() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) {
        return;
    }
    let (source, mut peer) = tcp_pair();
    assert!(poll_read(&source, &Task::default(), &mut [0; 4]).is_pending());
    let (waiting, waits) = mpsc::channel();
    let notifier = reactor.notifier();
    let over = AtomicBool::new(false);
    thread::scope(|s| {
        let watcher = s.spawn(|| {
            // This thread has a reactor of its own; the source belongs to the other one.
            let here = Reactor::new().unwrap();
            let _entered = here.enter();
            let task = Task::default();
            let mut closed = source.ready(Interest::CLOSED);
            assert!(poll(&mut closed, &task).is_pending());
            // A spurious poll does not complete.
            assert!(poll(&mut closed, &task).is_pending());
            waiting.send(()).unwrap();
            let ended = loop {
                match poll(&mut closed, &task) {
                    Poll::Ready(ended) => break ended,
                    Poll::Pending => thread::yield_now(),
                }
            };
            over.store(true, Ordering::SeqCst);
            notifier.notify();
            ended
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
fn waiting_for_the_end_fails_without_a_reactor_and_after_its_close() {
    let (source, _peer) = tcp_pair();
    let task = Task::default();
    let outside = poll(&mut source.ready(Interest::CLOSED), &task);
    assert!(matches!(outside, Poll::Ready(Err(_))));
    {
        let (reactor, _entered) = reactor();
        if !reports_ends(&reactor) {
            return;
        }
        let mut closed = source.ready(Interest::CLOSED);
        assert!(poll(&mut closed, &task).is_pending());
        reactor.close();
        assert_eq!(task.count(), 1, "a waiter is woken when its reactor closes");
        assert!(matches!(poll(&mut closed, &task), Poll::Ready(Err(_))));
    }
    let gone = poll(&mut source.ready(Interest::CLOSED), &task);
    assert!(matches!(gone, Poll::Ready(Err(_))));
}

#[test]
fn the_writer_of_a_pipe_is_woken_when_the_reader_closes() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_errors(&reactor) {
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
fn urgent_data_is_reported_once_per_arrival() {
    use std::os::fd::AsRawFd;
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) {
        return;
    }
    let (source, peer) = tcp_pair();
    let task = Task::default();
    for round in [b'1', b'2'] {
        let mut urgent = source.ready(Interest::PRIORITY);
        assert!(poll(&mut urgent, &task).is_pending());
        // SAFETY: the pointer is valid for the one byte that the kernel reads.
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
            "it stays reported until an operation is tried"
        );
        let mut byte = 0_u8;
        let received = source.try_priority(|stream| {
            // SAFETY: the pointer is valid for the one byte that the kernel writes.
            Ok(unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_OOB) })
        });
        assert_eq!((received.unwrap(), byte), (1, round));
    }
}

#[test]
fn an_interest_that_the_backend_does_not_support_is_refused_on_every_thread() {
    let reactor = Reactor::with_backend(Backend::Select).unwrap();
    let _entered = reactor.enter();
    let (source, _peer) = tcp_pair();
    let refused = |interest| {
        let polled = poll(&mut source.ready(interest), &Task::default());
        matches!(polled, Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::Unsupported)
    };
    for interest in [Interest::CLOSED, Interest::PRIORITY, Interest::ERROR] {
        assert!(refused(interest), "{interest:?}");
        // By now the source is registered here.
        assert!(thread::scope(|s| s
            .spawn(|| refused(interest))
            .join()
            .unwrap()));
    }
}

/// poll(2) reports an error at every wait, without a request.
#[test]
fn an_end_of_another_kind_does_not_wake_a_waiter_repeatedly() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) || !reports_errors(&reactor) {
        return;
    }
    let (reader, writer) = pipe();
    let writer = runtime_reactor::Source::new(writer);
    drop(reader);
    let task = Task::default();
    // The close of the reader is an error of the writer.
    let mut closed = writer.ready(Interest::CLOSED);
    for _ in 0..10 {
        if poll(&mut closed, &task).is_ready() {
            return; // kqueue reports a hang-up
        }
        look(&reactor);
    }
    assert!(task.count() <= 2, "woken {} times", task.count());
    let readiness = block_on(&reactor, writer.ready(Interest::ERROR)).unwrap();
    assert!(readiness.is_error() || readiness.is_write_closed());
}
