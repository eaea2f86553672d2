//! The contract between the reactor and a backend.
//!
//! A selector watches descriptors for one reactor and reports which of them became ready. It
//! translates between the system's calls and [`Event`]s, and decides nothing: the order of a turn,
//! timers, fairness and waking belong to the reactor. The rules in short:
//!
//! - A descriptor is added once, and named by its token from then on: for both directions, or for
//!   reading until a task waits to write.
//! - An *edge* backend (epoll, kqueue) reports a readiness when it begins. A *level* backend (poll,
//!   select) reports it while it lasts, so the reactor arms a direction before it waits for it, and
//!   the report disarms it.
//! - A report may be spurious. A readiness is never lost.
//! - Only `wait` blocks. All methods belong to the reactor's thread; other threads have [`Notify`].
//! - A descriptor is a raw number here, because a selector only names it to the kernel. The number
//!   may be closed or reused by then: a leaked `Source<BorrowedFd>` leaves its registration behind
//!   when the descriptor's owner closes it. No call may rely on it being open.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::event::Event;
use crate::interest::{Direction, Interest};
use crate::token::Token;

/// A backend that is open: one epoll, one kqueue, or the lists of poll and select.
pub(crate) trait Selector {
    /// Returns the backend that this selector belongs to. No system call.
    fn backend(&self) -> Backend;

    /// Returns true if the backend reports edges, and false if it reports levels. No system call.
    ///
    /// The answer never changes. A source of an edge backend can still be a level by itself: kqueue
    /// watches what it cannot register with a fallback selector, and marks its events with
    /// [`Readiness::LEVEL`](crate::interest::Readiness::LEVEL). The reactor arms such a source like
    /// one of a level backend.
    fn is_edge(&self) -> bool;

    /// Returns the interests other than the two directions that this backend can report. No system
    /// call.
    ///
    /// The reactor refuses to wait for the others with `Unsupported`.
    fn supported(&self) -> Interest;

    /// Returns the descriptor that becomes readable when `wait` has something to report. No system
    /// call.
    ///
    /// Returns `None` if no such descriptor exists: always on a level backend, and on kqueue while
    /// a fallback selector watches something.
    fn pollable_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Registers a descriptor for both directions under `token`.
    ///
    /// The reactor calls it once in the life of a registration, and immediately before a `wait`, so
    /// that a source that was dropped by then costs nothing. Every later event of the descriptor
    /// carries `token`. What is ready already counts as a new edge. A level backend starts with
    /// nothing armed.
    ///
    /// A backend may defer the registration to its next `wait`: kqueue passes its changelist to the
    /// call that waits. An error found then is reported by that `wait` as an [`Event`] with the
    /// token and the errno; it is never lost, and it never prevents another registration.
    ///
    /// Cost: one system call on epoll; on the others an fstat(2), which refuses regular files.
    ///
    /// # Errors
    /// - `EPERM` for a regular file or a directory, on every backend.
    /// - `EBADF` if the descriptor is closed.
    /// - `EEXIST` if the descriptor is registered already (epoll only).
    /// - `ENOSPC` or `ENOMEM` if the kernel has no room for another registration.
    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()>;

    /// Makes the next `wait` report again what is ready, although it was reported before
    /// (`EPOLL_CTL_MOD`, a repeated `EV_ADD`).
    ///
    /// The reactor calls it before a waiter that may have missed an edge: one on another thread,
    /// whose request arrives after the event did. A level backend has nothing to do, because its
    /// `wait` reports the present state in any case; arming is enough there. May be deferred like
    /// `add`.
    ///
    /// A descriptor that is closed or unknown to the kernel is not an error: its source was dropped
    /// on another thread, and the message that removes it has not been read yet.
    ///
    /// Cost: one system call on epoll, none elsewhere.
    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()>;

    /// Requests one report of `direction` for a level source.
    ///
    /// The reactor calls it before a waiter waits in that direction. The next `wait` asks the
    /// kernel for the direction and disarms it when it reports it, so that a readiness which no
    /// operation consumes does not end every wait. On an edge backend nothing happens, except for
    /// a source with `Readiness::LEVEL`. A token that is not registered is ignored.
    ///
    /// Cost: no system call.
    fn arm(&mut self, token: Token, direction: Direction);

    /// Requests one report of the part of `interest` that is not a direction: the peer's end, an
    /// error, urgent data.
    ///
    /// The reactor calls it before a waiter waits for that and for no operation; `interest` is
    /// within `supported`. On an edge backend `add` has asked already and nothing happens, except
    /// for a source with `Readiness::LEVEL`. A token that is not registered is ignored.
    ///
    /// Cost: no system call.
    fn arm_non_directional(&mut self, token: Token, interest: Interest);

    /// Sets whether `wait` reports a listener by level or by edge: for as long as connections wait
    /// in its queue, or when one comes. A level is not armed. What is ready already is reported.
    ///
    /// `add` has registered it by edge. Only epoll can change that. A level backend has no edges,
    /// and kqueue reports the number of connections with the edge.
    ///
    /// Cost: one system call.
    ///
    /// # Errors
    /// - `Unsupported` on kqueue, poll and select.
    /// - `ENOENT` or `EBADF` if the kernel does not know the descriptor.
    fn set_level(&mut self, _fd: RawFd, _token: Token, _is_level: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns true if the backend can omit the reports that a descriptor is writable, by
    /// `add_for_reading` and `set_writing`. No system call.
    fn can_omit_writing(&self) -> bool {
        false
    }

    /// Registers a descriptor like `add`, but omits the reports that it is writable until
    /// `set_writing` requests them. Called only if `can_omit_writing` returns true.
    ///
    /// # Errors
    /// Returns the errors of `add`.
    fn add_for_reading(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.add(fd, token)
    }

    /// Sets whether `wait` reports that a descriptor is writable. What is ready already is reported
    /// again, and a descriptor that is closed or unknown is not an error, as in `reregister`.
    ///
    /// Cost: one system call on epoll.
    fn set_writing(&mut self, fd: RawFd, token: Token, _is_watched: bool) -> io::Result<()> {
        self.reregister(fd, token)
    }

    /// Makes the kernel forget a descriptor that stays open.
    ///
    /// The reactor calls it for a source whose descriptor is returned to the program or may have
    /// duplicates. No event with `token` is reported afterwards. Takes effect at once, also if the
    /// `add` was still deferred.
    ///
    /// Cost: one system call on epoll and kqueue, none on poll and select.
    ///
    /// # Errors
    /// `ENOENT` or `EBADF` if the kernel does not know the descriptor, which the caller ignores.
    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()>;

    /// Forgets a registration whose descriptor is closed, or is about to be closed by its only
    /// owner.
    ///
    /// The kernel forgets a closed descriptor by itself. What remains is to cancel an `add` that
    /// was deferred, and to take a level source off the list. A token that is not registered is
    /// ignored.
    ///
    /// Cost: no system call.
    fn forget(&mut self, token: Token);

    /// Reports the exit of a process once, as a readable `token`. Only kqueue supports it.
    ///
    /// The registration takes effect before the call returns, so that the caller can look for an
    /// exit *afterwards*: a kernel does not report one that came before (it refuses with `ESRCH`,
    /// or stays silent), and a change deferred to the next `wait` would be checked too late.
    /// Nothing removes the registration. The kernel drops it with the event, and a repeated call
    /// for the same process replaces its token.
    ///
    /// Cost: one system call.
    ///
    /// # Errors
    /// - `Unsupported` on epoll, poll and select.
    /// - `ESRCH` if no such process exists; on some systems also if it has exited and was not
    ///   reaped yet.
    fn add_process(&mut self, _id: u32, _token: Token) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Blocks until something is ready, the notifier is notified or `limit` has passed, and
    /// replaces the contents of `events` with what became ready.
    ///
    /// A `limit` of `None` waits without end and one of zero does not block. A wait may return
    /// earlier than its limit and with no event: after a notification, after a signal (`EINTR` is
    /// not an error here), or because the backend caps its waits. The caller then computes its
    /// deadline again.
    ///
    /// Each readiness is reported at most once until it is armed or reregistered or, on an edge
    /// backend, begins again. One token may have several events in a batch; their readiness adds
    /// up. A closed descriptor that was not removed is silent on an edge backend. A level backend,
    /// whose kernel would complain at every wait, reports it once with `EBADF` and forgets it.
    ///
    /// Cost: one system call, two if kqueue refused a change. A full batch may leave events in the
    /// kernel, which the next call reports.
    ///
    /// # Errors
    /// The system call's own, after which the state of the selector is as before: `ENOMEM` or
    /// `EAGAIN`, after which the reactor tries again; `EBADF` for a kqueue that a forked child did
    /// not inherit, or if other code closed the selector's own descriptor.
    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()>;

    /// Returns the handle with which other threads end a `wait`. No system call.
    fn notifier(&self) -> Arc<dyn Notify>;
}

/// The part of a selector that any thread may use at any time.
pub(crate) trait Notify: Send + Sync {
    /// Ends the current `wait`, or the next one if none is running.
    ///
    /// Notifications coalesce: several of them may end a single wait. Cost: one system call.
    ///
    /// # Errors
    /// The system call's own. A counter or pipe that is full is not an error, because the wait ends
    /// already.
    fn notify(&self) -> io::Result<()>;

    /// Does the kernel's part of [`Selector::remove`] for a source that is dropped on another
    /// thread.
    ///
    /// Called while the descriptor is still open; the owner's thread calls [`Selector::forget`]
    /// when it reads the message about the drop. Cost: one system call on epoll and kqueue, none
    /// on poll and select. There is no caller left to report an error to.
    fn remove(&self, fd: RawFd);
}
