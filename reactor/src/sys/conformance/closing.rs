//! Descriptors that are closed, duplicated, or reopened with the same number.

use std::io::{Read, Write};

use super::*;

pub(super) fn a_removed_or_forgotten_registration_is_silent(stage: &mut Stage) {
    // Forgotten before the first wait, and closed then.
    let (ours, mut theirs) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.selector.forget(ONE);
    drop(ours);
    assert_eq!(stage.now(ONE), NOTHING);
    let _ = theirs.write_all(b"x");
    assert_eq!(stage.now(ONE), NOTHING);
    // Removed before and after the first wait, and left open.
    for waited in [false, true] {
        let (ours, mut theirs) = pair();
        assert_eq!(stage.add(&ours, ONE), None);
        if waited {
            stage.wait_until(ONE, Readiness::WRITABLE);
            stage.arm(ONE);
            stage.selector.reregister(ours.as_raw_fd(), ONE).unwrap();
        }
        stage.selector.remove(ours.as_raw_fd(), ONE).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(stage.now(ONE), NOTHING, "waited: {waited}");
    }
    // Removed on another thread, and forgotten here, as for the message about it.
    let (ours, mut theirs) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    stage.arm(ONE);
    let (notifier, fd) = (stage.selector.notifier(), ours.as_raw_fd());
    thread::spawn(move || notifier.remove(fd)).join().unwrap();
    stage.selector.forget(ONE);
    theirs.write_all(b"x").unwrap();
    assert_eq!(stage.now(ONE), NOTHING);
}

pub(super) fn a_removed_descriptor_can_be_added_again(stage: &mut Stage) {
    let (ours, mut theirs) = pair();
    for generation in 0..3 {
        let token = Token::new(1, generation);
        assert_eq!(stage.add(&ours, token), None);
        stage.wait_until(token, Readiness::WRITABLE);
        theirs.write_all(b"x").unwrap();
        stage.arm(token);
        stage.wait_until(token, Readiness::READABLE);
        assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
        stage.selector.remove(ours.as_raw_fd(), token).unwrap();
    }
}

pub(super) fn calls_for_an_earlier_occupant_of_a_slot_do_not_affect_the_next(stage: &mut Stage) {
    let (ours, mut theirs) = pair();
    let (old, new) = (Token::new(1, 7), Token::new(1, 8));
    stage.selector.add(ours.as_raw_fd(), new).unwrap();
    stage.arm(old);
    let reported = stage.now(new);
    assert!(
        stage.selector.is_edge() || reported == NOTHING,
        "{reported:?}"
    );
    stage.arm(new);
    stage.selector.forget(old);
    theirs.write_all(b"x").unwrap();
    stage.wait_until(new, Readiness::READABLE);
}

pub(super) fn two_descriptors_of_one_file_are_two_registrations(stage: &mut Stage) {
    let (ours, mut theirs) = pair();
    let duplicate = ours.try_clone().unwrap();
    assert_eq!(stage.add(&ours, ONE), None);
    assert_eq!(stage.add(&duplicate, TWO), None);
    let mut reported = [Readiness::EMPTY; 2];
    theirs.write_all(b"x").unwrap();
    while reported != [BOTH, BOTH] {
        stage.wait_once(ONE, Duration::from_secs(600));
        for event in &stage.events {
            reported[usize::from(event.token == TWO)] |= event.readiness;
        }
    }
    // Removing and closing one of them does not affect the other.
    stage.selector.remove(ours.as_raw_fd(), ONE).unwrap();
    drop(ours);
    stage.arm(TWO);
    theirs.write_all(b"x").unwrap();
    stage.wait_until(TWO, Readiness::READABLE);
    assert!(stage.events.iter().all(|event| event.token == TWO));
}

pub(super) fn a_reused_number_reports_to_its_new_registration_only(stage: &mut Stage) {
    stage.alone();
    let ((first, mut to_first), (second, mut to_second)) = (pair(), pair());
    let Some(old) = duplicate_from(&first, 700) else {
        return;
    };
    drop(first);
    let number = old.as_raw_fd();
    assert_eq!(stage.add(&old, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    stage.arm(ONE);
    // There is an event that was not collected when the number is reused.
    to_first.write_all(b"x").unwrap();
    stage.selector.forget(ONE);
    drop(old);
    let new = duplicate_from(&second, 700).unwrap();
    assert_eq!(new.as_raw_fd(), number);
    let token = Token::new(1, 8);
    assert_eq!(stage.add(&new, token), None);
    stage.wait_until(token, Readiness::WRITABLE);
    let all = stage.events.iter();
    assert!(all.clone().all(|event| event.token == token), "{all:?}");
    assert!(all.clone().all(|event| !event.readiness.is_readable()));
    stage.arm(token);
    to_second.write_all(b"x").unwrap();
    stage.wait_until(token, Readiness::READABLE);
}

/// Foreign code closed the descriptor. The kernel of a level backend complains at every wait; that
/// of an edge backend is silent.
pub(super) fn a_closed_descriptor_is_reported_at_most_once_and_hides_no_other(stage: &mut Stage) {
    stage.alone();
    let ((ours, _peer), (other, mut theirs)) = (pair(), pair());
    let Some(closed) = duplicate_from(&ours, 800) else {
        return;
    };
    drop(ours);
    assert_eq!(stage.add(&closed, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    assert_eq!(stage.add(&other, TWO), None);
    stage.wait_until(TWO, Readiness::WRITABLE);
    stage.arm(ONE);
    stage.arm(TWO);
    drop(closed);
    theirs.write_all(b"x").unwrap();
    let (readiness, errno) = stage.wait_once(ONE, Duration::from_secs(600));
    let two = stage.events.iter().find(|event| event.token == TWO);
    assert!(two.is_some_and(|event| event.readiness.is_readable()));
    if stage.selector.is_edge() {
        assert_eq!((readiness, errno), NOTHING);
    } else {
        assert_eq!(errno, libc::EBADF);
        assert!(readiness.is_readable() && readiness.is_writable());
    }
    stage.arm(ONE);
    assert_eq!(stage.now(ONE), NOTHING);
    stage.selector.forget(ONE);
}

pub(super) fn a_closed_descriptor_can_be_reregistered_and_forgotten(stage: &mut Stage) {
    stage.alone();
    let (ours, _theirs) = pair();
    let Some(closed) = duplicate_from(&ours, 900) else {
        return;
    };
    let number = closed.as_raw_fd();
    assert_eq!(stage.add(&closed, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    drop(closed);
    drop(ours);
    stage.selector.reregister(number, ONE).unwrap();
    // A level backend reports that the armed descriptor is closed; not because of the
    // reregistration.
    let reported = stage.now(ONE);
    assert!(
        reported == NOTHING || !stage.selector.is_edge(),
        "{reported:?}"
    );
    stage.selector.reregister(number, ONE).unwrap();
    assert_eq!(stage.now(ONE), NOTHING);
    stage.selector.forget(ONE);
    assert_eq!(stage.now(ONE), NOTHING);
}
