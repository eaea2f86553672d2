//! Running child processes.

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

/// A running or exited child process, like [`std::process::Child`].
///
/// Dropping it leaves the process running, unless
/// [`kill_on_drop`](super::Command::kill_on_drop) is set. Its exit status is taken in either case;
/// see the [module](super).
#[derive(Debug)]
pub struct Child {
    /// The pipe to its standard input, if there is one. [`wait`](Child::wait) closes it.
    pub stdin: Option<ChildStdin>,
    /// The pipe from its standard output, if there is one.
    pub stdout: Option<ChildStdout>,
    /// The pipe from its standard error, if there is one.
    pub stderr: Option<ChildStderr>,
    /// `None` only while the child is dropped.
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
        // On an error the child is dropped, which arranges for its status to be taken.
        child.stdin = stdin.transpose()?;
        child.stdout = stdout.transpose()?;
        child.stderr = stderr.transpose()?;
        Ok(child)
    }

    fn process_ref(&self) -> &Waitable {
        self.process.as_ref().expect("only drop takes the process")
    }

    fn process(&mut self) -> &mut Waitable {
        self.process.as_mut().expect("only drop takes the process")
    }

    /// Returns the process ID. Once the exit was noticed, the system may reuse it.
    pub fn id(&self) -> u32 {
        self.process_ref().std.id()
    }

    /// Waits for the child to exit, and returns its exit status.
    ///
    /// Closes the child's standard input first, so that the child does not wait for more. Further
    /// calls return the same status.
    ///
    /// # Errors
    /// Returns an error with the code ECHILD if other code has taken the status; the system's error
    /// if no descriptor is available; `Other` if it has to wait outside a runtime. The text names
    /// the process, and [`io::os_error`](crate::io::os_error) returns the number.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing, but the standard input stays closed.
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

    /// Returns the exit status if the child has exited.
    ///
    /// # Errors
    /// Returns an error with the code ECHILD if other code has taken the status. The text names the
    /// process, and [`io::os_error`](crate::io::os_error) returns the number.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::{Command, Stdio};
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// assert_eq!(child.try_wait()?, None); // it waits for input
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

    /// Waits for the child to exit, and collects what it writes to its pipes.
    ///
    /// Closes the child's standard input first, if it was not taken. Output is collected from those
    /// of `stdout` and `stderr` that were not taken.
    ///
    /// # Errors
    /// Returns the errors that [`wait`](Child::wait) lists, and those of read(2).
    ///
    /// # Cancel safety
    /// Dropping the future drops the child and the collected output.
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
        let stdout = collect("read the standard output", stdout);
        let stderr = collect("read the standard error", stderr);
        // The pipes may end before or after the process: other processes may have inherited them.
        let (status, stdout, stderr) = crate::try_join!(self.wait(), stdout, stderr)?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Kills the child (SIGKILL) without waiting for its exit.
    ///
    /// Does nothing if the exit was already noticed.
    ///
    /// # Errors
    /// Returns `PermissionDenied` if the child runs as another user by now. Returns an error with
    /// the code ECHILD if other code has taken the status: no signal is sent then, because the
    /// process ID may belong to another process. The text names the process, and
    /// [`io::os_error`](crate::io::os_error) returns the number.
    ///
    /// # Platform-specific behavior
    /// NetBSD discards a signal that arrives just before the child executes its program, which may
    /// be after [`spawn`](super::Command::spawn) has returned. Waiting for the exit, also that of a
    /// dropped child by the runtime, therefore repeats the signal every 10 ms there.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::{Command, Stdio};
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// child.start_kill()?;
    /// assert_eq!(child.wait().await?.code(), None); // a signal has ended it
    /// child.start_kill()?; // does nothing
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn start_kill(&mut self) -> io::Result<()> {
        let id = self.id();
        let killed = self.process().kill();
        killed.map_err(|e| with_context(format!("kill process {id}"), e))
    }

    /// Kills the child (SIGKILL), and waits for its exit.
    ///
    /// # Errors
    /// Returns the errors that [`start_kill`](Child::start_kill) and [`wait`](Child::wait) list.
    ///
    /// # Cancel safety
    /// The first poll kills the child. Dropping the future after that only stops waiting.
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
    /// let input = child.stdin.take(); // otherwise `wait` would close it
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
        // An error means that other code has taken the status: nothing is left to do.
        if !matches!(process.std.try_wait(), Ok(None)) {
            return;
        }
        if self.kill_on_drop {
            // The child runs, so the only possible error is that it changed its user.
            let _ = process.kill();
        }
        orphans::reap_later(process);
    }
}
