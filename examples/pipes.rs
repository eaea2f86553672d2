//! Two child processes each write to a pipe, and one loop reads from both.
//!
//! It always prints
//!
//!     A - 1
//!     B - 2
//!     C - 3
//!     D - 4
//!
//! although A and C come from one child and B and D from the other, without a sleep: a child writes
//! a line for each line it reads, and after a line from one child the loop sends a line to the
//! other.
//!
//! Run with:
//!
//!     cargo run --example pipes

mod common;

use std::process::ExitCode;

use common::Arguments;
use futures_lite::StreamExt;
use futures_lite::io::Lines;
use runtime::io::{self, AsyncBufReadExt, AsyncWriteExt, BufReader};
use runtime::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

#[runtime::main]
async fn main() -> ExitCode {
    Arguments::new("pipes").finish();
    common::report("pipes", run().await)
}

async fn run() -> io::Result<()> {
    let mut first = Speaker::start(["A - 1", "C - 3"])?;
    let mut second = Speaker::start(["B - 2", "D - 4"])?;
    first.request_line().await?;
    loop {
        // `select!` waits for both pipes in one system call. Dropping `next` early loses nothing:
        // the part of a line that was read is kept in `lines`.
        runtime::select! {
            Some(line) = first.lines.next() => {
                common::print_line(line?);
                second.request_line().await?;
            }
            Some(line) = second.lines.next() => {
                common::print_line(line?);
                first.request_line().await?;
            }
            else => break, // both pipes are at end of file
        }
    }
    first.reap().await?;
    second.reap().await
}

/// A child process that writes one line for each line it reads.
struct Speaker {
    child: Child,
    /// The write end of its standard input.
    stdin: ChildStdin,
    /// The lines of its standard output.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Speaker {
    fn start(lines: [&str; 2]) -> io::Result<Speaker> {
        let mut child = Command::new("sh")
            .args([
                "-c",
                r#"for line; do read -r word; echo "$line"; done"#,
                "sh",
            ])
            .args(lines)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both pipes were requested");
        };
        Ok(Speaker {
            child,
            stdin,
            lines: BufReader::new(stdout).lines(),
        })
    }

    async fn request_line(&mut self) -> io::Result<()> {
        match self.stdin.write_all(b"go\n").await {
            // The child has written all its lines and has exited.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// Waits for the child to exit, on the same thread as the pipes.
    async fn reap(mut self) -> io::Result<()> {
        let status = self.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("a child ended with {status}")))
        }
    }
}
