//! How a program is started.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use runtime_reactor::internal::with_context;

use super::child::Child;
use super::orphans;

/// A program to start, and how. As [`std::process::Command`], which it wraps.
///
/// # Examples
/// ```
/// use runtime::io::AsyncWriteExt;
/// use runtime::process::{Command, Stdio};
///
/// # runtime::block_on(async {
/// let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let mut stdin = cat.stdin.take().expect("it was piped");
/// stdin.write_all(b"hello").await?;
/// drop(stdin); // the end of its input
/// let output = cat.wait_with_output().await?;
/// assert_eq!(output.stdout, b"hello");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Command {
    std: process::Command,
    kill_on_drop: bool,
    /// Which of stdin, stdout and stderr were configured: for the others `output` has a default of its
    /// own.
    configured: [bool; 3],
}

impl Command {
    /// A program, found by its path, or by its name in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        process::Command::new(program).into()
    }

    /// Another argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.std.arg(arg);
        self
    }

    /// More arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Command {
        self.std.args(args);
        self
    }

    /// A variable of its environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.std.env(key, value);
        self
    }

    /// More variables of its environment.
    pub fn envs<K, V>(&mut self, vars: impl IntoIterator<Item = (K, V)>) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.envs(vars);
        self
    }

    /// A variable that its environment is not to have.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Command {
        self.std.env_remove(key);
        self
    }

    /// Inherits no variables.
    pub fn env_clear(&mut self) -> &mut Command {
        self.std.env_clear();
        self
    }

    /// Its working directory.
    pub fn current_dir(&mut self, path: impl AsRef<Path>) -> &mut Command {
        self.std.current_dir(path);
        self
    }

    /// Its standard input. Default: ours, and none for [`output`](Command::output).
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Command {
        self.std.stdin(stdin);
        self.configured[0] = true;
        self
    }

    /// Its standard output. Default: ours, and a pipe for [`output`](Command::output).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Command {
        self.std.stdout(stdout);
        self.configured[1] = true;
        self
    }

    /// Its standard error. Default: ours, and a pipe for [`output`](Command::output).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Command {
        self.std.stderr(stderr);
        self.configured[2] = true;
        self
    }

    /// Its user. As [`CommandExt::uid`].
    pub fn uid(&mut self, id: u32) -> &mut Command {
        self.std.uid(id);
        self
    }

    /// Its group. As [`CommandExt::gid`].
    pub fn gid(&mut self, id: u32) -> &mut Command {
        self.std.gid(id);
        self
    }

    /// Its process group, 0 for a new one: then Ctrl-C at the terminal does not reach it. As
    /// [`CommandExt::process_group`].
    pub fn process_group(&mut self, group: i32) -> &mut Command {
        self.std.process_group(group);
        self
    }

    /// What it is told it is called. As [`CommandExt::arg0`].
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.std.arg0(name);
        self
    }

    /// Whether the child is killed when its [`Child`] is dropped before its end was noticed, which
    /// is also when a future of [`output`](Command::output), [`status`](Command::status) or
    /// [`wait_with_output`](Child::wait_with_output) is dropped. Default: no, it runs on.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::Command;
    ///
    /// # runtime::block_on(async {
    /// use std::time::Duration;
    /// use runtime::time::timeout;
    ///
    /// let mut slow = Command::new("sleep");
    /// slow.arg("1000").kill_on_drop(true);
    /// let limited = timeout(Duration::from_millis(1), slow.status()).await;
    /// assert!(limited.is_err()); // and with the future the child is gone
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Command {
        self.kill_on_drop = kill;
        self
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.std.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.std.get_args()
    }

    /// The variables that were set or removed.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.std.get_envs()
    }

    /// The working directory, if it is not ours.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.std.get_current_dir()
    }

    /// What is wrapped.
    pub fn as_std(&self) -> &process::Command {
        &self.std
    }

    /// What is wrapped, for what is missing here, such as [`CommandExt::pre_exec`]. Standard streams that are
    /// configured there are not noticed by [`output`](Command::output), which puts its defaults.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.std
    }

    /// Starts the program.
    ///
    /// # Errors
    /// As [`std::process::Command::spawn`], as `run no-such-program: No such file or directory (os
    /// error 2)`.
    ///
    /// # Platform notes
    /// It takes no runtime, but waiting does.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::Command;
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("true").spawn()?;
    /// assert!(child.wait().await?.success());
    ///
    /// let error = Command::new("no-such-program").spawn().unwrap_err();
    /// assert!(error.to_string().starts_with("run no-such-program: "));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn spawn(&mut self) -> io::Result<Child> {
        orphans::reap();
        let child = self.std.spawn();
        let child = child.and_then(|child| Child::new(child, self.kill_on_drop));
        child.map_err(|e| with_context(format!("run {}", self.get_program().to_string_lossy()), e))
    }

    /// Starts the program and waits for its end. As [`std::process::Command::status`]. Nobody reads
    /// its output here: a pipe that was configured for it is closed, so that the child does not wait for room.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait`].
    ///
    /// # Cancel safety
    /// The program is started when this is called; dropping the future is dropping the [`Child`].
    ///
    /// # Examples
    /// ```
    /// use runtime::process::Command;
    ///
    /// # runtime::block_on(async {
    /// let status = Command::new("sh").args(["-c", "exit 3"]).status().await?;
    /// assert_eq!(status.code(), Some(3));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + use<> {
        let child = self.spawn();
        async {
            let mut child = child?;
            (child.stdout, child.stderr) = (None, None);
            child.wait().await
        }
    }

    /// Starts the program, waits for its end and collects what it writes. As
    /// [`std::process::Command::output`]: without another choice it has no input, and its output and
    /// errors are collected.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    ///
    /// # Cancel safety
    /// The program is started when this is called; dropping the future is dropping the [`Child`] and what was
    /// collected.
    ///
    /// # Examples
    /// ```
    /// use runtime::process::Command;
    ///
    /// # runtime::block_on(async {
    /// let output = Command::new("sh").args(["-c", "echo out; echo err >&2"]).output().await?;
    /// assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + use<> {
        self.set_default_stdio(Stdio::null, Stdio::piped);
        let child = self.spawn();
        // As they are by default, for whatever it is used for next.
        self.set_default_stdio(Stdio::inherit, Stdio::inherit);
        async { child?.wait_with_output().await }
    }

    fn set_default_stdio(&mut self, input: fn() -> Stdio, output: fn() -> Stdio) {
        let [stdin, stdout, stderr] = self.configured;
        if !stdin {
            self.std.stdin(input());
        }
        if !stdout {
            self.std.stdout(output());
        }
        if !stderr {
            self.std.stderr(output());
        }
    }
}

impl From<process::Command> for Command {
    /// Standard streams that were configured before are not noticed by [`output`](Command::output).
    fn from(std: process::Command) -> Command {
        Command {
            std,
            kill_on_drop: false,
            configured: [false; 3],
        }
    }
}
