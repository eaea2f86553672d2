//! Waits that are ended from outside.

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
        // One wait hears all that was notified before it, or the next one the rest.
        stage
            .selector
            .wait(&mut stage.events, Some(Duration::ZERO))
            .unwrap();
        assert_eq!(stage.events, []);
    }
}

pub(super) fn no_ring_of_ten_thousand_is_lost(stage: &mut Stage) {
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
        // The last notification comes after the last count, so a wait ends after it, or hangs.
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

/// Interrupts this thread without end while `f` runs. The signal is one that is ignored unless
/// somebody asks for it, and goes to this thread alone.
fn in_a_storm(f: impl FnOnce()) {
    // SAFETY: all zeroes is a valid sigaction: no flags, so that nothing is restarted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler only touches an atomic; the kernel reads one sigaction.
    cvt(unsafe { libc::sigaction(libc::SIGURG, &action, ptr::null_mut()) }).unwrap();
    // SAFETY: pthread_self has no preconditions.
    let target = unsafe { libc::pthread_self() } as usize;
    let over = AtomicBool::new(false);
    thread::scope(|s| {
        let over = &over;
        s.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                // SAFETY: the thread waits for this one to end, so it is alive.
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
        // A wait that a signal ends is one that found nothing.
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
                // Registered anew each time: the change is interrupted, too.
                let token = Token::new(1, generation);
                assert_eq!(stage.add(&ours, token), None);
                stage.until(token, Readiness::READABLE);
                while let Err(e) = ours.read_exact(&mut [0]) {
                    assert_eq!(e.kind(), ErrorKind::Interrupted);
                }
                stage.selector.remove(ours.as_raw_fd(), token).unwrap();
                ours.write_all(b"x").unwrap();
            }
        });
    });
}
