//! `process`: input, output, exit and kill of child processes.

mod support;

use std::error::Error;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use runtime::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use runtime::net::pipe::{Receiver, Sender};
use runtime::process::{Child, ChildStdout, Command, Stdio};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Returns a command that runs until the end of its input and exits with code 7.
fn waiter() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "read -r line; exit 7"]);
    command.stdin(Stdio::piped());
    command
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32).unwrap()
}

/// Returns true if the process exists, even as a zombie.
fn exists(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

#[runtime::test]
async fn output_collects_more_than_a_pipe_buffer_from_both_streams() {
    let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
    let mut command = Command::new("sh");
    let output = command.args(["-c", script]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (300_000, 300_000)
    );
}

#[runtime::test]
async fn status_does_not_wait_for_unread_output() {
    // More than a pipe buffers.
    let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    assert_eq!(command.status().await.unwrap().code(), Some(3));
}

#[runtime::test]
async fn output_provides_no_input_and_captures_only_unset_streams() {
    let mut command = Command::new("cat");
    let output = command.output().await.unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    // `output` does not change the defaults of the command.
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    assert!(child.stdout.is_none() && child.wait().await.unwrap().success());
    let mut command = Command::new("sh");
    command.args(["-c", "echo said; echo complained >&2"]);
    let output = command.stderr(Stdio::null()).output().await.unwrap();
    assert_eq!(output.stdout, b"said\n");
    assert_eq!(output.stderr, b"");
}

#[runtime::test]
async fn the_error_for_a_missing_program_names_it() {
    let error = Command::new("no-such-program").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().starts_with("run no-such-program: "),
        "{error}"
    );
    let error = Command::new("no-such-program").status().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = Command::new("no-such-program").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[runtime::test]
async fn arguments_environment_and_directory_are_passed() {
    let mut command = Command::new("sh");
    command.args(["-c", r#"echo "$0 $1 $A $B ${C-none}"; pwd"#]);
    command.arg("zero").args(["one"]).current_dir("/");
    command
        .env("A", "a")
        .envs([("B", "b"), ("C", "c")])
        .env_remove("C");
    assert_eq!(command.get_program(), "sh");
    assert_eq!(command.get_args().count(), 4);
    assert_eq!(command.get_envs().count(), 3);
    let output = command.output().await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "zero one a b none\n/\n"
    );
}

#[runtime::test]
async fn wait_closes_the_input_and_returns_the_status_each_time() {
    let mut child = waiter().spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    for _ in 0..2 {
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
    }
    assert!(child.stdin.is_none());
    child.start_kill().unwrap(); // sends no signal: the child has been reaped
    child.kill().await.unwrap();
}

#[runtime::test]
async fn wait_succeeds_for_a_child_that_has_already_exited() {
    let mut child = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    // At the end of its output the child has exited or is about to.
    let mut stdout = child.stdout.take().unwrap();
    assert_eq!(stdout.read(&mut [0]).await.unwrap(), 0);
    assert!(child.wait().await.unwrap().success());
}

#[runtime::test]
async fn a_hundred_children_at_once_each_return_their_own_status() {
    let children: Vec<Child> = (0..100).map(|_| waiter().spawn().unwrap()).collect();
    let tasks = children.into_iter().enumerate().map(|(n, mut child)| {
        runtime::spawn(async move {
            if n % 2 == 0 {
                child.start_kill().unwrap();
            }
            (n, child.wait().await.unwrap())
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        let (n, status) = task.await.unwrap();
        if n % 2 == 0 {
            assert_eq!(status.signal(), Some(9));
        } else {
            assert_eq!(status.code(), Some(7));
        }
    }
}

#[runtime::test]
async fn kill_waits_for_the_exit() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    child.kill().await.unwrap();
    assert_eq!(child.try_wait().unwrap().unwrap().signal(), Some(9));
}

#[runtime::test]
async fn a_dropped_wait_can_be_repeated() {
    let mut child = waiter().spawn().unwrap();
    let stdin = child.stdin.take();
    for _ in 0..3 {
        let limit = Duration::from_millis(1);
        let wait = runtime::time::timeout(limit, child.wait());
        assert!(wait.await.is_err());
    }
    drop(stdin);
    assert_eq!(child.wait().await.unwrap().code(), Some(7));
}

#[runtime::test]
async fn one_child_can_feed_another_through_a_pipe() {
    let mut first = Command::new("cat");
    let mut first = first
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = Stdio::try_from(first.stdout.take().unwrap()).unwrap();
    let mut second = Command::new("cat");
    let second = second.stdin(stdout).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = first.stdin.take().unwrap();
    let sent: Vec<u8> = (0..500_000_u32).map(|i| (i >> 4) as u8).collect();
    let send = async {
        stdin.write_all(&sent).await?;
        stdin.close().await?;
        let error = stdin.write(b"x").await.unwrap_err();
        assert!(error.to_string().contains("is already closed"), "{error}");
        first.wait().await
    };
    let (sent_by, output) = runtime::join!(send, second.wait_with_output());
    assert!(sent_by.unwrap().success());
    assert!(output.unwrap().stdout == sent);
}

#[runtime::test]
async fn the_pipes_of_a_child_convert_to_pipes() {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = Sender::try_from(child.stdin.take().unwrap()).unwrap();
    let stdout = Receiver::from(child.stdout.take().unwrap());
    let mut buffer = [0; 16];
    let nothing = stdout.try_read(&mut buffer).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    stdin.write_all(b"hello").await.unwrap();
    stdout.readable().await.unwrap();
    assert_eq!(stdout.try_read(&mut buffer).unwrap(), 5);
    child.start_kill().unwrap();
    if support::reports_errors() {
        stdin.closed().await.unwrap();
    }
    child.wait().await.unwrap();
}

#[runtime::test]
async fn a_closed_input_does_not_convert_to_a_pipe() {
    let mut child = waiter().spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.close().await.unwrap();
    stdin.close().await.unwrap();
    let error = Stdio::try_from(stdin).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    assert_eq!(child.wait().await.unwrap().code(), Some(7));
}

#[test]
fn from_std_accepts_only_pipes() {
    let (socket, _other) = UnixStream::pair().unwrap();
    let socket = std::process::ChildStdout::from(OwnedFd::from(socket));
    let error = ChildStdout::from_std(socket).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the file is not a pipe");
}

#[runtime::test]
async fn writing_to_an_exited_child_is_a_broken_pipe() {
    let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    child.wait().await.unwrap();
    // A forked child of another test may hold the other end until it calls exec.
    let error = loop {
        if let Err(e) = stdin.write_all(&[b'x'; 1024]).await {
            break e;
        }
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[runtime::test]
async fn writing_to_a_full_pipe_waits() {
    let mut child = waiter().spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut write = |bytes: &[u8]| Pin::new(&mut stdin).poll_write(&mut cx, bytes);
    let mut written = 0;
    while let Poll::Ready(n) = write(&[b'x'; 4096]) {
        written += n.unwrap();
    }
    assert!(written > 0);
    child.kill().await.unwrap();
}

#[runtime::test]
async fn dropping_a_child_with_kill_on_drop_kills_it() {
    let mut command = waiter();
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let (pid, stdin) = (pid(&child), child.stdin.take());
    drop(child);
    while exists(pid) {
        runtime::task::yield_now().await; // until it is killed and reaped
    }
    drop(stdin);
}

#[runtime::test]
async fn a_dropped_future_of_output_kills_with_kill_on_drop() {
    let mut command = waiter();
    let (reader, writer) = UnixStream::pair().unwrap();
    command.stdin(OwnedFd::from(reader)).kill_on_drop(true);
    let output = command.output();
    drop(command); // it also holds the read end
    drop(output);
    // Its input is closed: it was killed although the writer was still open.
    let mut broken = runtime::io::Async::new(writer).unwrap();
    while broken.write_all(&[b' '; 1024]).await.is_ok() {}
}

#[runtime::test]
async fn a_dropped_child_is_reaped() {
    let mut child = waiter().spawn().unwrap();
    let (pid, stdin) = (pid(&child), child.stdin.take());
    drop(child);
    runtime::task::yield_now().await;
    assert!(exists(pid), "the child still runs");
    drop(stdin);
    while exists(pid) {
        runtime::task::yield_now().await;
    }
}

#[test]
fn a_child_that_outlives_its_runtime_is_reaped_later() {
    let runtime = runtime::Runtime::new().unwrap();
    let mut child = waiter().spawn().unwrap();
    let (pid, stdin) = (pid(&child), child.stdin.take());
    runtime.block_on(async {
        drop(child); // a task reaps it from here on
        runtime::task::yield_now().await;
    });
    drop(runtime); // this drops the task
    let mut no_runtime = waiter().spawn().unwrap();
    let (other, other_stdin) = (self::pid(&no_runtime), no_runtime.stdin.take());
    drop(no_runtime);
    drop((stdin, other_stdin));
    while exists(pid) || exists(other) {
        Command::new("true").spawn().unwrap();
    }
}

#[runtime::test]
async fn a_child_reaped_elsewhere_is_an_error_and_its_pid_is_not_killed() {
    let mut child = waiter().kill_on_drop(true).spawn().unwrap();
    let pid = pid(&child);
    kill_process(pid, Signal::KILL).unwrap();
    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap();
    let assert_reports = |error: std::io::Error, what: &str| {
        let expected = format!("{what} process {pid}: ");
        assert!(error.to_string().starts_with(&expected), "{error}");
        let cause = error
            .source()
            .and_then(|e| e.downcast_ref::<std::io::Error>());
        // kill(2) would fail with ESRCH, or succeed if the process ID was reused.
        assert_eq!(cause.unwrap().raw_os_error(), Some(libc::ECHILD), "{error}");
    };
    assert_reports(child.wait().await.unwrap_err(), "wait for");
    assert_reports(child.try_wait().unwrap_err(), "wait for");
    for _ in 0..2 {
        assert_reports(child.start_kill().unwrap_err(), "kill");
        assert_reports(child.kill().await.unwrap_err(), "kill");
    }
}

#[test]
fn a_child_can_move_to_another_runtime_after_it_was_awaited() {
    let mut child = waiter().spawn().unwrap();
    let stdin = child.stdin.take();
    let first = runtime::Runtime::new().unwrap();
    first.block_on(async {
        let limit = Duration::from_millis(1);
        let wait = runtime::time::timeout(limit, child.wait());
        assert!(wait.await.is_err());
    });
    let (end, ended) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        let status = runtime::block_on(child.wait());
        end.send(()).unwrap();
        status
    });
    drop(stdin);
    // Its messages arrive while the first runtime runs.
    while ended.try_recv().is_err() {
        first.block_on(runtime::task::yield_now());
    }
    assert_eq!(other.join().unwrap().unwrap().code(), Some(7));
}

#[test]
fn waiting_outside_a_runtime_is_an_error() {
    let mut child = waiter().kill_on_drop(true).spawn().unwrap();
    let stdin = child.stdin.take();
    let error = futures_lite::future::block_on(child.wait()).unwrap_err();
    assert!(
        error.to_string().contains("no runtime drives this thread"),
        "{error}"
    );
    drop(stdin);
}

#[test]
fn a_child_whose_wait_began_in_a_runtime_that_is_gone_is_waited_for_in_another() {
    let begin_to_wait = || {
        runtime::block_on(async {
            let mut child = Command::new("sh")
                .args(["-c", "read -r line; exit 7"])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let stdin = child.stdin.take();
            let mut wait = Box::pin(child.wait());
            std::future::poll_fn(|cx| {
                assert!(wait.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            drop(wait);
            (child, stdin)
        })
    };

    let (mut child, stdin) = begin_to_wait();
    runtime::block_on(async {
        drop(stdin);
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
    });

    let (mut child, _stdin) = begin_to_wait();
    runtime::block_on(async { child.kill().await.unwrap() });

    let (child, stdin) = begin_to_wait();
    runtime::block_on(async {
        let id = child.id();
        drop(child); // a task of this runtime takes its status
        drop(stdin);
        let exists = || std::fs::exists(format!("/proc/{id}")).unwrap();
        while cfg!(target_os = "linux") && exists() {
            runtime::time::sleep(Duration::from_millis(1)).await;
        }
    });
}
