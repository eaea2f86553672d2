//! Runs several commands at once and prints their output, each line after the name of its command.
//!
//! It exits when all commands have exited, with code 1 if one of them failed. Ctrl-C kills the
//! commands that still run.
//!
//! It shows that child processes and their pipes are awaited like sockets, on one thread.
//!
//! Run with:
//!
//!     cargo run --example run -- 'list=ls -l' 'count=for i in 1 2 3; do sleep 1; echo $i; done'

mod common;

use std::process::{ExitCode, ExitStatus};

use common::Arguments;
use futures_lite::StreamExt;
use runtime::io::{self, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use runtime::process::{Command, Stdio};
use runtime::signal::ctrl_c;
use runtime::task::JoinSet;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("run NAME=COMMAND...");
    let mut commands = Vec::new();
    while let Some(word) = arguments.positional() {
        match word.split_once('=') {
            Some((name, command)) => commands.push((name.to_owned(), command.to_owned())),
            None => arguments.usage_error(format_args!("{word:?}: expected NAME=COMMAND")),
        }
    }
    if commands.is_empty() {
        arguments.usage_error("no command is given");
    }
    arguments.finish();
    common::report("run", run_all(commands).await)
}

async fn run_all(commands: Vec<(String, String)>) -> io::Result<()> {
    let mut running = JoinSet::new();
    for (name, command) in commands {
        running.spawn(async move {
            let status = run(&name, &command).await?;
            if !status.success() {
                let line = format!("{name} | {status}\n");
                io::stderr().write_all(line.as_bytes()).await?;
            }
            io::Result::Ok(status.success())
        });
    }
    let mut failures = 0;
    while let Some(succeeded) = running.join_next().await {
        failures += usize::from(!succeeded??);
    }
    match failures {
        0 => Ok(()),
        n => Err(io::Error::other(format!("failed commands: {n}"))),
    }
}

/// Runs one command until it exits, or kills it on Ctrl-C.
async fn run(name: &str, command: &str) -> io::Result<ExitStatus> {
    let interrupted = ctrl_c(); // counts from this call, not from the first poll
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true) // when this function returns an error
        .spawn()?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        unreachable!("both pipes were requested");
    };
    let end = async {
        let stdout = copy_lines(name, stdout, io::stdout());
        let stderr = copy_lines(name, stderr, io::stderr());
        let (stdout, stderr, status) = runtime::join!(stdout, stderr, child.wait());
        stdout.and(stderr).and(status)
    };
    runtime::select! {
        status = end => return status,
        result = interrupted => result?,
    }
    child.kill().await?;
    child.wait().await
}

/// Copies lines and puts `name` before each. A line of up to PIPE_BUF bytes (at least 512) is
/// written atomically and does not mix with those of other commands.
async fn copy_lines(
    name: &str,
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut lines = BufReader::new(from).split(b'\n'); // not all output is text
    while let Some(line) = lines.next().await {
        let line = [name.as_bytes(), b" | ", &line?, b"\n"].concat();
        to.write_all(&line).await?;
    }
    to.flush().await
}
