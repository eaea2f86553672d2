//! The names of the backends, and which of them this platform has.

use std::str::FromStr;
use std::{fmt, io};

/// The system calls that a reactor can wait with.
///
/// Every backend of the platform is compiled in. The best one is the default; another one is
/// selected with `Reactor::with_backend`, or with the environment variable `RUNTIME_BACKEND`.
///
/// # Examples
/// ```
/// use runtime_reactor::Backend;
///
/// assert_eq!("epoll".parse::<Backend>().unwrap(), Backend::Epoll);
/// assert!("abacus".parse::<Backend>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// epoll(7), edge-triggered: Linux and Android.
    Epoll,
    /// kqueue(2), edge-triggered (`EV_CLEAR`): macOS, iOS and the BSDs.
    Kqueue,
    /// poll(2): every POSIX system.
    ///
    /// The cost of a wait grows with the number of sources that are waited for, ready or not.
    /// Registering costs nothing.
    Poll,
    /// select(2), with descriptor sets as large as the largest descriptor needs: every POSIX
    /// system.
    ///
    /// Its cost is that of poll, and it cannot distinguish the end of a stream from data.
    Select,
    /// A simulated kernel, whose sockets reach no other process.
    ///
    /// A reactor that is opened on it has a kernel of its own, in real time, with the loopback
    /// interface alone. No real descriptor can be waited for.
    #[cfg(feature = "sim")]
    Sim,
}

impl Backend {
    const ALL: &[Backend] = &[
        Backend::Epoll,
        Backend::Kqueue,
        Backend::Poll,
        Backend::Select,
        #[cfg(feature = "sim")]
        Backend::Sim,
    ];

    /// Returns the name of the backend, as `RUNTIME_BACKEND` takes it: `"epoll"`, `"kqueue"`,
    /// `"poll"` or `"select"`.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Epoll => "epoll",
            Backend::Kqueue => "kqueue",
            Backend::Poll => "poll",
            Backend::Select => "select",
            #[cfg(feature = "sim")]
            Backend::Sim => "sim",
        }
    }

    /// Returns the backends of this platform, the best one first.
    pub const fn available() -> &'static [Backend] {
        AVAILABLE
    }

    /// Returns the names of the backends of this platform, for error messages.
    pub(super) fn available_names() -> String {
        let names: Vec<&str> = AVAILABLE.iter().map(|backend| backend.name()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Backend {
    /// Writes the [`name`](Backend::name).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = io::Error;

    /// Parses a [`name`](Backend::name). A backend that this platform does not have can be named
    /// too.
    ///
    /// # Errors
    /// Returns `InvalidInput` if no backend has this name. The message lists the backends of this
    /// platform.
    fn from_str(name: &str) -> io::Result<Backend> {
        let found = Backend::ALL.iter().copied().find(|b| b.name() == name);
        found.ok_or_else(|| {
            let available = Backend::available_names();
            let text = format!("no backend is called {name:?}; available here: {available}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const AVAILABLE: &[Backend] = &[Backend::Epoll, Backend::Poll, Backend::Select];
#[cfg(any(
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
const AVAILABLE: &[Backend] = &[Backend::Kqueue, Backend::Poll, Backend::Select];
/// Select precedes poll here, because Apple's poll(2) refuses many devices, terminals among them,
/// that its select(2) accepts.
#[cfg(target_vendor = "apple")]
const AVAILABLE: &[Backend] = &[Backend::Kqueue, Backend::Select, Backend::Poll];
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
)))]
const AVAILABLE: &[Backend] = &[Backend::Poll, Backend::Select];
