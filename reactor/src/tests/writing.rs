//! Sources that are watched for writing only while a task waits to write.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use super::{Stage, blocked, event, null, one, poll, untried};
use crate::interest::{Direction, Readiness};
use crate::reactor::Reactor;
use crate::source::Source;
use crate::sys::Backend;
use crate::sys::scripted::Call;
use crate::token::Token;
use crate::wake_list::tests::CountingWaker;

use Direction::{Read, Write};

/// Creates a source that waits for reading and is registered.
fn registered(stage: &Stage) -> (Source<File>, Token) {
    let source = Source::new(null()).writing_on_demand();
    let task = CountingWaker::new();
    assert!(poll(&source, Read, &task.waker(), blocked).is_pending());
    let token = stage.added();
    (source, token)
}

/// Returns the changes since the calls were last taken.
fn changes(stage: &Stage) -> Vec<bool> {
    let calls = stage.script.take_calls().into_iter();
    calls
        .filter_map(|call| match call {
            Call::SetWriting(_, _, is_watched) => Some(is_watched),
            _ => None,
        })
        .collect()
}

#[test]
fn writing_is_watched_from_the_first_operation_that_finds_no_room() {
    let stage = Stage::new();
    let (source, token) = registered(&stage);
    let fd = source.get_ref().as_raw_fd();
    assert_eq!(stage.script.take_calls(), [Call::AddForReading(fd, token)]);
    let task = CountingWaker::new();
    assert!(poll(&source, Write, &task.waker(), one).is_ready());
    assert_eq!(changes(&stage), []);
    assert!(poll(&source, Write, &task.waker(), blocked).is_pending());
    assert!(poll(&source, Write, &task.waker(), untried).is_pending());
    assert_eq!(changes(&stage), [true]);
    stage.turn_with(&[event(token, Readiness::WRITABLE)]);
    assert_eq!(task.count(), 1);
    // Full again. It is watched still.
    assert!(poll(&source, Write, &task.waker(), blocked).is_pending());
    assert_eq!(changes(&stage), []);
    assert_eq!(stage.reactor.stats().reregistrations, 1);
}

#[test]
fn writing_is_no_longer_watched_once_it_is_reported_in_vain() {
    let stage = Stage::new();
    let (source, token) = registered(&stage);
    let task = CountingWaker::new();
    for _ in 0..2 {
        assert!(poll(&source, Write, &task.waker(), blocked).is_pending());
        stage.turn_with(&[event(token, Readiness::WRITABLE)]);
        assert!(poll(&source, Write, &task.waker(), one).is_ready());
        assert_eq!(changes(&stage), [true]);
        // A task waits to read, but that is not reported.
        assert!(poll(&source, Read, &task.waker(), blocked).is_pending());
        stage.turn_with(&[event(token, Readiness::WRITABLE)]);
        assert_eq!(changes(&stage), [false]);
        stage.turn_with(&[event(token, Readiness::WRITABLE)]);
        assert_eq!(changes(&stage), []);
    }
}

#[test]
fn a_source_that_finds_no_room_before_it_is_registered_is_added_for_both() {
    let stage = Stage::new();
    let source = Source::new(null()).writing_on_demand();
    let task = CountingWaker::new();
    let fd = source.get_ref().as_raw_fd();
    assert!(poll(&source, Write, &task.waker(), blocked).is_pending());
    let token = stage.added();
    assert_eq!(stage.script.take_calls(), [Call::Add(fd, token)]);

    let source = Source::new(null()).writing_on_demand();
    let fd = source.get_ref().as_raw_fd();
    assert!(poll(&source, Read, &task.waker(), blocked).is_pending());
    assert!(poll(&source, Write, &task.waker(), blocked).is_pending());
    let token = stage.added();
    assert_eq!(stage.script.take_calls(), [Call::Add(fd, token)]);
}

#[test]
fn an_attempt_without_a_task_has_writing_watched_too() {
    let stage = Stage::new();
    let (source, token) = registered(&stage);
    assert!(source.try_io(Write, blocked).is_err());
    assert_eq!(changes(&stage), [true]);
    let task = CountingWaker::new();
    assert!(poll(&source, Write, &task.waker(), untried).is_pending());
    stage.turn_with(&[event(token, Readiness::WRITABLE)]);
    assert_eq!(task.count(), 1);
}

#[test]
fn a_task_of_another_thread_has_writing_watched_only_if_it_waits_to_write() {
    let stage = Stage::new();
    let (source, token) = registered(&stage);
    let fd = source.get_ref().as_raw_fd();
    let task = CountingWaker::new();
    let wait_elsewhere = |direction| {
        let wait = || assert!(poll(&source, direction, &task.waker(), blocked).is_pending());
        thread::scope(|scope| scope.spawn(wait).join().unwrap());
        stage.script.take_calls();
        stage.turn_with(&[]);
        stage.script.take_calls()[0]
    };
    assert_eq!(wait_elsewhere(Read), Call::SetWriting(fd, token, false));
    assert_eq!(wait_elsewhere(Write), Call::Reregister(fd, token));
    assert_eq!(wait_elsewhere(Read), Call::Reregister(fd, token));
}

#[test]
fn a_level_backend_is_armed_as_for_other_sources() {
    let stage = Stage::with_levels();
    let (source, token) = registered(&stage);
    let fd = source.get_ref().as_raw_fd();
    let task = CountingWaker::new();
    assert!(poll(&source, Write, &task.waker(), blocked).is_pending());
    let calls = stage.script.take_calls();
    assert!(calls.contains(&Call::Add(fd, token)), "{calls:?}");
    assert_eq!(calls.last(), Some(&Call::Arm(token, Write)));
}

#[test]
fn a_datagram_that_left_the_socket_is_not_reported() {
    for &backend in Backend::available() {
        let reactor = Reactor::with_backend(backend).unwrap();
        let _entered = reactor.enter();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(peer.local_addr().unwrap()).unwrap();
        peer.connect(socket.local_addr().unwrap()).unwrap();
        let source = Source::new(socket).writing_on_demand();
        let task = CountingWaker::new();
        let mut buffer = [0; 4];
        for n in 1..=3 {
            let mut receive = || poll(&source, Read, &task.waker(), |it| it.recv(&mut buffer));
            assert!(receive().is_pending());
            assert!(poll(&source, Write, &task.waker(), |it| it.send(b"ping")).is_ready());
            reactor.turn(Some(Duration::ZERO)).unwrap();
            if matches!(backend, Backend::Epoll | Backend::Poll | Backend::Select) {
                assert_eq!(reactor.stats().events, n - 1, "{backend}");
            }
            peer.send(b"pong").unwrap();
            while receive().is_pending() {
                reactor.turn(None).unwrap();
            }
        }
    }
}

#[test]
fn a_task_that_waits_for_room_is_woken_on_every_backend() {
    for &backend in Backend::available() {
        let reactor = Reactor::with_backend(backend).unwrap();
        let _entered = reactor.enter();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let source = Source::new(ours).writing_on_demand();
        let (reader, writer) = (CountingWaker::new(), CountingWaker::new());
        let mut byte = [0];
        let read = poll(&source, Read, &reader.waker(), |mut it| it.read(&mut byte));
        assert!(read.is_pending());
        reactor.turn(Some(Duration::ZERO)).unwrap();
        for _ in 0..3 {
            let mut written = 0;
            let write = || {
                poll(&source, Write, &writer.waker(), |mut it| {
                    it.write(&[0; 4096])
                })
            };
            while let std::task::Poll::Ready(n) = write() {
                written += n.unwrap();
            }
            let before = writer.count();
            let mut discarded = vec![0; written];
            theirs.read_exact(&mut discarded).unwrap();
            while writer.count() == before {
                reactor.turn(None).unwrap();
            }
        }
    }
}
