//! A runtime driven by a foreign event loop.

use std::cell::Cell;
use std::io::Write;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use runtime::io::AsyncReadExt;
use runtime::net::TcpStream;
use runtime::time::Instant;
use runtime::{Backend, Runtime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A limit for a turn that does not block.
const NO_WAIT: Option<Duration> = Some(Duration::ZERO);

/// Creates a runtime whose backend has a pollable descriptor, regardless of RUNTIME_BACKEND.
fn pollable_runtime() -> Runtime {
    let best = Backend::available()[0];
    Runtime::builder().backend(best).build().unwrap()
}

/// Waits like a foreign loop between two turns: for the descriptor, at most until the deadline.
/// Returns true if the descriptor became readable.
fn wait(runtime: &Runtime) -> bool {
    let until = runtime.next_deadline();
    let limit = until.map(|until| until.saturating_duration_since(Instant::now()));
    let limit = limit.map(|limit| Timespec::try_from(limit).unwrap());
    let fd = runtime.pollable_fd().unwrap();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, limit.as_ref()).unwrap() > 0
}

fn is_readable(runtime: &Runtime) -> bool {
    let fd = runtime.pollable_fd().unwrap();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap() > 0
}

/// Drives the runtime until `done` returns true.
fn drive_until(runtime: &Runtime, done: impl Fn() -> bool) {
    while !done() {
        wait(runtime);
        runtime.turn(NO_WAIT).unwrap();
    }
}

/// Returns a connection of the runtime and the blocking stream of its peer.
fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    (TcpStream::from_std(ours).unwrap(), peer)
}

#[test]
fn tasks_timers_and_sockets_work_in_a_foreign_loop() {
    let runtime = pollable_runtime();
    let (mut stream, mut peer) = pair();
    let (got, slept) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (received, awake) = (got.clone(), slept.clone());
    runtime.spawn(async move {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        received.set(byte[0]);
    });
    let deadline = Instant::now() + Duration::from_millis(5);
    runtime.spawn(async move {
        runtime::time::sleep_until(deadline).await;
        awake.set(true);
    });
    drive_until(&runtime, || slept.get());
    assert!(Instant::now() >= deadline);
    assert!(!is_readable(&runtime), "nothing to do");
    assert_eq!(runtime.next_deadline(), None);
    peer.write_all(&[7]).unwrap();
    // There is no deadline, so this would hang if the descriptor did not become readable.
    drive_until(&runtime, || got.get() == 7);
}

#[test]
fn work_from_other_threads_makes_the_descriptor_readable() {
    let runtime = pollable_runtime();
    runtime.pollable_fd().unwrap();
    runtime.turn(NO_WAIT).unwrap();
    let handle = runtime.handle().clone();
    for round in 0..20 {
        let handle = handle.clone();
        let other = thread::spawn(move || handle.block_on(async move { round + 1 }).unwrap());
        assert!(wait(&runtime), "would hang if the descriptor stayed idle");
        while !other.is_finished() {
            // Only when it is readable: an extra turn would hide a missing notification.
            if is_readable(&runtime) {
                runtime.turn(NO_WAIT).unwrap();
            }
            thread::yield_now();
        }
        assert_eq!(other.join().unwrap(), round + 1);
    }
}

#[test]
fn while_a_task_is_ready_the_deadline_has_passed() {
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.next_deadline(), None);
    let done = Rc::new(Cell::new(false));
    let finished = done.clone();
    runtime.spawn(async move {
        for _ in 0..1000 {
            runtime::task::yield_now().await;
        }
        finished.set(true);
    });
    let mut turns = 0;
    while !done.get() {
        assert!(runtime.next_deadline().unwrap() <= Instant::now());
        // The turn does not block although it has no limit.
        runtime.turn(None).unwrap();
        turns += 1;
    }
    assert!(
        (2..1000).contains(&turns),
        "{turns} turns: one turn runs several batches, and not all of them"
    );
}

#[test]
fn the_root_waker_of_an_earlier_block_on_does_not_keep_the_runtime_busy() {
    let runtime = Runtime::new().unwrap();
    let waker = runtime.block_on(std::future::poll_fn(|cx| {
        std::task::Poll::Ready(cx.waker().clone())
    }));
    waker.wake_by_ref();
    runtime.turn(NO_WAIT).unwrap();
    assert_eq!(runtime.next_deadline(), None);
    waker.wake();
    runtime.turn(NO_WAIT).unwrap();
    assert_eq!(runtime.next_deadline(), None);
}

#[test]
fn a_turn_waits_for_its_limit_and_for_timers() {
    let runtime = Runtime::new().unwrap();
    let before = Instant::now();
    let limit = Duration::from_millis(2);
    runtime.turn(Some(limit)).unwrap();
    // A turn may return early; the loop repeats it until the limit has passed.
    while before.elapsed() < limit {
        runtime.turn(Some(limit)).unwrap();
    }
    let slept = Rc::new(Cell::new(false));
    let awake = slept.clone();
    runtime.spawn(async move {
        runtime::time::sleep(limit).await;
        awake.set(true);
    });
    while !slept.get() {
        runtime.turn(None).unwrap();
    }
}

#[test]
fn the_descriptor_is_created_once_and_closed_on_exec() {
    let runtime = pollable_runtime();
    let first = runtime.pollable_fd().unwrap();
    let again = runtime.pollable_fd().unwrap();
    use std::os::fd::AsRawFd;
    assert_eq!(first.as_raw_fd(), again.as_raw_fd());
    let flags = rustix::io::fcntl_getfd(first.as_fd()).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn a_turn_inside_a_runtime_panics() {
    let runtime = Runtime::new().unwrap();
    let panic = runtime.block_on(async {
        catch_unwind(AssertUnwindSafe(|| drop(runtime.turn(NO_WAIT)))).unwrap_err()
    });
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("Runtime::turn was called at") && text.contains("embedding.rs"),
        "{text}"
    );
}

#[test]
fn a_backend_without_a_pollable_descriptor_returns_an_error_and_can_be_turned() {
    for &backend in Backend::available() {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        if let Err(e) = runtime.pollable_fd() {
            assert_eq!(e.kind(), std::io::ErrorKind::Unsupported);
        }
        let (mut stream, mut peer) = pair();
        let done = Rc::new(Cell::new(false));
        let finished = done.clone();
        runtime.spawn(async move {
            stream.read_exact(&mut [0]).await.unwrap();
            finished.set(true);
        });
        runtime.turn(NO_WAIT).unwrap();
        peer.write_all(b"x").unwrap();
        while !done.get() {
            runtime.turn(None).unwrap();
        }
    }
}

#[test]
fn next_deadline_consumes_no_wake() {
    let runtime = Rc::new(Runtime::new().unwrap());
    let same = runtime.clone();
    runtime.block_on(async {
        let deadline = async { same.next_deadline() };
        // The root future has been woken by then. If that wake were lost, this would hang.
        runtime::join!(runtime::task::yield_now(), deadline);
    });
}
