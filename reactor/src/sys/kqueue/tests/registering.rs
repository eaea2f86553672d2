//! Registrations: how they are made, refused, repeated and removed.

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Instant;

use super::*;

pub(super) fn a_registration_is_made_by_the_wait_and_reports_once() {
    let mut kqueue = Kqueue::new().unwrap();
    let (mut ours, mut theirs) = pair();
    kqueue.add(ours.as_raw_fd(), ONE).unwrap();
    assert_eq!(wait_once(&mut kqueue, ONE, SOON), (Readiness::WRITABLE, 0));
    theirs.write_all(b"x").unwrap();
    assert!(wait_once(&mut kqueue, ONE, SOON).0.is_readable());
    assert_eq!(wait_once(&mut kqueue, ONE, AT_ONCE), NOTHING);
    kqueue.reregister(ours.as_raw_fd(), ONE).unwrap();
    let again = Readiness::READABLE | Readiness::WRITABLE;
    assert_eq!(wait_once(&mut kqueue, ONE, SOON), (again, 0));
    assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
}

pub(super) fn a_refused_change_neither_prevents_others_nor_hides_their_events() {
    let mut kqueue = Kqueue::new().unwrap();
    let (ours, _theirs) = pair();
    // A number that is certainly not open, as if it was closed after the `add`.
    kqueue.changes.push(Change {
        fd: RawFd::MAX,
        token: ONE,
        is_repeat: false,
    });
    kqueue.add(ours.as_raw_fd(), TWO).unwrap();
    let mut events = Vec::new();
    kqueue.wait(&mut events, None).unwrap();
    let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR;
    assert!(events.contains(&Event {
        errno: libc::EBADF,
        ..Event::new(ONE, all)
    }));
    assert!(events.contains(&Event::new(TWO, Readiness::WRITABLE)));
    assert_eq!(events.len(), 2);
}

pub(super) fn a_wait_whose_refusals_are_all_dropped_continues() {
    let mut kqueue = Kqueue::new().unwrap();
    kqueue.reregister(RawFd::MAX, ONE).unwrap();
    let (before, limit) = (Instant::now(), Duration::from_millis(2));
    assert_eq!(wait_once(&mut kqueue, ONE, Some(limit)), NOTHING);
    assert!(before.elapsed() >= limit);
}

pub(super) fn a_removed_or_forgotten_registration_is_silent() {
    let mut kqueue = Kqueue::new().unwrap();
    let (ours, mut theirs) = pair();
    let fd = ours.as_raw_fd();
    let silent = |kqueue: &mut Kqueue| {
        assert_eq!(wait_once(kqueue, ONE, AT_ONCE), NOTHING);
    };
    kqueue.add(fd, ONE).unwrap();
    kqueue.forget(ONE);
    silent(&mut kqueue);
    kqueue.add(fd, ONE).unwrap();
    kqueue.remove(fd, ONE).unwrap();
    silent(&mut kqueue);
    kqueue.add(fd, ONE).unwrap();
    assert!(wait_once(&mut kqueue, ONE, SOON).0.is_writable());
    kqueue.reregister(fd, ONE).unwrap();
    kqueue.remove(fd, ONE).unwrap();
    theirs.write_all(b"x").unwrap();
    silent(&mut kqueue);
    kqueue.remove(fd, ONE).unwrap();
    // Also from another thread.
    kqueue.add(fd, ONE).unwrap();
    assert!(wait_once(&mut kqueue, ONE, SOON).0.is_readable());
    let notifier = kqueue.notifier();
    thread::spawn(move || notifier.remove(fd)).join().unwrap();
    theirs.write_all(b"x").unwrap();
    silent(&mut kqueue);
}

pub(super) fn removing_a_registration_takes_no_event_from_another() {
    let mut kqueue = Kqueue::new().unwrap();
    let ((first, _peer), (second, mut writer)) = (pair(), pair());
    kqueue.add(first.as_raw_fd(), ONE).unwrap();
    kqueue.add(second.as_raw_fd(), TWO).unwrap();
    assert!(wait_once(&mut kqueue, TWO, SOON).0.is_writable());
    writer.write_all(b"x").unwrap();
    kqueue.remove(first.as_raw_fd(), ONE).unwrap();
    assert!(wait_once(&mut kqueue, TWO, SOON).0.is_readable());
}

pub(super) fn a_reused_number_reports_to_its_new_token_only() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    theirs.write_all(b"x").unwrap();
    // dup2 closes and reopens the number in one step, so that no concurrent test gets it.
    let (next, mut peer) = pair();
    // SAFETY: dup2 takes two integers. `ours` stays the only owner of its number.
    cvt(unsafe { libc::dup2(next.as_raw_fd(), ours.as_raw_fd()) }).unwrap();
    kqueue.forget(ONE);
    kqueue.add(ours.as_raw_fd(), TWO).unwrap();
    peer.write_all(b"x").unwrap();
    let mut events = Vec::new();
    kqueue.wait(&mut events, SOON).unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event.token == TWO));
}

pub(super) fn a_descriptor_removed_during_a_wait_is_silent() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    let notifier = kqueue.notifier();
    let fd = ours.as_raw_fd();
    let remover = thread::spawn(move || {
        notifier.remove(fd);
        theirs.write_all(b"x").unwrap();
        notifier.notify().unwrap();
        theirs
    });
    assert_eq!(wait_once(&mut kqueue, ONE, None), NOTHING);
    remover.join().unwrap();
}

pub(super) fn regular_files_and_directories_are_refused_by_add() {
    let mut kqueue = Kqueue::new().unwrap();
    // A file and a directory that exist on every system.
    for path in [env::current_exe().unwrap(), "/".into()] {
        let file = File::open(path).unwrap();
        let e = kqueue.add(file.as_raw_fd(), ONE).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::EPERM));
    }
    assert_eq!(wait_once(&mut kqueue, ONE, AT_ONCE), NOTHING);
}

pub(super) fn a_nested_kqueue_is_watched_for_reading() {
    let (mut ours, mut theirs) = pair();
    let inner = Queue::open().unwrap();
    let flags = EV_ADD | EV_CLEAR;
    apply_now(&inner, [change(ours.as_raw_fd(), EVFILT_READ, flags, 0, 0)]).unwrap();
    let mut answers = Vec::with_capacity(2);
    inner.kevent(&[], &mut answers, AT_ONCE).unwrap();
    let mut kqueue = Kqueue::new().unwrap();
    kqueue.add(inner.as_fd().as_raw_fd(), ONE).unwrap();
    let (readiness, errno) = wait_once(&mut kqueue, ONE, AT_ONCE);
    assert!(!readiness.is_readable() && errno == libc::EINVAL, "{errno}");
    for _ in 0..3 {
        theirs.write_all(b"x").unwrap();
        let (readiness, errno) = wait_once(&mut kqueue, ONE, SOON);
        assert_eq!((readiness, errno), (Readiness::READABLE, 0));
        assert_eq!(wait_once(&mut kqueue, ONE, AT_ONCE), NOTHING);
        inner.kevent(&[], &mut answers, AT_ONCE).unwrap();
        assert_eq!(answers.len(), 1);
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    }
}
