//! A write that was accepted is performed, and its error is returned or logged.

use std::fs as std_fs;
use std::fs::File as StdFile;
use std::future::poll_fn;
use std::io::Read;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use runtime::fs::File;
use runtime::io::{self, AsyncWrite, AsyncWriteExt};
use runtime::{Runtime, spawn_blocking};

/// A temporary path whose file is removed on drop.
struct TempPath(PathBuf);

impl TempPath {
    fn new(name: &str) -> TempPath {
        let name = format!("runtime-written-{name}-{}", std::process::id());
        TempPath(std::env::temp_dir().join(name))
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        let _ = std_fs::remove_file(&self.0);
    }
}

const CHILD: &str = "RUNTIME_WRITTEN_CHILD";

/// Returns a command that runs one test of this binary again, with this value in [`CHILD`].
fn child(test: &str, value: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, value)
        .stdin(Stdio::null());
    command
}

/// Returns the value that the parent has set, in a child only.
fn as_child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Returns the lines that the runtime has logged.
fn logged(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let logged = stderr.lines().filter(|line| line.starts_with("runtime: "));
    logged.map(str::to_owned).collect()
}

#[test]
fn a_file_that_was_written_is_complete_when_its_runtime_has_ended() {
    let path = TempPath::new("ended");
    for n in 0..100 {
        let text = format!("some bytes {n}");
        runtime::block_on(async {
            let mut file = File::create(&path.0).await.unwrap();
            file.write_all(text.as_bytes()).await.unwrap();
            if n % 2 == 0 {
                drop(file);
            } else {
                std::mem::forget(file);
            }
        });
        assert_eq!(std_fs::read_to_string(&path.0).unwrap(), text);
    }
}

#[test]
fn a_write_that_is_queued_behind_a_busy_thread_is_performed_when_the_runtime_ends() {
    let path = TempPath::new("busy");
    let builder = Runtime::builder().max_blocking_threads(1);
    let runtime = builder.build().unwrap();
    let (end, ended) = mpsc::channel::<()>();
    runtime.block_on(async {
        let mut file = File::create(&path.0).await.unwrap();
        drop(spawn_blocking(move || ended.recv()));
        file.write_all(b"queued").await.unwrap();
    });
    drop(runtime);
    assert_eq!(std_fs::read(&path.0).unwrap(), b"queued");
    drop(end);
}

#[test]
fn a_write_is_performed_even_if_no_thread_can_be_started() {
    const NAME: &str = "a_write_is_performed_even_if_no_thread_can_be_started";
    if let Some(path) = as_child() {
        // The stack of every thread is larger than the address space.
        runtime::block_on(async {
            let mut file = File::from_std(StdFile::create(&path).unwrap(), &path);
            file.write_all(b"here").await.unwrap();
            assert_eq!(std_fs::read(&path).unwrap(), b"here");
        });
        std::process::exit(0);
    }
    if cfg!(not(target_os = "linux")) {
        // The test harness goes on without a thread of its own only if the error is EAGAIN. NetBSD
        // returns ENOMEM.
        eprintln!("NOT TESTED on this system");
        return;
    }
    let path = TempPath::new("no-thread");
    let mut command = child(NAME, &path.0);
    let stack: u64 = if usize::BITS == 64 { 1 << 47 } else { 3 << 30 };
    let output = command.env("RUST_MIN_STACK", stack.to_string());
    let output = output.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std_fs::read(&path.0).unwrap(), b"here");
}

#[test]
fn the_error_of_a_write_is_logged_if_no_operation_returns_it() {
    const NAME: &str = "the_error_of_a_write_is_logged_if_no_operation_returns_it";
    if let Some(path) = as_child() {
        let is_returned = std::env::var_os("RETURNED").is_some();
        runtime::block_on(async {
            let mut file = File::open(&path).await.unwrap();
            file.write_all(b"refused").await.unwrap();
            if is_returned {
                file.flush().await.unwrap_err();
            }
        });
        return;
    }
    let path = TempPath::new("logged");
    std_fs::write(&path.0, "").unwrap();
    let output = child(NAME, &path.0).output().unwrap();
    let expected = format!("runtime: write {}: ", path.0.display());
    let logged_lines = logged(&output);
    assert_eq!(logged_lines.len(), 1, "{output:?}");
    assert!(logged_lines[0].starts_with(&expected), "{output:?}");

    let output = child(NAME, &path.0).env("RETURNED", "1").output().unwrap();
    assert!(logged(&output).is_empty(), "{output:?}");
}

const LINES: usize = 200;

fn lines() -> String {
    (0..LINES).map(|n| format!("line {n}\n")).collect()
}

/// Runs the child of a test with its standard error redirected to a file, and returns its contents.
fn stderr_in_a_file(test: &str) -> String {
    let path = TempPath::new(test);
    let file = StdFile::create(&path.0).unwrap();
    let mut command = child(test, "");
    let status = command.stdout(Stdio::null()).stderr(file).status().unwrap();
    assert!(status.success());
    std_fs::read_to_string(&path.0).unwrap()
}

#[test]
fn lines_of_a_new_handle_each_are_in_the_file_in_order_without_a_flush() {
    const NAME: &str = "lines_of_a_new_handle_each_are_in_the_file_in_order_without_a_flush";
    if as_child().is_some() {
        return runtime::block_on(async {
            for n in 0..LINES {
                let line = format!("line {n}\n");
                io::stderr().write_all(line.as_bytes()).await.unwrap();
            }
        });
    }
    for _ in 0..10 {
        assert_eq!(stderr_in_a_file(NAME), lines());
    }
}

#[test]
fn tasks_that_write_to_one_stream_keep_the_order_in_which_their_writes_returned() {
    const NAME: &str =
        "tasks_that_write_to_one_stream_keep_the_order_in_which_their_writes_returned";
    if as_child().is_some() {
        return runtime::block_on(async {
            let mut handles = [io::stderr(), io::stderr(), io::stderr()];
            for n in 0..LINES {
                let line = format!("line {n}\n");
                let handle = &mut handles[n % 3];
                handle.write_all(line.as_bytes()).await.unwrap();
            }
        });
    }
    assert_eq!(stderr_in_a_file(NAME), lines());
}

#[test]
fn runtimes_on_several_threads_share_the_queue_of_a_stream_and_lose_nothing() {
    const NAME: &str = "runtimes_on_several_threads_share_the_queue_of_a_stream_and_lose_nothing";
    const THREADS: usize = 4;
    if as_child().is_some() {
        let write = |thread| {
            move || {
                // A runtime for each line, which ends at once.
                for n in 0..50 {
                    let line = format!("{thread} {n}\n");
                    let write = async { io::stderr().write_all(line.as_bytes()).await.map(drop) };
                    runtime::block_on(write).unwrap();
                }
            }
        };
        let threads = (0..THREADS).map(|thread| std::thread::spawn(write(thread)));
        let threads: Vec<_> = threads.collect();
        return threads.into_iter().for_each(|it| it.join().unwrap());
    }
    let text = stderr_in_a_file(NAME);
    assert_eq!(text.lines().count(), 50 * THREADS, "{text}");
    for thread in 0..THREADS {
        let prefix = format!("{thread} ");
        let numbers = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        let expected: Vec<_> = (0..50).map(|n| n.to_string()).collect();
        assert_eq!(numbers.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_flush_of_any_handle_waits_for_the_writes_of_all() {
    const NAME: &str = "a_flush_of_any_handle_waits_for_the_writes_of_all";
    if let Some(path) = as_child() {
        return runtime::block_on(async {
            let mut file = StdFile::open(path).unwrap();
            let mut written = String::new();
            for n in 0..20 {
                let line = format!("{n}\n");
                io::stderr()
                    .write_all(line.repeat(10_000).as_bytes())
                    .await
                    .unwrap();
                io::stderr().write_all(line.as_bytes()).await.unwrap();
                io::stderr().flush().await.unwrap();
                file.read_to_string(&mut written).unwrap();
                assert!(written.ends_with(&line));
            }
        });
    }
    let path = TempPath::new("flush");
    let file = StdFile::create(&path.0).unwrap();
    let mut command = child(NAME, &path.0);
    let status = command.stdout(Stdio::null()).stderr(file).status().unwrap();
    assert!(
        status.success(),
        "{}",
        std_fs::read_to_string(&path.0).unwrap()
    );
}

#[test]
fn a_flush_completes_although_another_task_writes_without_a_pause() {
    const NAME: &str = "a_flush_completes_although_another_task_writes_without_a_pause";
    if as_child().is_some() {
        return runtime::block_on(async {
            let writer = runtime::spawn(async {
                let mut stderr = io::stderr();
                while poll_fn(|cx| Pin::new(&mut stderr).poll_write(cx, b"again\n"))
                    .await
                    .is_ok()
                {
                    runtime::task::yield_now().await;
                }
            });
            for _ in 0..20 {
                runtime::task::yield_now().await;
                io::stderr().flush().await.unwrap();
            }
            writer.abort();
        });
    }
    let text = stderr_in_a_file(NAME);
    assert!(text.ends_with("again\n"));
}

/// The standard output gets the error, since the standard error shows what is logged.
#[test]
fn the_error_of_a_standard_stream_is_returned_by_any_handle_or_logged() {
    const NAME: &str = "the_error_of_a_standard_stream_is_returned_by_any_handle_or_logged";
    if as_child().is_some() {
        let is_returned = std::env::var_os("RETURNED").is_some();
        runtime::block_on(async {
            // The test harness has printed to this stream, but std drops the error EBADF.
            io::stdout().write_all(b"refused").await.unwrap();
            if is_returned {
                let error = io::stdout().flush().await.unwrap_err();
                assert_eq!(io::os_error(&error), Some(libc::EBADF));
                let text = error.to_string();
                assert!(text.starts_with("write the standard output: "), "{text}");
                io::stdout().flush().await.unwrap();
            }
        });
        return;
    }
    let path = TempPath::new("stream-error");
    std_fs::write(&path.0, "").unwrap();
    let run = |command: &mut Command| {
        let read_only = StdFile::open(&path.0).unwrap();
        logged(&command.stdout(read_only).output().unwrap())
    };
    let logged_lines = run(&mut child(NAME, ""));
    assert_eq!(logged_lines.len(), 1, "{logged_lines:?}");
    assert!(logged_lines[0].starts_with("runtime: write the standard output: "));
    let logged_lines = run(child(NAME, "").env("RETURNED", "1"));
    assert!(logged_lines.is_empty(), "{logged_lines:?}");
}
