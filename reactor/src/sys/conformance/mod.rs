//! The test suite of the [`Selector`] contract, run on every backend of the platform.
//!
//! Properties that need more than a selector are tested on the whole reactor, whose tests run on
//! each backend too (`RUNTIME_BACKEND`): stale tokens (`closed_and_reused`, `tests/waiting`),
//! coalescing of notifications (`notifications`, `tests/messages`), deadlines under load
//! (`timers`), and, in the crates above, running out of descriptors in `accept`
//! (`net/tests/starving`).

mod batches;
mod closing;
mod ends;
mod kinds;
mod notifying;
mod processes;
mod readiness;
mod sources;
mod timing;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use std::{env, fs, thread};

use self::ends::{End, Listener, connect, connect_unix, pair, pipe, tcp_pair};
use super::cvt::cvt;
use super::poll::POLLRDHUP;
use super::{Backend, Event, Selector};
use crate::interest::{Direction, Readiness};
use crate::token::Token;

/// Makes a module with a test for each case, from a `fn() -> io::Result<Box<dyn Selector>>`.
macro_rules! conformance {
    ($name:ident, $open:expr) => {
        mod $name {
            use super::*;

            conformance! { @everywhere $open }
            conformance! { @cases $open;
                kinds::a_terminal_is_readable_after_a_line_was_typed,
                kinds::the_reader_of_a_fifo_is_readable_whenever_a_writer_writes_or_closes,
                kinds::the_writer_of_a_full_fifo_is_writable_when_the_reader_closes,
                notifying::a_storm_of_signals_loses_no_event_and_no_registration,
                processes::an_exit_before_the_registration_is_reported_or_refused,
                processes::a_task_that_waits_for_an_exit_is_woken,
                processes::an_exit_is_reported_once_to_the_last_registration,
                processes::an_exit_wakes_a_task_on_another_thread,
                processes::an_exit_after_its_registration_was_dropped_is_stale,
                sources::a_short_read_at_urgent_data_hides_no_bytes_behind_it,
            }
        }
    };
    // The cases that the simulated kernel passes too.
    (@everywhere $open:expr) => {
        conformance! { @cases $open;
            batches::a_descriptor_of_1024_or_more_is_watched_like_any_other,
            batches::more_events_than_the_buffer_holds_are_reported_in_several_batches,
            batches::a_failed_registration_does_not_prevent_others,
            batches::the_parent_of_a_forked_child_still_gets_its_events,
            closing::a_closed_descriptor_is_reported_at_most_once_and_hides_no_other,
            closing::a_reused_number_reports_to_its_new_registration_only,
            closing::two_descriptors_of_one_file_are_two_registrations,
            closing::calls_for_an_earlier_occupant_of_a_slot_do_not_affect_the_next,
            closing::a_closed_descriptor_can_be_reregistered_and_forgotten,
            closing::a_removed_or_forgotten_registration_is_silent,
            closing::a_removed_descriptor_can_be_added_again,
            kinds::a_regular_file_and_a_directory_are_refused,
            kinds::dev_null_is_ready_or_refused_but_never_silent,
            kinds::the_reader_of_a_pipe_is_readable_when_the_writer_closes,
            kinds::the_writer_of_a_pipe_is_writable_if_the_reader_closed_before,
            kinds::the_writer_of_a_full_pipe_is_writable_when_the_reader_closes,
            notifying::a_notification_before_the_wait_ends_it_and_reports_nothing,
            notifying::none_of_ten_thousand_notifications_is_lost,
            readiness::an_established_connection_is_writable,
            readiness::a_refused_connection_is_writable_and_has_an_error,
            readiness::the_connections_of_a_listener_are_reported_or_counted,
            readiness::a_full_backlog_is_readable_until_it_is_empty,
            readiness::a_half_close_is_reported_with_the_data_before_it,
            readiness::a_hang_up_is_reported_in_both_directions,
            readiness::a_hang_up_without_a_waiter_ends_no_wait_of_a_level_backend,
            readiness::our_own_half_close_is_not_reported_as_the_peers,
            readiness::room_to_write_is_reported_when_the_peer_has_read,
            readiness::a_readiness_is_reported_once_until_it_is_armed_or_reregistered,
            timing::a_wait_without_events_lasts_at_least_its_limit,
            timing::limits_of_any_length_are_accepted,
            timing::a_wait_with_a_limit_of_zero_does_not_block,
        }
    };
    (@cases $open:expr; $($file:ident::$case:ident,)*) => {
        $(#[test]
        fn $case() {
            $file::$case(&mut Stage::open($open));
        })*
    };
}

#[cfg(any(target_os = "linux", target_os = "android"))]
conformance!(epoll, || crate::sys::open(Backend::Epoll));
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
conformance!(kqueue, || crate::sys::open(Backend::Kqueue));
/// The kqueue backend on the model of each system's kernel.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod kqueue {
    use super::*;
    use crate::sys::kqueue::Kqueue;
    use crate::sys::kqueue::tests::model::Flavor;

    fn open(flavor: Flavor) -> io::Result<Box<dyn Selector>> {
        Ok(Box::new(flavor.with(Kqueue::new)?))
    }

    conformance!(freebsd, || open(Flavor::FREEBSD));
    conformance!(macos, || open(Flavor::MACOS));
    conformance!(netbsd, || open(Flavor::NETBSD));
    conformance!(openbsd, || open(Flavor::OPENBSD));
    conformance!(dragonfly, || open(Flavor::DRAGONFLY));
    conformance!(freebsd_of_32_bits, || open(Flavor {
        udata_is_32_bit: true,
        ..Flavor::FREEBSD
    }));
}
conformance!(poll, || crate::sys::open(Backend::Poll));
conformance!(select, || crate::sys::open(Backend::Select));

/// The simulated kernel. The ten other cases need what it does not have: the exits of processes
/// (five), a named pipe (two), a terminal, urgent data, and a peer on another thread in a storm of
/// signals.
#[cfg(feature = "sim")]
mod sim {
    use super::*;

    conformance! { @everywhere ends::open_simulated }
}

const ONE: Token = Token::new(1, 7);
const TWO: Token = Token::new(2, 7);
const NOTHING: (Readiness, i32) = (Readiness::EMPTY, 0);
const BOTH: Readiness = Readiness::from_bits(3);

/// Held exclusively by a case that forks or depends on descriptor numbers, and shared by the
/// others.
static ISOLATION: RwLock<()> = RwLock::new(());

/// Returns a guard during which no case runs alone.
pub(super) fn shared() -> RwLockReadGuard<'static, ()> {
    ISOLATION.read().unwrap_or_else(PoisonError::into_inner)
}

/// A selector under test, and the steps that cases are made of.
pub(super) struct Stage {
    selector: Box<dyn Selector>,
    events: Vec<Event>,
    isolation: Isolation,
    /// Dropped at the end of the test. Until then a thread aborts the process if the test hangs.
    _watchdog: Sender<()>,
}

#[allow(dead_code, reason = "only their drop matters")]
enum Isolation {
    Shared(RwLockReadGuard<'static, ()>),
    Exclusive(RwLockWriteGuard<'static, ()>),
    Unlocked,
}

impl Stage {
    fn open(open: fn() -> io::Result<Box<dyn Selector>>) -> Stage {
        let (watchdog, ended) = mpsc::channel::<()>();
        thread::spawn(move || {
            if ended.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("a case of the conformance suite hangs");
                std::process::abort();
            }
        });
        Stage {
            isolation: Isolation::Shared(shared()),
            selector: {
                ends::use_real_kernel();
                open().unwrap()
            },
            events: Vec::new(),
            _watchdog: watchdog,
        }
    }

    /// Waits until no other case runs, and keeps others from running until the end of this one.
    fn alone(&mut self) {
        self.isolation = Isolation::Unlocked;
        self.isolation =
            Isolation::Exclusive(ISOLATION.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds a descriptor and arms both directions. Returns the errno if `add` fails.
    fn add(&mut self, fd: &impl AsRawFd, token: Token) -> Option<i32> {
        let added = self.selector.add(fd.as_raw_fd(), token);
        self.arm(token);
        added.err().map(|e| e.raw_os_error().unwrap())
    }

    fn arm(&mut self, token: Token) {
        self.selector.arm(token, Direction::Read);
        self.selector.arm(token, Direction::Write);
    }

    /// Waits once. Returns what was reported of `token`, and the errno or 0.
    fn wait_once(&mut self, token: Token, limit: Duration) -> (Readiness, i32) {
        self.selector.wait(&mut self.events, Some(limit)).unwrap();
        let ours = self.events.iter().filter(|event| event.token == token);
        ours.fold(NOTHING, |(readiness, errno), event| {
            (readiness | event.readiness, errno.max(event.errno))
        })
    }

    /// Returns what is reported of `token` by a wait that does not block.
    fn now(&mut self, token: Token) -> (Readiness, i32) {
        self.wait_once(token, Duration::ZERO)
    }

    /// Waits until all of `wanted` was reported of `token`, and returns everything that was. Panics
    /// at an errno.
    fn wait_until(&mut self, token: Token, wanted: Readiness) -> Readiness {
        let mut reported = Readiness::EMPTY;
        while reported.without(wanted) | wanted != reported {
            let (readiness, errno) = self.wait_once(token, Duration::from_secs(600));
            assert_eq!(errno, 0, "an error instead of {wanted:?}");
            reported |= readiness;
        }
        reported
    }

    /// Adds a descriptor and returns the errno with which that failed, at once or in a wait, or 0
    /// if it succeeded and the descriptor is ready.
    fn refusal(&mut self, fd: &impl AsRawFd, token: Token) -> i32 {
        if let Some(errno) = self.add(fd, token) {
            return errno;
        }
        loop {
            let (readiness, errno) = self.wait_once(token, Duration::from_secs(600));
            if errno != 0 || !readiness.is_empty() {
                return errno;
            }
        }
    }

    /// Returns true if the backend distinguishes the end of a stream from data.
    fn reports_ends(&self) -> bool {
        match self.selector.backend() {
            Backend::Select => false,
            Backend::Poll => POLLRDHUP != 0,
            Backend::Epoll | Backend::Kqueue => true,
            #[cfg(feature = "sim")]
            Backend::Sim => true,
        }
    }
}

/// Duplicates a descriptor to the first free number from `min` on. Returns `None` if the limit of
/// the process does not allow such numbers.
fn duplicate_from(fd: &impl AsRawFd, min: RawFd) -> Option<OwnedFd> {
    allow_many_descriptors();
    // SAFETY: F_DUPFD_CLOEXEC takes an int and no pointer.
    let duplicate = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, min) });
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    duplicate.ok().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Raises the limit of open descriptors to 4096, or as far as the hard limit allows.
fn allow_many_descriptors() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is valid for the one rlimit that the kernel writes.
    cvt(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }).unwrap();
    let wanted = limit.rlim_max.min(4096);
    if limit.rlim_cur < wanted {
        limit.rlim_cur = wanted;
        // SAFETY: the pointer is valid for the one rlimit that the kernel reads.
        cvt(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }).unwrap();
    }
}

/// A temporary folder, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("runtime-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
