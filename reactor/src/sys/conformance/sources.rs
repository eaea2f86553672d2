//! The requirements that concern sources and their events.

use std::io::{Read, Write};
use std::task::{Context, Poll};

use super::*;
use crate::reactor::Reactor;
use crate::source::Source;
use crate::wake_list::tests::CountingWaker;

/// A read stops at urgent data, although the bytes behind it arrived with the same event. The
/// second round begins after events and reads.
pub(super) fn a_short_read_at_urgent_data_hides_no_bytes_behind_it(stage: &mut Stage) {
    let nothing = crate::sys::scripted::Script::default().selector();
    let selector = std::mem::replace(&mut stage.selector, nothing);
    let reactor = Reactor::with_selector(selector).unwrap();
    let _entered = reactor.enter();
    let (ours, mut theirs) = tcp_pair();
    theirs.set_nodelay();
    let source = Source::new(ours).sole_owner().streaming();
    let task = CountingWaker::new();
    let waker = task.waker();
    let read = || {
        let (mut cx, mut buffer) = (Context::from_waker(&waker), [0; 64]);
        let polled = source.poll_transfer(Direction::Read, &mut cx, buffer.len(), |mut io| {
            io.read(&mut buffer)
        });
        polled.map(|n| buffer[..n.unwrap()].to_vec())
    };
    assert!(read().is_pending());
    for _ in 0..2 {
        theirs.write_all(b"before").unwrap();
        // SAFETY: the pointer is valid for the one byte that the kernel reads.
        let sent =
            unsafe { libc::send(theirs.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!(sent, 1);
        theirs.write_all(b"after").unwrap();
        let mut got = Vec::new();
        while got != b"beforeafter" {
            match read() {
                Poll::Ready(more) => got.extend_from_slice(&more),
                Poll::Pending => reactor.turn(None).unwrap(),
            }
            assert!(b"beforeafter".starts_with(&got), "{got:?}");
        }
        assert!(read().is_pending());
    }
}
