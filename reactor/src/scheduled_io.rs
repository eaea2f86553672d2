//! The state that a source and its registration share.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{RawWakerVTable, Waker};
use std::{io, ptr};

use crate::error::{cannot_wait, with_context};
use crate::interest::{Direction, Interest, Readiness};
use crate::tick::tick;
use crate::token::Token;

/// The object that a selector watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A descriptor, which its source keeps open. Here it is only a name for the selector.
    Fd(RawFd),
    /// A process ID. The exit of the process is reported as readable.
    Process(u32),
}

/// The state that a source and its registration share, so that an operation that need not wait
/// accesses nothing else.
///
/// Only the reactor's thread writes it (except [`take_priority`](ScheduledIo::take_priority)), so
/// plain loads and stores suffice. They are atomic because handles on other threads hold it too.
#[derive(Debug)]
pub(crate) struct ScheduledIo {
    /// The number of the reactor.
    pub(crate) reactor: u32,
    pub(crate) token: Token,
    pub(crate) target: Target,
    /// The non-directional interest that the selector can report.
    pub(crate) supported: Interest,
    /// Set by events, and initially, because the first operation is simply tried; cleared by the
    /// operation that returns `WouldBlock`.
    readiness: AtomicU8,
    /// The errno of a registration that failed, or 0, by direction: kqueue registers the two
    /// directions one by one. The next wait returns it. A wait on another thread only reads it: the
    /// message that it sends has the reactor's thread clear it, so no clear can be lost.
    errnos: [AtomicU16; 2],
    /// The number of unread bytes at the last event that reported one.
    unread: AtomicU32,
    resting: [RestingWaker; 2],
    /// The next registration, once the reactor of this one was dropped.
    pub(crate) next: OnceLock<Arc<ScheduledIo>>,
}

/// The address of a waker that was called and stays in the registration, so that its task waits
/// again by a comparison and a store. The vtable is null if there is none.
#[derive(Debug, Default)]
struct RestingWaker {
    data: AtomicPtr<()>,
    vtable: AtomicPtr<RawWakerVTable>,
}

impl Drop for ScheduledIo {
    /// Drops the following ones in a loop, where nested drops might overflow the stack.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut scheduled) = next.and_then(Arc::into_inner) {
            next = scheduled.next.take();
        }
    }
}

impl ScheduledIo {
    pub(crate) fn new(
        reactor: u32,
        token: Token,
        target: Target,
        supported: Interest,
        readiness: Readiness,
    ) -> ScheduledIo {
        ScheduledIo {
            reactor,
            token,
            target,
            supported,
            readiness: AtomicU8::new(readiness.to_bits()),
            errnos: [AtomicU16::new(0), AtomicU16::new(0)],
            unread: AtomicU32::new(0),
            resting: Default::default(),
            next: OnceLock::new(),
        }
    }

    /// Returns true if its reactor is the one of this thread.
    #[inline]
    pub(crate) fn is_local(&self) -> bool {
        self.reactor == tick().reactor()
    }

    #[inline]
    pub(crate) fn readiness(&self) -> Readiness {
        Readiness::from_bits(self.readiness.load(Ordering::Relaxed))
    }

    #[inline]
    fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(readiness.to_bits(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add_readiness(&self, readiness: Readiness) {
        self.set_readiness(self.readiness() | readiness);
    }

    /// Returns true if the selector reports each change once, without being armed again.
    #[inline]
    pub(crate) fn is_edge(&self) -> bool {
        !self.readiness().intersects(Readiness::LEVEL)
    }

    /// Returns true if an operation of `direction` is worth an attempt.
    #[inline]
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.readiness().intersects(direction.readiness_mask())
    }

    /// Returns true if a waker for `direction` can simply be stored: the direction is not ready,
    /// its registration has not failed, and the selector need not be armed.
    #[inline]
    pub(crate) fn may_just_wait(&self, direction: Direction) -> bool {
        let prevents = direction.readiness_mask() | Readiness::LEVEL;
        !self.readiness().intersects(prevents) && self.errno(direction) == 0
    }

    /// Notes that the waker of `direction` was called and stays in the registration.
    #[inline]
    pub(crate) fn set_resting(&self, direction: Direction, waker: &Waker) {
        let resting = &self.resting[direction.index()];
        let vtable = ptr::from_ref(waker.vtable()).cast_mut();
        resting
            .data
            .store(waker.data().cast_mut(), Ordering::Relaxed);
        resting.vtable.store(vtable, Ordering::Relaxed);
    }

    /// Returns true if the waker of `direction` in the registration does not wait.
    #[inline]
    pub(crate) fn is_resting(&self, direction: Direction) -> bool {
        let resting = &self.resting[direction.index()];
        !resting.vtable.load(Ordering::Relaxed).is_null()
    }

    /// Notes that the waker of `direction` waits, or is about to be removed. Returns true if it was
    /// resting.
    #[inline]
    pub(crate) fn end_rest(&self, direction: Direction) -> bool {
        let was_resting = self.is_resting(direction);
        let resting = &self.resting[direction.index()];
        resting.vtable.store(ptr::null_mut(), Ordering::Relaxed);
        was_resting
    }

    /// Lets the waker of `direction` wait again if it is resting and equal to `waker`. Returns
    /// false otherwise.
    #[inline]
    pub(crate) fn wait_again(&self, direction: Direction, waker: &Waker) -> bool {
        let resting = &self.resting[direction.index()];
        let is_same = ptr::eq(resting.vtable.load(Ordering::Relaxed), waker.vtable())
            && ptr::eq(resting.data.load(Ordering::Relaxed), waker.data());
        if is_same {
            resting.vtable.store(ptr::null_mut(), Ordering::Relaxed);
        }
        is_same
    }

    /// Notes that an operation of `direction` found nothing. The end of the direction, if one was
    /// reported, is cleared too: a named pipe may have a new writer.
    #[inline]
    pub(crate) fn clear_readiness(&self, direction: Direction) {
        self.set_readiness(self.readiness().without(direction.readiness_mask()));
    }

    /// Records the number of unread bytes that an event reports, if it does.
    #[inline]
    pub(crate) fn set_unread(&self, bytes: u32) {
        if bytes != 0 {
            self.unread.store(bytes, Ordering::Relaxed);
        }
    }

    /// Takes one of the number that the last event reported, if it did. Returns true if none is
    /// left.
    pub(crate) fn take_unread(&self) -> bool {
        let unread = self.unread.load(Ordering::Relaxed);
        self.unread
            .store(unread.saturating_sub(1), Ordering::Relaxed);
        unread == 1
    }

    /// Sets whether the selector reports the source for as long as it is ready.
    pub(crate) fn set_level(&self, is_level: bool) {
        let others = self.readiness().without(Readiness::LEVEL);
        let level = if is_level {
            Readiness::LEVEL
        } else {
            Readiness::EMPTY
        };
        self.set_readiness(others | level);
    }

    /// Notes that an operation moved `moved` bytes, fewer than it could have. If that was all there
    /// was, the direction is not ready until the kernel reports it.
    ///
    /// Readiness stays after the end was reported, since that happens only once, and where urgent
    /// data may have cut the operation short: the kernel reported it, or reported more to read.
    #[inline]
    pub(crate) fn on_short_transfer(&self, direction: Direction, moved: usize) {
        let available = match direction {
            Direction::Read => self.unread.load(Ordering::Relaxed) as usize,
            Direction::Write => 0,
        };
        let readiness = self.readiness();
        let stays = readiness.is_exceptional() || readiness.intersects(Readiness::LEVEL);
        if moved >= available && !stays {
            self.clear_readiness(direction);
        }
    }

    /// Notes that the urgent data is about to be read. On any thread: a store of the reactor's own
    /// at the same moment may undo it, and then it is reported once more.
    #[cold]
    pub(crate) fn take_priority(&self) {
        let remaining = !Readiness::PRIORITY.to_bits();
        self.readiness.fetch_and(remaining, Ordering::Relaxed);
    }

    #[inline]
    fn errno(&self, direction: Direction) -> u16 {
        self.errnos[direction.index()].load(Ordering::Relaxed)
    }

    /// # Errors
    /// Returns the error of the registration if none of `interest` can be waited for. On any
    /// thread.
    #[inline]
    pub(crate) fn check(&self, interest: Interest) -> io::Result<()> {
        if Direction::BOTH.iter().all(|&d| self.errno(d) == 0) {
            return Ok(());
        }
        self.registration_error(interest)
    }

    #[cold]
    fn registration_error(&self, interest: Interest) -> io::Result<()> {
        let mut error = None;
        for direction in interest.error_directions() {
            match self.errno(direction) {
                0 => return Ok(()),
                errno => {
                    error.get_or_insert(io::Error::from_raw_os_error(errno.into()));
                }
            }
        }
        match (error, self.target) {
            (None, _) => Ok(()),
            (Some(e), Target::Fd(fd)) => Err(cannot_wait(fd, e)),
            (Some(e), Target::Process(id)) => {
                Err(with_context(format!("cannot wait for process {id}"), e))
            }
        }
    }

    /// Notes that the registration failed for the directions that `readiness` names, or for both if
    /// it names none. Returns the readiness to report.
    #[cold]
    pub(crate) fn fail(&self, readiness: Readiness, errno: i32) -> Readiness {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        let readiness = if readiness.intersects(both) {
            readiness
        } else {
            readiness | both
        };
        // There is no errno that does not fit.
        let errno = u16::try_from(errno).unwrap_or(libc::EIO as u16);
        for direction in Direction::BOTH {
            if readiness.intersects(direction.readiness()) {
                self.errnos[direction.index()].store(errno, Ordering::Relaxed);
            }
        }
        readiness
    }

    /// Forgets the error of `interest`, because it was returned or is no longer true. Like `fail`
    /// it is called by the reactor alone, so that neither undoes what the other has stored.
    pub(crate) fn clear_error(&self, interest: Interest) {
        for direction in interest.error_directions() {
            self.errnos[direction.index()].store(0, Ordering::Relaxed);
        }
    }

    /// # Errors
    /// Returns `Unsupported` if the selector cannot report some of `interest`.
    #[cold]
    pub(crate) fn check_supported(&self, interest: Interest) -> io::Result<()> {
        let unsupported = interest.non_directional().without(self.supported);
        if unsupported.is_empty() {
            return Ok(());
        }
        let text = format!("this backend cannot report {unsupported:?}");
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}
