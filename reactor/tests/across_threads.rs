//! Sources and timers used on a thread other than their reactor's.

mod support;

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use runtime_reactor::{Direction, Interest, Reactor, Source, Timer};
use support::{Task, block_on, look, pipe, poll_read, reactor, tcp_pair, turn_until, watchdog};

/// A waker that unparks a thread.
struct Unparks(thread::Thread, AtomicBool);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::SeqCst);
        self.0.unpark();
    }
}

/// Runs a future to completion on a thread without a reactor.
fn block_elsewhere<F: Future>(future: F) -> F::Output {
    let unparks = Arc::new(Unparks(thread::current(), AtomicBool::new(false)));
    let waker = Waker::from(unparks.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        while !unparks.1.swap(false, Ordering::SeqCst) {
            thread::park();
        }
    }
}

async fn read(source: &Source<TcpStream>, buffer: &mut [u8]) -> usize {
    let asked = buffer.len();
    poll_fn(|cx| source.poll_transfer(Direction::Read, cx, asked, |mut stream| stream.read(buffer)))
        .await
        .unwrap()
}

#[test]
fn two_threads_that_read_one_source_get_every_byte_once() {
    const BYTES: usize = 20_000;
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    assert!(poll_read(&source, &Task::default(), &mut [0; 4]).is_pending());
    let got = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let notifier = reactor.notifier();
    let count = |n| {
        got.fetch_add(n, Ordering::SeqCst);
    };
    thread::scope(|s| {
        s.spawn(|| {
            for n in 0..BYTES / 20 {
                peer.write_all(&[0; 20]).unwrap();
                if n % 16 == 0 {
                    thread::yield_now();
                }
            }
            peer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        s.spawn(|| {
            loop {
                match block_elsewhere(read(&source, &mut [0; 16])) {
                    0 => break,
                    n => count(n),
                }
            }
            over.store(true, Ordering::SeqCst);
            notifier.notify();
        });
        loop {
            match block_on(&reactor, read(&source, &mut [0; 16])) {
                0 => break,
                n => count(n),
            }
        }
        turn_until(&reactor, || over.load(Ordering::SeqCst));
    });
    assert_eq!(got.load(Ordering::SeqCst), BYTES);
    assert_eq!(reactor.stats().registrations, 1);
}

#[test]
fn a_thread_without_a_reactor_waits_by_message() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let (source, mut peer) = tcp_pair();
    assert!(poll_read(&source, &Task::default(), &mut [0; 4]).is_pending());
    let over = AtomicBool::new(false);
    let notifier = reactor.notifier();
    thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..500 {
                let readiness = block_elsewhere(source.ready(Interest::WRITABLE)).unwrap();
                assert!(readiness.is_writable());
                source
                    .try_io(Direction::Write, |mut stream| stream.write(b"ping"))
                    .unwrap();
                assert_eq!(block_elsewhere(read(&source, &mut [0; 4])), 4);
            }
            over.store(true, Ordering::SeqCst);
            notifier.notify();
        });
        s.spawn(|| {
            for _ in 0..500 {
                peer.read_exact(&mut [0; 4]).unwrap();
                peer.write_all(b"pong").unwrap();
            }
        });
        turn_until(&reactor, || over.load(Ordering::SeqCst));
    });
    assert_eq!(reactor.stats().registrations, 1);
}

/// A descriptor that two threads borrow at the same time.
struct Contested(OwnedFd, Barrier);

impl AsFd for Contested {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.wait();
        self.0.as_fd()
    }
}

#[test]
fn of_two_reactors_that_take_one_source_at_once_one_keeps_it() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2);
    let (reader, writer) = pipe();
    let source = Source::new(Contested(reader, Barrier::new(2)));
    let (sources, woken) = (AtomicU64::new(0), AtomicUsize::new(0));
    let take = || {
        let (reactor, _entered) = reactor();
        let task = Task::default();
        let waker = task.waker();
        let mut cx = Context::from_waker(&waker);
        let polled = source.poll_io(Direction::Read, &mut cx, |_| -> io::Result<()> {
            Err(io::ErrorKind::WouldBlock.into())
        });
        assert!(polled.is_pending());
        sources.fetch_add(reactor.stats().sources, Ordering::SeqCst);
        // The one that does not keep it waits by messages, and both are woken for the data.
        if barrier.wait().is_leader() {
            support::write_fd(&writer, b"x").unwrap();
        }
        let mut seen = 0;
        while woken.load(Ordering::SeqCst) < 2 {
            reactor.turn(Some(Duration::from_millis(1))).unwrap();
            let count = task.count();
            woken.fetch_add(count - seen, Ordering::SeqCst);
            seen = count;
        }
        barrier.wait();
    };
    thread::scope(|s| {
        s.spawn(take);
        s.spawn(take);
    });
    assert_eq!(sources.load(Ordering::SeqCst), 1);
}

#[test]
fn a_timer_completes_on_the_thread_it_was_moved_to() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let deadline = Instant::now() + Duration::from_millis(5);
    let mut timer = Timer::at(deadline);
    let mut cx = Context::from_waker(Waker::noop());
    let _ = Pin::new(&mut timer).poll(&mut cx);
    let over = Arc::new(AtomicBool::new(false));
    let (set, notifier) = (over.clone(), reactor.notifier());
    let thread = thread::spawn(move || {
        block_elsewhere(timer).unwrap();
        assert!(Instant::now() >= deadline);
        set.store(true, Ordering::SeqCst);
        notifier.notify();
    });
    turn_until(&reactor, || over.load(Ordering::SeqCst));
    thread.join().unwrap();
    // The thread may have removed it after the last turn had read its messages.
    look(&reactor);
    assert_eq!(reactor.stats().timers, 0);
}

#[test]
fn a_source_dropped_on_another_thread_is_removed_here_too() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let task = Task::default();
    for _ in 0..20 {
        let (source, mut peer) = tcp_pair();
        assert!(poll_read(&source, &task, &mut [0; 4]).is_pending());
        thread::spawn(move || drop(source)).join().unwrap();
        let _ = peer.write(b"x");
        look(&reactor);
        // The number of the closed one is taken again, before or after its removal was processed.
        let (next, mut peer) = tcp_pair();
        let next_task = Task::default();
        assert!(poll_read(&next, &next_task, &mut [0; 4]).is_pending());
        peer.write_all(b"x").unwrap();
        turn_until(&reactor, || next_task.count() > 0);
        assert!(poll_read(&next, &next_task, &mut [0; 4]).is_ready());
    }
    assert_eq!(task.count(), 0);
    look(&reactor);
    assert_eq!(reactor.stats().sources, 0);
}

#[test]
fn a_reactor_that_is_dropped_ends_every_wait() {
    let _watchdog = watchdog();
    for _ in 0..200 {
        let (source, _peer) = tcp_pair();
        let source = Arc::new(source);
        let (ready, is_ready) = mpsc::channel();
        let theirs = source.clone();
        let waiter = thread::spawn(move || {
            is_ready.recv().unwrap();
            block_elsewhere(poll_fn(|cx| {
                theirs.poll_io(Direction::Read, cx, |mut stream| stream.read(&mut [0; 4]))
            }))
        });
        let reactor = Reactor::new().unwrap();
        let entered = reactor.enter();
        assert!(poll_read(&source, &Task::default(), &mut [0; 4]).is_pending());
        ready.send(()).unwrap();
        look(&reactor);
        drop((entered, reactor));
        let reported = waiter.join().unwrap().unwrap_err();
        assert!(reported.to_string().contains("was dropped"), "{reported}");
    }
}
