//! Descriptor numbers that are reused after a close.

mod support;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use runtime_reactor::{Direction, Source};
use support::{Task, look, pipe, poll_read, reactor, read_fd, tcp_pair, watchdog, write_fd};

/// Held by each test, because each depends on which number is free.
static NUMBERS: Mutex<()> = Mutex::new(());

#[test]
fn an_event_of_a_closed_source_does_not_reach_the_next_source_of_its_number() {
    let _watchdog = watchdog();
    let _alone = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let (reactor, _entered) = reactor();
    let (old, mut old_peer) = tcp_pair();
    let number = old.get_ref().as_raw_fd();
    let (first, second) = (Task::default(), Task::default());
    assert!(poll_read(&old, &first, &mut [0; 8]).is_pending());
    std::io::Write::write_all(&mut old_peer, b"for the old one").unwrap();
    let (reader, writer) = pipe();
    drop(old);
    // SAFETY: the number is free, and the lock keeps the other test from opening it in the
    // meantime.
    let number = unsafe { libc::dup2(reader.as_raw_fd(), number) };
    // SAFETY: dup2 has just returned this descriptor, and it has no other owner.
    let reused = unsafe { OwnedFd::from_raw_fd(number) };
    let new = Source::new(reused);
    let waker = second.waker();
    let poll = || {
        let mut cx = Context::from_waker(&waker);
        new.poll_io(Direction::Read, &mut cx, |fd| read_fd(fd, &mut [0; 8]))
    };
    assert!(poll().is_pending());
    for _ in 0..3 {
        look(&reactor);
    }
    assert_eq!((first.count(), second.count()), (0, 0));
    write_fd(&writer, b"for the new one").unwrap();
    reactor.turn(None).unwrap();
    assert_eq!(second.count(), 1);
    assert!(poll().is_ready());
}

/// A waker that drops the sources it holds.
struct Drops(Mutex<Vec<Source<std::net::TcpStream>>>);

impl Wake for Drops {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().clear();
    }
}

#[test]
fn a_source_dropped_within_a_batch_does_not_disturb_the_batch() {
    let _watchdog = watchdog();
    let _alone = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let (reactor, _entered) = reactor();
    let drops = Arc::new(Drops(Vec::new().into()));
    let dropping = Waker::from(drops.clone());
    let task = Task::default();
    let mut peers = Vec::new();
    let mut kept = Vec::new();
    for n in 0..20 {
        let (source, peer) = tcp_pair();
        let waker = task.waker();
        let waker = if n == 3 { &dropping } else { &waker };
        let mut cx = Context::from_waker(waker);
        let polled = source.poll_io(Direction::Read, &mut cx, |mut stream| {
            std::io::Read::read(&mut stream, &mut [0; 8])
        });
        assert!(polled.is_pending());
        peers.push(peer);
        if n % 2 == 0 {
            kept.push(source);
        } else {
            drops.0.lock().unwrap().push(source);
        }
    }
    for peer in &mut peers {
        std::io::Write::write_all(peer, b"x").unwrap();
    }
    reactor.turn(None).unwrap();
    assert_eq!(
        task.count(),
        19,
        "every event was delivered before a waker ran"
    );
    // New sources reuse the numbers and have no events yet.
    let fresh: Vec<_> = (0..10).map(|_| tcp_pair()).collect();
    let task = Task::default();
    for (source, _) in &fresh {
        assert!(poll_read(source, &task, &mut [0; 8]).is_pending());
    }
    look(&reactor);
    assert_eq!(task.count(), 0);
    for source in &kept {
        assert!(poll_read(source, &task, &mut [0; 8]).is_ready());
    }
    assert_eq!(reactor.stats().sources, 20);
}
