//! A runtime that somebody else's loop drives.

use std::cell::Cell;
use std::io::Write;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use runtime::io::AsyncReadExt;
use runtime::net::TcpStream;
use runtime::{Backend, Runtime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const LOOK: Option<Duration> = Some(Duration::ZERO);

/// On a backend with a descriptor to watch, whatever RUNTIME_BACKEND says.
fn watchable() -> Runtime {
    let best = Backend::available()[0];
    Runtime::builder().backend(best).build().unwrap()
}

/// What a foreign loop does between two turns: waits for the descriptor, and no longer than until
/// the deadline. Says whether it was readable.
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

/// Drives the runtime until `done`.
fn drive_until(runtime: &Runtime, done: impl Fn() -> bool) {
    while !done() {
        wait(runtime);
        runtime.turn(LOOK).unwrap();
    }
}

/// A connection of the runtime, and the blocking end of a peer.
fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    (TcpStream::from_std(ours).unwrap(), peer)
}

#[test]
fn tasks_timers_and_sockets_live_in_a_foreign_loop() {
    let runtime = watchable();
    let (mut stream, mut peer) = pair();
    let (got, slept) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (told, awake) = (got.clone(), slept.clone());
    runtime.spawn(async move {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        told.set(byte[0]);
    });
    let deadline = Instant::now() + Duration::from_millis(30);
    runtime.spawn(async move {
        runtime::time::sleep_until(deadline).await;
        awake.set(true);
    });
    drive_until(&runtime, || slept.get());
    assert!(Instant::now() >= deadline);
    assert!(!is_readable(&runtime), "nothing to do");
    assert_eq!(runtime.next_deadline(), None);
    peer.write_all(&[7]).unwrap();
    // For ever, since there is no deadline: so it does show.
    drive_until(&runtime, || got.get() == 7);
}

#[test]
fn what_other_threads_do_shows_in_the_descriptor() {
    let runtime = watchable();
    runtime.pollable_fd().unwrap();
    runtime.turn(LOOK).unwrap();
    let handle = runtime.handle().clone();
    for round in 0..20 {
        let handle = handle.clone();
        let there = thread::spawn(move || handle.block_on(async move { round + 1 }).unwrap());
        assert!(wait(&runtime), "for ever, if it did not show");
        while !there.is_finished() {
            // Only when it shows: a spurious look would hide that it does not.
            if is_readable(&runtime) {
                runtime.turn(LOOK).unwrap();
            }
            thread::yield_now();
        }
        assert_eq!(there.join().unwrap(), round + 1);
    }
}

#[test]
fn while_a_task_is_ready_the_deadline_has_passed() {
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.next_deadline(), None);
    let done = Rc::new(Cell::new(false));
    let told = done.clone();
    runtime.spawn(async move {
        for _ in 0..1000 {
            runtime::task::yield_now().await;
        }
        told.set(true);
    });
    let mut turns = 0;
    while !done.get() {
        assert!(runtime.next_deadline().unwrap() <= Instant::now());
        // It does not wait, although it might for ever.
        runtime.turn(None).unwrap();
        turns += 1;
    }
    assert!(
        (2..1000).contains(&turns),
        "{turns}: others have their turn, and so have batches"
    );
}

#[test]
fn the_root_future_of_an_earlier_block_on_keeps_nobody_busy() {
    let runtime = Runtime::new().unwrap();
    let waker = runtime.block_on(std::future::poll_fn(|cx| {
        std::task::Poll::Ready(cx.waker().clone())
    }));
    waker.wake_by_ref();
    runtime.turn(LOOK).unwrap();
    assert_eq!(runtime.next_deadline(), None);
    waker.wake();
    runtime.turn(LOOK).unwrap();
    assert_eq!(runtime.next_deadline(), None);
}

#[test]
fn a_turn_waits_no_longer_than_its_limit_and_for_its_timers() {
    let runtime = Runtime::new().unwrap();
    let before = Instant::now();
    let limit = Duration::from_millis(20);
    runtime.turn(Some(limit)).unwrap();
    // It may return early, for no reason; but then it has not waited either.
    while before.elapsed() < limit {
        runtime.turn(Some(limit)).unwrap();
    }
    let slept = Rc::new(Cell::new(false));
    let told = slept.clone();
    runtime.spawn(async move {
        runtime::time::sleep(Duration::from_millis(20)).await;
        told.set(true);
    });
    while !slept.get() {
        runtime.turn(None).unwrap();
    }
}

#[test]
fn the_descriptor_is_made_once_and_closed_on_exec() {
    let runtime = watchable();
    let first = runtime.pollable_fd().unwrap();
    let again = runtime.pollable_fd().unwrap();
    use std::os::fd::AsRawFd;
    assert_eq!(first.as_raw_fd(), again.as_raw_fd());
    let flags = rustix::io::fcntl_getfd(first.as_fd()).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn turning_inside_a_runtime_is_refused() {
    let runtime = Runtime::new().unwrap();
    let panic = runtime.block_on(async {
        catch_unwind(AssertUnwindSafe(|| drop(runtime.turn(LOOK)))).unwrap_err()
    });
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(
        said.contains("Runtime::turn was called at") && said.contains("embedding.rs"),
        "{said}"
    );
}

#[test]
fn a_backend_without_a_descriptor_to_watch_says_so_and_can_be_turned() {
    for &backend in Backend::available() {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        if let Err(e) = runtime.pollable_fd() {
            assert_eq!(e.kind(), std::io::ErrorKind::Unsupported);
        }
        let (mut stream, mut peer) = pair();
        let done = Rc::new(Cell::new(false));
        let told = done.clone();
        runtime.spawn(async move {
            stream.read_exact(&mut [0]).await.unwrap();
            told.set(true);
        });
        runtime.turn(LOOK).unwrap();
        peer.write_all(b"x").unwrap();
        while !done.get() {
            runtime.turn(None).unwrap();
        }
    }
}

#[test]
fn asking_for_the_deadline_takes_nobodys_wake() {
    let runtime = Rc::new(Runtime::new().unwrap());
    let asks = runtime.clone();
    runtime.block_on(async {
        let deadline = async { asks.next_deadline() };
        // The root has been woken by then; if that were forgotten, nobody would wake it again.
        runtime::join!(runtime::task::yield_now(), deadline);
    });
}
