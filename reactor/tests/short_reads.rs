//! Short reads that do not mean that the socket is drained.

mod support;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::task::Poll;

use runtime_reactor::Source;
use support::{Task, look, poll_read, reactor, tcp_pair, watchdog};

#[test]
fn urgent_data_does_not_hide_the_bytes_behind_it() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    let mut buffer = [0; 64];
    assert!(poll_read(&source, &task, &mut buffer).is_pending());
    peer.write_all(b"before").unwrap();
    // SAFETY: the pointer is valid for the one byte that the kernel reads.
    let sent = unsafe { libc::send(peer.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
    peer.write_all(b"after").unwrap();
    let mut got = Vec::new();
    for _ in 0..10 {
        look(&reactor);
        if let Poll::Ready(read) = poll_read(&source, &task, &mut buffer) {
            got.extend_from_slice(&buffer[..read.unwrap()]);
        }
    }
    assert_eq!(got, b"beforeafter");
}

#[test]
fn a_passed_descriptor_does_not_hide_the_bytes_behind_it() {
    // A read stops at the descriptor. A streaming source would take that for a drained socket, so
    // a Unix socket must not be one.
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let source = Source::new(ours).sole_owner();
    let task = Task::default();
    let mut buffer = [0; 64];
    assert!(poll_read(&source, &task, &mut buffer).is_pending());
    send_descriptor(&theirs, b"first");
    theirs.write_all(b"second").unwrap();
    let mut got = Vec::new();
    for _ in 0..10 {
        look(&reactor);
        if let Poll::Ready(read) = poll_read(&source, &task, &mut buffer) {
            got.extend_from_slice(&buffer[..read.unwrap()]);
        }
    }
    assert_eq!(got, b"firstsecond");
}

/// Sends `bytes` together with a descriptor, which a plain read discards.
fn send_descriptor(stream: &UnixStream, bytes: &[u8]) {
    #[repr(align(8))]
    struct Control([u8; 64]);
    let mut control = Control([0; 64]);
    let mut slice = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: a msghdr consists of integers and pointers, for which all-zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut slice;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE only computes a length.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<i32>() as u32) } as _;
    // SAFETY: `message` is a valid msghdr with a control buffer.
    let header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    // SAFETY: the header is in the control buffer, which is large enough, aligned and zeroed.
    let filled = unsafe { &mut *header };
    filled.cmsg_level = libc::SOL_SOCKET;
    filled.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: CMSG_LEN only computes a length.
    filled.cmsg_len = unsafe { libc::CMSG_LEN(size_of::<i32>() as u32) } as _;
    // SAFETY: `header` points to a header in the control buffer; its data is in the buffer too.
    let data = unsafe { libc::CMSG_DATA(header) }.cast::<i32>();
    // SAFETY: the control buffer has room for one descriptor behind the header.
    unsafe { data.write_unaligned(stream.as_raw_fd()) };
    // SAFETY: everything that `message` points to lives until the call has returned.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &message, 0) };
    assert_eq!(sent, bytes.len() as isize);
}
