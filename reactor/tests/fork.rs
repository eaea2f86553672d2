//! A reactor that a child of fork(2) inherits.
//!
//! This binary has no test harness, because a child would not have the harness's threads.

mod support;

use std::future::Future;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use runtime_reactor::{Backend, Direction, Interest, Reactor, Source, Timer};
use support::{
    Task, block_on, look, pipe, poll_read, reactor, read_fd, reports_ends, tcp_pair, turn_until,
};

fn main() {
    let tests: [(&str, fn()); 7] = [
        (
            "a_child_waits_for_an_end_that_its_parent_waited_for",
            a_child_waits_for_an_end_that_its_parent_waited_for,
        ),
        (
            "a_child_without_a_selector_gets_an_error_and_changes_nothing_for_its_parent",
            a_child_without_a_selector_gets_an_error_and_changes_nothing_for_its_parent,
        ),
        (
            "a_child_does_not_notify_its_parent",
            a_child_does_not_notify_its_parent,
        ),
        (
            "a_child_with_a_selector_of_its_own_waits_for_its_parents_sources",
            a_child_with_a_selector_of_its_own_waits_for_its_parents_sources,
        ),
        (
            "a_descriptor_that_the_child_closed_is_an_error_of_its_source",
            a_descriptor_that_the_child_closed_is_an_error_of_its_source,
        ),
        (
            "a_grandchild_needs_a_selector_of_its_own_too",
            a_grandchild_needs_a_selector_of_its_own_too,
        ),
        (
            "without_a_fork_after_fork_child_changes_nothing",
            without_a_fork_after_fork_child_changes_nothing,
        ),
    ];
    for (name, test) in tests {
        limit_time();
        test();
        println!("test {name} ... ok");
    }
}

/// Has this process killed if it hangs. A child does not inherit that and calls it again.
fn limit_time() {
    // SAFETY: alarm takes an integer. SIGALRM has no handler here and ends the process.
    unsafe { libc::alarm(120) };
}

/// Runs `work` in a forked child, and asserts that it completed there.
fn in_child(work: impl FnOnce()) {
    // SAFETY: this process has one thread, so the child may call any function.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1);
    if pid == 0 {
        limit_time();
        let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
        // SAFETY: _exit takes an integer. It drops nothing of the parent's stack.
        unsafe { libc::_exit(panicked.into()) };
    }
    let mut status = 0;
    // SAFETY: the pointer is valid for the int that waitpid writes.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0, "the child's status");
}

fn is_readable(fd: &OwnedFd) -> bool {
    let mut asked = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: the pointer is valid for the one pollfd that the kernel reads and writes.
    unsafe { libc::poll(&mut asked, 1, 0) > 0 }
}

fn poll_pipe(source: &Source<OwnedFd>, task: &Task) -> Poll<std::io::Result<usize>> {
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    source.poll_io(Direction::Read, &mut cx, |fd| read_fd(fd, &mut [0; 8]))
}

fn a_child_without_a_selector_gets_an_error_and_changes_nothing_for_its_parent() {
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    // A source whose removal is a system call.
    let (reader, writer) = pipe();
    let pipe_source = Source::new(reader);
    let (task, pipe_task) = (Task::default(), Task::default());
    assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
    assert!(poll_pipe(&pipe_source, &pipe_task).is_pending());
    look(&reactor);
    let mut sources = Some((source, pipe_source));
    in_child(|| {
        assert!(reactor.is_forked());
        let error = reactor.turn(None).unwrap_err().to_string();
        assert!(error.contains("is a fork of"), "{error}");
        let (fresh, _peer) = tcp_pair();
        match poll_read(&fresh, &Task::default(), &mut [0; 8]) {
            Poll::Ready(Err(e)) => assert!(e.to_string().contains("after_fork_child"), "{e}"),
            other => panic!("{other:?}"),
        }
        // Dropping them here must leave the parent's registrations alone.
        drop((sources.take(), fresh));
        reactor.close();
        // A reactor of the child's own works.
        let own = Reactor::new().unwrap();
        look(&own);
    });
    assert!(!reactor.is_forked());
    peer.write_all(b"x").unwrap();
    support::write_fd(&writer, b"x").unwrap();
    turn_until(&reactor, || task.count() == 1 && pipe_task.count() == 1);
}

fn a_child_does_not_notify_its_parent() {
    // Whatever RUNTIME_BACKEND says: this needs a backend with a descriptor that shows it.
    let reactor = Reactor::with_backend(Backend::available()[0]).unwrap();
    let notifier = reactor.notifier();
    let fd = reactor.pollable_fd().unwrap();
    look(&reactor);
    in_child(|| notifier.notify());
    assert!(!is_readable(&fd));
    notifier.notify();
    assert!(is_readable(&fd), "the parent still can");
}

fn a_child_with_a_selector_of_its_own_waits_for_its_parents_sources() {
    let (reactor, _entered) = reactor();
    let (mut a, mut b) = (tcp_pair(), tcp_pair());
    let (for_a, for_b, for_timer) = (Task::default(), Task::default(), Task::default());
    assert!(poll_read(&a.0, &for_a, &mut [0; 8]).is_pending());
    assert!(poll_read(&b.0, &for_b, &mut [0; 8]).is_pending());
    let deadline = Instant::now() + Duration::from_millis(20);
    let mut timer = Box::pin(Timer::at(deadline));
    let waker = for_timer.waker();
    assert!(
        timer
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let before = reactor.stats();
    in_child(|| {
        reactor.after_fork_child().unwrap();
        assert!(!reactor.is_forked());
        assert_eq!(reactor.stats().sources, 2);
        a.1.write_all(b"x").unwrap();
        turn_until(&reactor, || for_a.count() == 1);
        assert_eq!(for_b.count(), 0);
        let read = poll_read(&a.0, &for_a, &mut [0; 8]);
        assert!(matches!(read, Poll::Ready(Ok(1))), "{read:?}");
        turn_until(&reactor, || for_timer.count() == 1);
        assert!(Instant::now() >= deadline);
        // Sources and notifications of the child concern the child alone.
        let (c, mut peer) = tcp_pair();
        let for_c = Task::default();
        assert!(poll_read(&c, &for_c, &mut [0; 8]).is_pending());
        peer.write_all(b"x").unwrap();
        turn_until(&reactor, || for_c.count() == 1);
        let notifier = reactor.notifier();
        std::thread::spawn(move || notifier.notify())
            .join()
            .unwrap();
        reactor.turn(None).unwrap();
        drop(c);
    });
    assert_eq!(reactor.stats().registrations, before.registrations);
    assert_eq!(reactor.stats().removals, before.removals);
    // The child has read the byte. The parent's registrations are untouched.
    b.1.write_all(b"x").unwrap();
    turn_until(&reactor, || for_b.count() == 1);
    let read = poll_read(&a.0, &for_a, &mut [0; 8]);
    assert!(read.is_pending(), "{read:?}");
    let count = for_a.count();
    a.1.write_all(b"x").unwrap();
    turn_until(&reactor, || for_a.count() > count);
    block_on(&reactor, timer).unwrap();
}

fn a_descriptor_that_the_child_closed_is_an_error_of_its_source() {
    let (reactor, _entered) = reactor();
    // The descriptors of the child's selector get lower numbers than that of the source.
    let mut lower: Vec<_> = (0..4)
        .map(|_| std::fs::File::open("/dev/null").unwrap())
        .collect();
    let (source, _peer) = tcp_pair();
    let task = Task::default();
    assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
    in_child(|| {
        lower.clear();
        // SAFETY: close takes an integer. This process never drops the source, so the descriptor
        // is closed only once.
        unsafe { libc::close(source.get_ref().as_raw_fd()) };
        reactor.after_fork_child().unwrap();
        turn_until(&reactor, || task.count() == 1);
        let waker = task.waker();
        let mut cx = Context::from_waker(&waker);
        let nothing = |_: &_| -> std::io::Result<()> { Err(std::io::ErrorKind::WouldBlock.into()) };
        match source.poll_io(Direction::Read, &mut cx, nothing) {
            Poll::Ready(Err(e)) => assert!(e.to_string().contains("cannot wait"), "{e}"),
            other => panic!("{other:?}"),
        }
    });
}

fn a_grandchild_needs_a_selector_of_its_own_too() {
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    assert!(poll_read(&source, &task, &mut [0; 8]).is_pending());
    in_child(|| {
        reactor.after_fork_child().unwrap();
        in_child(|| {
            reactor.turn(Some(Duration::ZERO)).unwrap_err();
            reactor.after_fork_child().unwrap();
            peer.write_all(b"x").unwrap();
            turn_until(&reactor, || task.count() == 1);
        });
        turn_until(&reactor, || task.count() == 1);
    });
    turn_until(&reactor, || task.count() == 1);
}

fn without_a_fork_after_fork_child_changes_nothing() {
    let (reactor, _entered) = reactor();
    let (source, _peer) = tcp_pair();
    let mut cx = Context::from_waker(Waker::noop());
    let nothing = |_: &_| -> std::io::Result<()> { Err(std::io::ErrorKind::WouldBlock.into()) };
    assert!(
        source
            .poll_io(Direction::Read, &mut cx, nothing)
            .is_pending()
    );
    look(&reactor);
    reactor.after_fork_child().unwrap();
    look(&reactor);
    assert_eq!(reactor.stats().registrations, 1);
}

fn a_child_waits_for_an_end_that_its_parent_waited_for() {
    let (reactor, _entered) = reactor();
    if !reports_ends(&reactor) {
        return;
    }
    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    let mut closed = Box::pin(source.ready(Interest::CLOSED));
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    in_child(|| {
        reactor.after_fork_child().unwrap();
        peer.write_all(b"unread").unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        turn_until(&reactor, || task.count() > 0);
        block_on(&reactor, closed).unwrap();
    });
}
