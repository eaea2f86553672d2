//! Signals by their Unix names.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime_reactor::internal::with_context;

use super::listener::Listener;

/// Listens to signals of a kind, from this call on, until what it returns is dropped.
///
/// # Errors
/// `InvalidInput`, naming the signal, for one that cannot be caught (SIGKILL, SIGSTOP), that is a fault of the
/// program and not a message to it (SIGILL, SIGFPE, SIGSEGV), or that does not exist; and what the
/// system says if no descriptor is left (two are needed).
///
/// # Platform notes
/// As the [module](super) says. While somebody listens, the signal does not do what it does by
/// default: SIGTERM does not end the process.
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
///         println!("reading the configuration again");
///     }
/// }
/// ```
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let refused = |why: &str| {
        let text = format!("listen to {kind}: {why}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    match kind.0 {
        libc::SIGKILL | libc::SIGSTOP => return refused("it cannot be caught"),
        libc::SIGILL | libc::SIGFPE | libc::SIGSEGV => {
            return refused("it is a fault of the program, which cannot go on and wait");
        }
        _ => {}
    }
    let listener =
        Listener::new(kind.0).map_err(|e| with_context(format!("listen to {kind}"), e))?;
    Ok(Signal { kind, listener })
}

/// A listener, made by [`signal`]: a [`Stream`] without end.
#[derive(Debug)]
#[must_use = "dropped at once it hears nothing"]
pub struct Signal {
    kind: SignalKind,
    listener: Listener,
}

impl Signal {
    /// Waits for the signal. Those that came since the listener was made, or was told last, are told
    /// at once and as one.
    ///
    /// # Errors
    /// If it has to wait outside a runtime, or the one in which it waited is gone.
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
    /// # impl Terminal { fn resize(&self) { std::process::Command::new("sh").args(["-c", "kill -WINCH $PPID"]).status().unwrap(); } }
    /// # let terminal = Terminal;
    /// terminal.resize(); // the user draws at the window
    /// resized.recv().await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn recv(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Signal::recv), for those who poll.
    ///
    /// # Errors
    /// As there.
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

/// Which signal.
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
    /// The one with this number, which differs from system to system: see signal(7).
    pub const fn from_raw(number: i32) -> SignalKind {
        SignalKind(number)
    }

    /// Its number.
    pub const fn as_raw_value(self) -> i32 {
        self.0
    }

    /// SIGALRM: a timer of alarm(2) has run out. By default it ends the process.
    pub const fn alarm() -> SignalKind {
        SignalKind(libc::SIGALRM)
    }

    /// SIGCHLD: a child has ended, stopped or gone on. By default nothing happens.
    pub const fn child() -> SignalKind {
        SignalKind(libc::SIGCHLD)
    }

    /// SIGHUP: the terminal is gone; servers read their configuration again. By default it ends the
    /// process.
    pub const fn hangup() -> SignalKind {
        SignalKind(libc::SIGHUP)
    }

    /// SIGINFO: the user has pressed Ctrl-T and wants to know how things are. By default nothing
    /// happens.
    ///
    /// # Platform notes
    /// macOS and the BSDs only.
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

    /// SIGINT: the user has pressed Ctrl-C. By default it ends the process.
    pub const fn interrupt() -> SignalKind {
        SignalKind(libc::SIGINT)
    }

    /// SIGIO: a descriptor with O_ASYNC is ready. By default it ends the process on Linux, and
    /// nothing happens on macOS and the BSDs.
    pub const fn io() -> SignalKind {
        SignalKind(libc::SIGIO)
    }

    /// SIGPIPE: something was written that nobody reads any more. Rust programs ignore it.
    pub const fn pipe() -> SignalKind {
        SignalKind(libc::SIGPIPE)
    }

    /// SIGQUIT: the user has pressed Ctrl-\. By default it ends the process and dumps core.
    pub const fn quit() -> SignalKind {
        SignalKind(libc::SIGQUIT)
    }

    /// SIGTERM: the process is asked to end. By default it does.
    pub const fn terminate() -> SignalKind {
        SignalKind(libc::SIGTERM)
    }

    /// SIGUSR1: what the program says it means. By default it ends the process.
    pub const fn user_defined1() -> SignalKind {
        SignalKind(libc::SIGUSR1)
    }

    /// SIGUSR2: what the program says it means. By default it ends the process.
    pub const fn user_defined2() -> SignalKind {
        SignalKind(libc::SIGUSR2)
    }

    /// SIGWINCH: the window of the terminal has another size. By default nothing happens.
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
