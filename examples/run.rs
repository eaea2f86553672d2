//! Runs several commands at once, and writes their name before every line they write.
//!
//! It ends when all of them have, with code 1 if one of them failed. Ctrl-C kills those that are left.
//!
//! What it shows: children and their pipes are waited for like sockets, in one thread.
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
    while let Some(word) = arguments.word() {
        match word.split_once('=') {
            Some((name, command)) => commands.push((name.to_owned(), command.to_owned())),
            None => arguments.wrong(format_args!("{word:?}: write NAME=COMMAND")),
        }
    }
    if commands.is_empty() {
        arguments.wrong("there is nothing to run");
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

/// Runs one command to its end, or kills it on Ctrl-C.
async fn run(name: &str, command: &str) -> io::Result<ExitStatus> {
    let interrupted = ctrl_c(); // heard from now on
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true) // if we fail
        .spawn()?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        unreachable!("both were asked for");
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

/// A line of up to PIPE_BUF bytes (512 at least) is written in one go, and not mixed with others'.
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
