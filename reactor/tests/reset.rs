//! A reset of a connection, which wakes its reader and its writer.

mod support;

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::task::Poll;

use support::{Task, fill, poll_read, poll_write, reactor, tcp_pair, turn_until, watchdog};

#[test]
fn a_reset_reaches_a_waiting_reader_and_a_waiting_writer() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, peer) = tcp_pair();
    let (reader, writer) = (Task::default(), Task::default());
    assert!(poll_read(&source, &reader, &mut [0; 8]).is_pending());
    fill(&reactor, &source, &writer);
    let before = writer.count();
    // Closing with unread data resets the connection; a linger time of zero makes sure of it.
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: `linger` is valid and of the size that is passed.
    let set = unsafe {
        libc::setsockopt(
            peer.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    assert_eq!(set, 0);
    drop(peer);
    turn_until(&reactor, || reader.count() > 0 && writer.count() > before);
    let Poll::Ready(Err(e)) = poll_read(&source, &reader, &mut [0; 8]) else {
        panic!("the first operation returns the reset");
    };
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    let Poll::Ready(Err(e)) = poll_write(&source, &writer, b"x") else {
        panic!("the next operation returns a broken pipe");
    };
    assert_eq!(e.kind(), ErrorKind::BrokenPipe);
}
