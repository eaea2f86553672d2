//! A program that was started.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::process::{self, ExitStatus, Output};
use std::task::{Context, Poll, ready};

use futures_io::AsyncRead;
use runtime_reactor::internal::with_context;

use super::orphans;
use super::pipe::{ChildStderr, ChildStdin, ChildStdout};
use super::wait::Waitable;
use crate::io::scratch::with_buffer;

/// A child process. As [`std::process::Child`].
///
/// Dropping it leaves the process running, unless
/// [`kill_on_drop`](super::Command::kill_on_drop) says otherwise; its end is taken note of all the same (see
/// the [module](super)).
#[derive(Debug)]
pub struct Child {
    /// Its standard input, if it was piped. [`wait`](Child::wait) closes it.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if it was piped.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if it was piped.
    pub stderr: Option<ChildStderr>,
    /// Taken out when it is dropped.
    process: Option<Waitable>,
    kill_on_drop: bool,
}

impl Child {
    pub(super) fn new(mut std: process::Child, kill_on_drop: bool) -> io::Result<Child> {
        let stdin = std.stdin.take().map(ChildStdin::from_std);
        let stdout = std.stdout.take().map(ChildStdout::from_std);
        let stderr = std.stderr.take().map(ChildStderr::from_std);
        let mut child = Child {
            stdin: None,
            stdout: None,
            stderr: None,
            process: Some(Waitable::new(std)),
            kill_on_drop,
        };
        // If one of them fails, the child is dropped, as one whose end nobody waits for.
        child.stdin = stdin.transpose()?;
        child.stdout = stdout.transpose()?;
        child.stderr = stderr.transpose()?;
        Ok(child)
    }

    fn process(&mut self) -> &mut Waitable {
        self.process.as_mut().expect("taken by drop only")
    }

    /// The number of the process. Once its end was noticed the system may give it to another.
    ///
    /// # Panics
    /// Never.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("taken by drop only").std.id()
    }

    /// Waits for its end. Its standard input, if it is still here, is closed before, so that it does not
    /// wait for us. Afterwards this gives the same status again.
    ///
    /// # Errors
    /// If no descriptor is left to wait with, if somebody else has taken the status, and if it has
    /// to wait outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing, but the standard input is closed.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::Command;
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
    /// assert_eq!(child.wait().await?.code(), Some(3));
    /// assert_eq!(child.wait().await?.code(), Some(3));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let id = self.id();
        let wait = self.process().poll_wait(cx);
        wait.map_err(|e| with_context(format!("wait for process {id}"), e))
    }

    /// Its status if it has ended; it may have by a hair not.
    ///
    /// # Errors
    /// If somebody else has taken the status.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::{Command, Stdio};
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// assert_eq!(child.try_wait()?, None); // it waits for its input
    /// child.wait().await?;
    /// assert!(child.try_wait()?.is_some());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let id = self.id();
        let status = self.process().std.try_wait();
        status.map_err(|e| with_context(format!("wait for process {id}"), e))
    }

    /// Waits for its end and collects what it writes to those pipes that are still here. Its
    /// standard input, if it is still here, is closed before.
    ///
    /// # Errors
    /// As [`wait`](Child::wait), and as reading does.
    ///
    /// # Cancel safety
    /// Dropping the future is dropping the child and what was collected.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::{Command, Stdio};
    ///
    /// # runtime::block_on(async {
    /// let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.wait_with_output().await?.stdout, b"hello\n");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let stdout = collect("read the output", stdout);
        let stderr = collect("read the errors", stderr);
        // The end of the pipes is not the end of the process, nor the other way round: others may
        // have inherited them.
        let (status, stdout, stderr) = crate::try_join!(self.wait(), stdout, stderr)?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Asks the system to kill it (SIGKILL), and waits for nothing. Does nothing if its end was noticed.
    ///
    /// # Errors
    /// What kill(2) says: that it belongs to another user by now. And if somebody else has taken the
    /// status (ECHILD): its number may be another process's by now, so nobody is hit.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::{Command, Stdio};
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// child.start_kill()?;
    /// assert_eq!(child.wait().await?.code(), None); // a signal has ended it
    /// child.start_kill()?; // nobody is hit
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn start_kill(&mut self) -> io::Result<()> {
        let id = self.id();
        let std = &mut self.process().std;
        let killed = match std.try_wait() {
            Ok(None) => std.kill(),
            looked => looked.map(drop),
        };
        killed.map_err(|e| with_context(format!("kill process {id}"), e))
    }

    /// Kills it (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// As [`start_kill`](Child::start_kill) and [`wait`](Child::wait).
    ///
    /// # Cancel safety
    /// It is killed by the first poll; dropping the future after that only stops the waiting.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::{Command, Stdio};
    ///
    /// # runtime::block_on(async {
    /// use std::time::Duration;
    /// use runtime::time::timeout;
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// let input = child.stdin.take(); // or else waiting would close it
    /// if timeout(Duration::from_millis(1), child.wait()).await.is_err() {
    ///     child.kill().await?; // it took too long
    /// }
    /// # drop(input);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }
}

async fn collect(what: &str, pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(mut pipe) = pipe else {
        return Ok(bytes);
    };
    let read = poll_fn(|cx| {
        with_buffer(|buffer| {
            loop {
                match ready!(Pin::new(&mut pipe).poll_read(cx, buffer))? {
                    0 => return Poll::Ready(Ok(())),
                    n => bytes.extend_from_slice(&buffer[..n]),
                }
            }
        })
    });
    match read.await {
        Ok(()) => Ok(bytes),
        Err(e) => Err(with_context(what, e)),
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        // An error is that somebody else has taken the status: then there is nothing to do.
        if !matches!(process.std.try_wait(), Ok(None)) {
            return;
        }
        if self.kill_on_drop {
            // It is our child and runs, so that the only error is that it changed its user.
            let _ = process.std.kill();
        }
        orphans::reap_later(process);
    }
}
