//! Regular files and directories, which no backend can wait for.

mod support;

use std::env;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use runtime_reactor::internal::is_ready;
use runtime_reactor::{Direction, Source};
use support::{block_on, reactor};

#[test]
fn waiting_for_a_regular_file_or_a_directory_is_an_error_that_names_it() {
    let (reactor, _entered) = reactor();
    // A file and a directory that exist on every system.
    for path in [env::current_exe().unwrap(), "/".into()] {
        let source = Source::new(File::open(path).unwrap());
        let mut begun = pin!(poll_fn(|cx| source.poll_begun(Direction::Read, cx)));
        let e = block_on(&reactor, &mut begun).expect_err("the kernel refuses it");
        assert_eq!(e.kind(), io::ErrorKind::Unsupported);
        let name = format!("descriptor {}", source.get_ref().as_raw_fd());
        assert!(e.to_string().contains(&name), "{e}");
    }
    assert_eq!(reactor.stats().registrations, 0);
}

#[test]
fn a_regular_file_that_does_not_have_to_wait_is_a_source_like_any_other() {
    let (_reactor, _entered) = reactor();
    let source = Source::new(File::open(env::current_exe().unwrap()).unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    let polled = source.poll_io(Direction::Read, &mut cx, |mut file| {
        io::Read::read(&mut file, &mut [0; 8])
    });
    assert!(matches!(polled, Poll::Ready(Ok(8))));
}

#[test]
fn a_descriptor_that_poll_rejects_is_an_error_and_not_ready() {
    // SAFETY: no descriptor has this number, and it is passed only to poll(2), which accepts any.
    let closed = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
    for direction in [Direction::Read, Direction::Write] {
        let e = is_ready(closed, direction).expect_err("POLLNVAL");
        assert_eq!(e.kind(), io::ErrorKind::Unsupported);
    }
}
