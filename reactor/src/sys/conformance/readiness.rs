//! What is told of sockets, and when.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

pub(super) fn what_became_ready_is_told_once_until_it_is_armed_or_renewed(stage: &mut Stage) {
    let (mut ours, mut theirs) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    assert_eq!(stage.until(ONE, Readiness::WRITABLE), Readiness::WRITABLE);
    assert_eq!(stage.now(ONE), NOTHING);
    theirs.write_all(b"x").unwrap();
    // Some tell what can be written together with what can be read.
    assert!(stage.until(ONE, Readiness::READABLE).is_readable());
    assert_eq!(stage.now(ONE), NOTHING, "unread, yet told already");
    stage.selector.reregister(ours.as_raw_fd(), ONE).unwrap();
    stage.arm(ONE);
    assert_eq!(stage.until(ONE, BOTH), BOTH);
    assert_eq!(stage.now(ONE), NOTHING);
    assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    stage.arm(ONE);
    theirs.write_all(b"x").unwrap();
    assert!(stage.until(ONE, Readiness::READABLE).is_readable());
}

pub(super) fn room_to_write_is_told_when_the_peer_has_read(stage: &mut Stage) {
    let (mut ours, mut theirs) = tcp_pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.until(ONE, Readiness::WRITABLE);
    let mut written = 0;
    loop {
        match ours.write(&[7; 65536]) {
            Ok(n) => written += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => panic!("{e}"),
        }
    }
    // Room that there was in the meantime may be told, and is not there any more.
    stage.now(ONE);
    stage.arm(ONE);
    theirs.set_nonblocking(false).unwrap();
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while written > 0 {
            written -= theirs.read(&mut buffer).unwrap();
        }
        theirs
    });
    stage.until(ONE, Readiness::WRITABLE);
    reader.join().unwrap();
}

pub(super) fn a_half_close_comes_with_the_data_before_it(stage: &mut Stage) {
    let (mut ours, mut theirs) = tcp_pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.until(ONE, Readiness::WRITABLE);
    theirs.write_all(b"last words").unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    let wanted = match stage.tells_ends() {
        true => Readiness::READABLE | Readiness::READ_CLOSED,
        false => Readiness::READABLE,
    };
    let mut heard = Readiness::EMPTY;
    while heard.without(wanted) | wanted != heard {
        // The data alone may have been told first.
        stage.arm(ONE);
        heard |= stage.told(ONE, Duration::from_secs(600)).0;
    }
    assert!(!heard.is_write_closed() && !heard.is_error(), "{heard:?}");
    let mut words = String::new();
    ours.read_to_string(&mut words).unwrap();
    assert_eq!(words, "last words");
    ours.write_all(b"an answer").unwrap();
}

pub(super) fn our_own_half_close_is_not_the_peers(stage: &mut Stage) {
    let (mut ours, mut theirs) = tcp_pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.until(ONE, Readiness::WRITABLE);
    ours.shutdown(Shutdown::Write).unwrap();
    // What is told of our own end, if anything is, is told by now: another source proves it.
    let (other, _peer) = pair();
    stage.arm(ONE);
    assert_eq!(stage.add(&other, TWO), None);
    let (mut own, mut another) = (Readiness::EMPTY, false);
    while !another {
        own |= stage.told(ONE, Duration::from_secs(600)).0;
        another = stage.events.iter().any(|event| event.token == TWO);
    }
    assert!(!own.is_read_closed() && !own.is_error(), "{own:?}");
    assert_eq!(
        ours.read(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    stage.arm(ONE);
    theirs.write_all(b"x").unwrap();
    let heard = stage.until(ONE, Readiness::READABLE);
    assert!(!heard.is_read_closed(), "{heard:?}");
}

pub(super) fn a_hang_up_reaches_both_directions(stage: &mut Stage) {
    let (ours, theirs) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.until(ONE, Readiness::WRITABLE);
    stage.arm(ONE);
    drop(theirs);
    let heard = stage.until(ONE, BOTH);
    assert!(heard.is_read_closed() || !stage.tells_ends(), "{heard:?}");
    assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 0);
}

/// Kernels with levels tell a hang-up and an error whether asked for or not, and for ever.
pub(super) fn a_peer_that_ends_while_nobody_waits_ends_no_wait_of_a_level(stage: &mut Stage) {
    let (ours, theirs) = pair();
    stage.selector.add(ours.as_raw_fd(), ONE).unwrap();
    drop(theirs);
    let heard = stage.now(ONE);
    assert!(stage.selector.is_edge() || heard == NOTHING, "{heard:?}");
    assert_eq!(stage.now(ONE), NOTHING, "an edge is told once");
    stage.selector.arm(ONE, Direction::Write);
    stage.selector.reregister(ours.as_raw_fd(), ONE).unwrap();
    stage.until(ONE, Readiness::WRITABLE);
    assert_eq!(stage.now(ONE), NOTHING);
}

/// Begins to connect, as far as that needs no waiting.
fn connect(to: SocketAddr) -> (TcpStream, io::Result<libc::c_int>) {
    let SocketAddr::V4(to) = to else {
        unreachable!("an IPv4 address")
    };
    // SAFETY: a sockaddr_in holds integers, for which all-zero is a value. (The BSDs' has a field
    // that others lack, so it is not written out.)
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as _;
    address.sin_port = to.port().to_be();
    address.sin_addr.s_addr = u32::from(*to.ip()).to_be();
    // SAFETY: socket takes three integers.
    let fd = cvt(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }).unwrap();
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    let stream = unsafe { TcpStream::from_raw_fd(fd) };
    stream.set_nonblocking(true).unwrap();
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel reads one sockaddr_in, of the size that it is told.
    let begun = cvt(unsafe { libc::connect(fd, (&raw const address).cast(), size) });
    (stream, begun)
}

fn assert_begun(begun: &io::Result<libc::c_int>) {
    let errno = begun.as_ref().err().and_then(io::Error::raw_os_error);
    assert!(matches!(errno, None | Some(libc::EINPROGRESS)), "{begun:?}");
}

pub(super) fn a_connection_that_was_made_is_writable(stage: &mut Stage) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (mut stream, begun) = connect(listener.local_addr().unwrap());
    assert_begun(&begun);
    assert_eq!(stage.add(&stream, ONE), None);
    let heard = stage.until(ONE, Readiness::WRITABLE);
    assert!(!heard.is_error() && !heard.is_write_closed(), "{heard:?}");
    assert!(stream.take_error().unwrap().is_none());
    stream.write_all(b"x").unwrap();
}

pub(super) fn a_connection_that_was_refused_is_writable_and_has_an_error(stage: &mut Stage) {
    // The port of a client: taken, so that nobody listens on it meanwhile.
    let (_server, client) = tcp_pair();
    let nowhere = client.local_addr().unwrap();
    let (stream, begun) = connect(nowhere);
    if matches!(&begun, Err(e) if e.kind() == ErrorKind::ConnectionRefused) {
        return; // found out at once, and so there is nothing to wait for
    }
    assert_begun(&begun);
    assert_eq!(stage.add(&stream, ONE), None);
    stage.until(ONE, Readiness::WRITABLE);
    let error = stream.take_error().unwrap().expect("the refusal");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// A full backlog of Unix sockets answers EAGAIN or ECONNREFUSED, and is nothing one could wait for:
/// only the listener has something to tell.
pub(super) fn a_full_backlog_is_readable_until_it_is_empty(stage: &mut Stage) {
    let folder = Folder::new();
    let path = folder.0.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    // SAFETY: listen takes two integers; on a listener it only sets the backlog anew.
    cvt(unsafe { libc::listen(listener.as_raw_fd(), 1) }).unwrap();
    listener.set_nonblocking(true).unwrap();
    let queued = std::cell::RefCell::new(Vec::new());
    let fill = || {
        // Each in non-blocking mode, in which a full queue is an error.
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
        stage.until(ONE, Readiness::READABLE);
        for _ in queued.take() {
            listener.accept().unwrap();
        }
        let empty = listener.accept().unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
        stage.selector.arm(ONE, Direction::Read);
        assert!(!stage.now(ONE).0.is_read_closed());
        fill();
    }
}

fn connect_unix(path: &std::path::Path) -> io::Result<UnixStream> {
    // SAFETY: a sockaddr_un holds integers, for which all-zero is a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as _;
    let bytes = path.as_os_str().as_encoded_bytes();
    assert!(bytes.len() < address.sun_path.len());
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = *byte as _;
    }
    // SAFETY: socket takes three integers.
    let fd = cvt(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) })?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    let stream = unsafe { UnixStream::from_raw_fd(fd) };
    stream.set_nonblocking(true)?;
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel reads one sockaddr_un, of the size that it is told; the path ends in 0.
    cvt(unsafe { libc::connect(fd, (&raw const address).cast(), size) })?;
    Ok(stream)
}
