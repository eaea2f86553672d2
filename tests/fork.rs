//! A runtime, and a child of fork(2) that has it too. Without the test harness, whose threads a
//! child would not have. What a reactor does then is tested beside it.

mod support;

use std::cell::Cell;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::rc::Rc;
use std::time::Duration;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::{JoinHandle, Runtime};
use support::descriptors;

fn main() {
    let tests: [(&str, fn()); 4] = [
        (
            "a_child_that_was_not_made_ready_is_refused_and_its_parent_goes_on",
            a_child_that_was_not_made_ready_is_refused_and_its_parent_goes_on,
        ),
        (
            "a_child_that_was_made_ready_goes_on_where_its_parent_was",
            a_child_that_was_made_ready_goes_on_where_its_parent_was,
        ),
        (
            "a_child_without_the_threads_of_its_parent_is_refused",
            a_child_without_the_threads_of_its_parent_is_refused,
        ),
        (
            "no_descriptor_is_left_by_any_of_it",
            no_descriptor_is_left_by_any_of_it,
        ),
    ];
    let before = descriptors();
    for (name, test) in tests {
        limit_time();
        test();
        println!("test {name} ... ok");
    }
    assert_eq!(descriptors(), before, "as many as at first");
}

/// Whoever hangs is killed; children have to ask for it themselves.
fn limit_time() {
    // SAFETY: alarm takes a number, and SIGALRM, which nobody handles, ends the process.
    unsafe { libc::alarm(120) };
}

/// Runs `work` in a forked child, and asserts here that it came to its end there.
fn in_child(work: impl FnOnce()) {
    // SAFETY: this process has one thread, so the child may do whatever it likes.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1);
    if pid == 0 {
        limit_time();
        let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
        // SAFETY: _exit takes a number. What the parent has on its stack is not dropped here.
        unsafe { libc::_exit(panicked.into()) };
    }
    let mut status = 0;
    // SAFETY: waitpid writes one int, to a place that outlives the call.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0, "the child's status");
}

/// The message of a panic, which is not printed.
fn panic_of(f: impl FnOnce()) -> String {
    set_hook(Box::new(|_| {}));
    let panic = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    drop(take_hook());
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or(panic.downcast_ref::<String>().cloned()).unwrap()
}

/// A runtime with a task that waits for one byte of a connection, and the connection's other end.
fn waiting() -> (Runtime, JoinHandle<u8>, std::net::TcpStream) {
    let runtime = Runtime::new().unwrap();
    let (task, peer) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let task = runtime::spawn(async move {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            byte[0]
        });
        runtime::task::yield_now().await;
        runtime::task::yield_now().await;
        (task, peer)
    });
    assert_eq!(runtime.stats().sources, 1, "it waits");
    runtime.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(runtime.stats().registrations, 1);
    (runtime, task, peer)
}

fn a_child_that_was_not_made_ready_is_refused_and_its_parent_goes_on() {
    let (runtime, task, mut peer) = waiting();
    let mut theirs = Some(runtime);
    in_child(|| {
        let runtime = theirs.take().unwrap();
        let said = panic_of(|| runtime.block_on(async {}));
        assert!(said.contains("Runtime::after_fork_child"), "{said}");
        let error = runtime.turn(Some(Duration::ZERO)).unwrap_err();
        assert!(error.to_string().contains("after_fork_child"), "{error}");
        // With all its tasks and sockets.
        drop(runtime);
        // One of its own is none of the parent's.
        assert_eq!(runtime::block_on(async { 7 }), 7);
    });
    let runtime = theirs.unwrap();
    let before = runtime.stats();
    peer.write_all(&[7]).unwrap();
    assert_eq!(runtime.block_on(task).unwrap(), 7);
    let after = runtime.stats();
    assert_eq!(after.notifications, before.notifications);
    assert_eq!(after.registrations, before.registrations);

    // In a task of a child the loop says it.
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let said = panic_of(|| {
            runtime.block_on(async {
                // SAFETY: as above; both go on, and the parent waits.
                let pid = unsafe { libc::fork() };
                if pid != 0 {
                    let mut status = 0;
                    // SAFETY: as above.
                    unsafe { libc::waitpid(pid, &mut status, 0) };
                    // Not of the fork, but as it says what became of it.
                    panic!("status {status}, after_fork_child is none of the parent's");
                }
                std::future::pending::<()>().await;
            });
        });
        assert!(said.contains("after_fork_child"), "{said}");
        if said.starts_with("status") {
            assert!(said.starts_with("status 0,"), "{said}");
        } else {
            assert!(said.contains("the reactor can no longer wait"), "{said}");
        }
    });
}

fn a_child_that_was_made_ready_goes_on_where_its_parent_was() {
    let (mut runtime, task, mut peer) = waiting();
    let state = Rc::new(Cell::new(0));
    let counted = state.clone();
    let timer = runtime.spawn(async move {
        runtime::time::sleep(Duration::from_millis(20)).await;
        counted.set(counted.get() + 1);
    });
    // A duplicate of its descriptor, where it has one, is the parent's too.
    let _ = runtime.pollable_fd();
    let (mut task, mut timer) = (Some(task), Some(timer));
    in_child(|| {
        runtime.after_fork_child().unwrap();
        let _ = runtime.pollable_fd();
        peer.write_all(&[1]).unwrap();
        let (task, timer) = (task.take().unwrap(), timer.take().unwrap());
        assert_eq!(runtime.block_on(task).unwrap(), 1);
        runtime.block_on(timer).unwrap();
        assert_eq!(state.get(), 1);
        // Whatever a runtime does, it does here: sockets, threads, names.
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            server.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
            let job = runtime::spawn_blocking(|| 6 * 7);
            assert_eq!(job.await.unwrap(), 42);
        });
        drop(runtime);
    });
}

fn a_child_without_the_threads_of_its_parent_is_refused() {
    // In a child of its own, which ends with its threads.
    in_child(|| {
        let mut runtime = Runtime::new().unwrap();
        let job = runtime.handle().spawn_blocking(|| ());
        runtime.block_on(job).unwrap();
        in_child(|| {
            let error = runtime.after_fork_child().unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("blocking jobs"), "{error}");
        });
        runtime.after_fork_child().unwrap();
        runtime.block_on(async { runtime::task::yield_now().await });
    });
}

fn no_descriptor_is_left_by_any_of_it() {
    let (mut runtime, task, mut peer) = waiting();
    let _ = runtime.pollable_fd();
    let before = descriptors();
    let mut task = Some(task);
    in_child(|| {
        runtime.after_fork_child().unwrap();
        let _ = runtime.pollable_fd();
        assert_eq!(descriptors(), before);
        peer.write_all(&[1]).unwrap();
        runtime.block_on(task.take().unwrap()).unwrap();
        assert_eq!(descriptors(), before - 1);
    });
    assert_eq!(descriptors(), before);
    drop((runtime, task));
    let mut end = Vec::new();
    peer.read_to_end(&mut end).unwrap();
}
