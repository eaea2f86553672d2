//! A descriptor whose operations can be awaited.

use std::future::Future;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::{fmt, io, ptr};

use crate::backlog::Backlog;
use crate::context;
use crate::current_io::CurrentIo;
use crate::descriptor;
use crate::error::no_runtime;
use crate::inbox::{Inbox, Request};
use crate::interest::{Direction, Interest, Readiness};
use crate::quota::Quota;
use crate::reactor::Reactor;
use crate::scheduled_io::{ScheduledIo, Target};
use crate::tick::tick;

/// A non-blocking descriptor with the tasks that wait for it.
///
/// An operation is simply attempted. When one first returns `WouldBlock`, the descriptor is
/// registered in the reactor of the polling thread, once and for both directions (except with
/// [`writing_on_demand`](Source::writing_on_demand)); from then on the source belongs to that
/// reactor. The registration reaches the kernel when the reactor next waits, or never if the source
/// is dropped before. If the kernel refuses it, the waiting tasks get the error, and the next task
/// that waits causes another attempt. A source that never had to wait belongs to no reactor, and
/// costs no system call other than its own operations.
///
/// A source may be used from any thread. On a thread other than its reactor's it waits by messages
/// to that reactor, which has to run: a source that belongs to a reactor that is alive is never
/// moved to another. Once that reactor was dropped, the source is registered again, in the reactor
/// of the thread that next polls it. Share one source between tasks instead of making two for one
/// descriptor. On epoll the second source that has to wait is refused with `AlreadyExists`; on
/// kqueue it takes the events of the first; on poll and select both get theirs.
///
/// # Platform-specific behavior
/// When a source is dropped, its descriptor is closed, and the kernel forgets it. If another
/// descriptor of the same open file may live on, because it was duplicated or came from elsewhere,
/// the registration has to be removed explicitly, which on epoll takes a system call: see
/// [`sole_owner`](Source::sole_owner).
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use std::task::{Context, Poll, Waker};
/// use runtime_reactor::{Direction, Reactor, Source};
///
/// # fn main() -> std::io::Result<()> {
/// let reactor = Reactor::new()?;
/// let _guard = reactor.enter();
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let source = Source::new(ours);
///
/// let mut byte = [0];
/// let mut read = |cx: &mut Context<'_>| {
///     source.poll_io(Direction::Read, cx, |mut stream| stream.read(&mut byte))
/// };
/// let mut cx = Context::from_waker(Waker::noop());
/// assert!(read(&mut cx).is_pending()); // found nothing, so it is registered
/// theirs.write_all(b"x")?;
/// reactor.turn(None)?;                 // wakes the waker
/// assert!(matches!(read(&mut cx), Poll::Ready(Ok(1))));
/// # Ok(())
/// # }
/// ```
pub struct Source<T> {
    // Dropped before `io`, so that the registration is removed while the descriptor is open.
    state: SourceState,
    io: T,
}

/// The part of a source that does not depend on its type.
struct SourceState {
    /// The state shared with the registration, which is written by the thread that first waits.
    scheduled: CurrentIo,
    quota: Quota,
    /// The readiness that a `try_` method found missing before there was a registration, as bits.
    blocked: AtomicU8,
    /// True if a read or write of less than was requested means that there is no more.
    streaming: bool,
    /// True if closing the descriptor closes the open file.
    sole_owner: bool,
    /// True if known readiness is confirmed by the kernel before it is reported.
    confirming: bool,
    /// True if it is watched for writing only while a task waits to write.
    writing_on_demand: bool,
}

impl<T: AsFd> Source<T> {
    /// Creates a source of `io`, which must be non-blocking already: an operation on a blocking
    /// descriptor stops the thread. No system call is made.
    pub fn new(io: T) -> Source<T> {
        Source {
            state: SourceState {
                scheduled: CurrentIo::default(),
                quota: Quota::default(),
                blocked: AtomicU8::new(0),
                streaming: false,
                sole_owner: false,
                confirming: false,
                writing_on_demand: false,
            },
            io,
        }
    }

    /// Sets the source to be a stream on which a transfer of less than was requested means that
    /// there is no more, which saves an attempt that returns `WouldBlock`. This is true of TCP
    /// sockets and pipes.
    ///
    /// This is not true of datagrams, terminals or devices, nor of Unix sockets: there a read stops
    /// after each message that brings a descriptor, and before one of another sender (unix(7)).
    /// Tasks would not be woken for the data behind it.
    #[must_use]
    pub fn streaming(mut self) -> Source<T> {
        self.state.streaming = true;
        self
    }

    /// Sets the source to hold the only descriptor of its open file, so that the kernel removes the
    /// registration when it is closed. If that is not true, later events of the open file are
    /// [dropped as stale](crate::Stats::stale_events).
    #[must_use]
    pub fn sole_owner(mut self) -> Source<T> {
        self.state.sole_owner = true;
        self
    }

    /// Sets the source to confirm known readiness by poll(2) before [`ready`](Source::ready)
    /// reports it. This is for an object on which operations are performed that the source does not
    /// see: without it, a task that waits and operates in a loop would spin.
    #[must_use]
    pub fn confirming(mut self) -> Source<T> {
        self.state.confirming = true;
        self
    }

    /// Sets the source to be watched for writing only while a task waits to write.
    ///
    /// This is for sockets that the kernel reports writable although they were writable before.
    /// Linux does so after each datagram that has left a socket, and after each message that the
    /// peer of a Unix socket has read: each message sent would end a wait of the reactor. An
    /// operation that finds no room costs a system call more.
    ///
    /// # Platform-specific behavior
    /// Has no effect on backends other than epoll.
    #[must_use]
    pub fn writing_on_demand(mut self) -> Source<T> {
        self.state.writing_on_demand = true;
        self
    }

    /// Returns the wrapped object. The reactor does not see operations made on it directly; read
    /// with [`try_io`](Source::try_io) or [`poll_io`](Source::poll_io).
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Returns the wrapped object mutably. Its descriptor must stay the same.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Returns the wrapped object, still non-blocking and no longer registered.
    pub fn into_inner(self) -> T {
        let Source { mut state, io } = self;
        state.sole_owner = false;
        drop(state);
        io
    }

    /// Attempts `op` and waits while it fails with `WouldBlock`.
    ///
    /// If it returns `Pending`, the task of `cx` is woken when another attempt is worthwhile.
    /// Several tasks may wait, in the same direction too. An operation that a signal interrupts is
    /// repeated at once, here as in [`try_io`](Source::try_io), which is why `op` may be called
    /// several times.
    ///
    /// # Errors
    /// Returns the error of `op`, except `WouldBlock` and `Interrupted`. Returns `Unsupported` if
    /// it has to wait for a descriptor that cannot be waited for, and an error if it has to wait
    /// outside a runtime; that error names the runtime in which it waited before, if that was
    /// dropped.
    pub fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.attempt(direction, Some(cx), op)
    }

    /// Attempts `op`, which moves up to `requested` bytes, and waits while it fails with
    /// `WouldBlock`.
    ///
    /// This is [`poll_io`](Source::poll_io), except that less than `requested` bytes on a
    /// [streaming](Source::streaming) source mean that there is no more.
    ///
    /// # Errors
    /// Returns the error of `op`, except `WouldBlock` and `Interrupted`, and the errors of waiting,
    /// as [`poll_io`](Source::poll_io) does.
    #[inline]
    pub fn poll_transfer(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        requested: usize,
        op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let polled = self.attempt(direction, Some(cx), op);
        if let Poll::Ready(Ok(moved)) = polled {
            self.state.on_transfer(direction, requested, moved);
        }
        polled
    }

    /// Attempts `op` without waiting. After a `WouldBlock` the next operation waits for an event.
    ///
    /// # Errors
    /// Returns `WouldBlock` without calling `op` if the source is known not to be ready. Returns
    /// the error of `op`, except `Interrupted`.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        without_waiting(self.attempt(direction, None, op))
    }

    /// Attempts `op`, which moves up to `requested` bytes, without waiting.
    ///
    /// This is [`try_io`](Source::try_io), except that less than `requested` bytes on a
    /// [streaming](Source::streaming) source mean that there is no more.
    ///
    /// # Errors
    /// Returns `WouldBlock` without calling `op` if the source is known not to be ready. Returns
    /// the error of `op`, except `Interrupted`.
    pub fn try_transfer(
        &self,
        direction: Direction,
        requested: usize,
        op: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let moved = without_waiting(self.attempt(direction, None, op))?;
        self.state.on_transfer(direction, requested, moved);
        Ok(moved)
    }

    /// Attempts `op`, which accepts one connection, and waits while it fails with `WouldBlock`.
    ///
    /// This is [`poll_io`](Source::poll_io) for reading, except that it waits without an attempt
    /// where `backlog` says that there is probably no further connection, and the next turn of the
    /// reactor reports one. So there may be a connection although it returns `Pending`.
    ///
    /// # Errors
    /// Returns the errors of [`poll_io`](Source::poll_io).
    #[doc(hidden)]
    pub fn poll_accept<R>(
        &self,
        backlog: &Backlog,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let mut was_empty = false;
        let polled = self.attempt(Direction::Read, Some(cx), |io| {
            let accepted = op(io);
            was_empty = matches!(&accepted, Err(e) if e.kind() == io::ErrorKind::WouldBlock);
            accepted
        });
        if let Poll::Ready(Ok(_)) = polled {
            self.state.on_accept(backlog);
        } else if was_empty {
            self.state.on_empty_queue(backlog);
        }
        polled
    }

    /// Attempts `op`, which accepts one connection, without waiting, also where
    /// [`poll_accept`](Source::poll_accept) would wait.
    ///
    /// # Errors
    /// Returns the error of `op`, except `Interrupted`.
    #[doc(hidden)]
    pub fn try_accept<R>(
        &self,
        backlog: &Backlog,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        match uninterrupted(&self.io, op) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                backlog.end_batch(tick().turn());
                Err(self.state.note_blocked(Direction::Read, Some(e)))
            }
            result => result,
        }
    }

    /// Attempts `op` unless `direction` is known not to be ready, and repeats it while a signal
    /// interrupts it. With a context the task waits after a `WouldBlock`.
    #[inline]
    fn attempt<R>(
        &self,
        direction: Direction,
        cx: Option<&mut Context<'_>>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let state = &self.state;
        let is_blocked = |scheduled: &&ScheduledIo| !scheduled.is_ready(direction);
        if let Some(scheduled) = state.local().filter(is_blocked) {
            return match cx {
                Some(cx) if scheduled.wait_again(direction, cx.waker()) => Poll::Pending,
                Some(cx) => pending(park(scheduled, direction, cx)),
                None => Poll::Ready(Err(state.note_blocked(direction, None))),
            };
        }
        if let Some(cx) = &cx {
            if !state.quota.take(tick().unused_quota()) {
                ready!(wait_for_turn(cx));
            }
        }
        let error = match uninterrupted(&self.io, op) {
            Err(e) if is(&e, io::ErrorKind::WouldBlock) => e,
            result => return Poll::Ready(result),
        };
        let Some(cx) = cx else {
            return Poll::Ready(Err(state.note_blocked(direction, Some(error))));
        };
        drop(error);
        state.quota.refund();
        pending(state.wait(self.io.as_fd().as_raw_fd(), direction, cx))
    }

    /// Attempts `op` without waiting for each part of `interest`, priority first, then reading,
    /// then writing, until it does not fail with `WouldBlock`.
    ///
    /// # Errors
    /// Returns `WouldBlock` if no attempt succeeds, or if `interest` is empty. Returns the error of
    /// `op`, except `Interrupted`.
    pub fn try_any<R>(
        &self,
        interest: Interest,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut result = Err(io::ErrorKind::WouldBlock.into());
        if interest.is_priority() {
            result = self.try_priority(&mut op);
        }
        for direction in interest.directions() {
            match &result {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                _ => return result,
            }
            result = self.try_io(direction, &mut op);
        }
        result
    }

    /// Attempts `op` without waiting, on the data for which [`Interest::PRIORITY`] waits. That
    /// readiness is not reported again until more such data comes.
    ///
    /// # Errors
    /// Returns the error of `op`, except `Interrupted`.
    pub fn try_priority<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        if let Some(scheduled) = self.state.scheduled.get() {
            scheduled.take_priority();
        }
        uninterrupted(&self.io, op)
    }

    /// Assigns the source to the reactor of this thread, as if it had waited here. A source that
    /// already belongs to a reactor stays there.
    ///
    /// # Errors
    /// Returns an error outside a runtime, and if the runtime of this thread was shut down. If the
    /// kernel refuses the registration, the first wait returns the error.
    pub fn attach(&self) -> io::Result<()> {
        if self.state.scheduled.get().is_none() {
            self.state.register(self.io.as_fd().as_raw_fd(), None)?;
        }
        Ok(())
    }

    /// Waits until some of `interest` may be ready, without attempting an operation.
    ///
    /// For a source that never had to wait, poll(2) determines the readiness. Afterwards readiness
    /// is reported repeatedly, and possibly in error, until a [`try_io`](Source::try_io) returns
    /// `WouldBlock` or, on a [confirming](Source::confirming) source, poll(2) no longer reports it.
    /// The peer's end ([`Interest::CLOSED`]) is never reported in error. Waiting for it takes
    /// nothing from tasks that read, and unread data does not delay it.
    ///
    /// # Errors
    /// Returns the errors of waiting, as [`poll_io`](Source::poll_io) does, and `Unsupported` for
    /// an interest that the [backend](crate::Backend) cannot report.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub fn ready(&self, interest: Interest) -> Ready<'_, T> {
        Ready {
            source: self,
            interest,
            requested: false,
        }
    }

    /// Poll-based version of [`ready`](Source::ready).
    ///
    /// # Errors
    /// Returns the errors of [`ready`](Source::ready).
    pub fn poll_ready(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let state = &self.state;
        self.poll_counted(cx, |cx| {
            if state.scheduled.get().is_some() && state.reactor().is_none() {
                // Another thread keeps its readiness; this one keeps nothing between polls.
                let ready = self.ready_now(interest);
                if !ready.is_empty() {
                    return Poll::Ready(Ok(ready));
                }
            }
            self.poll_unlimited(interest, false, cx)
        })
    }

    /// Polls for readiness with `poll`, which counts as an operation of the source's quota: the
    /// task continues to operate, again and again.
    fn poll_counted<R>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let quota = &self.state.quota;
        if !quota.take(tick().unused_quota()) {
            ready!(wait_for_turn(cx));
        }
        let result = poll(cx);
        if result.is_pending() {
            quota.refund();
        }
        result
    }

    /// Polls for readiness regardless of the quota. `requested` is true if this wait has returned
    /// `Pending` before.
    fn poll_unlimited(
        &self,
        interest: Interest,
        requested: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let Source { state, io } = self;
        if state.is_blocked(interest) {
            self.register_blocked(interest)?;
        }
        if let Some((reactor, scheduled)) = state.reactor() {
            if state.confirming && !requested {
                self.confirm(scheduled, interest);
            }
            return reactor.poll_ready(scheduled.token, interest, cx);
        }
        // Its readiness is not known on this thread, or it is not registered yet.
        let non_directional = interest.non_directional();
        let ready = match state.scheduled.get() {
            // Non-directional readiness is known here too: no operation clears it.
            Some(scheduled) => {
                let known = scheduled.readiness().satisfying(non_directional);
                if requested {
                    interest.optimistic() | known
                } else {
                    known
                }
            }
            None if context::get().is_none() => {
                return Poll::Ready(Err(no_runtime("a source")));
            }
            None => self.ready_now(interest),
        };
        if !ready.is_empty() {
            return Poll::Ready(Ok(ready));
        }
        let fd = io.as_fd().as_raw_fd();
        for direction in interest.directions() {
            state.wait(fd, direction, cx)?;
        }
        if !non_directional.is_empty() {
            state.wait_non_directional(fd, non_directional, cx)?;
        }
        Poll::Pending
    }

    /// Asks the kernel which directions of `interest` are ready. If poll(2) cannot watch the
    /// descriptor, all of them are worth an attempt.
    fn ready_now(&self, interest: Interest) -> Readiness {
        let optimistic = interest.optimistic();
        if optimistic.is_empty() {
            return Readiness::EMPTY;
        }
        descriptor::ready_now(self.io.as_fd(), interest).unwrap_or(optimistic)
    }

    /// Registers the source: an attempt has returned `WouldBlock`, so only the selector reports
    /// when another one is worthwhile.
    #[cold]
    fn register_blocked(&self, interest: Interest) -> io::Result<()> {
        let Source { state, io } = self;
        let scheduled = state.register(io.as_fd().as_raw_fd(), None)?;
        if scheduled.is_local() {
            let blocked = state.blocked();
            for direction in Direction::BOTH {
                if blocked.intersects(direction.readiness()) {
                    state.on_blocked(scheduled, direction);
                }
            }
            self.confirm(scheduled, interest);
        }
        Ok(())
    }

    /// Clears the readiness of directions in which the kernel says that there is nothing.
    fn confirm(&self, scheduled: &ScheduledIo, interest: Interest) {
        let known = |&direction: &Direction| scheduled.is_ready(direction);
        if !interest.directions().any(|direction| known(&direction)) {
            return;
        }
        // If poll(2) cannot watch the descriptor, the selector's report remains valid.
        if let Ok(ready) = descriptor::ready_now(self.io.as_fd(), interest) {
            for direction in interest.directions().filter(known) {
                if !ready.intersects(direction.readiness_mask()) {
                    self.state.on_blocked(scheduled, direction);
                }
            }
        }
    }

    /// Waits for the end of an operation that was begun, such as `connect`: registers the
    /// descriptor at once, as not ready in `direction`, and waits for its event.
    ///
    /// # Errors
    /// Returns the errors of waiting, as [`poll_io`](Source::poll_io) does.
    pub fn poll_begun(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let state = &self.state;
        if let Some((reactor, scheduled)) = state.reactor() {
            return reactor.poll_ready(scheduled.token, direction.interest(), cx);
        }
        let was_registered = state.scheduled.get().is_some();
        state.wait(self.io.as_fd().as_raw_fd(), direction, cx)?;
        // Another thread has its event, so the kernel is asked here: after the message was sent, so
        // that an end in between is not missed.
        if was_registered && descriptor::is_ready(self.io.as_fd(), direction)? {
            return Poll::Ready(Ok(direction.readiness()));
        }
        Poll::Pending
    }
}

/// Performs `op` again while a signal interrupts it.
#[inline]
fn uninterrupted<T, R>(io: &T, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
    loop {
        match op(io) {
            Err(e) if is(&e, io::ErrorKind::Interrupted) => {}
            result => return result,
        }
    }
}

/// Returns true if `e` is of this kind. Not inlined into operations, most of which succeed.
#[cold]
fn is(e: &io::Error, kind: io::ErrorKind) -> bool {
    e.kind() == kind
}

/// Returns `Pending` after a wait has begun, or the error because of which it has not.
#[inline]
fn pending<R>(waits: io::Result<()>) -> Poll<io::Result<R>> {
    match waits {
        Ok(()) => Poll::Pending,
        Err(e) => Poll::Ready(Err(e)),
    }
}

/// Returns the result of an attempt without a context, which never waits.
#[inline]
fn without_waiting<R>(attempt: Poll<io::Result<R>>) -> io::Result<R> {
    match attempt {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl SourceState {
    /// Returns what it shares with its registration, if that is in the reactor of this thread.
    #[inline]
    fn local(&self) -> Option<&ScheduledIo> {
        self.scheduled.local()
    }

    /// Returns the reactor of its registration, if that is the one of this thread.
    fn reactor(&self) -> Option<(Rc<Reactor>, &ScheduledIo)> {
        let scheduled = self.scheduled.get()?;
        Some((context::get_if(scheduled.reactor)?, scheduled))
    }

    /// Notes that an operation moved `moved` of `requested` bytes.
    #[inline]
    fn on_transfer(&self, direction: Direction, requested: usize, moved: usize) {
        if moved < requested && self.streaming && moved != 0 {
            if let Some(scheduled) = self.local() {
                scheduled.on_short_transfer(direction, moved);
            }
        }
    }

    /// Notes that a connection was accepted. If that was probably the only one, there is none until
    /// the selector reports it.
    fn on_accept(&self, backlog: &Backlog) {
        let Some(scheduled) = self.local() else {
            return;
        };
        let is_last = if scheduled.is_edge() {
            scheduled.take_unread()
        } else {
            backlog.take(tick().turn())
        };
        if is_last {
            scheduled.clear_readiness(Direction::Read);
        }
    }

    /// Notes that no connection could be accepted.
    #[cold]
    fn on_empty_queue(&self, backlog: &Backlog) {
        backlog.end_batch(tick().turn());
        let Some((reactor, scheduled)) = self.reactor() else {
            return;
        };
        if scheduled.is_edge() && backlog.wants_level() {
            reactor.watch_level(scheduled.token);
        }
    }

    /// Notes that there is nothing in `direction`, and returns the error that says so. `error` is
    /// that of the operation which found nothing, if there was one.
    #[cold]
    fn note_blocked(&self, direction: Direction, error: Option<io::Error>) -> io::Error {
        match self.local() {
            Some(scheduled) => self.on_blocked(scheduled, direction),
            None => {
                let missing = direction.readiness().to_bits();
                self.blocked.fetch_or(missing, Ordering::Relaxed);
            }
        }
        error.unwrap_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// Notes that there is nothing in `direction` of a source of this thread's reactor.
    #[cold]
    fn on_blocked(&self, scheduled: &ScheduledIo, direction: Direction) {
        scheduled.clear_readiness(direction);
        if self.writing_on_demand && direction == Direction::Write {
            if let Some(reactor) = context::get_if(scheduled.reactor) {
                reactor.watch_writing(scheduled.token);
            }
        }
    }

    /// Arranges for the task of `cx` to be woken when another attempt in `direction`, where an
    /// operation has just found nothing, is worthwhile. Registers the source if it is not.
    #[cold]
    fn wait(&self, fd: RawFd, direction: Direction, cx: &Context<'_>) -> io::Result<()> {
        let scheduled = match self.scheduled.local() {
            Some(scheduled) => {
                self.on_blocked(scheduled, direction);
                if scheduled.wait_again(direction, cx.waker()) {
                    return Ok(());
                }
                scheduled
            }
            // A new registration begins without readiness in `direction`.
            None => match self.scheduled.get() {
                Some(scheduled) => scheduled,
                None => self.register(fd, Some(direction))?,
            },
        };
        park(scheduled, direction, cx)
    }

    /// Arranges for the task of `cx` to be woken when the non-directional part of `interest` may
    /// have come.
    #[cold]
    fn wait_non_directional(
        &self,
        fd: RawFd,
        interest: Interest,
        cx: &Context<'_>,
    ) -> io::Result<()> {
        let scheduled = match self.scheduled.get() {
            Some(scheduled) => scheduled,
            None => self.register(fd, None)?,
        };
        scheduled.check_supported(interest)?;
        let token = scheduled.token;
        if let Some(reactor) = context::get_if(scheduled.reactor) {
            return reactor.wait_non_directional(token, interest, cx);
        }
        check(scheduled, interest)?;
        let waker = cx.waker().clone();
        let request = Request::WaitNonDirectional {
            token,
            interest,
            waker,
        };
        Inbox::send_to(scheduled.reactor, request, SOURCE)
    }

    /// Registers it in the reactor of this thread. In `blocked` an operation found nothing.
    #[cold]
    fn register(&self, fd: RawFd, blocked: Option<Direction>) -> io::Result<&ScheduledIo> {
        let reactor = context::get().ok_or_else(|| {
            let doing: &dyn fmt::Display = match &blocked {
                Some(direction) => direction,
                None => &"watching",
            };
            no_runtime(&format!("{doing} descriptor {fd}"))
        })?;
        let blocked = blocked.map_or(Readiness::EMPTY, Direction::readiness);
        let scheduled = reactor.register(fd, blocked, self.writing_on_demand)?;
        let registered = self.scheduled.set(&scheduled);
        if !ptr::eq(registered, &*scheduled) {
            // Another thread was first, so it belongs to that thread's reactor.
            reactor.remove_open(scheduled.token, fd);
        }
        Ok(registered)
    }

    /// Returns true if there is no registration, and an attempt in a direction of `interest` has
    /// found nothing.
    fn is_blocked(&self, interest: Interest) -> bool {
        self.scheduled.get().is_none() && self.blocked().intersects(interest.optimistic())
    }

    fn blocked(&self) -> Readiness {
        Readiness::from_bits(self.blocked.load(Ordering::Relaxed))
    }
}

/// The name of the sender, for the error of a message that has no receiver.
const SOURCE: &str = "this source";

/// Sends the task of `cx` to the back of the queue, until the next turn. Outside a runtime there
/// are no turns, and no neighbors to starve.
#[cold]
fn wait_for_turn(cx: &Context<'_>) -> Poll<()> {
    let Some(reactor) = context::get() else {
        return Poll::Ready(());
    };
    reactor.request_turn();
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Stores the waker of `cx` until `direction` is ready.
#[inline(never)]
fn park(scheduled: &ScheduledIo, direction: Direction, cx: &Context<'_>) -> io::Result<()> {
    // Cloning a waker is foreign code, and so is dropping it: nothing is borrowed then. Checking
    // first whether it is needed would cost more than most clones.
    let mut waker = Some(cx.waker().clone());
    context::with_if(scheduled.reactor, |reactor| {
        reactor.try_add_waker(scheduled.token, direction, &mut waker);
    });
    match waker {
        None => Ok(()),
        Some(waker) => park_slow(scheduled, direction, waker),
    }
}

/// Stores `waker` in the cases that take more than a store: the reactor is not the one of this
/// thread, the registration failed, or another waker waits already.
#[cold]
fn park_slow(scheduled: &ScheduledIo, direction: Direction, waker: Waker) -> io::Result<()> {
    let token = scheduled.token;
    if let Some(reactor) = context::get_if(scheduled.reactor) {
        return reactor.add_waker(token, direction, waker);
    }
    check(scheduled, direction.interest())?;
    let request = Request::Wait {
        token,
        direction,
        waker,
    };
    Inbox::send_to(scheduled.reactor, request, SOURCE)
}

/// Returns the error of the registration on a thread other than its reactor's, and requests another
/// attempt to register.
fn check(scheduled: &ScheduledIo, interest: Interest) -> io::Result<()> {
    scheduled.check(interest).or_else(|e| {
        let token = scheduled.token;
        let retry = Request::Retry { token, interest };
        Inbox::send_to(scheduled.reactor, retry, SOURCE).and(Err(e))
    })
}

impl Drop for SourceState {
    fn drop(&mut self) {
        let Some(scheduled) = self.scheduled.last() else {
            return;
        };
        let token = scheduled.token;
        let open = match scheduled.target {
            Target::Fd(fd) if !self.sole_owner => Some(fd),
            _ => None,
        };
        match (context::get_if(scheduled.reactor), open) {
            (Some(reactor), None) => reactor.remove(token),
            (Some(reactor), Some(fd)) => reactor.remove_open(token, fd),
            (None, open) => {
                if let Some(inbox) = Inbox::find(scheduled.reactor) {
                    inbox.remove(token, open);
                }
            }
        }
    }
}

/// A future that completes when a source may be ready, returned by [`Source::ready`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Ready<'a, T> {
    source: &'a Source<T>,
    interest: Interest,
    /// True once it has returned `Pending`: a further poll then means that the source may be ready.
    requested: bool,
}

impl<T: AsFd> Future for Ready<'_, T> {
    type Output = io::Result<Readiness>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        let Ready {
            source,
            interest,
            requested,
        } = &mut *self;
        source.poll_counted(cx, |cx| {
            let result = source.poll_unlimited(*interest, *requested, cx);
            *requested |= result.is_pending();
            result
        })
    }
}

impl<T> Unpin for Ready<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheduled = self.state.scheduled.last();
        f.debug_struct("Source")
            .field("io", &self.io)
            .field("reactor", &scheduled.map(|scheduled| scheduled.reactor))
            .finish()
    }
}
