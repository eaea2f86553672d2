//! Waits: events, notifications, limits and the descriptor of the kqueue itself.

use std::io::{Read, Write};
use std::time::Instant;

use super::*;

pub(super) fn every_edge_is_reported_although_each_is_consumed() {
    let (mut ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    for _ in 0..100 {
        theirs.write_all(b"x").unwrap();
        assert!(wait_once(&mut kqueue, ONE, SOON).0.is_readable());
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    }
    assert!(!wait_once(&mut kqueue, ONE, AT_ONCE).0.is_readable());
}

pub(super) fn a_notification_ends_a_wait_without_limit_and_reports_nothing() {
    let kqueues = [
        Kqueue::new().unwrap(),
        Kqueue::with_notifier(KqueueNotify::with_pipe(Queue::open().unwrap()).unwrap()),
    ];
    for mut kqueue in kqueues {
        let mut events = Vec::new();
        for notifications in 1..4 {
            let notifier = kqueue.notifier();
            let notifying =
                thread::spawn(move || (0..notifications).try_for_each(|_| notifier.notify()));
            kqueue.wait(&mut events, None).unwrap();
            assert!(events.is_empty());
            notifying.join().unwrap().unwrap();
            // Later notifications of the three ended nothing, and end this one at most.
            kqueue.wait(&mut events, AT_ONCE).unwrap();
        }
        let (before, limit) = (Instant::now(), Duration::from_micros(1500));
        kqueue.wait(&mut events, Some(limit)).unwrap();
        assert!(before.elapsed() >= limit, "no notification was left");
    }
}

pub(super) fn no_notification_of_many_threads_is_lost() {
    let mut kqueue = Kqueue::new().unwrap();
    let mut events = Vec::new();
    for _ in 0..100 {
        let notifiers = [(); 4].map(|()| {
            let notifier = kqueue.notifier();
            thread::spawn(move || notifier.notify())
        });
        // Ends only if it is notified.
        kqueue.wait(&mut events, None).unwrap();
        for notifying in notifiers {
            notifying.join().unwrap().unwrap();
        }
        kqueue.wait(&mut events, AT_ONCE).unwrap();
        assert!(events.is_empty());
    }
}

pub(super) fn a_full_event_list_grows() {
    let mut kqueue = Kqueue::new().unwrap();
    let pairs: Vec<_> = (0..FIRST_CAPACITY / 4).map(|_| pair()).collect();
    let streams = || pairs.iter().flat_map(|(a, b)| [a, b]);
    for (index, mut stream) in streams().enumerate() {
        stream.write_all(b"x").unwrap();
        kqueue
            .add(stream.as_raw_fd(), Token::new(index as u32, 0))
            .unwrap();
    }
    let mut events = Vec::new();
    kqueue.wait(&mut events, None).unwrap();
    assert_eq!(events.len(), FIRST_CAPACITY);
    assert!(kqueue.eventlist.capacity() > FIRST_CAPACITY);
}

pub(super) fn limits_of_any_length_are_accepted() {
    let mut kqueue = Kqueue::new().unwrap();
    for limit in [Some(Duration::MAX), Some(Duration::from_nanos(1)), None] {
        kqueue.notifier().notify().unwrap();
        kqueue.wait(&mut Vec::new(), limit).unwrap();
    }
}

pub(super) fn the_kqueue_is_readable_when_there_is_something_to_report() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    let is_readable =
        |kqueue: &Kqueue| crate::sys::is_ready(kqueue.pollable_fd().unwrap(), Direction::Read);
    // Apple's poll(2) rejects a kqueue.
    if is_readable(&kqueue).is_err() || cfg!(target_vendor = "apple") {
        return;
    }
    assert!(!is_readable(&kqueue).unwrap());
    theirs.write_all(b"x").unwrap();
    assert!(is_readable(&kqueue).unwrap());
    assert!(wait_once(&mut kqueue, ONE, SOON).0.is_readable());
    assert!(!is_readable(&kqueue).unwrap());
    kqueue.notifier().notify().unwrap();
    assert!(is_readable(&kqueue).unwrap());
}
