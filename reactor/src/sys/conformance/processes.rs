//! The exit of a process, for the selectors that report it.

use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::process::Process;
use crate::reactor::Reactor;
use crate::wake_list::tests::CountingWaker;

/// A forked child that runs until `end` is called, and then exits with code 7.
struct Child {
    id: libc::pid_t,
    running: Option<OwnedFd>,
}

impl Child {
    fn start(stage: &mut Stage) -> Child {
        stage.alone(); // the child inherits every descriptor
        let mut ends = [-1; 2];
        // SAFETY: the pointer is valid for the two descriptors that pipe writes.
        cvt(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
        // SAFETY: the kernel has just returned these descriptors, and they have no other owner.
        let [reader, writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // SAFETY: the child calls only close, read and _exit, which are async-signal-safe.
        let id = cvt(unsafe { libc::fork() }).unwrap();
        if id == 0 {
            let mut byte = 0_u8;
            // SAFETY: close takes an integer. The child never drops the `OwnedFd` of the writer.
            unsafe { libc::close(writer.as_raw_fd()) };
            // SAFETY: the pointer is valid for the one byte that read may write.
            unsafe { libc::read(reader.as_raw_fd(), (&raw mut byte).cast(), 1) };
            // SAFETY: _exit takes an integer and does not return.
            unsafe { libc::_exit(7) };
        }
        Child {
            id,
            running: Some(writer),
        }
    }

    fn end(&mut self) {
        self.running = None;
    }

    /// Ends the child and waits until it has exited, without reaping it.
    fn end_unreaped(&mut self) {
        self.end();
        let id = self.id as libc::id_t;
        // SAFETY: a siginfo_t consists of integers and pointers, for which all-zero is valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let options = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: the pointer is valid for the one siginfo_t that waitid writes.
        cvt(unsafe { libc::waitid(libc::P_PID, id, &mut info, options) }).unwrap();
    }

    fn reap(&mut self) {
        self.end();
        let mut status = 0;
        // SAFETY: the pointer is valid for the int that waitpid writes.
        cvt(unsafe { libc::waitpid(self.id, &mut status, 0) }).unwrap();
        assert_eq!(libc::WEXITSTATUS(status), 7);
    }
}

/// Has the reactor of this thread wait for the exit. Returns `None` if it does not support that.
fn awaited(child: &Child) -> Option<Process> {
    let process = Process::new(child.id as u32);
    let mut cx = Context::from_waker(Waker::noop());
    let polled = process.poll_ended(&mut cx);
    polled.is_pending().then_some(process)
}

fn errno(result: &io::Result<()>) -> Option<i32> {
    result.as_ref().err().and_then(io::Error::raw_os_error)
}

impl Stage {
    /// Registers a process. Returns false if the selector does not report exits.
    fn add_process(&mut self, child: &Child, token: Token) -> bool {
        match self.selector.add_process(child.id as u32, token) {
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                assert_ne!(self.selector.backend(), Backend::Kqueue);
                false
            }
            added => {
                added.unwrap();
                true
            }
        }
    }

    /// Returns a reactor on the selector of this stage.
    fn reactor(&mut self) -> Rc<Reactor> {
        let nothing = crate::sys::scripted::Script::default().selector();
        let selector = std::mem::replace(&mut self.selector, nothing);
        Reactor::with_selector(selector).unwrap()
    }
}

pub(super) fn an_exit_is_reported_once_to_the_last_registration(stage: &mut Stage) {
    let mut child = Child::start(stage);
    if stage.add_process(&child, ONE) {
        assert_eq!(stage.now(ONE), NOTHING);
        // A registration that is forgotten is not removed from the kernel, and is replaced.
        stage.selector.forget(ONE);
        assert!(stage.add_process(&child, TWO));
        assert_eq!(stage.now(TWO), NOTHING);
        child.end();
        stage.selector.wait(&mut stage.events, None).unwrap();
        assert_eq!(stage.events, [Event::new(TWO, Readiness::READABLE)]);
        assert_eq!((stage.now(ONE), stage.now(TWO)), (NOTHING, NOTHING));
    }
    child.reap();
}

/// The caller looks for an exit after the registration, and so finds it in either case.
pub(super) fn an_exit_before_the_registration_is_reported_or_refused(stage: &mut Stage) {
    let mut child = Child::start(stage);
    child.end_unreaped();
    let added = stage.selector.add_process(child.id as u32, ONE);
    match errno(&added) {
        Some(errno) => assert_eq!(errno, libc::ESRCH),
        None if stage.selector.backend() == Backend::Kqueue => {
            added.unwrap();
            // macOS may never report it.
            if !cfg!(target_vendor = "apple") {
                stage.wait_until(ONE, Readiness::READABLE);
            }
        }
        None => assert_eq!(added.unwrap_err().kind(), ErrorKind::Unsupported),
    }
    child.reap();
    let gone = stage.selector.add_process(child.id as u32, ONE);
    if stage.selector.backend() == Backend::Kqueue {
        assert_eq!(errno(&gone), Some(libc::ESRCH));
        assert_eq!(stage.now(ONE), NOTHING);
    }
}

pub(super) fn a_task_that_waits_for_an_exit_is_woken(stage: &mut Stage) {
    let mut child = Child::start(stage);
    let reactor = stage.reactor();
    let _entered = reactor.enter();
    let (process, task) = (Process::new(child.id as u32), CountingWaker::new());
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    let polled = process.poll_ended(&mut cx);
    if reactor.backend() == Backend::Kqueue {
        assert!(polled.is_pending() && process.poll_ended(&mut cx).is_pending());
        let before = reactor.stats();
        assert_eq!((before.registrations, before.sources), (1, 1));
        child.end();
        while task.count() == 0 {
            reactor.turn(None).unwrap();
        }
        for _ in 0..2 {
            assert!(matches!(process.poll_ended(&mut cx), Poll::Ready(Ok(()))));
        }
        drop(process);
        assert_eq!(reactor.stats().sources, 0);
    } else {
        let refused = matches!(polled, Poll::Ready(Err(e)) if e.kind() == ErrorKind::Unsupported);
        assert!(refused && reactor.stats().sources == 0);
    }
    child.reap();
    let gone = Process::new(child.id as u32).poll_ended(&mut cx);
    assert!(matches!(gone, Poll::Ready(Err(_))), "{gone:?}");
    assert_eq!(reactor.stats().sources, 0);
}

pub(super) fn an_exit_wakes_a_task_on_another_thread(stage: &mut Stage) {
    let mut child = Child::start(stage);
    let reactor = stage.reactor();
    let _entered = reactor.enter();
    if let Some(process) = awaited(&child) {
        // The exit is reported before the other thread waits, which therefore registers again.
        child.end_unreaped();
        reactor.turn(Some(Duration::ZERO)).unwrap();
        let task = CountingWaker::new();
        let waker = task.waker();
        let (asked, asking) = mpsc::channel();
        let there = thread::spawn(move || {
            let mut cx = Context::from_waker(&waker);
            let first = process.poll_ended(&mut cx).is_ready();
            asked.send(first).unwrap();
            process
        });
        if !asking.recv().unwrap() {
            while task.count() == 0 {
                reactor.turn(None).unwrap();
            }
        }
        let process = there.join().unwrap();
        let there = thread::spawn(move || {
            let mut cx = Context::from_waker(Waker::noop());
            (process.poll_ended(&mut cx).is_ready(), process)
        });
        let (is_ready, process) = there.join().unwrap();
        assert!(is_ready);
        // A drop on another thread removes it here.
        thread::spawn(move || drop(process)).join().unwrap();
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(reactor.stats().sources, 0);
    }
    child.reap();
}

pub(super) fn an_exit_after_its_registration_was_dropped_is_stale(stage: &mut Stage) {
    let mut child = Child::start(stage);
    let reactor = stage.reactor();
    let _entered = reactor.enter();
    if let Some(process) = awaited(&child) {
        drop(process);
        child.end();
        reactor.turn(None).unwrap();
        assert_eq!(reactor.stats().stale_events, 1);
    }
    child.reap();
}
