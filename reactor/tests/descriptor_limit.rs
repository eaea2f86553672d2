//! Waits in a process that may have fewer descriptors than it has, or than its reactor waits for.
//!
//! This is a test binary of its own with one test, because the limit belongs to the process.

mod support;

use std::future::Future;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use runtime_reactor::internal::set_nonblocking;
use runtime_reactor::{Backend, Direction, Interest, Reactor, Source, Timer};
use support::{Task, watchdog};

/// Sets the soft limit, and restores it when it is dropped.
struct Limit(libc::rlimit);

impl Limit {
    fn set(descriptors: libc::rlim_t) -> Limit {
        let mut before = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: getrlimit writes one rlimit, which outlives the call.
        let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut before) };
        assert_eq!(got, 0);
        let lowered = libc::rlimit {
            rlim_cur: descriptors,
            ..before
        };
        // SAFETY: setrlimit reads one rlimit, which outlives the call.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &lowered) };
        assert_eq!(set, 0);
        Limit(before)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // SAFETY: setrlimit reads one rlimit, which outlives the call.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.0) };
    }
}

fn pair() -> (Rc<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(ours.as_fd()).unwrap();
    (Rc::new(ours), theirs)
}

fn poll_read(source: &Source<Rc<UnixStream>>, task: &Task) -> Poll<usize> {
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    let read = |io: &Rc<UnixStream>| (&**io).read(&mut [0; 8]);
    source
        .poll_io(Direction::Read, &mut cx, read)
        .map(Result::unwrap)
}

fn turn_until(reactor: &Reactor, mut is_done: impl FnMut() -> bool) {
    while !is_done() {
        reactor.turn(None).unwrap();
    }
}

/// Events, timers and notifications arrive although the limit was lowered to `limit`.
fn the_reactor_goes_on_under_a_lowered_limit(backend: Backend, limit: libc::rlim_t) {
    let reactor = Reactor::with_backend(backend).unwrap();
    let _entered = reactor.enter();
    let pairs: Vec<_> = (0..10).map(|_| pair()).collect();
    let (sources, peers): (Vec<_>, Vec<_>) = pairs
        .into_iter()
        .map(|(ours, theirs)| (Source::new(ours), theirs))
        .unzip();
    let tasks: [Task; 10] = std::array::from_fn(|_| Task::default());
    for (source, task) in sources.iter().zip(&tasks) {
        assert!(poll_read(source, task).is_pending());
    }
    let _limit = Limit::set(limit);
    for ((source, task), mut peer) in sources.iter().zip(&tasks).zip(&peers) {
        peer.write_all(b"x").unwrap();
        turn_until(&reactor, || task.count() == 1);
        assert_eq!(poll_read(source, task), Poll::Ready(1));
        assert!(poll_read(source, task).is_pending());
    }
    assert!(tasks.iter().all(|task| task.count() == 1));

    let timed = Task::default();
    let waker = timed.waker();
    let mut timer = Timer::at(Instant::now() + Duration::from_millis(1));
    let polled = Pin::new(&mut timer).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    turn_until(&reactor, || timed.count() == 1);

    let (notifier, begun) = (reactor.notifier(), AtomicBool::new(false));
    thread::scope(|s| {
        s.spawn(|| {
            begun.store(true, Ordering::SeqCst);
            notifier.notify();
        });
        // Nothing but the notification ends the last turn.
        turn_until(&reactor, || begun.load(Ordering::SeqCst));
    });

    drop(peers);
    for (source, task) in sources.iter().zip(&tasks) {
        turn_until(&reactor, || task.count() == 2);
        assert_eq!(poll_read(source, task), Poll::Ready(0));
    }
}

/// A wait for the peer's end alone succeeds if the limit leaves one descriptor, and otherwise fails
/// on the backend whose system call allows none.
fn the_peers_end_is_found_or_is_an_error(backend: Backend, limit: libc::rlim_t) {
    let reactor = Reactor::with_backend(backend).unwrap();
    let _entered = reactor.enter();
    let (ours, theirs) = pair();
    let source = Source::new(ours);
    let task = Task::default();
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    let mut closed = pin!(source.ready(Interest::CLOSED));
    let polled = closed.as_mut().poll(&mut cx);
    if matches!(polled, Poll::Ready(Err(_))) {
        return; // select does not support it
    }
    reactor.turn(Some(Duration::ZERO)).unwrap();
    let _limit = Limit::set(limit);
    reactor.turn(Some(Duration::ZERO)).unwrap();
    drop(theirs);
    turn_until(&reactor, || task.count() > 0);
    let Poll::Ready(ended) = closed.as_mut().poll(&mut cx) else {
        panic!("woken without a result");
    };
    let fails = backend == Backend::Poll && limit == 0;
    assert_eq!(ended.is_err(), fails, "{ended:?}");
    // The source can be used on.
    assert_eq!(poll_read(&source, &task), Poll::Ready(0));
}

/// All sources of one descriptor get its event, however many there are.
fn many_sources_of_one_descriptor(backend: Backend) {
    let reactor = Reactor::with_backend(backend).unwrap();
    let _entered = reactor.enter();
    let (ours, mut theirs) = pair();
    let _limit = Limit::set(100);
    let sources: Vec<_> = (0..300).map(|_| Source::new(ours.clone())).collect();
    let tasks: Vec<_> = (0..300).map(|_| Task::default()).collect();
    for (source, task) in sources.iter().zip(&tasks) {
        assert!(poll_read(source, task).is_pending());
    }
    reactor.turn(Some(Duration::ZERO)).unwrap();
    theirs.write_all(b"x").unwrap();
    turn_until(&reactor, || tasks.iter().all(|task| task.count() == 1));
}

#[test]
fn a_descriptor_limit_below_what_is_waited_for_ends_no_wait() {
    let _watchdog = watchdog();
    for &backend in Backend::available() {
        for limit in [0, 1, 3] {
            the_reactor_goes_on_under_a_lowered_limit(backend, limit);
            the_peers_end_is_found_or_is_an_error(backend, limit);
        }
        // epoll refuses a second registration of a descriptor, and kqueue has one for all of them.
        if matches!(backend, Backend::Poll | Backend::Select) {
            many_sources_of_one_descriptor(backend);
        }
    }
}
