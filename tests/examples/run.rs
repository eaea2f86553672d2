use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{example, run, text};

#[test]
fn lines_begin_with_the_name_of_their_command() {
    let commands = ["a=echo one; echo two", "b=echo three >&2; printf four"];
    let output = run("run", &commands);
    let mut lines: Vec<&str> = text(&output.stdout).lines().collect();
    lines.sort_unstable(); // only the lines of one command have an order
    assert_eq!(lines, ["a | one", "a | two", "b | four"]);
    assert_eq!(text(&output.stderr), "b | three\n");
    assert!(output.status.success());
}

#[test]
fn a_command_that_fails_is_named_and_the_others_continue() {
    let output = run("run", &["bad=exit 3", "good=echo fine"]);
    assert_eq!(text(&output.stdout), "good | fine\n");
    let stderr = text(&output.stderr);
    assert_eq!(stderr, "bad | exit status: 3\nrun: failed commands: 1\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn output_larger_than_a_pipe_is_complete() {
    let commands = ["many=i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"];
    let output = run("run", &commands);
    let expected = (0..20_000).map(|i| format!("many | line {i}"));
    assert!(text(&output.stdout).lines().map(str::to_owned).eq(expected));
}

#[test]
fn invalid_commands_print_the_usage() {
    for arguments in [&[][..], &["ls"][..], &["a=ls", "--what"][..]] {
        let output = run("run", arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("\nusage: run NAME=COMMAND"));
    }
}

#[test]
fn ctrl_c_kills_running_commands() {
    let mut child = example("run")
        .args(["a=echo $$; exec sleep 1000", "b=echo $$; exec sleep 1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let pids = [(); 2].map(|()| {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let (_, pid) = line.trim_end().split_once(" | ").unwrap();
        Pid::from_raw(pid.parse().unwrap()).unwrap()
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert!(stderr.ends_with("run: failed commands: 2\n"), "{stderr}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    for pid in pids {
        assert!(test_kill_process(pid).is_err(), "the child has been reaped");
    }
}
