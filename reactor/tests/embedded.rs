//! A reactor in an outer loop, which polls its descriptor and never lets it block.

mod support;

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Waker};
use std::thread;

use runtime_reactor::{Direction, Reactor};
use support::{Task, has_levels, look, poll_read, reactor, tcp_pair, watchdog};

/// Returns true if the descriptor is readable, and waits for that if `wait`.
fn is_readable(fd: &OwnedFd, wait: bool) -> bool {
    let mut asked = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: the kernel reads and writes the one pollfd that it is given.
    unsafe { libc::poll(&mut asked, 1, if wait { -1 } else { 0 }) > 0 }
}

/// Returns the descriptor to poll. A backend without one must say so.
fn descriptor(reactor: &Reactor) -> Option<OwnedFd> {
    if !has_levels(reactor) {
        return Some(reactor.pollable_fd().unwrap());
    }
    let e = reactor.pollable_fd().unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::Unsupported);
    assert!(e.to_string().contains(reactor.backend().name()), "{e}");
    None
}

#[test]
fn events_show_in_the_descriptor_until_they_are_turned() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let Some(fd) = descriptor(&reactor) else {
        return;
    };
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
    look(&reactor);
    assert!(!is_readable(&fd, false));
    peer.write_all(b"x").unwrap();
    assert!(is_readable(&fd, true));
    look(&reactor);
    assert_eq!(task.count(), 1);
    assert!(!is_readable(&fd, false));
}

#[test]
fn messages_from_other_threads_show_in_the_descriptor() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    assert!(poll_read(&source, &Task::default(), &mut [0; 8]).is_pending());
    look(&reactor);
    let Some(fd) = descriptor(&reactor) else {
        return;
    };
    let task = Task::default();
    for round in 1..=3 {
        assert!(!is_readable(&fd, false));
        peer.write_all(b"x").unwrap();
        assert!(is_readable(&fd, true));
        look(&reactor);
        assert!(!is_readable(&fd, false));
        let waker = task.waker();
        thread::scope(|s| {
            s.spawn(|| {
                let mut cx = Context::from_waker(&waker);
                let polled = source.poll_io(Direction::Read, &mut cx, |_| -> std::io::Result<()> {
                    Err(std::io::ErrorKind::WouldBlock.into())
                });
                assert!(polled.is_pending());
            });
        });
        while task.count() < round {
            assert!(is_readable(&fd, true));
            look(&reactor);
        }
    }
    let mut cx = Context::from_waker(Waker::noop());
    let read = source.poll_io(Direction::Read, &mut cx, |mut stream| {
        std::io::Read::read(&mut stream, &mut [0; 8])
    });
    assert!(read.is_ready());
}

#[test]
fn a_message_that_ended_a_blocking_turn_shows_in_the_descriptor() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let Some(fd) = descriptor(&reactor) else {
        return;
    };
    let (source, _peer) = tcp_pair();
    assert!(poll_read(&source, &Task::default(), &mut [0; 8]).is_pending());
    look(&reactor);
    thread::scope(|s| {
        s.spawn(|| assert!(poll_read(&source, &Task::default(), &mut [0; 8]).is_pending()));
        reactor.turn(None).unwrap();
    });
    // It came before that turn drained its inbox, or ended its wait and is still there.
    let was_read = reactor.stats().reregistrations == 1;
    assert!(was_read || is_readable(&fd, false));
}
