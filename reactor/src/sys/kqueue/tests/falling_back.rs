//! Devices, which the kqueues of some systems refuse.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Instant;

use super::*;
use crate::reactor::Reactor;
use crate::source::Source;
use crate::wake_list::tests::CountingWaker;

/// Returns the two ends of a pseudo-terminal, which the kqueues of some flavors refuse.
fn terminal() -> (File, File) {
    static PTSNAME: Mutex<()> = Mutex::new(());
    let _alone = PTSNAME.lock().unwrap();
    // SAFETY: posix_openpt takes an integer.
    let fd = cvt(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY) }).unwrap();
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    let ours = unsafe { File::from_raw_fd(fd) };
    // SAFETY: grantpt takes an integer.
    cvt(unsafe { libc::grantpt(fd) }).unwrap();
    // SAFETY: unlockpt takes an integer.
    cvt(unsafe { libc::unlockpt(fd) }).unwrap();
    // SAFETY: ptsname takes an integer. The lock keeps other threads from calling it in the
    // meantime.
    let name = unsafe { libc::ptsname(fd) };
    assert!(!name.is_null());
    // SAFETY: ptsname has returned a string that ends in 0 and lives until its next call.
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap();
    let theirs = File::options()
        .read(true)
        .write(true)
        // Or it becomes the terminal of a session that has none, whose end sends SIGHUP.
        .custom_flags(libc::O_NOCTTY)
        .open(name)
        .unwrap();
    (ours, theirs)
}

pub(super) fn a_terminal_is_watched_whether_or_not_kqueue_accepts_it() {
    let (ours, mut theirs) = terminal();
    let (stream, mut peer) = pair();
    let mut kqueue = watching(&stream, ONE);
    kqueue.add(ours.as_raw_fd(), TWO).unwrap();
    while !wait_once(&mut kqueue, TWO, None).0.is_writable() {}
    let mut readable_again = |kqueue: &mut Kqueue| {
        theirs.write_all(b"x").unwrap();
        kqueue.arm(TWO, Direction::Read);
        while !wait_once(kqueue, TWO, None).0.is_readable() {}
        assert!((&ours).read(&mut [0; 8]).unwrap() > 0);
    };
    for _ in 0..3 {
        readable_again(&mut kqueue);
        assert!(!wait_once(&mut kqueue, TWO, AT_ONCE).0.is_readable());
        // Neither the notifier nor the descriptors that kqueue watches are forgotten over it.
        peer.write_all(b"x").unwrap();
        assert!(wait_once(&mut kqueue, ONE, None).0.is_readable());
        kqueue.notifier().notify().unwrap();
        kqueue.wait(&mut Vec::new(), None).unwrap();
    }
    readable_again(&mut kqueue);
    theirs.write_all(b"x").unwrap();
    kqueue.reregister(ours.as_raw_fd(), TWO).unwrap();
    while !wait_once(&mut kqueue, TWO, None).0.is_readable() {}
    kqueue.remove(ours.as_raw_fd(), TWO).unwrap();
    kqueue.arm(TWO, Direction::Read);
    assert_eq!(wait_once(&mut kqueue, TWO, AT_ONCE), NOTHING);
    assert!(kqueue.pollable_fd().is_some());
}

pub(super) fn a_source_that_kqueue_refuses_is_armed_whenever_it_waits() {
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
        // The event of the refusal is consumed. Later ones come only if they are armed.
        reactor.turn(AT_ONCE).unwrap();
        while poll(&task).is_ready() {}
        let count = task.count();
        theirs.write_all(b"x").unwrap();
        while task.count() == count {
            reactor.turn(None).unwrap();
        }
        assert!(matches!(poll(&task), Poll::Ready(Ok(1))));
    }
}

pub(super) fn a_device_that_is_always_ready_does_not_end_every_wait() {
    let mut kqueue = Kqueue::new().unwrap();
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap();
    kqueue.add(null.as_raw_fd(), ONE).unwrap();
    let mut readiness = Readiness::EMPTY;
    while !(readiness.is_readable() && readiness.is_writable()) {
        let (more, errno) = wait_once(&mut kqueue, ONE, None);
        assert_eq!(errno, 0);
        readiness |= more;
    }
    let (before, limit) = (Instant::now(), Duration::from_millis(2));
    assert_eq!(wait_once(&mut kqueue, ONE, Some(limit)), NOTHING);
    assert!(before.elapsed() >= limit);
}

/// The kernel's log. Its stand-in in the model can be opened by every process.
const LOG: &str = if cfg!(any(target_os = "linux", target_os = "android")) {
    "/dev/full"
} else {
    "/dev/klog"
};

pub(super) fn a_device_that_refuses_one_filter_is_watched_for_the_other() {
    let Ok(log) = File::open(LOG) else {
        eprintln!("NOT TESTED: {LOG} cannot be opened");
        return;
    };
    let (stream, mut peer) = pair();
    let mut kqueue = watching(&stream, ONE);
    kqueue.add(log.as_raw_fd(), TWO).unwrap();
    let (mut readable, mut events) = (false, Vec::new());
    for _ in 0..3 {
        kqueue.wait(&mut events, AT_ONCE).unwrap();
        for event in events.iter().filter(|event| event.token == TWO) {
            readable |= event.readiness.is_readable() && event.errno == 0;
            assert!(event.errno == 0 || !event.readiness.is_readable());
        }
    }
    // A log may be empty.
    assert!(readable || LOG == "/dev/klog");
    // It neither ends every wait nor hides the events of others.
    assert_eq!(wait_once(&mut kqueue, TWO, AT_ONCE), NOTHING);
    peer.write_all(b"x").unwrap();
    assert!(wait_once(&mut kqueue, ONE, None).0.is_readable());
}
