//! A program that waits for input exits at once and leaves the terminal unchanged. Each case runs
//! in a child process, which is this binary again.

mod support;

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use runtime::io::{self, AsyncReadExt};
use runtime::signal::ctrl_c;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::process::{Pid, Signal, kill_process};
use support::pseudo_terminal;

/// The line that a child prints once it waits for input.
const READY: &str = "waiting for input";

/// Returns the modes of a terminal by tcgetattr(3) and fcntl(2).
fn modes(terminal: &File) -> (libc::tcflag_t, libc::tcflag_t, libc::tcflag_t, OFlags) {
    let mut modes = std::mem::MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: tcgetattr writes one termios, to a variable of that type that outlives the call.
    let result = unsafe { libc::tcgetattr(terminal.as_raw_fd(), modes.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: a termios consists of integers, for which zero is valid.
    let modes = unsafe { modes.assume_init() };
    let flags = fcntl_getfl(terminal.as_fd()).unwrap();
    (modes.c_iflag, modes.c_oflag, modes.c_lflag, flags)
}

/// Starts `in_a_child` below with the shell redirection `redirect`.
fn child(part: &str, stdin: impl Into<Stdio>, redirect: &str) -> Child {
    let script = format!(r#"exec "$0" --ignored --nocapture --exact in_a_child {redirect}"#);
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .arg(env::current_exe().unwrap());
    command.env("PART", part).stdin(stdin);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
#[ignore = "the other tests run it in a child process"]
fn in_a_child() {
    let Ok(part) = env::var("PART") else {
        return;
    };
    runtime::block_on(async {
        if part == "closed" {
            return without_input().await;
        }
        let interrupted = (part == "asked").then(ctrl_c);
        let reading = runtime::spawn(async { io::stdin().read(&mut [0]).await });
        runtime::task::yield_now().await;
        println!("{READY}");
        match &*part {
            "returns" => {}
            "panics" => panic!("on purpose"),
            "asked" => interrupted.expect("created above").await.unwrap(),
            "killed" => drop(reading.await),
            _ => panic!("unknown part {part:?}"),
        }
    });
}

async fn without_input() {
    // std opens /dev/null as a closed standard input before `main`.
    assert_eq!(io::stdin().read(&mut [0]).await.unwrap(), 0);
    // SAFETY: close takes an integer; no other code uses this descriptor here.
    assert_eq!(unsafe { libc::close(0) }, 0);
    let error = io::stdin().read(&mut [0]).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("open the standard input: "), "{text}");
}

/// Waits until the child waits for input, calls `meanwhile`, and returns the exit status.
fn end_of(mut child: Child, meanwhile: impl FnOnce(&Child)) -> ExitStatus {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_last = |line: &String| line.ends_with(READY); // after the test name
    assert!(lines.any(|line| is_last(&line.unwrap())));
    meanwhile(&child);
    child.wait().unwrap()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

/// Sends SIGTERM. SIGINT could be ignored in the process that started the tests.
fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

#[test]
fn a_program_that_waits_for_input_exits_and_leaves_the_terminal_unchanged() {
    let (mut controller, terminal) = pseudo_terminal();
    let before = modes(&terminal);
    let start = |part| child(part, terminal.try_clone().unwrap(), "");
    assert_eq!(end_of(start("returns"), |_| ()).code(), Some(0));
    assert_eq!(modes(&terminal), before);
    assert_eq!(end_of(start("panics"), |_| ()).code(), Some(101));
    assert_eq!(modes(&terminal), before);
    assert_eq!(end_of(start("asked"), interrupt).code(), Some(0));
    assert_eq!(modes(&terminal), before);
    assert_eq!(end_of(start("killed"), terminate).signal(), Some(15));
    assert_eq!(modes(&terminal), before);
    // The next program on the terminal receives its input.
    controller.write_all(b"x\n").unwrap();
    assert!(start("killed").wait().unwrap().success());
}

#[test]
fn an_idle_pipe_as_input_does_not_delay_the_exit() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let start = |part| child(part, reader.try_clone().unwrap(), "");
    assert_eq!(end_of(start("returns"), |_| ()).code(), Some(0));
    assert_eq!(end_of(start("panics"), |_| ()).code(), Some(101));
    assert_eq!(end_of(start("asked"), interrupt).code(), Some(0));
    assert_eq!(end_of(start("killed"), terminate).signal(), Some(15));
    assert!(!fcntl_getfl(&reader).unwrap().contains(OFlags::NONBLOCK));
    drop(writer);
}

#[test]
fn a_closed_input_is_at_its_end_or_an_error() {
    let status = child("closed", Stdio::null(), "<&-").wait();
    assert!(status.unwrap().success());
}
