//! Ends of streams: which direction is closed, and what is left to read.

use std::io::Write;
use std::net::Shutdown;

use super::*;

pub(super) fn the_peers_half_close_leaves_our_direction_open() {
    let mut kqueue = Kqueue::new().unwrap();
    let (ours, theirs) = pair();
    kqueue.add(ours.as_raw_fd(), ONE).unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    let (readiness, _) = wait_once(&mut kqueue, ONE, SOON);
    assert!(readiness.is_readable() && readiness.is_read_closed());
    assert!(!readiness.is_write_closed());
}

pub(super) fn our_own_shutdown_is_no_hang_up() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    ours.shutdown(Shutdown::Write).unwrap();
    let (readiness, errno) = wait_once(&mut kqueue, ONE, AT_ONCE);
    assert!(!readiness.is_read_closed() && !readiness.is_error() && errno == 0);
    theirs.write_all(b"x").unwrap();
    let (readiness, _) = wait_once(&mut kqueue, ONE, SOON);
    assert!(readiness.is_readable() && !readiness.is_read_closed());
}

pub(super) fn a_hang_up_is_reported_while_data_is_left() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    theirs.write_all(b"x").unwrap();
    drop(theirs);
    let (readiness, _) = wait_once(&mut kqueue, ONE, SOON);
    assert!(readiness.is_readable() && readiness.is_read_closed());
}

pub(super) fn the_writer_of_a_pipe_without_a_reader_is_writable_and_closed() {
    let mut kqueue = Kqueue::new().unwrap();
    let (reader, writer) = pipe();
    drop(reader);
    kqueue.add(writer.as_raw_fd(), ONE).unwrap();
    let (readiness, errno) = wait_once(&mut kqueue, ONE, SOON);
    assert!(readiness.is_writable() && readiness.is_write_closed());
    assert_eq!(errno, 0);
}

pub(super) fn the_reader_of_a_pipe_without_a_writer_is_readable_and_closed() {
    let (reader, writer) = pipe();
    drop(writer);
    let mut kqueue = Kqueue::new().unwrap();
    kqueue.add(reader.as_raw_fd(), ONE).unwrap();
    let (readiness, errno) = wait_once(&mut kqueue, ONE, SOON);
    assert!(readiness.is_readable() && readiness.is_read_closed());
    assert_eq!(errno, 0);
}

pub(super) fn a_registered_writer_is_writable_and_closed_when_the_reader_closes() {
    let (reader, writer) = pipe();
    let mut kqueue = watching(&writer, ONE);
    drop(reader);
    let (readiness, errno) = wait_once(&mut kqueue, ONE, SOON);
    assert!(readiness.is_writable() && readiness.is_write_closed());
    assert_eq!(errno, 0);
    // It succeeds even if the kernel has deleted the filter with the event.
    kqueue.remove(writer.as_raw_fd(), ONE).unwrap();
}
