//! The system calls that wait, one family a file, behind one trait.
//!
//! # The contract of a [`Selector`]
//!
//! A selector watches descriptors for the reactor and reports what became ready. It *translates*
//! and decides nothing: the order of the loop, timers, fairness and waking live above it.
//!
//! `add(fd, token)` is called once in the life of a registration, for both directions, just before a
//! `wait`: so whatever is gone by then costs nothing. `token` comes back in every event. A backend may put the registration off until its next `wait` (kqueue hands
//! its whole changelist to the waiting call); an error found only then is reported as an event with
//! that token and an error, is never lost, and never stops the other changes.
//!
//! `reregister(fd, token)` asks the kernel to say again what is true *now*, although it was reported
//! before (EPOLL_CTL_MOD, EV_ADD). The descriptor may be closed by the time it is called, when its
//! source was dropped on another thread; that is not an error, since its removal is in the mail.
//!
//! `arm(token, direction)` is called before somebody waits, on a backend with levels only: there it
//! sets an interest bit, without a system call; the next `wait` uses it. (kqueue has single sources
//! with levels, which are those it refuses; their events say so with `Readiness::LEVEL`.) Such a backend clears the
//! bit when it reports the direction, so that what nobody takes away is not told again and again;
//! and it says at every `wait` what is true then, so that there is nothing to reregister.
//!
//! A descriptor that turns out to be closed although it is registered is told on a backend with
//! levels, once and as an error, and then forgotten: those kernels are asked for it each time. The
//! others forget it by themselves and say nothing.
//!
//! `arm_non_directional(token, interest)` is called before somebody waits for the peer's end, an error or urgent
//! data and for no direction; `interest` has no directions. On a backend with levels it asks for just
//! that (POLLRDHUP, POLLPRI), to be reported once as in `arm`; others have asked in `add` already.
//! `supported()` is as much of that as it can report at all; nobody waits for the rest.
//!
//! `remove(fd, token)` makes the kernel forget a descriptor that stays open. `forget(token)` is what
//! there is instead for one that is about to be closed by its only holder: the kernel forgets it by
//! itself, so no system call is made, but a registration still put off must not be made any more.
//!
//! `wait(events, limit)` blocks until something is ready, a notification came or `limit` has
//! passed: `None` is for ever, zero does not block. It replaces the contents of `events`, reports
//! each readiness at most once until it is armed or renewed (or, on an edge backend, happens again),
//! may report what is not so, and never lets EINTR out: an interrupted wait is a wait that found
//! nothing, so that the caller computes its deadline anew.
//!
//! `add_process(id, token)` has the end of a process told, once, as readable. It is made at once, and so
//! that whoever asked can look for the end *afterwards*: some kernels do not tell an end that came
//! before (they refuse with ESRCH, or say nothing), and a change that rides in a wait would be looked
//! after too late. Nothing removes it. The kernel forgets it with the telling, and until then there
//! is one a process at most, which the next `add_process` takes over. Only kqueue has it.
//!
//! `notifier()` is what other threads hold: notifying it ends the current or the next `wait`.
//!
//! Descriptors are raw here because a selector only *names* them to the kernel; whoever owns one
//! keeps it open for the call, or has said above that it need not.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, mem};

use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

pub(crate) use fork::{forks, watch as watch_forks};

#[cfg(all(test, not(loom)))]
mod conformance;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
mod fork;
#[cfg(any(
    test, // over a model, where there is no kqueue
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
mod kqueue;
mod levels;
mod notify;
mod poll;
#[cfg(test)]
pub(crate) mod scripted;
mod select;

/// What the reactor waits in. The contract is the prose at the top of this module.
pub(crate) trait Selector {
    fn backend(&self) -> Backend;
    /// The descriptor that becomes readable when `wait` has something to tell, if there is one.
    fn pollable_fd(&self) -> Option<BorrowedFd<'_>>;
    fn is_edge(&self) -> bool;
    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()>;
    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()>;
    fn arm(&mut self, token: Token, direction: Direction);
    fn supported(&self) -> Interest;
    fn arm_non_directional(&mut self, token: Token, interest: Interest);
    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()>;
    fn forget(&mut self, token: Token);
    fn add_process(&mut self, _: u32, _: Token) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()>;
    fn notifier(&self) -> Arc<dyn Notify>;
}

/// The part of a selector that any thread may use at any time.
pub(crate) trait Notify: Send + Sync {
    /// Ends the current or the next `wait`. One system call.
    fn notify(&self) -> io::Result<()>;

    /// `Selector::remove` for a source that is dropped on another thread: called while the
    /// descriptor is still open.
    fn remove(&self, fd: RawFd);
}

/// Something that became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) token: Token,
    pub(crate) readiness: Readiness,
    /// The errno of a registration that could not be made when its turn came; 0 for none.
    pub(crate) errno: i32,
    /// How many bytes there were to read, as far as the backend says so; 0 where it does not.
    pub(crate) unread: u32,
}

impl Event {
    #[inline]
    pub(crate) fn new(token: Token, readiness: Readiness) -> Event {
        Event {
            token,
            readiness,
            errno: 0,
            unread: 0,
        }
    }
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
    /// Every POSIX system: poll(2). A wait costs time in proportion to the sources that are waited
    /// for, ready or not; registering costs nothing.
    Poll,
    /// Every POSIX system: select(2), with sets as large as the largest descriptor needs. It costs
    /// what poll costs, and does not tell the end of a stream from data.
    Select,
}

impl Backend {
    const ALL: [Backend; 4] = [
        Backend::Epoll,
        Backend::Kqueue,
        Backend::Poll,
        Backend::Select,
    ];

    /// The name that `RUNTIME_BACKEND` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Epoll => "epoll",
            Backend::Kqueue => "kqueue",
            Backend::Poll => "poll",
            Backend::Select => "select",
        }
    }

    /// The backends of this platform, the best one first.
    pub const fn available() -> &'static [Backend] {
        AVAILABLE
    }
}

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
        Backend::Poll => Ok(Box::new(poll::Poll::new()?)),
        Backend::Select => Ok(Box::new(select::Select::new()?)),
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
    let Some(kind) = unpollable_kind(&stat(fd)?) else {
        return Ok(());
    };
    let text = format!("descriptor {} is a {kind}: {UNPOLLABLE}", fd.as_raw_fd());
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

fn stat(fd: BorrowedFd<'_>) -> io::Result<libc::stat> {
    let mut stat = mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes one `stat` to the place it is given, which has room for one.
    cvt(unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so it has written the whole of it.
    Ok(unsafe { stat.assume_init() })
}

/// What it is that cannot be waited for, or nothing.
fn unpollable_kind(stat: &libc::stat) -> Option<&'static str> {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Some("regular file"),
        libc::S_IFDIR => Some("directory"),
        _ => None,
    }
}

/// What epoll_ctl(2) does by itself.
///
/// # Errors
/// EPERM for what is always ready.
fn refuse_files(fd: RawFd) -> io::Result<libc::stat> {
    // SAFETY: whoever registers a descriptor keeps it open for the call.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let stat = stat(fd)?;
    match unpollable_kind(&stat) {
        Some(_) => Err(io::Error::from_raw_os_error(libc::EPERM)),
        None => Ok(stat),
    }
}

/// Up, because waking before the deadline only means waiting once more.
#[allow(dead_code, reason = "for epoll, and where there is no ppoll")]
fn round_up_to_milliseconds(limit: Duration) -> libc::c_int {
    let up = limit.as_nanos().div_ceil(1_000_000);
    libc::c_int::try_from(up).unwrap_or(libc::c_int::MAX)
}

/// A longer wait ends early, as a wait for nothing may: some kernels refuse what they call too long.
const MOST_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A limit as ppoll and pselect take it.
fn timespec(limit: Duration) -> libc::timespec {
    let limit = limit.min(MOST_LIMIT);
    libc::timespec {
        tv_sec: limit.as_secs() as _,
        tv_nsec: limit.subsec_nanos() as _,
    }
}

/// Why some descriptors cannot be waited for.
pub(crate) const UNPOLLABLE: &str = "regular files and directories always count as ready and cannot be waited for; use fs, or \
     spawn_blocking";

/// Whether an operation of `direction` would find something at this moment: poll(2), not waiting.
/// For descriptors that must not be made non-blocking, because others share the open file.
///
/// # Errors
/// What poll(2) says, and `Unsupported` for what it cannot be asked about (POLLNVAL): it says so of some
/// devices on Apple, /dev/tty among them, and of what is not open.
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
    let told = cvt(unsafe { libc::poll(&mut asked, 1, 0) })?;
    if asked.revents & libc::POLLNVAL != 0 {
        let text = format!("poll(2) cannot tell of descriptor {}", fd.as_raw_fd());
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    Ok(told > 0)
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

// What differs from one system to the next, except in epoll.rs and kqueue/, which know why.

#[cfg(any(target_os = "linux", target_os = "android"))]
const AVAILABLE: &[Backend] = &[Backend::Epoll, Backend::Poll, Backend::Select];
#[cfg(any(
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
const AVAILABLE: &[Backend] = &[Backend::Kqueue, Backend::Poll, Backend::Select];
/// Apple's poll(2) refuses many devices, and terminals among them, that its select(2) takes.
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

/// The event of poll(2) that tells the end of one direction; 0 where there is none.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const POLLRDHUP: libc::c_short = libc::POLLRDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const POLLRDHUP: libc::c_short = 0;

/// NetBSD has had it under this name since 3.0, under the other since 10.0.
#[cfg(target_os = "netbsd")]
use libc::pollts as ppoll;
/// poll(2) with a limit in nanoseconds.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd",
))]
use libc::ppoll;

/// The same where there is no such call, to the millisecond.
///
/// # Safety
/// As of `poll`; `limit` is null or valid for reads, the mask is ignored.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd",
    target_os = "netbsd",
)))]
unsafe fn ppoll(
    asked: *mut libc::pollfd,
    n: libc::nfds_t,
    limit: *const libc::timespec,
    _: *const libc::sigset_t,
) -> libc::c_int {
    // SAFETY: the caller passes null or a valid timespec.
    let limit = unsafe { limit.as_ref() };
    let limit = limit.map(|limit| Duration::new(limit.tv_sec as u64, limit.tv_nsec as u32));
    let milliseconds = limit.map_or(-1, round_up_to_milliseconds);
    // SAFETY: the caller passes `n` pollfds.
    unsafe { libc::poll(asked, n, milliseconds) }
}

/// What a descriptor set of select(2) is made of: so many bits lie side by side, the lowest first.
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd"))]
type Word = u32;
#[cfg(not(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd")))]
type Word = libc::c_ulong;

#[cfg(not(target_vendor = "apple"))]
use libc::pselect;
#[cfg(target_vendor = "apple")]
unsafe extern "C" {
    /// The variant of a program compiled with _DARWIN_UNLIMITED_SELECT: the other one refuses
    /// descriptors of 1024 and over (select(2)).
    #[link_name = "pselect$DARWIN_EXTSN"]
    fn pselect(
        n: libc::c_int,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        limit: *const libc::timespec,
        mask: *const libc::sigset_t,
    ) -> libc::c_int;
}
