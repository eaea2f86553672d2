//! The differences between the systems' kqueues, one switch each.
//!
//! A comment names the kernel function, or the source file, in which the difference was found. A
//! function without a file is one of `kern_event.c`.

use std::cell::Cell;
use std::time::Duration;

/// The behavior of one system's kqueue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flavor {
    /// `EVFILT_USER` exists. NetBSD has it since 10.0 and OpenBSD since 7.8.
    pub(crate) has_user_filter: bool,
    /// `NOTE_TRIGGER` is ignored in the change that adds the filter (filt_userattach).
    pub(crate) trigger_ignored_on_add: bool,
    /// `EV_CLEAR` cancels a `NOTE_TRIGGER` in the same change (filt_usertouch).
    pub(crate) clear_cancels_trigger: bool,
    /// The fate of a receipt that does not fit into the event list.
    pub(crate) full_eventlist: FullEventlist,
    /// A receipt carries the flags of its change besides `EV_ERROR` (XNU).
    pub(crate) receipts_keep_flags: bool,
    /// `EV_RECEIPT` is stored in the knote, so that later events carry it.
    pub(crate) events_carry_receipt: bool,
    /// Events carry the `EV_ADD` of the change as well (observed on NetBSD).
    pub(crate) events_carry_add: bool,
    /// Adding a filter again changes `EV_CLEAR` and `EV_ONESHOT` (knote_assign).
    pub(crate) readd_changes_mode: bool,
    pub(crate) pipe_filters: PipeFilters,
    /// The error of adding a write filter to a pipe whose reader has closed (pipe_kqfilter). With
    /// `None` the filter is added and reports `EV_EOF`.
    pub(crate) broken_pipe_errno: Option<i32>,
    /// The write filter of a pipe is deleted once it has reported `EV_EOF`.
    pub(crate) broken_pipe_deletes_filter: bool,
    /// When the reader of a pipe closes, the kernel deletes the write filter of the other end
    /// without an event (sys_pipe.c of NetBSD runs it before it records the end). The read filter
    /// of that end reports `EV_EOF`.
    pub(crate) write_filter_misses_eof: bool,
    /// Both filters work on both ends of a named FIFO, which is a pair of sockets: the read filter
    /// reports the data in it, the write filter its room, and `EV_EOF` once the reader has closed
    /// (fifo_vnops.c; observed on NetBSD).
    pub(crate) fifo_is_socket_pair: bool,
    /// The error of adding a filter to a device whose driver has no kqueue support, such as
    /// /dev/null.
    pub(crate) device_errno: Option<i32>,
    /// The error of adding the write filter to the kernel's log, which can be read only (observed
    /// on NetBSD, with /dev/klog). With `None` it is a device like the others.
    pub(crate) log_errno: Option<i32>,
    /// The reader of a named FIFO gets no event when the last writer closes (golang/go#24164).
    pub(crate) misses_fifo_eof: bool,
    /// A process that has exited but was not reaped can be watched, and is reported at once.
    /// Elsewhere adding the filter fails with `ESRCH` (filt_procattach).
    pub(crate) reports_zombies: bool,
    /// A read filter flags urgent data (`EV_OOBAND`) and counts the bytes before it
    /// (filt_soread_common of XNU). Elsewhere the count includes the bytes behind it.
    pub(crate) reports_urgent: bool,
    /// Timeouts are rounded up to ticks of this length (tstohz, tstohz_high).
    pub(crate) tick: Option<Duration>,
    /// One more tick is added, since the present one has begun already (observed on NetBSD).
    pub(crate) adds_a_tick: bool,
    /// A datagram counts for this many bytes more than its data, because its address is in the
    /// receive buffer too (observed on NetBSD).
    pub(crate) datagram_overhead: i64,
    /// The filters of a stream socket that was never connected report nothing (observed on NetBSD).
    pub(crate) unconnected_is_silent: bool,
    /// A refused connect has `ECONNREFUSED` in fflags; elsewhere every error is `ECONNRESET` here.
    pub(crate) reports_refusal: bool,
    /// `udata` is a pointer of 32 bits.
    pub(crate) udata_is_32_bit: bool,
}

/// The treatment of a receipt for which the event list has no room.
///
/// A change that failed without `EV_RECEIPT` makes the call itself fail in that case, except on
/// DragonFly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FullEventlist {
    /// Makes none of the changes behind it, and returns without an error.
    Stops,
    /// Writes it past the end of the list (kern_kevent, kevent_copyout).
    Overruns,
    /// Drops it and continues.
    Drops,
    /// Makes none of the changes behind it, and returns 0 events without an error, although earlier
    /// receipts did fit (observed on NetBSD).
    StopsEmpty,
}

/// The filters that work on the two ends of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipeFilters {
    /// The other direction's filter is accepted and never reports anything (pipe_nfiltops).
    OwnDirection,
    /// The other direction's filter reports `EV_EOF` and nothing else.
    OwnDirectionAndEof,
    /// Pipes carry data in both directions, so both filters work on both ends.
    BothDirections,
}

impl Flavor {
    pub(crate) const FREEBSD: Flavor = Flavor {
        has_user_filter: true,
        trigger_ignored_on_add: true,
        clear_cancels_trigger: true,
        full_eventlist: FullEventlist::Stops,
        receipts_keep_flags: false,
        events_carry_receipt: true,
        events_carry_add: false,
        readd_changes_mode: false,
        pipe_filters: PipeFilters::OwnDirection,
        broken_pipe_errno: Some(libc::EPIPE),
        broken_pipe_deletes_filter: true,
        write_filter_misses_eof: false,
        fifo_is_socket_pair: false,
        device_errno: Some(libc::ENODEV),
        log_errno: None,
        misses_fifo_eof: false,
        reports_zombies: true,
        reports_urgent: false,
        tick: None,
        adds_a_tick: false,
        datagram_overhead: 0,
        unconnected_is_silent: false,
        reports_refusal: false,
        udata_is_32_bit: false,
    };

    pub(crate) const MACOS: Flavor = Flavor {
        trigger_ignored_on_add: false,
        clear_cancels_trigger: false,
        full_eventlist: FullEventlist::Drops,
        receipts_keep_flags: true,
        broken_pipe_errno: None,
        broken_pipe_deletes_filter: false,
        // Without NOTE_LOWAT (spec_kqfilter).
        device_errno: Some(libc::EINVAL),
        misses_fifo_eof: true,
        reports_zombies: false,
        reports_urgent: true,
        ..Flavor::FREEBSD
    };

    pub(crate) const NETBSD: Flavor = Flavor {
        full_eventlist: FullEventlist::StopsEmpty,
        events_carry_add: true,
        pipe_filters: PipeFilters::OwnDirectionAndEof,
        broken_pipe_errno: Some(libc::EBADF),
        broken_pipe_deletes_filter: false,
        write_filter_misses_eof: true,
        fifo_is_socket_pair: true,
        device_errno: None,
        log_errno: Some(libc::EINVAL),
        reports_zombies: false,
        tick: Some(Duration::from_millis(10)),
        adds_a_tick: true,
        datagram_overhead: 16,
        unconnected_is_silent: true,
        reports_refusal: true,
        ..Flavor::FREEBSD
    };

    pub(crate) const OPENBSD: Flavor = Flavor {
        trigger_ignored_on_add: false,
        events_carry_receipt: false,
        readd_changes_mode: true,
        pipe_filters: PipeFilters::BothDirections,
        broken_pipe_deletes_filter: false,
        device_errno: None,
        reports_zombies: false,
        ..Flavor::FREEBSD
    };

    pub(crate) const DRAGONFLY: Flavor = Flavor {
        trigger_ignored_on_add: false,
        full_eventlist: FullEventlist::Overruns,
        events_carry_receipt: false,
        pipe_filters: PipeFilters::BothDirections,
        broken_pipe_deletes_filter: false,
        device_errno: None,
        tick: Some(Duration::from_millis(10)),
        ..Flavor::FREEBSD
    };

    /// Runs `f` so that the queues it opens on this thread are of this flavor.
    pub(crate) fn with<R>(self, f: impl FnOnce() -> R) -> R {
        let before = CURRENT.replace(self);
        let result = f();
        CURRENT.set(before);
        result
    }

    pub(super) fn current() -> Flavor {
        CURRENT.get()
    }
}

thread_local! {
    static CURRENT: Cell<Flavor> = const { Cell::new(Flavor::FREEBSD) };
}
