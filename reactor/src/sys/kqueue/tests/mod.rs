//! Tests of the backend, run on every flavor of the model, or on the system's own kqueue.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::{process, thread};

#[cfg(any(target_os = "linux", target_os = "android"))]
use self::model::Flavor;
use super::*;
use crate::sys::cvt::cvt;

mod ends;
mod falling_back;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod model;
mod registering;
mod waiting;

const ONE: Token = Token::new(1, 7);
const TWO: Token = Token::new(2, 7);
const NOTHING: (Readiness, i32) = (Readiness::EMPTY, 0);
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);
/// Longer than any expected event takes to arrive.
const SOON: Option<Duration> = Some(Duration::from_secs(10));

/// Makes each of the functions a test of every flavor, or of the system's own kqueue.
macro_rules! on_every_kqueue {
    ($($file:ident::$name:ident,)*) => {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        on_every_kqueue! { @model [$($file::$name)*]
            freebsd Flavor::FREEBSD,
            macos Flavor::MACOS,
            netbsd Flavor::NETBSD,
            openbsd Flavor::OPENBSD,
            dragonfly Flavor::DRAGONFLY,
            freebsd_of_32_bits Flavor { udata_is_32_bit: true, ..Flavor::FREEBSD },
            netbsd_before_10 Flavor { has_user_filter: false, ..Flavor::NETBSD },
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        mod native {
            $(#[test] fn $name() { super::watched(super::$file::$name); })*
        }
    };
    (@model $names:tt $($flavor:ident $value:expr,)*) => {
        $(on_every_kqueue! { @flavor $flavor ($value) $names })*
    };
    (@flavor $flavor:ident ($value:expr) [$($file:ident::$name:ident)*]) => {
        mod $flavor {
            use super::Flavor;
            $(#[test]
            fn $name() {
                ($value).with(|| super::watched(super::$file::$name));
            })*
        }
    };
}

on_every_kqueue! {
    registering::a_registration_is_made_by_the_wait_and_reports_once,
    registering::a_refused_change_neither_prevents_others_nor_hides_their_events,
    registering::a_wait_whose_refusals_are_all_dropped_continues,
    registering::a_removed_or_forgotten_registration_is_silent,
    registering::removing_a_registration_takes_no_event_from_another,
    registering::a_reused_number_reports_to_its_new_token_only,
    registering::a_descriptor_removed_during_a_wait_is_silent,
    registering::regular_files_and_directories_are_refused_by_add,
    registering::a_nested_kqueue_is_watched_for_reading,
    ends::the_peers_half_close_leaves_our_direction_open,
    ends::our_own_shutdown_is_no_hang_up,
    ends::a_hang_up_is_reported_while_data_is_left,
    ends::the_writer_of_a_pipe_without_a_reader_is_writable_and_closed,
    ends::the_reader_of_a_pipe_without_a_writer_is_readable_and_closed,
    ends::a_registered_writer_is_writable_and_closed_when_the_reader_closes,
    waiting::every_edge_is_reported_although_each_is_consumed,
    waiting::a_notification_ends_a_wait_without_limit_and_reports_nothing,
    waiting::no_notification_of_many_threads_is_lost,
    waiting::a_full_event_list_grows,
    waiting::limits_of_any_length_are_accepted,
    waiting::the_kqueue_is_readable_when_there_is_something_to_report,
    falling_back::a_terminal_is_watched_whether_or_not_kqueue_accepts_it,
    falling_back::a_source_that_kqueue_refuses_is_armed_whenever_it_waits,
    falling_back::a_device_that_is_always_ready_does_not_end_every_wait,
    falling_back::a_device_that_refuses_one_filter_is_watched_for_the_other,
}

/// Runs a test, and aborts the process if it hangs.
fn watched(test: fn()) {
    let (watchdog, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("a test of the kqueue backend hangs");
            process::abort();
        }
    });
    #[cfg(not(loom))]
    let _shared = crate::sys::conformance::shared();
    test();
    drop(watchdog);
}

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// Returns the reader and the writer of a pipe.
fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    // SAFETY: the pointer is valid for the two descriptors that pipe writes.
    cvt(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
    // SAFETY: the kernel has just returned these descriptors, and they have no other owner.
    ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into()
}

/// Waits once. Returns what was reported of `token`, and the errno or 0.
fn wait_once(kqueue: &mut Kqueue, token: Token, limit: Option<Duration>) -> (Readiness, i32) {
    let mut events = Vec::new();
    kqueue.wait(&mut events, limit).unwrap();
    let ours = events.iter().filter(|event| event.token == token);
    ours.fold(NOTHING, |(readiness, errno), event| {
        (readiness | event.readiness, errno.max(event.errno))
    })
}

/// Returns a kqueue with a registration whose first events were consumed.
fn watching(fd: &impl AsRawFd, token: Token) -> Kqueue {
    let mut kqueue = Kqueue::new().unwrap();
    kqueue.add(fd.as_raw_fd(), token).unwrap();
    wait_once(&mut kqueue, token, AT_ONCE);
    kqueue
}
