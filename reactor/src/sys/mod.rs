//! The system calls that wait, one family a file, behind one trait.
//!
//! # The contract of a [`Selector`]
//!
//! A selector watches descriptors for the reactor and reports what became ready. It *translates*
//! and decides nothing: the order of the loop, timers, fairness and waking live above it.
//!
//! `add(fd, key)` is called once in the life of a registration, for both directions. `key` comes
//! back in every event. A backend may put the registration off until its next `wait` (kqueue hands
//! its whole changelist to the waiting call); an error found only then is reported as an event with
//! that key and an error, is never lost, and never stops the other changes.
//!
//! `renew(fd, key)` asks the kernel to say again what is true *now*, although it was reported
//! before (EPOLL_CTL_MOD, EV_ADD). The descriptor may be closed by the time it is called, when its
//! source was dropped on another thread; that is not an error, since its removal is in the mail.
//!
//! `arm(key, direction)` is called before somebody waits, on a backend with levels only: there it
//! sets an interest bit, without a system call; the next `wait` uses it.
//!
//! `remove(fd, key)` makes the kernel forget a descriptor that stays open. `forget(key)` is what
//! there is instead for one that is about to be closed by its only holder: the kernel forgets it by
//! itself, so no system call is made, but a registration still put off must not be made any more.
//!
//! `wait(events, limit)` blocks until something is ready, the doorbell was rung or `limit` has
//! passed: `None` is for ever, zero does not block. It replaces the contents of `events`, reports
//! each readiness at most once until it is armed or renewed (or, on an edge backend, happens again),
//! may report what is not so, and never lets EINTR out: an interrupted wait is a wait that found
//! nothing, so that the caller computes its deadline anew.
//!
//! `doorbell()` is what other threads hold: ringing it ends the current or the next `wait`.
//!
//! Descriptors are raw here because a selector only *names* them to the kernel; whoever owns one
//! keeps it open for the call, or has said above that it need not.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, mem};

use crate::interest::{Direction, Readiness};
use crate::slot::Key;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
mod kqueue;
mod notify;
#[cfg(test)]
pub(crate) mod scripted;

/// What the reactor waits in. The contract is the prose at the top of this module.
pub(crate) trait Selector: AsFd + fmt::Debug {
    fn backend(&self) -> Backend;
    fn is_edge(&self) -> bool;
    fn add(&mut self, fd: RawFd, key: Key) -> io::Result<()>;
    fn renew(&mut self, fd: RawFd, key: Key) -> io::Result<()>;
    fn arm(&mut self, key: Key, direction: Direction);
    fn remove(&mut self, fd: RawFd, key: Key) -> io::Result<()>;
    fn forget(&mut self, key: Key);
    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()>;
    fn doorbell(&self) -> Arc<dyn Doorbell>;
}

/// The part of a selector that any thread may use at any time.
pub(crate) trait Doorbell: fmt::Debug + Send + Sync {
    /// Ends the current or the next `wait`. One system call.
    fn ring(&self) -> io::Result<()>;

    /// `Selector::remove` for a source that is dropped on another thread: called while the
    /// descriptor is still open.
    fn remove(&self, fd: RawFd);
}

/// Something that became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) key: Key,
    pub(crate) readiness: Readiness,
    /// The errno of a registration that could not be made when its turn came; 0 for none.
    pub(crate) errno: i32,
}

/// The system calls a reactor can be built on.
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
    /// Linux and Android: epoll(7), edge-triggered.
    Epoll,
    /// macOS, iOS and the BSDs: kqueue(2), with `EV_CLEAR`.
    Kqueue,
}

impl Backend {
    const ALL: [Backend; 2] = [Backend::Epoll, Backend::Kqueue];

    /// The name that `RUNTIME_BACKEND` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Epoll => "epoll",
            Backend::Kqueue => "kqueue",
        }
    }

    /// The backends of this platform, the best one first.
    pub const fn available() -> &'static [Backend] {
        AVAILABLE
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const AVAILABLE: &[Backend] = &[Backend::Epoll];
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
const AVAILABLE: &[Backend] = &[Backend::Kqueue];

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = io::Error;

    /// # Errors
    /// `InvalidInput` for a name that no backend has; the text lists those that exist here.
    fn from_str(name: &str) -> io::Result<Backend> {
        let found = Backend::ALL.into_iter().find(|b| b.name() == name);
        found.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("no backend is called {name:?}; there is {}", names()),
            )
        })
    }
}

fn names() -> String {
    let names: Vec<&str> = AVAILABLE.iter().map(|b| b.name()).collect();
    names.join(", ")
}

/// Opens the selector of `backend`.
pub(crate) fn open(backend: Backend) -> io::Result<Box<dyn Selector>> {
    match backend {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Backend::Epoll => Ok(Box::new(epoll::Epoll::new()?)),
        #[cfg(any(
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "dragonfly",
            target_os = "netbsd",
            target_os = "openbsd",
        ))]
        Backend::Kqueue => Ok(Box::new(kqueue::Kqueue::new()?)),
        #[allow(unreachable_patterns, reason = "reached where a backend is left out")]
        other => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "backend {other} does not exist on this platform; there is {}",
                names()
            ),
        )),
    }
}

/// The result of a system call that says -1 for "look at errno".
fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Says whether a descriptor is of a kind that can be waited for: regular files and directories are
/// not, since the kernel calls them ready even while the disk is busy.
///
/// # Errors
/// `Unsupported` for those, and what fstat(2) says.
pub fn check_pollable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut stat = mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes one `stat` to the place it is given, which has room for one.
    cvt(unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so it has written the whole of it.
    let kind = unsafe { stat.assume_init() }.st_mode & libc::S_IFMT;
    if kind == libc::S_IFREG || kind == libc::S_IFDIR {
        return Err(io::Error::new(io::ErrorKind::Unsupported, UNPOLLABLE));
    }
    Ok(())
}

/// Why some descriptors cannot be waited for.
pub(crate) const UNPOLLABLE: &str = "regular files and directories always count as ready and cannot be waited for; read them with \
     spawn_blocking";

/// Whether an operation of `direction` would find something at this moment: poll(2), not waiting.
/// For descriptors that must not be made non-blocking, because others share the open file.
///
/// # Errors
/// What poll(2) says.
pub fn is_ready(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
    let events = match direction {
        Direction::Read => libc::POLLIN,
        Direction::Write => libc::POLLOUT,
    };
    let mut asked = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: the kernel reads and writes the one pollfd that it is given, and keeps no pointer.
    Ok(cvt(unsafe { libc::poll(&mut asked, 1, 0) })? > 0)
}

/// Makes a descriptor non-blocking, for sources that wrap what others opened.
///
/// # Errors
/// What fcntl(2) says.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_GETFL takes no pointer; `fd` is borrowed, so it is open.
    let flags = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK == 0 {
        let flags = flags | libc::O_NONBLOCK;
        // SAFETY: F_SETFL takes an int and no pointer; `fd` is borrowed, so it is open.
        cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) })?;
    }
    Ok(())
}
