//! The backend on every flavor of the model, or where there is a kqueue on that.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll};
use std::time::Instant;
use std::{env, process, thread};

#[cfg(any(target_os = "linux", target_os = "android"))]
use self::model::Flavor;
use super::abi::{EV_EOF, EV_RECEIPT};
use super::*;
use crate::reactor::Reactor;
use crate::source::Source;
use crate::sys::cvt::cvt;
use crate::wake_list::tests::CountingWaker;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod model;

const ONE: Token = Token::new(1, 7);
const TWO: Token = Token::new(2, 7);
const NOTHING: (Readiness, i32) = (Readiness::EMPTY, 0);
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);
/// Longer than anything that is to be told takes.
const SOON: Option<Duration> = Some(Duration::from_secs(10));

/// Makes each of the functions a test of every flavor, or of the system's own kqueue.
macro_rules! on_every_kqueue {
    ($($name:ident,)*) => {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        on_every_kqueue! { @model [$($name)*]
            freebsd Flavor::FREEBSD,
            macos Flavor::MACOS,
            netbsd Flavor::NETBSD,
            openbsd Flavor::OPENBSD,
            dragonfly Flavor::DRAGONFLY,
            freebsd_of_32_bits Flavor { udata_is_32_bit: true, ..Flavor::FREEBSD },
            netbsd_before_10 Flavor { has_user_filter: false, ..Flavor::NETBSD },
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        mod native {
            $(#[test] fn $name() { super::watched(super::$name); })*
        }
    };
    (@model $names:tt $($flavor:ident $value:expr,)*) => {
        $(on_every_kqueue! { @flavor $flavor ($value) $names })*
    };
    (@flavor $flavor:ident ($value:expr) [$($name:ident)*]) => {
        mod $flavor {
            use super::Flavor;
            $(#[test] fn $name() { ($value).with(|| super::watched(super::$name)); })*
        }
    };
}

on_every_kqueue! {
    registering_rides_in_the_wait_and_reports_once,
    the_peers_half_close_leaves_our_half_open,
    one_refused_change_neither_stops_the_others_nor_hides_their_events,
    a_wait_whose_every_change_is_dropped_goes_on_waiting,
    the_writer_of_a_pipe_without_reader_is_told_so,
    what_is_removed_or_forgotten_is_silent,
    removing_one_takes_no_event_from_another,
    the_doorbell_ends_a_wait_for_ever_and_reports_nothing,
    a_full_buffer_grows,
    limits_of_any_length_are_taken,
    our_own_shutdown_is_no_hang_up,
    the_end_of_both_directions_is_told_with_data_left,
    the_reader_of_a_pipe_without_writer_is_told_so,
    a_waiting_writer_hears_that_the_reader_of_its_pipe_is_gone,
    a_number_that_is_reused_reports_to_its_new_token_only,
    every_edge_is_told_although_nothing_was_left_in_between,
    no_ring_of_many_threads_is_lost,
    a_descriptor_removed_while_the_queue_waits_is_silent,
    the_queue_is_readable_when_there_is_something_to_tell,
    files_and_folders_are_refused_at_once,
    a_kqueue_in_the_kqueue_is_watched_for_reading,
    a_terminal_is_watched_whether_or_not_kqueue_takes_it,
    a_source_that_kqueue_refuses_is_armed_whenever_it_waits,
    a_device_that_is_always_ready_does_not_keep_the_queue_from_waiting,
}

/// Runs a test, and aborts the process if it hangs.
fn watched(test: fn()) {
    let (watchdog, bone) = mpsc::channel::<()>();
    thread::spawn(move || {
        if bone.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("a test of the kqueue backend hangs");
            process::abort();
        }
    });
    #[cfg(not(loom))]
    let _shared = crate::sys::conformance::shared();
    test();
    drop(watchdog);
}

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// The two ends of a pipe: reader, writer.
fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    // SAFETY: pipe writes two descriptors into the array of two that it is given.
    cvt(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
    // SAFETY: the kernel has just given us these descriptors and nobody else knows them.
    ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into()
}

/// What one wait says of `token`, and the errno if there is one.
fn told(kqueue: &mut Kqueue, token: Token, limit: Option<Duration>) -> (Readiness, i32) {
    let mut events = Vec::new();
    kqueue.wait(&mut events, limit).unwrap();
    let ours = events.iter().filter(|event| event.token == token);
    ours.fold(NOTHING, |(readiness, errno), event| {
        (readiness | event.readiness, errno.max(event.errno))
    })
}

/// A queue on which something is registered, and its first readiness is told.
fn watching(fd: &impl AsRawFd, token: Token) -> Kqueue {
    let mut kqueue = Kqueue::new().unwrap();
    kqueue.add(fd.as_raw_fd(), token).unwrap();
    told(&mut kqueue, token, AT_ONCE);
    kqueue
}

#[test]
fn the_end_of_a_direction_is_not_a_hang_up() {
    let flags = EV_EOF | EV_CLEAR | EV_RECEIPT;
    let says = |direction, flags, fflags| {
        let answer = change(0, EVFILT_READ, flags, fflags, 0);
        translate(ONE, direction, &answer).readiness
    };
    let ended = says(Direction::Read, flags, 0);
    assert_eq!(ended, Readiness::READABLE | Readiness::READ_CLOSED);
    let shut = says(Direction::Write, flags, 0);
    assert_eq!(shut, Readiness::WRITABLE | Readiness::WRITE_CLOSED);
    let reset = says(Direction::Read, flags, libc::ECONNRESET as u32);
    assert!(reset.is_error() && reset.is_readable() && !reset.is_writable());
    // Without EV_EOF, fflags hold nothing of ours.
    assert_eq!(says(Direction::Read, EV_CLEAR, 1), Readiness::READABLE);
}

#[test]
fn a_refusal_concerns_the_direction_that_was_refused() {
    let mut events = Vec::new();
    report_refusal(&mut events, ONE, Direction::Write, libc::EINVAL);
    report_refusal(&mut events, TWO, Direction::Read, libc::EINVAL);
    report_refusal(&mut events, TWO, Direction::Write, libc::EINVAL);
    let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR;
    let expected = [
        Event {
            errno: libc::EINVAL,
            ..Event::new(ONE, Readiness::WRITABLE)
        },
        Event {
            errno: libc::EINVAL,
            ..Event::new(TWO, all)
        },
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_pipe_without_reader_is_ready_and_closed_in_every_kernels_words() {
    let closed = Readiness::WRITABLE | Readiness::WRITE_CLOSED;
    let expected = Event::new(ONE, closed);
    let mut events = Vec::new();
    report_refusal(&mut events, ONE, Direction::Write, libc::EPIPE);
    assert_eq!(events, [expected]);
    let mut events = Vec::new();
    report_refusal(&mut events, ONE, Direction::Write, libc::EBADF);
    assert!(resolve_ebadf(&mut events[0], true));
    assert_eq!(events, [expected]);
}

#[test]
fn a_closed_descriptor_is_an_error_to_add_and_none_to_renew() {
    for is_repeat in [false, true] {
        let mut events = Vec::new();
        report_refusal(&mut events, ONE, Direction::Read, libc::EBADF);
        report_refusal(&mut events, ONE, Direction::Write, libc::EBADF);
        assert_eq!(events.len(), 1);
        assert_eq!(resolve_ebadf(&mut events[0], is_repeat), !is_repeat);
    }
}

#[test]
fn cancelling_tells_what_the_kernel_never_heard_of() {
    let mut changes = Changes::default();
    changes.push(Change {
        fd: 3,
        token: ONE,
        is_repeat: false,
    });
    changes.push(Change {
        fd: 4,
        token: TWO,
        is_repeat: true,
    });
    changes.push(Change {
        fd: 3,
        token: ONE,
        is_repeat: true,
    });
    assert!(!changes.only_repeats(ONE) && changes.only_repeats(TWO));
    assert!(changes.cancel(ONE), "it was never added");
    assert!(
        !changes.cancel(TWO),
        "it is registered, and only was to be renewed"
    );
    assert!(!changes.cancel(ONE) && changes.0.is_empty());
    changes.push(Change {
        fd: 3,
        token: ONE,
        is_repeat: false,
    });
    changes.mark_uncertain();
    assert!(!changes.cancel(ONE), "it may have been added");
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_process_and_a_descriptor_of_one_number_have_each_its_token_in_32_bits_too() {
    let narrow = Flavor {
        udata_is_32_bit: true,
        ..Flavor::FREEBSD
    };
    let mut tokens = Tokens::new(&narrow.with(Queue::open).unwrap());
    let known = [(EVFILT_READ, ONE), (EVFILT_PROC, TWO)];
    let answers =
        known.map(|(filter, token)| change(7, filter, 0, 0, tokens.udata(filter, 7, token)));
    assert_eq!(answers.map(|answer| tokens.token(&answer)), [ONE, TWO]);
}

fn registering_rides_in_the_wait_and_reports_once() {
    let mut kqueue = Kqueue::new().unwrap();
    let (mut ours, mut theirs) = pair();
    kqueue.add(ours.as_raw_fd(), ONE).unwrap();
    assert_eq!(told(&mut kqueue, ONE, SOON), (Readiness::WRITABLE, 0));
    theirs.write_all(b"x").unwrap();
    assert!(told(&mut kqueue, ONE, SOON).0.is_readable());
    assert_eq!(told(&mut kqueue, ONE, AT_ONCE), NOTHING);
    kqueue.reregister(ours.as_raw_fd(), ONE).unwrap();
    let again = Readiness::READABLE | Readiness::WRITABLE;
    assert_eq!(told(&mut kqueue, ONE, SOON), (again, 0));
    assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
}

fn the_peers_half_close_leaves_our_half_open() {
    let mut kqueue = Kqueue::new().unwrap();
    let (ours, theirs) = pair();
    kqueue.add(ours.as_raw_fd(), ONE).unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    let (readiness, _) = told(&mut kqueue, ONE, SOON);
    assert!(readiness.is_readable() && readiness.is_read_closed());
    assert!(!readiness.is_write_closed());
}

fn one_refused_change_neither_stops_the_others_nor_hides_their_events() {
    let mut kqueue = Kqueue::new().unwrap();
    let (ours, _theirs) = pair();
    // No process has so many descriptors; this one is as if it was closed since it was added.
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

fn a_wait_whose_every_change_is_dropped_goes_on_waiting() {
    let mut kqueue = Kqueue::new().unwrap();
    kqueue.reregister(RawFd::MAX, ONE).unwrap();
    let (before, limit) = (Instant::now(), Duration::from_millis(30));
    assert_eq!(told(&mut kqueue, ONE, Some(limit)), NOTHING);
    assert!(before.elapsed() >= limit);
}

fn the_writer_of_a_pipe_without_reader_is_told_so() {
    let mut kqueue = Kqueue::new().unwrap();
    let (reader, writer) = pipe();
    drop(reader);
    kqueue.add(writer.as_raw_fd(), ONE).unwrap();
    let (readiness, errno) = told(&mut kqueue, ONE, SOON);
    assert!(readiness.is_writable() && readiness.is_write_closed());
    assert_eq!(errno, 0);
}

fn what_is_removed_or_forgotten_is_silent() {
    let mut kqueue = Kqueue::new().unwrap();
    let (ours, mut theirs) = pair();
    let fd = ours.as_raw_fd();
    let silent = |kqueue: &mut Kqueue| {
        assert_eq!(told(kqueue, ONE, AT_ONCE), NOTHING);
    };
    kqueue.add(fd, ONE).unwrap();
    kqueue.forget(ONE);
    silent(&mut kqueue);
    kqueue.add(fd, ONE).unwrap();
    kqueue.remove(fd, ONE).unwrap();
    silent(&mut kqueue);
    kqueue.add(fd, ONE).unwrap();
    assert!(told(&mut kqueue, ONE, SOON).0.is_writable());
    kqueue.reregister(fd, ONE).unwrap();
    kqueue.remove(fd, ONE).unwrap();
    theirs.write_all(b"x").unwrap();
    silent(&mut kqueue);
    kqueue.remove(fd, ONE).unwrap();
    // From another thread, too.
    kqueue.add(fd, ONE).unwrap();
    assert!(told(&mut kqueue, ONE, SOON).0.is_readable());
    let notifier = kqueue.notifier();
    thread::spawn(move || notifier.remove(fd)).join().unwrap();
    theirs.write_all(b"x").unwrap();
    silent(&mut kqueue);
}

fn removing_one_takes_no_event_from_another() {
    let mut kqueue = Kqueue::new().unwrap();
    let ((first, _peer), (second, mut writer)) = (pair(), pair());
    kqueue.add(first.as_raw_fd(), ONE).unwrap();
    kqueue.add(second.as_raw_fd(), TWO).unwrap();
    assert!(told(&mut kqueue, TWO, SOON).0.is_writable());
    writer.write_all(b"x").unwrap();
    kqueue.remove(first.as_raw_fd(), ONE).unwrap();
    assert!(told(&mut kqueue, TWO, SOON).0.is_readable());
}

fn the_doorbell_ends_a_wait_for_ever_and_reports_nothing() {
    let flavors = [
        Kqueue::new().unwrap(),
        Kqueue::with_notifier(KqueueNotify::with_pipe(Queue::open().unwrap()).unwrap()),
    ];
    for mut kqueue in flavors {
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
        assert!(before.elapsed() >= limit, "nobody notified since");
    }
}

fn a_full_buffer_grows() {
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

fn limits_of_any_length_are_taken() {
    let mut kqueue = Kqueue::new().unwrap();
    for limit in [Some(Duration::MAX), Some(Duration::from_nanos(1)), None] {
        kqueue.notifier().notify().unwrap();
        kqueue.wait(&mut Vec::new(), limit).unwrap();
    }
}

fn our_own_shutdown_is_no_hang_up() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    ours.shutdown(Shutdown::Write).unwrap();
    let (readiness, errno) = told(&mut kqueue, ONE, AT_ONCE);
    assert!(!readiness.is_read_closed() && !readiness.is_error() && errno == 0);
    theirs.write_all(b"x").unwrap();
    let (readiness, _) = told(&mut kqueue, ONE, SOON);
    assert!(readiness.is_readable() && !readiness.is_read_closed());
}

fn the_end_of_both_directions_is_told_with_data_left() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    theirs.write_all(b"x").unwrap();
    drop(theirs);
    let (readiness, _) = told(&mut kqueue, ONE, SOON);
    assert!(readiness.is_readable() && readiness.is_read_closed());
}

fn the_reader_of_a_pipe_without_writer_is_told_so() {
    let (reader, writer) = pipe();
    drop(writer);
    let mut kqueue = Kqueue::new().unwrap();
    kqueue.add(reader.as_raw_fd(), ONE).unwrap();
    let (readiness, errno) = told(&mut kqueue, ONE, SOON);
    assert!(readiness.is_readable() && readiness.is_read_closed());
    assert_eq!(errno, 0);
}

fn a_waiting_writer_hears_that_the_reader_of_its_pipe_is_gone() {
    let (reader, writer) = pipe();
    let mut kqueue = watching(&writer, ONE);
    drop(reader);
    let (readiness, errno) = told(&mut kqueue, ONE, SOON);
    assert!(readiness.is_writable() && readiness.is_write_closed());
    assert_eq!(errno, 0);
    // Whether or not the kernel has deleted the filter with that.
    kqueue.remove(writer.as_raw_fd(), ONE).unwrap();
}

fn a_number_that_is_reused_reports_to_its_new_token_only() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    theirs.write_all(b"x").unwrap();
    // Closes the one and opens the other in one step: no test beside this gets the number.
    let (next, mut peer) = pair();
    // SAFETY: dup2 takes two integers; both descriptors are ours.
    cvt(unsafe { libc::dup2(next.as_raw_fd(), ours.as_raw_fd()) }).unwrap();
    kqueue.forget(ONE);
    kqueue.add(ours.as_raw_fd(), TWO).unwrap();
    peer.write_all(b"x").unwrap();
    let mut events = Vec::new();
    kqueue.wait(&mut events, SOON).unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event.token == TWO));
}

fn every_edge_is_told_although_nothing_was_left_in_between() {
    let (mut ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    for _ in 0..100 {
        theirs.write_all(b"x").unwrap();
        assert!(told(&mut kqueue, ONE, SOON).0.is_readable());
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    }
    assert!(!told(&mut kqueue, ONE, AT_ONCE).0.is_readable());
}

fn no_ring_of_many_threads_is_lost() {
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

fn a_descriptor_removed_while_the_queue_waits_is_silent() {
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
    assert_eq!(told(&mut kqueue, ONE, None), NOTHING);
    remover.join().unwrap();
}

fn the_queue_is_readable_when_there_is_something_to_tell() {
    let (ours, mut theirs) = pair();
    let mut kqueue = watching(&ours, ONE);
    let is_readable =
        |kqueue: &Kqueue| crate::sys::is_ready(kqueue.pollable_fd().unwrap(), Direction::Read);
    // Apple's poll(2) takes no kqueue.
    if is_readable(&kqueue).is_err() || cfg!(target_vendor = "apple") {
        return;
    }
    assert!(!is_readable(&kqueue).unwrap());
    theirs.write_all(b"x").unwrap();
    assert!(is_readable(&kqueue).unwrap());
    assert!(told(&mut kqueue, ONE, SOON).0.is_readable());
    assert!(!is_readable(&kqueue).unwrap());
    kqueue.notifier().notify().unwrap();
    assert!(is_readable(&kqueue).unwrap());
}

/// A kqueue of the user's own, with filters that are not ours, is a descriptor like any other.
fn a_kqueue_in_the_kqueue_is_watched_for_reading() {
    let (mut ours, mut theirs) = pair();
    let inner = Queue::open().unwrap();
    let flags = EV_ADD | EV_CLEAR;
    apply_now(&inner, [change(ours.as_raw_fd(), EVFILT_READ, flags, 0, 0)]).unwrap();
    let mut answers = Vec::with_capacity(2);
    inner.kevent(&[], &mut answers, AT_ONCE).unwrap();
    let mut kqueue = Kqueue::new().unwrap();
    kqueue.add(inner.as_fd().as_raw_fd(), ONE).unwrap();
    let (readiness, errno) = told(&mut kqueue, ONE, AT_ONCE);
    assert!(!readiness.is_readable() && errno == libc::EINVAL, "{errno}");
    for _ in 0..3 {
        theirs.write_all(b"x").unwrap();
        let (readiness, errno) = told(&mut kqueue, ONE, SOON);
        assert_eq!((readiness, errno), (Readiness::READABLE, 0));
        assert_eq!(told(&mut kqueue, ONE, AT_ONCE), NOTHING);
        inner.kevent(&[], &mut answers, AT_ONCE).unwrap();
        assert_eq!(answers.len(), 1);
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    }
}

fn files_and_folders_are_refused_at_once() {
    let mut kqueue = Kqueue::new().unwrap();
    // A file that is there wherever this runs.
    for path in [env::current_exe().unwrap(), "/".into()] {
        let file = File::open(path).unwrap();
        let e = kqueue.add(file.as_raw_fd(), ONE).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::EPERM));
    }
    assert_eq!(told(&mut kqueue, ONE, AT_ONCE), NOTHING);
}

/// The two ends of a pseudo-terminal, of which the model's kqueue knows nothing.
fn terminal() -> (File, File) {
    static PTSNAME: Mutex<()> = Mutex::new(());
    let _alone = PTSNAME.lock().unwrap();
    // SAFETY: posix_openpt takes an integer.
    let fd = cvt(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY) }).unwrap();
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    let ours = unsafe { File::from_raw_fd(fd) };
    // SAFETY: grantpt and unlockpt take a descriptor, which is open.
    cvt(unsafe { libc::grantpt(fd) }).unwrap();
    // SAFETY: as above.
    cvt(unsafe { libc::unlockpt(fd) }).unwrap();
    // SAFETY: ptsname returns null or a string that stays until its next call.
    let name = unsafe { libc::ptsname(fd) };
    assert!(!name.is_null());
    // SAFETY: it is a string, and under the lock nobody calls ptsname again.
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap();
    let theirs = File::options().read(true).write(true).open(name).unwrap();
    (ours, theirs)
}

fn a_terminal_is_watched_whether_or_not_kqueue_takes_it() {
    let (ours, mut theirs) = terminal();
    let (stream, mut peer) = pair();
    let mut kqueue = watching(&stream, ONE);
    kqueue.add(ours.as_raw_fd(), TWO).unwrap();
    while !told(&mut kqueue, TWO, None).0.is_writable() {}
    let mut readable_again = |kqueue: &mut Kqueue| {
        theirs.write_all(b"x").unwrap();
        kqueue.arm(TWO, Direction::Read);
        while !told(kqueue, TWO, None).0.is_readable() {}
        assert!((&ours).read(&mut [0; 8]).unwrap() > 0);
    };
    for _ in 0..3 {
        readable_again(&mut kqueue);
        assert!(!told(&mut kqueue, TWO, AT_ONCE).0.is_readable());
        // Those that kqueue does watch are not forgotten over it, and neither is the notifier.
        peer.write_all(b"x").unwrap();
        assert!(told(&mut kqueue, ONE, None).0.is_readable());
        kqueue.notifier().notify().unwrap();
        kqueue.wait(&mut Vec::new(), None).unwrap();
    }
    readable_again(&mut kqueue);
    theirs.write_all(b"x").unwrap();
    kqueue.reregister(ours.as_raw_fd(), TWO).unwrap();
    while !told(&mut kqueue, TWO, None).0.is_readable() {}
    kqueue.remove(ours.as_raw_fd(), TWO).unwrap();
    kqueue.arm(TWO, Direction::Read);
    assert_eq!(told(&mut kqueue, TWO, AT_ONCE), NOTHING);
    assert!(kqueue.pollable_fd().is_some());
}

fn a_source_that_kqueue_refuses_is_armed_whenever_it_waits() {
    let (ours, mut theirs) = terminal();
    crate::sys::set_nonblocking(ours.as_fd()).unwrap();
    let kqueue = Kqueue::new().unwrap();
    let reactor = Reactor::with_selector(Box::new(kqueue)).unwrap();
    let _entered = reactor.enter();
    let source = Source::new(ours);
    let poll = |task: &CountingWaker| {
        let waker = task.waker();
        let mut cx = Context::from_waker(&waker);
        source.poll_io(Direction::Read, &mut cx, |mut io| io.read(&mut [0; 8]))
    };
    for _ in 0..3 {
        let task = CountingWaker::new();
        while poll(&task).is_ready() {}
        // What the refusal told is over with; what is told from here on was armed.
        reactor.turn(AT_ONCE).unwrap();
        while poll(&task).is_ready() {}
        let told = task.count();
        theirs.write_all(b"x").unwrap();
        while task.count() == told {
            reactor.turn(None).unwrap();
        }
        assert!(matches!(poll(&task), Poll::Ready(Ok(1))));
    }
}

fn a_device_that_is_always_ready_does_not_keep_the_queue_from_waiting() {
    let mut kqueue = Kqueue::new().unwrap();
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap();
    kqueue.add(null.as_raw_fd(), ONE).unwrap();
    let mut readiness = Readiness::EMPTY;
    while !(readiness.is_readable() && readiness.is_writable()) {
        let (more, errno) = told(&mut kqueue, ONE, None);
        assert_eq!(errno, 0);
        readiness |= more;
    }
    let (before, limit) = (Instant::now(), Duration::from_millis(30));
    assert_eq!(told(&mut kqueue, ONE, Some(limit)), NOTHING);
    assert!(before.elapsed() >= limit);
}
