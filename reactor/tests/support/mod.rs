//! Helpers that the tests of this directory share.

#![allow(dead_code, reason = "no test uses all of it")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use runtime_reactor::internal::set_nonblocking;
use runtime_reactor::{Backend, Direction, EnterGuard, Reactor, Source};

/// Counts how often it was woken.
#[derive(Clone, Default)]
pub(crate) struct Task(Arc<Count>);

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Task {
    pub(crate) fn waker(&self) -> Waker {
        self.0.clone().into()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }
}

/// A reactor that drives this thread until the guard is dropped.
pub(crate) fn reactor() -> (Rc<Reactor>, EnterGuard) {
    let reactor = Reactor::new().unwrap();
    let entered = reactor.enter();
    (reactor, entered)
}

/// True if every wait asks the kernel again, only for the interest of waiters.
pub(crate) fn has_levels(reactor: &Reactor) -> bool {
    matches!(reactor.backend(), Backend::Poll | Backend::Select)
}

/// Returns true if the backend reports the end of the peer: select does not, nor poll without
/// POLLRDHUP.
pub(crate) fn reports_ends(reactor: &Reactor) -> bool {
    reports(
        reactor,
        cfg!(any(
            target_os = "linux",
            target_os = "android",
            target_os = "freebsd"
        )),
    )
}

/// Returns true if the backend reports errors, such as the end of the reader of a pipe: select does
/// not, nor NetBSD's poll.
pub(crate) fn reports_errors(reactor: &Reactor) -> bool {
    reports(reactor, cfg!(not(target_os = "netbsd")))
}

fn reports(reactor: &Reactor, poll_does: bool) -> bool {
    let reports = match reactor.backend() {
        Backend::Select => false,
        Backend::Poll => poll_does,
        _ => true,
    };
    if !reports {
        eprintln!("NOT TESTED: {} does not report the end", reactor.backend());
    }
    reports
}

/// Aborts the process if the test hangs; dropped when it does not.
pub(crate) struct Watchdog(#[allow(dead_code, reason = "only its drop matters")] Sender<()>);

pub(crate) fn watchdog() -> Watchdog {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        if receiver.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("the test hangs");
            std::process::abort();
        }
    });
    Watchdog(sender)
}

/// Turns the reactor until `done`.
pub(crate) fn turn_until(reactor: &Reactor, mut done: impl FnMut() -> bool) {
    while !done() {
        reactor.turn(None).unwrap();
    }
}

/// Turns once, without waiting, for all events that are there already.
pub(crate) fn look(reactor: &Reactor) {
    reactor.turn(Some(Duration::ZERO)).unwrap();
}

pub(crate) fn tcp_pair() -> (Source<TcpStream>, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    // A second small write is sent at once, and not when the first is acknowledged.
    theirs.set_nodelay(true).unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours).streaming().sole_owner(), theirs)
}

/// The two ends of a non-blocking pipe: reader, writer.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    // SAFETY: pipe writes two descriptors into the array of two that it is given.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: the kernel has just returned these descriptors, and they have no other owner.
    let ends = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    for end in &ends {
        set_nonblocking(end.as_fd()).unwrap();
    }
    ends.into()
}

pub(crate) fn read_fd(fd: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: pointer and length are those of one live slice.
    let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn write_fd(fd: &impl AsFd, buffer: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: pointer and length are those of one live slice.
    let n = unsafe { libc::write(fd, buffer.as_ptr().cast(), buffer.len()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn poll_read<T: AsFd>(
    source: &Source<T>,
    task: &Task,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>>
where
    for<'a> &'a T: Read,
{
    let waker = task.waker();
    let asked = buffer.len();
    let mut cx = Context::from_waker(&waker);
    source.poll_transfer(Direction::Read, &mut cx, asked, |mut io| io.read(buffer))
}

pub(crate) fn poll_write<T: AsFd>(
    source: &Source<T>,
    task: &Task,
    buffer: &[u8],
) -> Poll<io::Result<usize>>
where
    for<'a> &'a T: Write,
{
    let waker = task.waker();
    let asked = buffer.len();
    let mut cx = Context::from_waker(&waker);
    source.poll_transfer(Direction::Write, &mut cx, asked, |mut io| io.write(buffer))
}

/// Writes until there is no more room; the task waits then.
pub(crate) fn fill<T: AsFd>(reactor: &Reactor, source: &Source<T>, task: &Task)
where
    for<'a> &'a T: Write,
{
    loop {
        match poll_write(source, task, &[7; 4096]) {
            Poll::Ready(written) => drop(written.unwrap()),
            // Its quota is used up: the next turn gives it another one.
            Poll::Pending if reactor.wants_turn() => look(reactor),
            Poll::Pending => return,
        }
    }
}

/// Runs a future to completion, turning the reactor whenever it has to wait.
pub(crate) fn block_on<F: Future>(reactor: &Reactor, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let task = Task::default();
    let waker = task.waker();
    let mut seen = 0;
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        if reactor.wants_turn() {
            look(reactor);
        }
        while task.count() == seen {
            reactor.turn(None).unwrap();
        }
        seen = task.count();
    }
}
