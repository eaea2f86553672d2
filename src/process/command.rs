//! Starting programs.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use runtime_reactor::internal::with_context;

use super::child::Child;
use super::orphans;

/// A builder for child processes, which wraps [`std::process::Command`].
///
/// A command may be spawned any number of times.
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
/// drop(stdin); // ends its input
/// let output = cat.wait_with_output().await?;
/// assert_eq!(output.stdout, b"hello");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Command {
    std: process::Command,
    kill_on_drop: bool,
    /// True for each of stdin, stdout and stderr that was set. `output` has defaults for the rest.
    configured: [bool; 3],
}

impl Command {
    /// Creates a command for a program, given by its path, or by its name in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        process::Command::new(program).into()
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.std.arg(arg);
        self
    }

    /// Adds several arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Command {
        self.std.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.std.env(key, value);
        self
    }

    /// Sets several environment variables.
    pub fn envs<K, V>(&mut self, vars: impl IntoIterator<Item = (K, V)>) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.envs(vars);
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Command {
        self.std.env_remove(key);
        self
    }

    /// Removes all environment variables, so that none is inherited.
    pub fn env_clear(&mut self) -> &mut Command {
        self.std.env_clear();
        self
    }

    /// Sets the working directory. Default that of this process.
    pub fn current_dir(&mut self, path: impl AsRef<Path>) -> &mut Command {
        self.std.current_dir(path);
        self
    }

    /// Sets the standard input. Inherited by default; /dev/null for [`output`](Command::output).
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Command {
        self.std.stdin(stdin);
        self.configured[0] = true;
        self
    }

    /// Sets the standard output. Inherited by default; a pipe for [`output`](Command::output).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Command {
        self.std.stdout(stdout);
        self.configured[1] = true;
        self
    }

    /// Sets the standard error. Inherited by default; a pipe for [`output`](Command::output).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Command {
        self.std.stderr(stderr);
        self.configured[2] = true;
        self
    }

    /// Sets the user ID, like [`CommandExt::uid`].
    pub fn uid(&mut self, id: u32) -> &mut Command {
        self.std.uid(id);
        self
    }

    /// Sets the group ID, like [`CommandExt::gid`].
    pub fn gid(&mut self, id: u32) -> &mut Command {
        self.std.gid(id);
        self
    }

    /// Sets the process group, like [`CommandExt::process_group`]. Default that of this process.
    ///
    /// 0 creates a new group, which Ctrl-C at the terminal does not reach.
    pub fn process_group(&mut self, group: i32) -> &mut Command {
        self.std.process_group(group);
        self
    }

    /// Sets the zeroth argument, which is the name of the program by convention, like
    /// [`CommandExt::arg0`]. Default the program.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.std.arg0(name);
        self
    }

    /// Sets whether the child is killed when its [`Child`] is dropped before its exit was noticed.
    /// Default false: the child continues to run.
    ///
    /// Dropping a future of [`output`](Command::output), [`status`](Command::status) or
    /// [`wait_with_output`](Child::wait_with_output) drops its [`Child`].
    ///
    /// # Platform-specific behavior
    /// NetBSD may discard the signal: see [`start_kill`](Child::start_kill). Then a task of the
    /// runtime repeats it. Without a runtime, the next child that is started or dropped does.
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
    /// assert!(limited.is_err()); // dropping the future killed the child
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Command {
        self.kill_on_drop = kill;
        self
    }

    /// Returns the program.
    pub fn get_program(&self) -> &OsStr {
        self.std.get_program()
    }

    /// Returns the arguments, without the zeroth.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.std.get_args()
    }

    /// Returns the environment variables that were set or removed explicitly.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.std.get_envs()
    }

    /// Returns the working directory, if it was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.std.get_current_dir()
    }

    /// Returns a reference to the wrapped command.
    pub fn as_std(&self) -> &process::Command {
        &self.std
    }

    /// Returns a mutable reference to the wrapped command, for methods that are missing here, such
    /// as [`CommandExt::pre_exec`].
    ///
    /// [`output`](Command::output) overrides standard streams that are set this way.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.std
    }

    /// Starts the program, and returns the running child.
    ///
    /// This works without a runtime; waiting for the child does not.
    ///
    /// # Errors
    /// Returns `NotFound` if the program does not exist, `PermissionDenied` if it may not be
    /// executed, and the other errors of [`std::process::Command::spawn`]. The text names the
    /// program, as in `run no-such-program: No such file or directory (os error 2)`, and
    /// [`io::os_error`](crate::io::os_error) returns the number.
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

    /// Starts the program and waits for its exit, like [`std::process::Command::status`].
    ///
    /// If stdout or stderr are configured as pipes, they are closed at once, because nothing reads
    /// them.
    ///
    /// # Errors
    /// Returns the errors that [`spawn`](Command::spawn) and [`Child::wait`] list.
    ///
    /// # Cancel safety
    /// The program is started by this call, not by the first poll. Dropping the future drops the
    /// [`Child`].
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

    /// Starts the program, waits for its exit and collects its output, like
    /// [`std::process::Command::output`].
    ///
    /// Streams that were not configured are /dev/null (stdin) and pipes (stdout and stderr). Their
    /// output ends when every process that holds a pipe has closed it. A process that the program
    /// started and left behind therefore delays the result, although the program has exited.
    ///
    /// # Errors
    /// Returns the errors that [`spawn`](Command::spawn) and [`Child::wait_with_output`] list.
    ///
    /// # Cancel safety
    /// The program is started by this call, not by the first poll. Dropping the future drops the
    /// [`Child`] and the collected output.
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
        // Restores the defaults for further uses of the command.
        self.set_default_stdio(Stdio::inherit, Stdio::inherit);
        async { child?.wait_with_output().await }
    }

    /// Sets those standard streams that the user did not configure.
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
    /// Wraps a command. [`output`](Command::output) overrides standard streams that are already
    /// set.
    fn from(std: process::Command) -> Command {
        Command {
            std,
            kill_on_drop: false,
            configured: [false; 3],
        }
    }
}
