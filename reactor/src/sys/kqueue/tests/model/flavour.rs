//! What each system's kqueue does that another's does not: one switch a quirk.
//!
//! The names of files are those of the kernels' sources, mostly kern_event.c, where another file
//! is not named.

use std::cell::Cell;
use std::time::Duration;

/// One system's kqueue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flavour {
    /// There is EVFILT_USER: since NetBSD 10.0 and OpenBSD 7.8, elsewhere for long.
    pub(crate) user_filter: bool,
    /// NOTE_TRIGGER is ignored in the change that adds the filter (filt_userattach).
    pub(crate) trigger_is_lost_in_add: bool,
    /// EV_CLEAR takes the trigger of the same change back (filt_usertouch).
    pub(crate) clear_cancels_trigger: bool,
    pub(crate) no_room: NoRoom,
    /// An answer to a change has the change's flags besides EV_ERROR (bsd/kern/kern_event.c of XNU).
    pub(crate) answers_keep_flags: bool,
    /// EV_RECEIPT stays with the filter, so that its events have the bit.
    pub(crate) events_keep_receipt: bool,
    /// Adding again changes EV_CLEAR and EV_ONESHOT (knote_assign).
    pub(crate) readding_changes_mode: bool,
    pub(crate) pipes: Pipes,
    /// The errno of adding a write filter to a pipe whose other end is gone (pipe_kqfilter); where
    /// there is none, the filter reports EV_EOF.
    pub(crate) lone_pipe: Option<i32>,
    /// The write filter of a pipe is deleted once it has told the end.
    pub(crate) ended_pipe_is_deleted: bool,
    /// The errno of devices that no driver offers to kqueue, /dev/null for one.
    pub(crate) devices: Option<i32>,
    /// It is not told that the last writer of a named pipe is gone (go's issue 24164).
    pub(crate) misses_ends_of_fifos: bool,
    /// A process that only waits to be reaped is found, and told at once; elsewhere there is none
    /// (filt_procattach, ESRCH).
    pub(crate) tells_zombies: bool,
    /// Urgent data shows in the flags of a read filter (EV_OOBAND), whose count ends there
    /// (filt_soread_common of XNU); elsewhere the count goes on.
    pub(crate) tells_urgent: bool,
    /// Timeouts are rounded up to ticks of a clock (tstohz, tstohz_high).
    pub(crate) tick: Option<Duration>,
    /// `udata` holds 32 bits: the size of a pointer.
    pub(crate) is_32_bit: bool,
}

/// What becomes of the answer to a change when there is no room for it. An error that nobody asked
/// a receipt for is the result of the call everywhere but on DragonFly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The changes behind it are not made, and the call returns as if all was well.
    Stops,
    /// It is written past the end (kern_kevent, kevent_copyout).
    Overruns,
    /// It is dropped.
    Drops,
}

/// What a filter that does not fit the end of a pipe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pipes {
    /// Accepted, and silent for ever (pipe_nfiltops).
    OneWay,
    /// As good as the other one: pipes carry data both ways.
    TwoWay,
}

impl Flavour {
    pub(crate) const FREEBSD: Flavour = Flavour {
        user_filter: true,
        trigger_is_lost_in_add: true,
        clear_cancels_trigger: true,
        no_room: NoRoom::Stops,
        answers_keep_flags: false,
        events_keep_receipt: true,
        readding_changes_mode: false,
        pipes: Pipes::OneWay,
        lone_pipe: Some(libc::EPIPE),
        ended_pipe_is_deleted: true,
        devices: Some(libc::ENODEV),
        misses_ends_of_fifos: false,
        tells_zombies: true,
        tells_urgent: false,
        tick: None,
        is_32_bit: false,
    };

    pub(crate) const MACOS: Flavour = Flavour {
        trigger_is_lost_in_add: false,
        clear_cancels_trigger: false,
        no_room: NoRoom::Drops,
        answers_keep_flags: true,
        lone_pipe: None,
        ended_pipe_is_deleted: false,
        // Without NOTE_LOWAT (spec_kqfilter).
        devices: Some(libc::EINVAL),
        misses_ends_of_fifos: true,
        tells_zombies: false,
        tells_urgent: true,
        ..Flavour::FREEBSD
    };

    pub(crate) const NETBSD: Flavour = Flavour {
        events_keep_receipt: false,
        pipes: Pipes::TwoWay,
        lone_pipe: Some(libc::EBADF),
        ended_pipe_is_deleted: false,
        devices: None,
        tells_zombies: false,
        tick: Some(Duration::from_millis(10)),
        ..Flavour::FREEBSD
    };

    pub(crate) const OPENBSD: Flavour = Flavour {
        trigger_is_lost_in_add: false,
        events_keep_receipt: false,
        readding_changes_mode: true,
        pipes: Pipes::TwoWay,
        ended_pipe_is_deleted: false,
        devices: None,
        tells_zombies: false,
        ..Flavour::FREEBSD
    };

    pub(crate) const DRAGONFLY: Flavour = Flavour {
        trigger_is_lost_in_add: false,
        no_room: NoRoom::Overruns,
        events_keep_receipt: false,
        pipes: Pipes::TwoWay,
        ended_pipe_is_deleted: false,
        devices: None,
        tick: Some(Duration::from_millis(10)),
        ..Flavour::FREEBSD
    };

    /// Runs `f`, on this thread, where new queues are of this flavour.
    pub(crate) fn with<R>(self, f: impl FnOnce() -> R) -> R {
        let before = CURRENT.replace(self);
        let result = f();
        CURRENT.set(before);
        result
    }

    pub(super) fn current() -> Flavour {
        CURRENT.get()
    }
}

thread_local! {
    static CURRENT: Cell<Flavour> = const { Cell::new(Flavour::FREEBSD) };
}
