//! A runtime inherited by a child of fork(2). Runs without the test harness, whose threads a child
//! would not have. The reactor has its own test, `reactor/tests/fork.rs`.

mod support;

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::rc::Rc;
use std::time::Duration;

use runtime::insight::Stall;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::{JoinHandle, Runtime};
use support::descriptors;

fn main() {
    let tests: [(&str, fn()); 5] = [
        (
            "a_child_without_after_fork_child_gets_errors_and_its_parent_is_unaffected",
            a_child_without_after_fork_child_gets_errors_and_its_parent_is_unaffected,
        ),
        (
            "a_child_after_after_fork_child_continues_with_the_parents_state",
            a_child_after_after_fork_child_continues_with_the_parents_state,
        ),
        (
            "a_child_of_a_parent_with_pool_threads_is_rejected",
            a_child_of_a_parent_with_pool_threads_is_rejected,
        ),
        (
            "a_child_watches_its_copy_of_a_runtime_and_the_parent_still_its_own",
            a_child_watches_its_copy_of_a_runtime_and_the_parent_still_its_own,
        ),
        ("no_descriptor_is_leaked", no_descriptor_is_leaked),
    ];
    let before = descriptors();
    for (name, test) in tests {
        limit_time();
        test();
        println!("test {name} ... ok");
    }
    assert_eq!(descriptors(), before, "no descriptor is left open");
}

/// Kills this process if it hangs. An alarm is not inherited, so children call this too.
fn limit_time() {
    // SAFETY: alarm takes an integer. SIGALRM has no handler, so it ends the process.
    unsafe { libc::alarm(120) };
}

/// Runs `work` in a forked child and asserts that it did not panic there.
fn in_child(work: impl FnOnce()) {
    // SAFETY: this process has one thread, so the child may call any function.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1);
    if pid == 0 {
        limit_time();
        let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
        // SAFETY: _exit takes an integer. It skips the destructors of the parent's stack.
        unsafe { libc::_exit(panicked.into()) };
    }
    let mut status = 0;
    // SAFETY: waitpid writes one integer, to a variable that outlives the call.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0, "the child's status");
}

/// Returns the message of the panic of `f`, without printing it.
fn panic_of(f: impl FnOnce()) -> String {
    set_hook(Box::new(|_| {}));
    let panic = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    drop(take_hook());
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or(panic.downcast_ref::<String>().cloned()).unwrap()
}

/// Returns a runtime, a task in it that waits for one byte, and the peer that can send the byte.
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
    assert_eq!(runtime.stats().sources, 1, "the task waits");
    runtime.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(runtime.stats().registrations, 1);
    (runtime, task, peer)
}

fn a_child_without_after_fork_child_gets_errors_and_its_parent_is_unaffected() {
    let (runtime, task, mut peer) = waiting();
    let mut theirs = Some(runtime);
    in_child(|| {
        let runtime = theirs.take().unwrap();
        let text = panic_of(|| runtime.block_on(async {}));
        assert!(text.contains("Runtime::after_fork_child"), "{text}");
        let error = runtime.turn(Some(Duration::ZERO)).unwrap_err();
        assert!(error.to_string().contains("after_fork_child"), "{error}");
        // Dropping it drops its tasks and sockets too.
        drop(runtime);
        // A runtime created in the child works.
        assert_eq!(runtime::block_on(async { 7 }), 7);
    });
    let runtime = theirs.unwrap();
    let before = runtime.stats();
    peer.write_all(&[7]).unwrap();
    assert_eq!(runtime.block_on(task).unwrap(), 7);
    let after = runtime.stats();
    assert_eq!(after.notifications, before.notifications);
    assert_eq!(after.registrations, before.registrations);

    // After a fork inside a task the loop panics in the child.
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let text = panic_of(|| {
            runtime.block_on(async {
                // SAFETY: as in `in_child`; both processes continue, and the parent waits.
                let pid = unsafe { libc::fork() };
                if pid != 0 {
                    let mut status = 0;
                    // SAFETY: as in `in_child`.
                    unsafe { libc::waitpid(pid, &mut status, 0) };
                    // Reports the child's status as the panic text of the parent.
                    panic!("status {status}, the parent needs no after_fork_child");
                }
                std::future::pending::<()>().await;
            });
        });
        assert!(text.contains("after_fork_child"), "{text}");
        if text.starts_with("status") {
            assert!(text.starts_with("status 0,"), "{text}");
        } else {
            assert!(
                text.contains("the runtime can no longer wait for events"),
                "{text}"
            );
        }
    });
}

fn a_child_after_after_fork_child_continues_with_the_parents_state() {
    let (mut runtime, task, mut peer) = waiting();
    let state = Rc::new(Cell::new(0));
    let counted = state.clone();
    let timer = runtime.spawn(async move {
        runtime::time::sleep(Duration::from_millis(20)).await;
        counted.set(counted.get() + 1);
    });
    // The duplicated descriptor, where the backend has one, is also inherited.
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
        // All features work: sockets, tasks and blocking jobs.
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

fn a_child_of_a_parent_with_pool_threads_is_rejected() {
    // In a child, so that the pool threads end with it.
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

fn a_child_watches_its_copy_of_a_runtime_and_the_parent_still_its_own() {
    // In a child, so that the watching thread ends with it.
    in_child(|| {
        // The watching thread may be inside of a report when the process forks. A socket has no
        // lock that the child would inherit then, unlike a channel.
        let (reports, stalls) = UnixStream::pair().unwrap();
        let callback = move |stall: &Stall| (&reports).write_all(&[stall.is_over.into()]).unwrap();
        let next = || {
            let mut is_over = [0];
            (&stalls).read_exact(&mut is_over).unwrap();
            is_over == [1]
        };
        let builder = Runtime::builder().on_stall(Duration::from_millis(5), callback);
        let mut runtime = builder.build().unwrap();
        // The poll lasts until it was reported.
        let is_watched = |runtime: &Runtime| {
            runtime.block_on(async { assert!(!next()) });
            assert!(next());
        };
        is_watched(&runtime);
        in_child(|| {
            runtime.after_fork_child().unwrap();
            is_watched(&runtime);
        });
        let mut theirs = Some(runtime);
        in_child(|| drop(theirs.take()));
        is_watched(&theirs.take().unwrap());
    });
}

fn no_descriptor_is_leaked() {
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
