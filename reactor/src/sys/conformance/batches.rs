//! Batches of events and of registrations, and failures among them.

use std::io::{Read, Write};

use super::*;

pub(super) fn more_events_than_the_buffer_holds_are_reported_in_several_batches(stage: &mut Stage) {
    allow_many_descriptors();
    let pairs: Vec<_> = (0..100).map(|_| pair()).collect();
    let streams: Vec<_> = pairs.iter().flat_map(|(a, b)| [a, b]).collect();
    for round in 0..3 {
        for (index, stream) in streams.iter().enumerate() {
            let token = Token::new(index as u32, 0);
            match round {
                0 => assert_eq!(stage.add(*stream, token), None),
                _ => {
                    stage
                        .selector
                        .reregister(stream.as_raw_fd(), token)
                        .unwrap();
                    stage.arm(token);
                }
            }
        }
        let mut reports = vec![0; streams.len()];
        let mut waits = 0;
        while reports.contains(&0) {
            waits += 1;
            stage.selector.wait(&mut stage.events, None).unwrap();
            for event in &stage.events {
                reports[event.token.index()] += 1;
            }
        }
        assert!(waits < streams.len() / 10, "{waits} waits");
        assert!(reports.iter().all(|&times| times == 1), "{reports:?}");
    }
}

pub(super) fn a_descriptor_of_1024_or_more_is_watched_like_any_other(stage: &mut Stage) {
    let (ours, mut theirs) = pair();
    for (token, least) in [(ONE, 1024), (TWO, 1500)] {
        let Some(large) = duplicate_from(&ours, least) else {
            eprintln!("SKIPPED: this process may have no descriptor {least}");
            return;
        };
        assert_eq!(stage.add(&large, token), None);
        assert_eq!(
            stage.wait_until(token, Readiness::WRITABLE),
            Readiness::WRITABLE
        );
        stage.arm(token);
        assert_eq!(
            stage
                .wait_once(token, Duration::ZERO)
                .0
                .without(Readiness::WRITABLE),
            Readiness::EMPTY
        );
        theirs.write_all(b"x").unwrap();
        stage.arm(token);
        stage.wait_until(token, Readiness::READABLE);
        stage.selector.remove(large.as_raw_fd(), token).unwrap();
        assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
    }
}

pub(super) fn a_failed_registration_does_not_prevent_others(stage: &mut Stage) {
    let (ours, _theirs) = pair();
    // A number that is certainly not open.
    let at_once = stage.add(&RawFd::MAX, ONE);
    assert_eq!(stage.add(&ours, TWO), None);
    let (mut errno, mut readiness) = (at_once.unwrap_or(0), Readiness::EMPTY);
    while errno == 0 || !readiness.is_writable() {
        stage.selector.wait(&mut stage.events, None).unwrap();
        for event in &stage.events {
            match event.token {
                ONE => errno = event.errno,
                _ => readiness |= event.readiness,
            }
        }
    }
    assert_eq!(errno, libc::EBADF);
}

pub(super) fn the_parent_of_a_forked_child_still_gets_its_events(stage: &mut Stage) {
    stage.alone();
    let (ours, mut theirs) = pair();
    let (late, mut to_late) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    stage.arm(ONE);
    assert_eq!(stage.add(&late, TWO), None);
    // SAFETY: the child calls only _exit, which is async-signal-safe.
    let child = cvt(unsafe { libc::fork() }).unwrap();
    if child == 0 {
        // SAFETY: _exit takes an integer and does not return.
        unsafe { libc::_exit(0) };
    }
    stage.wait_until(TWO, Readiness::WRITABLE);
    theirs.write_all(b"x").unwrap();
    stage.wait_until(ONE, Readiness::READABLE);
    // SAFETY: waitpid accepts a null pointer, and then writes no status.
    cvt(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }).unwrap();
    stage.arm(TWO);
    to_late.write_all(b"x").unwrap();
    stage.wait_until(TWO, Readiness::READABLE);
    let notifier = stage.selector.notifier();
    thread::spawn(move || notifier.notify().unwrap());
    stage.selector.wait(&mut stage.events, None).unwrap();
}
