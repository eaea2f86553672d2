//! Waits interrupted by signals: no event is lost and no deadline moves.
//!
//! A separate test binary, because signal handlers belong to the process.

mod support;

use std::io::{Read, Write};
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use runtime_reactor::Timer;
use support::{Task, poll_read, reactor, tcp_pair, watchdog};

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::SeqCst);
}

struct SetsWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Interrupts this thread with signals for as long as `f` runs.
fn in_a_storm<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: all-zero is a valid sigaction. It has no flags, so that no call is restarted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler is async-signal-safe, as it only touches an atomic; `action` is valid.
    let set = unsafe { libc::sigaction(libc::SIGALRM, &action, ptr::null_mut()) };
    assert_eq!(set, 0);
    // SAFETY: pthread_self has no preconditions.
    let target = unsafe { libc::pthread_self() } as usize; // a pointer with musl, which is not Send
    let over = AtomicBool::new(false);
    thread::scope(|s| {
        let over = &over;
        s.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                // SAFETY: the target joins this thread before it ends, so it is alive.
                unsafe { libc::pthread_kill(target as libc::pthread_t, libc::SIGALRM) };
                thread::yield_now();
            }
        });
        let _over = SetsWhenDropped(over);
        f()
    })
}

#[test]
fn a_storm_of_signals_loses_no_event_and_moves_no_deadline() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let before = reactor.stats().spurious_wakes;
    in_a_storm(|| {
        while reactor.stats().spurious_wakes < before + 100 {
            reactor.turn(None).unwrap();
        }
    });
    assert!(
        SIGNALS.load(Ordering::SeqCst) >= 100,
        "waits were interrupted"
    );

    let (source, mut peer) = tcp_pair();
    let task = Task::default();
    in_a_storm(|| {
        thread::scope(|s| {
            s.spawn(|| {
                for _ in 0..2000 {
                    peer.write_all(b"ping").unwrap();
                    peer.read_exact(&mut [0; 4]).unwrap();
                }
            });
            for _ in 0..2000 {
                let mut got = 0;
                while got < 4 {
                    match poll_read(&source, &task, &mut [0; 4]) {
                        Poll::Ready(read) => got += read.unwrap(),
                        Poll::Pending => reactor.turn(None).unwrap(),
                    }
                }
                assert_eq!(source.get_ref().write(b"pong").unwrap(), 4);
            }
        });
    });

    in_a_storm(|| {
        for _ in 0..20 {
            let deadline = Instant::now() + Duration::from_millis(2);
            let mut timer = Timer::at(deadline);
            let waker = task.waker();
            let mut cx = Context::from_waker(&waker);
            while Pin::new(&mut timer).poll(&mut cx).is_pending() {
                let begun = Instant::now();
                reactor.turn(None).unwrap();
                let fired = Pin::new(&mut timer).poll(&mut cx).is_ready();
                assert!(!fired || Instant::now() >= deadline, "never early");
                assert!(
                    fired || begun < deadline,
                    "the turn after the deadline fires"
                );
                if fired {
                    break;
                }
            }
        }
    });
}
