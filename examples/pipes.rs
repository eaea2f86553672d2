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

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use common::Arguments;
use futures_lite::StreamExt;
use futures_lite::io::Lines;
use runtime::io::{self, Async, AsyncBufReadExt, AsyncWriteExt, BufReader};

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
    word: Async<ChildStdin>,
    /// What comes out of its standard output.
    lines: Lines<BufReader<Async<File>>>,
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
        // As a `File` it can be read through a shared reference, and so can `Async` of it.
        let stdout = File::from(OwnedFd::from(stdout));
        Ok(Speaker {
            child,
            word: Async::new(stdin)?,
            lines: BufReader::new(Async::new(stdout)?).lines(),
        })
    }

    async fn give_the_word(&mut self) -> io::Result<()> {
        match self.word.write_all(b"go\n").await {
            // It has said everything and is gone.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// Waits for the end of the child. That blocks, and so it happens on another thread.
    async fn reap(mut self) -> io::Result<()> {
        let status = runtime::spawn_blocking(move || self.child.wait()).await??;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("a child ended with {status}")))
        }
    }
}
