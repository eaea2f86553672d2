//! Waits that are ended by notifications and interrupted by signals.

use std::io::{ErrorKind, Read, Write};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

pub(super) fn a_notification_before_the_wait_ends_it_and_reports_nothing(stage: &mut Stage) {
    let notifier = stage.selector.notifier();
    for notifications in 1..4 {
        for _ in 0..notifications {
            notifier.notify().unwrap();
        }
        stage.selector.wait(&mut stage.events, None).unwrap();
        assert_eq!(stage.events, []);
        // Either the first wait consumed all notifications, or this one consumes the rest.
        stage
            .selector
            .wait(&mut stage.events, Some(Duration::ZERO))
            .unwrap();
        assert_eq!(stage.events, []);
    }
}

pub(super) fn none_of_ten_thousand_notifications_is_lost(stage: &mut Stage) {
    const THREADS: usize = 4;
    const EACH: usize = 2500;
    let begun = AtomicUsize::new(0);
    let notifier = &stage.selector.notifier();
    thread::scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| {
                for _ in 0..EACH {
                    begun.fetch_add(1, Ordering::SeqCst);
                    notifier.notify().unwrap();
                }
            });
        }
        // The last notification follows the last count. So a wait ends after it, or hangs.
        while begun.load(Ordering::SeqCst) < THREADS * EACH {
            stage.selector.wait(&mut stage.events, None).unwrap();
            assert_eq!(stage.events, []);
        }
    });
}

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

/// Interrupts this thread with signals for as long as `f` runs. The signal goes to this thread
/// alone, and is one that is ignored by default.
fn in_a_storm(f: impl FnOnce()) {
    // SAFETY: all-zero is a valid sigaction. It has no flags, so that no call is restarted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler is async-signal-safe, as it only touches an atomic; `action` is valid.
    cvt(unsafe { libc::sigaction(libc::SIGURG, &action, ptr::null_mut()) }).unwrap();
    // SAFETY: pthread_self has no preconditions.
    let target = unsafe { libc::pthread_self() } as usize;
    let over = AtomicBool::new(false);
    thread::scope(|s| {
        let over = &over;
        s.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                // SAFETY: the target joins this thread before it ends, so it is alive.
                unsafe { libc::pthread_kill(target as libc::pthread_t, libc::SIGURG) };
                thread::yield_now();
            }
        });
        let _over = SetsWhenDropped(over);
        f();
    });
}

pub(super) fn a_storm_of_signals_loses_no_event_and_no_registration(stage: &mut Stage) {
    let (mut ours, theirs) = pair();
    theirs.set_nonblocking(false).unwrap();
    let before = SIGNALS.load(Ordering::SeqCst);
    in_a_storm(|| {
        // An interrupted wait reports nothing, and is not an error.
        while SIGNALS.load(Ordering::SeqCst) < before + 100 {
            stage.selector.wait(&mut stage.events, None).unwrap();
            assert_eq!(stage.events, []);
        }
        thread::scope(|s| {
            s.spawn(|| {
                let mut theirs = &theirs;
                for _ in 0..300 {
                    theirs.write_all(b"x").unwrap();
                    theirs.read_exact(&mut [0]).unwrap();
                }
            });
            for generation in 0..300 {
                // Registered again each time, so that registrations are interrupted too.
                let token = Token::new(1, generation);
                assert_eq!(stage.add(&ours, token), None);
                stage.wait_until(token, Readiness::READABLE);
                while let Err(e) = ours.read_exact(&mut [0]) {
                    assert_eq!(e.kind(), ErrorKind::Interrupted);
                }
                stage.selector.remove(ours.as_raw_fd(), token).unwrap();
                ours.write_all(b"x").unwrap();
            }
        });
    });
}
