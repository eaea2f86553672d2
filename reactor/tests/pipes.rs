//! Pipes whose other end closes before, during or after the wait.

mod support;

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, Waker};

use runtime_reactor::{Direction, Source};
use support::{Task, pipe, reactor, read_fd, turn_until, watchdog, write_fd};

fn poll_write(source: &Source<OwnedFd>, waker: &Waker) -> Poll<io::Result<usize>> {
    let mut cx = Context::from_waker(waker);
    source.poll_io(Direction::Write, &mut cx, |fd| write_fd(fd, &[0; 4096]))
}

fn poll_read(source: &Source<OwnedFd>, waker: &Waker) -> Poll<io::Result<usize>> {
    let mut cx = Context::from_waker(waker);
    source.poll_io(Direction::Read, &mut cx, |fd| read_fd(fd, &mut [0; 4096]))
}

fn assert_broken(written: Poll<io::Result<usize>>) {
    let Poll::Ready(Err(e)) = written else {
        panic!("a write without a reader has to fail: {written:?}");
    };
    assert_eq!(e.kind(), io::ErrorKind::BrokenPipe);
}

/// Returns the write end of a full pipe and its read end.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = pipe();
    while write_fd(&writer, &[0; 4096]).is_ok() {}
    (writer, reader)
}

#[test]
fn a_writer_whose_reader_closed_before_the_registration_does_not_hang() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (writer, reader) = full_pipe();
    let source = Source::new(writer);
    let task = Task::default();
    let waker = task.waker();
    let mut reader = Some(reader);
    // The reader closes between the operation and the registration.
    let polled = source.poll_io(Direction::Write, &mut Context::from_waker(&waker), |fd| {
        let written = write_fd(fd, b"x");
        reader = None;
        written
    });
    assert!(polled.is_pending());
    turn_until(&reactor, || task.count() > 0);
    assert_broken(poll_write(&source, &waker));
}

#[test]
fn a_waiting_writer_is_woken_when_the_reader_closes() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (writer, reader) = full_pipe();
    let source = Source::new(writer);
    let task = Task::default();
    assert!(poll_write(&source, &task.waker()).is_pending());
    support::look(&reactor);
    assert_eq!(task.count(), 0);
    drop(reader);
    turn_until(&reactor, || task.count() > 0);
    assert_broken(poll_write(&source, &task.waker()));
}

#[test]
fn a_waiting_writer_is_woken_when_there_is_room() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (writer, reader) = full_pipe();
    let source = Source::new(writer);
    let task = Task::default();
    for round in 1..=3 {
        assert!(poll_write(&source, &task.waker()).is_pending());
        let mut sink = vec![0; 1 << 20];
        assert!(read_fd(&reader, &mut sink).unwrap() > 0);
        turn_until(&reactor, || task.count() >= round);
        let mut written = 0;
        while poll_write(&source, &task.waker()).is_ready() {
            written += 1;
        }
        assert!(written > 0);
    }
}

#[test]
fn a_waiting_reader_reads_the_remaining_data_and_then_the_end() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (reader, writer) = pipe();
    let source = Source::new(reader).streaming();
    let task = Task::default();
    assert!(poll_read(&source, &task.waker()).is_pending());
    write_fd(&writer, b"left").unwrap();
    drop(writer);
    turn_until(&reactor, || task.count() > 0);
    assert!(matches!(
        poll_read(&source, &task.waker()),
        Poll::Ready(Ok(4))
    ));
    assert!(matches!(
        poll_read(&source, &task.waker()),
        Poll::Ready(Ok(0))
    ));
}
