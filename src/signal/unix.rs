//! Listeners for signals by their Unix names.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime_reactor::internal::with_context;

use super::listener::{Installed, Listener};

/// Creates a listener for the signals of a kind.
///
/// It receives signals from this call on, until it is dropped. While it exists, the signal does not
/// have its default effect: SIGTERM, for example, does not end the process.
///
/// # Errors
/// Returns `InvalidInput`, with a text that names the signal, if it cannot be caught (SIGKILL,
/// SIGSTOP), reports a fault of the program (SIGILL, SIGFPE, SIGSEGV), or does not exist. Returns
/// the system's error if no descriptor is available; two are needed. The text of that one names the
/// signal as well, and [`io::os_error`](crate::io::os_error) returns its number.
///
/// # Platform-specific behavior
/// See the [module](super).
///
/// # Examples
/// ```no_run
/// use runtime::signal::unix::{SignalKind, signal};
///
/// #[runtime::main]
/// async fn main() -> std::io::Result<()> {
///     let mut hangups = signal(SignalKind::hangup())?;
///     loop {
///         hangups.recv().await?;
///         println!("reloading the configuration");
///     }
/// }
/// ```
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    check(kind)?;
    let listener =
        Listener::new(kind.0).map_err(|e| with_context(format!("listen to {kind}"), e))?;
    Ok(Signal { kind, listener })
}

impl Installed {
    /// Installs a handler that writes to `writer`, the other end of `reader`.
    pub(crate) fn for_kind(
        kind: SignalKind,
        writer: UnixStream,
        reader: &UnixStream,
    ) -> io::Result<Installed> {
        check(kind)?;
        let installed = Installed::new(kind.0, writer, reader);
        installed.map_err(|e| with_context(format!("listen to {kind}"), e))
    }
}

/// Returns an error for a signal that cannot be listened to.
fn check(kind: SignalKind) -> io::Result<()> {
    let reject = |why: &str| {
        let text = format!("listen to {kind}: {why}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    match kind.0 {
        libc::SIGKILL | libc::SIGSTOP => reject("it cannot be caught"),
        libc::SIGILL | libc::SIGFPE | libc::SIGSEGV => {
            reject("it reports a fault of the program, which cannot continue and wait")
        }
        _ => Ok(()),
    }
}

/// A listener for the signals of one kind, created by [`signal`].
///
/// It is a [`Stream`] without end. Dropping the last listener for a signal restores the signal's
/// previous disposition.
#[derive(Debug)]
#[must_use = "a listener that is dropped at once receives nothing"]
pub struct Signal {
    kind: SignalKind,
    listener: Listener,
}

impl Signal {
    /// Waits for the signal.
    ///
    /// Completes at once if the signal has arrived since the listener was created or last
    /// completed; several such signals count as one.
    ///
    /// # Errors
    /// Returns `Other` if it has to wait outside a runtime, or if the runtime in which it waited
    /// was dropped.
    ///
    /// # Cancel safety
    /// Dropping the future loses no signal.
    ///
    /// # Examples
    /// ```
    /// use runtime::signal::unix::{SignalKind, signal};
    ///
    /// # runtime::block_on(async {
    /// let mut resized = signal(SignalKind::window_change())?;
    /// # struct Terminal;
    /// # impl Terminal {
    /// #     fn resize(&self) {
    /// #         let mut sh = std::process::Command::new("sh");
    /// #         sh.args(["-c", "kill -WINCH $PPID"]).status().unwrap();
    /// #     }
    /// # }
    /// # let terminal = Terminal;
    /// terminal.resize(); // the user resizes the window
    /// resized.recv().await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn recv(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Poll-based version of [`recv`](Signal::recv).
    ///
    /// # Errors
    /// Returns the errors that [`recv`](Signal::recv) lists.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let received = ready!(self.listener.poll_recv(cx));
        Poll::Ready(received.map_err(|e| with_context(format!("wait for {}", self.kind), e)))
    }
}

impl Stream for Signal {
    type Item = io::Result<()>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<()>>> {
        self.poll_recv(cx).map(Some)
    }
}

/// The number of a signal.
///
/// # Examples
/// ```
/// use runtime::signal::unix::SignalKind;
///
/// assert_eq!(SignalKind::terminate().to_string(), "SIGTERM");
/// assert_eq!(SignalKind::from_raw(15), SignalKind::terminate());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(libc::c_int);

impl SignalKind {
    /// Creates a kind from a signal number. The numbers differ between systems; see signal(7).
    ///
    /// The number is checked by [`signal`].
    pub const fn from_raw(number: i32) -> SignalKind {
        SignalKind(number)
    }

    /// Returns the signal number.
    pub const fn as_raw_value(self) -> i32 {
        self.0
    }

    /// Returns SIGALRM, which is sent when a timer of alarm(2) expires. Ends the process by
    /// default.
    pub const fn alarm() -> SignalKind {
        SignalKind(libc::SIGALRM)
    }

    /// Returns SIGCHLD, which is sent when a child exits, stops or continues. Has no effect by
    /// default.
    pub const fn child() -> SignalKind {
        SignalKind(libc::SIGCHLD)
    }

    /// Returns SIGHUP, which is sent when the terminal is closed, and by convention to make servers
    /// reload their configuration. Ends the process by default.
    pub const fn hangup() -> SignalKind {
        SignalKind(libc::SIGHUP)
    }

    /// Returns SIGINFO, which is sent when the user presses Ctrl-T to ask for a status. Has no
    /// effect by default.
    ///
    /// # Platform-specific behavior
    /// Exists on macOS and the BSDs only.
    #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd",
    ))]
    pub const fn info() -> SignalKind {
        SignalKind(libc::SIGINFO)
    }

    /// Returns SIGINT, which is sent when the user presses Ctrl-C. Ends the process by default.
    pub const fn interrupt() -> SignalKind {
        SignalKind(libc::SIGINT)
    }

    /// Returns SIGIO, which is sent when a descriptor with O_ASYNC becomes ready. By default it
    /// ends the process on Linux, and has no effect on macOS and the BSDs.
    pub const fn io() -> SignalKind {
        SignalKind(libc::SIGIO)
    }

    /// Returns SIGPIPE, which is sent by a write to a pipe or socket without a reader. Rust
    /// programs ignore it by default.
    pub const fn pipe() -> SignalKind {
        SignalKind(libc::SIGPIPE)
    }

    /// Returns SIGQUIT, which is sent when the user presses `Ctrl-\`. Ends the process and dumps
    /// core by default.
    pub const fn quit() -> SignalKind {
        SignalKind(libc::SIGQUIT)
    }

    /// Returns SIGTERM, which asks the process to end. Ends the process by default.
    pub const fn terminate() -> SignalKind {
        SignalKind(libc::SIGTERM)
    }

    /// Returns SIGUSR1, whose meaning the program defines. Ends the process by default.
    pub const fn user_defined1() -> SignalKind {
        SignalKind(libc::SIGUSR1)
    }

    /// Returns SIGUSR2, whose meaning the program defines. Ends the process by default.
    pub const fn user_defined2() -> SignalKind {
        SignalKind(libc::SIGUSR2)
    }

    /// Returns SIGWINCH, which is sent when the size of the terminal window changes. Has no effect
    /// by default.
    pub const fn window_change() -> SignalKind {
        SignalKind(libc::SIGWINCH)
    }

    fn name(self) -> Option<&'static str> {
        let names = [
            (libc::SIGHUP, "SIGHUP"),
            (libc::SIGINT, "SIGINT"),
            (libc::SIGQUIT, "SIGQUIT"),
            (libc::SIGILL, "SIGILL"),
            (libc::SIGTRAP, "SIGTRAP"),
            (libc::SIGABRT, "SIGABRT"),
            (libc::SIGBUS, "SIGBUS"),
            (libc::SIGFPE, "SIGFPE"),
            (libc::SIGKILL, "SIGKILL"),
            (libc::SIGUSR1, "SIGUSR1"),
            (libc::SIGSEGV, "SIGSEGV"),
            (libc::SIGUSR2, "SIGUSR2"),
            (libc::SIGPIPE, "SIGPIPE"),
            (libc::SIGALRM, "SIGALRM"),
            (libc::SIGTERM, "SIGTERM"),
            (libc::SIGCHLD, "SIGCHLD"),
            (libc::SIGCONT, "SIGCONT"),
            (libc::SIGSTOP, "SIGSTOP"),
            (libc::SIGTSTP, "SIGTSTP"),
            (libc::SIGTTIN, "SIGTTIN"),
            (libc::SIGTTOU, "SIGTTOU"),
            (libc::SIGURG, "SIGURG"),
            (libc::SIGXCPU, "SIGXCPU"),
            (libc::SIGXFSZ, "SIGXFSZ"),
            (libc::SIGVTALRM, "SIGVTALRM"),
            (libc::SIGPROF, "SIGPROF"),
            (libc::SIGWINCH, "SIGWINCH"),
            (libc::SIGIO, "SIGIO"),
            (libc::SIGSYS, "SIGSYS"),
        ];
        let found = names.into_iter().find(|(number, _)| *number == self.0);
        found.map(|(_, name)| name)
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> i32 {
        kind.0
    }
}
