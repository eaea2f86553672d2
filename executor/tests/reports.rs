//! The executor's messages on standard error.

mod support;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use runtime_executor::{Builder, Config, PanicPolicy, spawn_blocking};
use support::{Loop, child, elsewhere, is_child};

/// The standard error of this test, run again.
fn stderr_of(test: &str) -> String {
    let output = child(test, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr
}

fn reports(stderr: &str) -> Vec<&str> {
    stderr
        .lines()
        .filter(|line| line.starts_with("runtime: "))
        .collect()
}

#[test]
fn a_detached_panic_is_one_line_with_name_place_and_message() {
    if is_child() {
        let looped = Loop::new();
        let _entered = looped.executor.enter();
        drop(
            Builder::new()
                .name("worker")
                .spawn(async { panic!("lost {}", 1) }),
        );
        looped.executor.run_ready();
        return;
    }
    let stderr = stderr_of("a_detached_panic_is_one_line_with_name_place_and_message");
    let reports = reports(&stderr);
    assert_eq!(reports.len(), 1, "{stderr}");
    let all = ["worker", "reports.rs:", "lost 1", "JoinHandle"];
    assert!(all.iter().all(|part| reports[0].contains(part)), "{stderr}");
}

#[test]
fn an_awaited_panic_is_not_reported() {
    if is_child() {
        let looped = Loop::new();
        let handle = looped.executor.spawn(async { panic!("awaited") });
        let _: () = looped.block_on(handle).unwrap_or_default();
        return;
    }
    let stderr = stderr_of("an_awaited_panic_is_not_reported");
    assert!(reports(&stderr).is_empty(), "{stderr}");
}

#[test]
fn every_other_panic_of_a_batch_is_reported_under_propagate() {
    if is_child() {
        let looped = Loop::with(Config::new().panic_policy(PanicPolicy::Propagate));
        for n in 0..3 {
            drop(looped.executor.spawn(async move { panic!("number {n}") }));
        }
        let run = std::panic::AssertUnwindSafe(|| looped.batch());
        assert!(std::panic::catch_unwind(run).is_err());
        return;
    }
    let stderr = stderr_of("every_other_panic_of_a_batch_is_reported_under_propagate");
    let reports = reports(&stderr);
    assert_eq!(reports.len(), 2, "{stderr}");
    assert!(
        reports[0].contains("number 1") && reports[1].contains("number 2"),
        "{stderr}"
    );
}

#[test]
fn a_panic_that_could_not_be_raised_any_more_is_reported_at_the_end() {
    if is_child() {
        let looped = Loop::with(Config::new().panic_policy(PanicPolicy::Propagate));
        let handle = looped.executor.spawn(async { panic!("late") });
        // A task with a handle, which returns only the error that the runtime was dropped.
        let other = looped.executor.spawn(async { panic!("never asked") });
        looped.settle();
        looped.block_on(async { drop(handle) });
        drop(looped);
        drop(other);
        return;
    }
    let stderr = stderr_of("a_panic_that_could_not_be_raised_any_more_is_reported_at_the_end");
    assert!(
        reports(&stderr).iter().any(|line| line.contains("late")),
        "{stderr}"
    );
    assert!(
        reports(&stderr)
            .iter()
            .any(|line| line.contains("never asked")),
        "{stderr}"
    );
}

#[test]
fn a_handle_dropped_elsewhere_with_a_panic_in_it_is_reported_even_without_a_runtime() {
    if is_child() {
        let looped = Loop::new();
        let remote = looped.executor.handle().clone();
        let handle = elsewhere(|| remote.spawn(async { panic!("orphan") }));
        looped.settle();
        drop(looped);
        elsewhere(|| drop(handle));
        return;
    }
    let stderr = stderr_of(
        "a_handle_dropped_elsewhere_with_a_panic_in_it_is_reported_even_without_a_runtime",
    );
    assert_eq!(reports(&stderr).len(), 1, "{stderr}");
    assert!(reports(&stderr)[0].contains("orphan"), "{stderr}");
}

#[test]
fn a_detached_blocking_job_that_panics_is_reported() {
    if is_child() {
        let looped = Loop::with(Config::new().max_blocking_threads(1));
        let (release, released) = std::sync::mpsc::channel::<()>();
        looped.block_on(async {
            let handle = spawn_blocking(move || {
                released.recv().unwrap_err();
                panic!("job");
            });
            drop(handle);
            drop(release);
            // There is one thread, so its next job runs after the panic was handled.
            spawn_blocking(|| ()).await.unwrap();
        });
        return looped.settle();
    }
    let stderr = stderr_of("a_detached_blocking_job_that_panics_is_reported");
    assert_eq!(reports(&stderr).len(), 1, "{stderr}");
    assert!(reports(&stderr)[0].contains("job"), "{stderr}");
}

#[test]
fn a_broken_standard_error_does_not_stop_the_executor() {
    if is_child() {
        let looped = Loop::new();
        std::panic::set_hook(Box::new(|_| {}));
        drop(looped.executor.spawn(async { panic!("unheard") }));
        looped.settle();
        assert_eq!(
            looped.block_on(looped.executor.spawn(async { 3 })).unwrap(),
            3
        );
        std::process::exit(7);
    }
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "a_broken_standard_error_does_not_stop_the_executor",
            "--exact",
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env("RUNTIME_TEST_CHILD", "1")
        .stderr(OwnedFd::from(writer))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(7));
}
