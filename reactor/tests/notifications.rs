//! Notifications from other threads: none is lost, and few cost a system call.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use support::{look, reactor, turn_until, watchdog};

#[test]
fn ten_thousand_notifications_of_a_busy_reactor_make_no_call_at_all() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    look(&reactor);
    let notifier = reactor.notifier();
    thread::spawn(move || (0..10_000).for_each(|_| notifier.notify()))
        .join()
        .unwrap();
    reactor.turn(None).unwrap();
    let stats = reactor.stats();
    assert_eq!((stats.notifications, stats.waits, stats.events), (0, 2, 0));
}

#[test]
fn a_sleeping_reactor_is_notified_at_most_once_a_wait() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let done = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..2 {
            let notifier = reactor.notifier();
            let done = &done;
            s.spawn(move || {
                (0..10_000).for_each(|_| notifier.notify());
                done.fetch_add(1, Ordering::SeqCst);
                notifier.notify();
            });
        }
        turn_until(&reactor, || done.load(Ordering::SeqCst) == 2);
    });
    let stats = reactor.stats();
    assert!(stats.notifications <= stats.waits, "{stats:?}");
    assert_eq!(
        stats.spurious_wakes, 0,
        "the notifier is no event of its own"
    );
}

#[test]
fn two_threads_that_race_to_notify_never_leave_the_reactor_asleep() {
    const ROUNDS: usize = 50_000;
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let round = AtomicUsize::new(0);
    let seen = [AtomicBool::new(true), AtomicBool::new(true)];
    thread::scope(|s| {
        for seen in &seen {
            let notifier = reactor.notifier();
            s.spawn(move || {
                for _ in 0..ROUNDS {
                    seen.store(false, Ordering::SeqCst);
                    notifier.notify();
                    // The reactor processes each before the next one is sent.
                    while !seen.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                }
            });
        }
        while round.load(Ordering::SeqCst) < 2 * ROUNDS {
            for seen in &seen {
                if !seen.swap(true, Ordering::SeqCst) {
                    round.fetch_add(1, Ordering::SeqCst);
                }
            }
            if round.load(Ordering::SeqCst) < 2 * ROUNDS {
                reactor.turn(None).unwrap();
            }
        }
    });
    let stats = reactor.stats();
    assert!(stats.waits <= 4 * ROUNDS as u64 + 2, "{stats:?}");
}
