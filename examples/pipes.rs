//! Two child processes write to a pipe each, and one loop reads whichever has something to say.
//!
//! It always prints
//!
//!     A - 1
//!     B - 2
//!     C - 3
//!     D - 4
//!
//! although A and C come from one child, B and D from the other, and nobody sleeps: a child writes a
//! line for each line it reads, and the loop, having heard one child, gives the other the word.
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
    common::report("pipes", converse().await)
}

async fn converse() -> io::Result<()> {
    let mut first = Speaker::start(["A - 1", "C - 3"])?;
    let mut second = Speaker::start(["B - 2", "D - 4"])?;
    first.give_the_word().await?;
    loop {
        // Both are waited for at once, in one system call. `next` may be dropped half way: what was
        // read of a line is kept in `lines`.
        runtime::select! {
            Some(line) = first.lines.next() => {
                common::say(line?);
                second.give_the_word().await?;
            }
            Some(line) = second.lines.next() => {
                common::say(line?);
                first.give_the_word().await?;
            }
            else => break, // both pipes are at their end
        }
    }
    first.reap().await?;
    second.reap().await
}

/// A child process that has lines to say, one for each time it is given the word.
struct Speaker {
    child: Child,
    /// Our end of its standard input.
    word: ChildStdin,
    /// What comes out of its standard output.
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
            unreachable!("both were asked for");
        };
        Ok(Speaker {
            child,
            word: stdin,
            lines: BufReader::new(stdout).lines(),
        })
    }

    async fn give_the_word(&mut self) -> io::Result<()> {
        match self.word.write_all(b"go\n").await {
            // It has said everything and is gone.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// Waits for the end of the child, as for its pipes: in the one thread there is.
    async fn reap(mut self) -> io::Result<()> {
        let status = self.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("a child ended with {status}")))
        }
    }
}
