//! The readiness of sockets: what is reported, and when.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use super::*;

pub(super) fn a_readiness_is_reported_once_until_it_is_armed_or_reregistered(stage: &mut Stage) {
    let (mut ours, mut theirs) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    assert_eq!(
        stage.wait_until(ONE, Readiness::WRITABLE),
        Readiness::WRITABLE
    );
    assert_eq!(stage.now(ONE), NOTHING);
    theirs.write_all(b"x").unwrap();
    // Some backends report both directions together.
    assert!(stage.wait_until(ONE, Readiness::READABLE).is_readable());
    assert_eq!(
        stage.now(ONE),
        NOTHING,
        "still unread, but reported already"
    );
    stage.selector.reregister(ours.as_raw_fd(), ONE).unwrap();
    stage.arm(ONE);
    assert_eq!(stage.wait_until(ONE, BOTH), BOTH);
    assert_eq!(stage.now(ONE), NOTHING);
    assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    stage.arm(ONE);
    theirs.write_all(b"x").unwrap();
    assert!(stage.wait_until(ONE, Readiness::READABLE).is_readable());
}

pub(super) fn room_to_write_is_reported_when_the_peer_has_read(stage: &mut Stage) {
    let (mut ours, mut theirs) = tcp_pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    let mut written = 0;
    loop {
        match ours.write(&[7; 65536]) {
            Ok(n) => written += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => panic!("{e}"),
        }
    }
    // There may be an event for room that has been filled since.
    stage.now(ONE);
    stage.arm(ONE);
    theirs.set_nonblocking(false).unwrap();
    let is_simulated = theirs.is_simulated();
    let read_all = move || {
        let mut buffer = vec![0; 65536];
        while written > 0 {
            written -= theirs.read(&mut buffer).unwrap();
        }
        theirs
    };
    if is_simulated {
        let _theirs = read_all();
        stage.wait_until(ONE, Readiness::WRITABLE);
        return;
    }
    let reader = thread::spawn(read_all);
    stage.wait_until(ONE, Readiness::WRITABLE);
    reader.join().unwrap();
}

pub(super) fn a_half_close_is_reported_with_the_data_before_it(stage: &mut Stage) {
    let (mut ours, mut theirs) = tcp_pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    theirs.write_all(b"last words").unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    let mut wanted = Readiness::READABLE;
    if stage.reports_ends() {
        wanted |= Readiness::READ_CLOSED;
    }
    let mut reported = Readiness::EMPTY;
    while reported.without(wanted) | wanted != reported {
        // The data alone may be reported first.
        stage.arm(ONE);
        reported |= stage.wait_once(ONE, Duration::from_secs(600)).0;
    }
    assert!(
        !reported.is_write_closed() && !reported.is_error(),
        "{reported:?}"
    );
    let mut words = String::new();
    ours.read_to_string(&mut words).unwrap();
    assert_eq!(words, "last words");
    ours.write_all(b"an answer").unwrap();
}

pub(super) fn our_own_half_close_is_not_reported_as_the_peers(stage: &mut Stage) {
    let (mut ours, mut theirs) = tcp_pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    ours.shutdown(Shutdown::Write).unwrap();
    // Once another source is reported, our own end has been reported too, if it is at all.
    let (other, _peer) = pair();
    stage.arm(ONE);
    assert_eq!(stage.add(&other, TWO), None);
    let (mut own, mut another) = (Readiness::EMPTY, false);
    while !another {
        own |= stage.wait_once(ONE, Duration::from_secs(600)).0;
        another = stage.events.iter().any(|event| event.token == TWO);
    }
    assert!(!own.is_read_closed() && !own.is_error(), "{own:?}");
    assert_eq!(
        ours.read(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    stage.arm(ONE);
    theirs.write_all(b"x").unwrap();
    let reported = stage.wait_until(ONE, Readiness::READABLE);
    assert!(!reported.is_read_closed(), "{reported:?}");
}

pub(super) fn a_hang_up_is_reported_in_both_directions(stage: &mut Stage) {
    let (ours, theirs) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    stage.arm(ONE);
    drop(theirs);
    let reported = stage.wait_until(ONE, BOTH);
    assert!(
        reported.is_read_closed() || !stage.reports_ends(),
        "{reported:?}"
    );
    assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 0);
}

/// The kernel of a level backend reports a hang-up without a request, at every wait.
pub(super) fn a_hang_up_without_a_waiter_ends_no_wait_of_a_level_backend(stage: &mut Stage) {
    let (ours, theirs) = pair();
    stage.selector.add(ours.as_raw_fd(), ONE).unwrap();
    drop(theirs);
    let reported = stage.now(ONE);
    assert!(
        stage.selector.is_edge() || reported == NOTHING,
        "{reported:?}"
    );
    assert_eq!(stage.now(ONE), NOTHING, "an edge is reported once");
    stage.selector.arm(ONE, Direction::Write);
    stage.selector.reregister(ours.as_raw_fd(), ONE).unwrap();
    stage.wait_until(ONE, Readiness::WRITABLE);
    assert_eq!(stage.now(ONE), NOTHING);
}

fn assert_begun(begun: &io::Result<libc::c_int>) {
    let errno = begun.as_ref().err().and_then(io::Error::raw_os_error);
    assert!(matches!(errno, None | Some(libc::EINPROGRESS)), "{begun:?}");
}

pub(super) fn an_established_connection_is_writable(stage: &mut Stage) {
    let listener = Listener::bind();
    let (mut stream, begun) = connect(listener.local_addr());
    assert_begun(&begun);
    assert_eq!(stage.add(&stream, ONE), None);
    let reported = stage.wait_until(ONE, Readiness::WRITABLE);
    assert!(
        !reported.is_error() && !reported.is_write_closed(),
        "{reported:?}"
    );
    assert!(stream.take_error().unwrap().is_none());
    stream.write_all(b"x").unwrap();
}

pub(super) fn a_refused_connection_is_writable_and_has_an_error(stage: &mut Stage) {
    // The port of a client, which no listener can take in the meantime.
    let (_server, client) = tcp_pair();
    let nowhere = client.local_addr().unwrap();
    let (stream, begun) = connect(nowhere);
    if matches!(&begun, Err(e) if e.kind() == ErrorKind::ConnectionRefused) {
        return; // refused at once, so there is nothing to wait for
    }
    assert_begun(&begun);
    assert_eq!(stage.add(&stream, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    let error = stream.take_error().unwrap().expect("the refusal");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// A connect to a full backlog fails with EAGAIN or ECONNREFUSED, for which no wait exists. Only
/// the listener becomes ready.
pub(super) fn the_connections_of_a_listener_are_reported_or_counted(stage: &mut Stage) {
    let listener = Listener::bind();
    listener.set_nonblocking();
    assert_eq!(stage.add(&listener, ONE), None);
    let is_level = |stage: &mut Stage, on| stage.selector.set_level(listener.as_raw_fd(), ONE, on);
    let can_be_level = is_level(stage, true).is_ok();
    let reports_levels = can_be_level || !stage.selector.is_edge();
    let _clients: Vec<End> = (0..3).map(|_| listener.connect()).collect();
    for left in (1..=3).rev() {
        if reports_levels || left == 3 {
            stage.arm(ONE);
            assert!(stage.wait_until(ONE, Readiness::READABLE).is_readable());
        }
        if !reports_levels && left == 3 {
            let unread = stage.events.iter().map(|event| event.unread).max();
            assert_eq!(unread, Some(3));
        }
        listener.accept().unwrap();
    }
    stage.arm(ONE);
    assert_eq!(stage.now(ONE), NOTHING);
    if can_be_level {
        let _client = listener.connect();
        stage.wait_until(ONE, Readiness::READABLE);
        stage.wait_until(ONE, Readiness::READABLE);
        is_level(stage, false).unwrap();
        stage.wait_until(ONE, Readiness::READABLE);
        assert_eq!(stage.now(ONE), NOTHING, "it is watched by edge");
        is_level(stage, true).unwrap();
        stage.wait_until(ONE, Readiness::READABLE);
    }
}

pub(super) fn a_full_backlog_is_readable_until_it_is_empty(stage: &mut Stage) {
    let folder = Folder::new();
    let path = folder.0.join("socket");
    let listener = Listener::bind_unix(&path, 1);
    let queued = std::cell::RefCell::new(Vec::new());
    let fill = || {
        // Each is non-blocking, so that a full backlog is an error.
        for _ in 0..200 {
            match connect_unix(&path) {
                Ok(stream) => queued.borrow_mut().push(stream),
                Err(_) => return,
            }
        }
        panic!("the backlog of 1 took 200");
    };
    fill();
    assert_eq!(stage.add(&listener, ONE), None);
    for _ in 0..3 {
        stage.wait_until(ONE, Readiness::READABLE);
        for _ in queued.take() {
            listener.accept().unwrap();
        }
        let empty = listener.accept().err().expect("the queue is empty");
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
        stage.selector.arm(ONE, Direction::Read);
        assert!(!stage.now(ONE).0.is_read_closed());
        fill();
    }
}
