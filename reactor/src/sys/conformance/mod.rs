//! One suite for all selectors: what the contract at the top of `sys` promises, asked of each
//! backend that the platform has.
//!
//! What needs more than a selector is tested on the whole reactor, which runs on each backend in
//! turn too (`RUNTIME_BACKEND`): stale tokens (`closed_and_reused`, `tests/waiting`), coalescing of
//! notifications (`notifications`, `tests/messages`), deadlines under load (`timers`), and, in the
//! crates above, running out of descriptors in `accept` (`net/tests/starving`).

mod batches;
mod closing;
mod kinds;
mod notifying;
mod processes;
mod readiness;
mod sources;
mod timing;

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use std::{env, fs, thread};

use super::cvt::cvt;
use super::poll::POLLRDHUP;
use super::{Backend, Event, Selector};
use crate::interest::{Direction, Readiness};
use crate::sync::unpoisoned;
use crate::token::Token;

/// Makes a module of tests, one for each case, out of a `fn() -> io::Result<Box<dyn Selector>>`.
macro_rules! conformance {
    ($name:ident, $open:expr) => {
        mod $name {
            use super::*;

            conformance! { @cases $open;
                batches::a_descriptor_of_1024_and_over_is_watched_like_any_other,
                batches::more_events_than_the_buffer_holds_come_one_batch_after_the_other,
                batches::one_that_cannot_be_registered_stops_no_other,
                batches::the_parent_of_a_forked_child_still_gets_its_events,
                closing::a_closed_descriptor_is_told_at_most_once_and_stops_no_other,
                closing::a_number_that_is_used_again_belongs_to_its_new_owner,
                closing::two_descriptors_of_one_file_are_two_registrations,
                closing::what_concerns_an_earlier_occupant_of_a_slot_leaves_the_next_alone,
                closing::what_is_closed_can_be_renewed_and_forgotten,
                closing::what_is_removed_or_forgotten_is_silent,
                closing::what_was_removed_can_be_added_again,
                kinds::a_regular_file_and_a_directory_are_refused,
                kinds::a_terminal_is_readable_when_a_line_was_typed,
                kinds::dev_null_is_ready_or_refused_but_never_silent,
                kinds::the_reader_of_a_fifo_hears_its_writers_come_and_go,
                kinds::the_reader_of_a_pipe_hears_that_its_writer_is_gone,
                kinds::the_writer_of_a_pipe_hears_that_its_reader_was_gone_before,
                kinds::the_writer_of_a_pipe_hears_that_its_reader_has_gone,
                notifying::a_notification_before_the_wait_ends_it_and_reports_nothing,
                notifying::a_storm_of_signals_loses_no_event_and_no_registration,
                notifying::no_ring_of_ten_thousand_is_lost,
                processes::a_process_that_has_ended_before_is_told_or_refused,
                processes::a_task_that_waits_for_the_end_of_a_process_is_woken,
                processes::the_end_of_a_process_is_told_once_to_the_last_who_asked,
                processes::the_end_of_a_process_reaches_another_thread,
                processes::the_end_of_a_process_that_nobody_waits_for_any_more_is_stale,
                readiness::a_connection_that_was_made_is_writable,
                readiness::a_connection_that_was_refused_is_writable_and_has_an_error,
                readiness::a_full_backlog_is_readable_until_it_is_empty,
                readiness::a_half_close_comes_with_the_data_before_it,
                readiness::a_hang_up_reaches_both_directions,
                readiness::a_peer_that_ends_while_nobody_waits_ends_no_wait_of_a_level,
                readiness::our_own_half_close_is_not_the_peers,
                readiness::room_to_write_is_told_when_the_peer_has_read,
                readiness::what_became_ready_is_told_once_until_it_is_armed_or_renewed,
                sources::a_short_read_at_urgent_data_hides_nothing_behind_it,
                timing::a_limit_is_never_cut_short,
                timing::limits_of_any_length_are_taken,
                timing::without_a_limit_to_wait_nothing_blocks,
            }
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
/// The backend for kqueue on the model of each system's kernel.
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

const ONE: Token = Token::new(1, 7);
const TWO: Token = Token::new(2, 7);
const NOTHING: (Readiness, i32) = (Readiness::EMPTY, 0);
const BOTH: Readiness = Readiness::from_bits(3);

/// What forks, or gives numbers of descriptors a meaning, must have nobody beside it.
static BESIDE: RwLock<()> = RwLock::new(());

/// Held by a test that such a one must not run beside.
pub(super) fn beside() -> RwLockReadGuard<'static, ()> {
    unpoisoned(BESIDE.read())
}

/// A selector, and what a test asks of it.
pub(super) struct Stage {
    selector: Box<dyn Selector>,
    events: Vec<Event>,
    company: Company,
    /// Aborts the process if the test hangs; dropped when it does not.
    _watchdog: Sender<()>,
}

#[allow(dead_code, reason = "only their drop matters")]
enum Company {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
    Neither,
}

impl Stage {
    fn open(open: fn() -> io::Result<Box<dyn Selector>>) -> Stage {
        let (watchdog, bone) = mpsc::channel::<()>();
        thread::spawn(move || {
            if bone.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("a case of the conformance suite hangs");
                std::process::abort();
            }
        });
        Stage {
            company: Company::Shared(beside()),
            selector: open().unwrap(),
            events: Vec::new(),
            _watchdog: watchdog,
        }
    }

    /// From here on no other case runs beside this one.
    fn alone(&mut self) {
        self.company = Company::Neither;
        self.company = Company::Alone(unpoisoned(BESIDE.write()));
    }

    /// Registers and arms in both directions. Says the errno, if that is found out at once.
    fn add(&mut self, fd: &impl AsRawFd, token: Token) -> Option<i32> {
        let added = self.selector.add(fd.as_raw_fd(), token);
        self.arm(token);
        added.err().map(|e| e.raw_os_error().unwrap())
    }

    fn arm(&mut self, token: Token) {
        self.selector.arm(token, Direction::Read);
        self.selector.arm(token, Direction::Write);
    }

    /// What one wait says of `token`, and the errno if there is one.
    fn told(&mut self, token: Token, limit: Duration) -> (Readiness, i32) {
        self.selector.wait(&mut self.events, Some(limit)).unwrap();
        let ours = self.events.iter().filter(|event| event.token == token);
        ours.fold(NOTHING, |(readiness, errno), event| {
            (readiness | event.readiness, errno.max(event.errno))
        })
    }

    /// What there is to say of `token` at this moment.
    fn now(&mut self, token: Token) -> (Readiness, i32) {
        self.told(token, Duration::ZERO)
    }

    /// Waits until all of `wanted` was said of `token`, and gives all that was. An error is none of it.
    fn until(&mut self, token: Token, wanted: Readiness) -> Readiness {
        let mut heard = Readiness::EMPTY;
        while heard.without(wanted) | wanted != heard {
            let (readiness, errno) = self.told(token, Duration::from_secs(600));
            assert_eq!(errno, 0, "an error instead of {wanted:?}");
            heard |= readiness;
        }
        heard
    }

    /// Registers, and gives the errno with which that was refused, now or by the next wait; 0 if it
    /// was not and the descriptor is ready.
    fn refusal(&mut self, fd: &impl AsRawFd, token: Token) -> i32 {
        if let Some(errno) = self.add(fd, token) {
            return errno;
        }
        loop {
            let (readiness, errno) = self.told(token, Duration::from_secs(600));
            if errno != 0 || !readiness.is_empty() {
                return errno;
            }
        }
    }

    /// Whether the end of a direction is told apart from data.
    fn tells_ends(&self) -> bool {
        match self.selector.backend() {
            Backend::Select => false,
            Backend::Poll => POLLRDHUP != 0,
            Backend::Epoll | Backend::Kqueue => true,
        }
    }
}

/// Two Unix sockets that do not block.
fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, theirs)
}

/// Two TCP sockets that do not block.
fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, theirs)
}

/// A duplicate whose number is the first free one from `least` on; `None` if so large ones are not
/// allowed.
fn duplicate_from(fd: &impl AsRawFd, least: RawFd) -> Option<OwnedFd> {
    allow_many_descriptors();
    // SAFETY: F_DUPFD_CLOEXEC takes an int and no pointer; the descriptor is borrowed, so it is open.
    let duplicate = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) });
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    duplicate.ok().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Raises the limit for this process, as far as a process may, and no further than is of use.
fn allow_many_descriptors() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one rlimit to the place it is given.
    cvt(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }).unwrap();
    let wanted = limit.rlim_max.min(4096);
    if limit.rlim_cur < wanted {
        limit.rlim_cur = wanted;
        // SAFETY: the kernel reads one rlimit.
        cvt(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }).unwrap();
    }
}

/// A folder of its own, removed in the end.
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
