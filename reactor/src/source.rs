//! A descriptor whose operations can be awaited.

use std::future::Future;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::{fmt, io};

use crate::context;
use crate::interest::{Direction, Interest, Readiness};
use crate::mailbox::{Mailbox, Message};
use crate::reactor::Reactor;
use crate::slot::ScheduledIo;
use crate::sys;

/// A source completes at most this many operations in one turn of the reactor; then its task lets
/// others go first. It keeps a peer that sends without end from starving its neighbours.
const QUOTA: u32 = 128;

/// A non-blocking descriptor, and the place where tasks wait for it.
///
/// An operation is simply tried. Only when it first finds nothing is the descriptor registered, in
/// the reactor of the polling thread, once and for both directions; from then on it belongs to that
/// reactor. The kernel hears of it when the reactor next waits, and not at all if it is dropped
/// before. A registration that the kernel refuses is the error of whoever waits, and is tried again
/// by who waits then. A source that never had to wait belongs to none, and costs no system call but its own
/// operations.
///
/// It may be used from any thread. Elsewhere than on its reactor's thread it waits by mail. Share one
/// source between tasks instead of making two for one descriptor: the second one to wait is refused
/// with `AlreadyExists` (on epoll; on kqueue it takes the events of the first, and on poll and select
/// both are served).
///
/// # Platform notes
/// When it is dropped, the descriptor is closed, and the kernel forgets it. If another descriptor
/// of the same open file may live on (it was duplicated, or came from elsewhere) the kernel has to
/// be told, on epoll with a system call: see [`sole_owner`](Source::sole_owner).
///
/// # Examples
/// ```
/// use std::future::poll_fn;
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
/// use runtime_reactor::{Direction, Reactor, Source};
///
/// # fn main() -> std::io::Result<()> {
/// let reactor = Reactor::new()?;
/// let _entered = reactor.enter();
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let source = Source::new(ours);
///
/// let mut byte = [0];
/// let mut read = |cx: &mut Context<'_>| {
///     source.poll_io(Direction::Read, cx, |mut stream| stream.read(&mut byte))
/// };
/// let mut cx = Context::from_waker(Waker::noop());
/// assert!(read(&mut cx).is_pending()); // nothing there: registered
/// theirs.write_all(b"x")?;
/// reactor.turn(None)?;                 // the waker is woken
/// assert!(matches!(read(&mut cx), Poll::Ready(Ok(1))));
/// # Ok(())
/// # }
/// ```
pub struct Source<T> {
    // Dropped before `io`: what has to be done about the descriptor is done while it is open.
    state: SourceState,
    io: T,
}

/// What a source and the reactors know of each other.
struct SourceState {
    /// Where it first had to wait; written once, by the thread that waited.
    scheduled: OnceLock<Arc<ScheduledIo>>,
    /// The turn in which the quota below is counted, in the upper 24 bits, and how much of it is
    /// used. Plain loads and stores: threads that share a source may count short, no more.
    used: AtomicU32,
    /// The directions in which a `try_io` found nothing before there was a registration, as bits.
    blocked: AtomicU8,
    /// Whether a read or write of less than was asked means that there is no more.
    streaming: bool,
    /// Whether closing our descriptor closes the open file.
    sole_owner: bool,
}

impl<T: AsFd> Source<T> {
    /// Wraps `io`, which must be non-blocking already: a blocking descriptor would stop the thread.
    /// No system call is made.
    pub fn new(io: T) -> Source<T> {
        Source {
            state: SourceState {
                scheduled: OnceLock::new(),
                used: AtomicU32::new(0),
                blocked: AtomicU8::new(0),
                streaming: false,
                sole_owner: false,
            },
            io,
        }
    }

    /// Says that `io` is a TCP socket or a pipe, where less than was asked means that there is no
    /// more: then the next attempt is saved. Never say so of datagrams, terminals or devices, nor
    /// of Unix sockets: there a read stops after each message that brings a descriptor, and before
    /// one of another sender (unix(7)), and what lies behind it would be slept over.
    pub fn streaming(mut self) -> Source<T> {
        self.state.streaming = true;
        self
    }

    /// Says that no other descriptor leads to the same open file, so that the kernel forgets it by
    /// itself when it is closed. If that is not so, nothing worse happens than events that are
    /// [dropped as stale](crate::Stats::stale_events).
    pub fn sole_owner(mut self) -> Source<T> {
        self.state.sole_owner = true;
        self
    }

    /// What is wrapped. Operations made on it directly are not seen by the reactor; read with
    /// [`try_io`](Source::try_io) or [`poll_io`](Source::poll_io).
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Gives back what was wrapped, still non-blocking and no longer registered.
    pub fn into_inner(self) -> T {
        let Source { mut state, io } = self;
        state.sole_owner = false;
        drop(state);
        io
    }

    /// Tries `op` until it does something else than fail with `WouldBlock`; waits in between.
    ///
    /// This is the one place where an operation, its `WouldBlock` and the waiting meet. If it
    /// returns `Pending`, the task of `cx` is woken when it is worth another try. Several tasks may
    /// wait, in the same direction too.
    ///
    /// # Errors
    /// What `op` returns, except `WouldBlock` and `Interrupted`, after which it is tried again; an
    /// error if it must wait outside a runtime, if the runtime in which it waited is gone, or if the
    /// descriptor is of a kind that cannot be waited for.
    pub fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_until_done(direction, cx, op, |_| None)
    }

    /// As [`poll_io`](Source::poll_io) for an operation that moves up to `asked` bytes. On a
    /// [streaming](Source::streaming) source less than that means that there is no more, which
    /// saves the attempt that would find out.
    ///
    /// # Errors
    /// As `poll_io`.
    #[inline]
    pub fn poll_transfer(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        asked: usize,
        op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_until_done(direction, cx, op, fell_short(asked))
    }

    /// What is known to find nothing costs its caller no more than this look.
    #[inline]
    fn poll_until_done<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        op: impl FnOnce(&T) -> io::Result<R>,
        fell_short: impl FnOnce(&R) -> Option<usize>,
    ) -> Poll<io::Result<R>> {
        match self.state.local() {
            Some(scheduled) if !scheduled.is_ready(direction) => {
                park_waker(scheduled, direction, cx)?;
                Poll::Pending
            }
            scheduled => self.try_or_wait(scheduled, direction, cx, op, fell_short),
        }
    }

    /// `scheduled` is its own, if that is the reactor of this thread.
    #[inline(never)]
    fn try_or_wait<R>(
        &self,
        scheduled: Option<&ScheduledIo>,
        direction: Direction,
        cx: &mut Context<'_>,
        op: impl FnOnce(&T) -> io::Result<R>,
        fell_short: impl FnOnce(&R) -> Option<usize>,
    ) -> Poll<io::Result<R>> {
        if !self.state.use_quota() {
            ready!(wait_for_turn(cx));
        }
        let e = match op(&self.io) {
            Ok(done) => {
                if let Some(scheduled) = scheduled {
                    self.state
                        .note_short(scheduled, direction, fell_short(&done));
                }
                return Poll::Ready(Ok(done));
            }
            Err(e) => e,
        };
        let fd = self.io.as_fd().as_raw_fd();
        self.state.after_error(e, fd, direction, cx)?;
        Poll::Pending
    }

    /// Tries `op` once, and notes it if there was nothing, so that the next wait is a real one.
    ///
    /// # Errors
    /// `WouldBlock` if it is known that there is nothing (then `op` is not called), and what `op`
    /// returns.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.try_once(direction, op, |_| None)
    }

    /// As [`try_io`](Source::try_io) for whatever is of interest, priority first, then reading, then
    /// writing, until `op` does something else than fail with `WouldBlock`: it may be called for each.
    ///
    /// # Errors
    /// As `try_io`. With no interest at all it is `WouldBlock`.
    pub fn try_any<R>(
        &self,
        interest: Interest,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let is_nothing = |result: &io::Result<R>| {
            let error = result.as_ref().err();
            error.is_some_and(|e| e.kind() == io::ErrorKind::WouldBlock)
        };
        if interest.is_priority() {
            let result = self.try_priority(&mut op);
            if !is_nothing(&result) {
                return result;
            }
        }
        for direction in interest.directions() {
            let result = self.try_io(direction, &mut op);
            if !is_nothing(&result) {
                return result;
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// As [`try_io`](Source::try_io) for an operation that moves up to `asked` bytes; to
    /// `poll_io` it is what [`poll_transfer`](Source::poll_transfer) is.
    ///
    /// # Errors
    /// As `try_io`.
    pub fn try_transfer(
        &self,
        direction: Direction,
        asked: usize,
        op: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.try_once(direction, op, fell_short(asked))
    }

    fn try_once<R>(
        &self,
        direction: Direction,
        mut op: impl FnMut(&T) -> io::Result<R>,
        fell_short: impl FnOnce(&R) -> Option<usize>,
    ) -> io::Result<R> {
        if !self.state.is_worth_a_try(direction) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = loop {
            match op(&self.io) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        match (&result, self.state.local()) {
            (Ok(done), Some(scheduled)) => {
                self.state
                    .note_short(scheduled, direction, fell_short(done));
            }
            (Err(e), Some(scheduled)) if e.kind() == io::ErrorKind::WouldBlock => {
                scheduled.clear(direction);
            }
            (Err(e), None) if e.kind() == io::ErrorKind::WouldBlock => {
                self.state.note_blocked(direction);
            }
            _ => {}
        }
        result
    }

    /// As [`try_io`](Source::try_io) for what [`Interest::PRIORITY`] waits for, which is then no
    /// longer reported until more of it comes.
    ///
    /// # Errors
    /// What `op` returns.
    pub fn try_priority<R>(&self, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        if let Some(scheduled) = self.state.scheduled.get() {
            scheduled.take_priority();
        }
        loop {
            match op(&self.io) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Waits until some of `interest` may be ready, without trying anything.
    ///
    /// A source that never had to wait counts as ready in both directions. Readiness is reported
    /// again and again until a [`try_io`](Source::try_io) finds nothing, and may be reported in error.
    /// The peer's end ([`Interest::CLOSED`]) is never reported in error; waiting for it takes nothing
    /// from those who read, and is not kept by data that nobody reads.
    ///
    /// # Errors
    /// Those of waiting, as for [`poll_io`](Source::poll_io); `Unsupported` for an interest of which
    /// the [backend](crate::Backend) cannot tell.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub fn ready(&self, interest: Interest) -> Ready<'_, T> {
        Ready {
            source: self,
            interest,
            messaged: false,
        }
    }

    /// Waits for the end of something that was begun and takes its time, such as `connect`:
    /// registers the descriptor at once, as not ready in `direction`, and waits for its event.
    ///
    /// # Errors
    /// Those of waiting, as for [`poll_io`](Source::poll_io).
    pub fn poll_begun(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let state = &self.state;
        match state.reactor() {
            Some((reactor, scheduled)) => {
                reactor.poll_ready(scheduled.token, direction.interest(), cx)
            }
            None => {
                let begun = state.scheduled.get().is_some();
                state.wait(self.io.as_fd().as_raw_fd(), direction, cx)?;
                // Its event is known on another thread only, so the kernel is asked here: after
                // the message was sent, so that an end in between is told.
                if begun && sys::is_ready(self.io.as_fd(), direction)? {
                    return Poll::Ready(Ok(direction.readiness()));
                }
                Poll::Pending
            }
        }
    }
}

impl SourceState {
    /// Its shared half, if that is the reactor of this thread.
    #[inline]
    fn local(&self) -> Option<&ScheduledIo> {
        self.scheduled
            .get()
            .map(Arc::as_ref)
            .filter(|scheduled| scheduled.is_local())
    }

    /// Whether an operation of `direction` is worth a try, as far as is known on this thread.
    #[inline]
    fn is_worth_a_try(&self, direction: Direction) -> bool {
        self.local()
            .is_none_or(|scheduled| scheduled.is_ready(direction))
    }

    /// Its shared half and the reactor, if that is the one of this thread.
    fn reactor(&self) -> Option<(Rc<Reactor>, &ScheduledIo)> {
        let scheduled = self.scheduled.get()?;
        Some((context::get_if(scheduled.reactor)?, scheduled))
    }

    /// Notes that an operation moved so many bytes, and could have moved more.
    #[inline]
    fn note_short(&self, scheduled: &ScheduledIo, direction: Direction, moved: Option<usize>) {
        if let Some(moved) = moved.filter(|_| self.streaming) {
            scheduled.on_short_transfer(direction, moved);
        }
    }

    /// Counts an operation of this turn. Not one beyond the quota, of which it says `false`.
    #[inline]
    fn use_quota(&self) -> bool {
        let turn = context::tick().turn;
        let mut used = self.used.load(Ordering::Relaxed);
        let in_this_turn = used.wrapping_sub(turn);
        if in_this_turn >= QUOTA {
            if in_this_turn <= 0xff {
                return false;
            }
            used = turn;
        }
        self.used.store(used + 1, Ordering::Relaxed);
        true
    }

    /// Takes back what was counted last: it found nothing.
    fn refund_quota(&self) {
        let used = self.used.load(Ordering::Relaxed);
        if used & 0xff != 0 {
            self.used.store(used - 1, Ordering::Relaxed);
        }
    }

    /// An operation failed: the task of `cx` is woken when it is worth another try, unless it is the
    /// error that it waited for.
    #[cold]
    #[inline(never)]
    fn after_error(
        &self,
        e: io::Error,
        fd: RawFd,
        direction: Direction,
        cx: &Context<'_>,
    ) -> io::Result<()> {
        match e.kind() {
            io::ErrorKind::WouldBlock => {
                self.refund_quota();
                self.wait(fd, direction, cx)
            }
            io::ErrorKind::Interrupted => {
                // What does not block is hardly ever interrupted, so the task may queue up again.
                cx.waker().wake_by_ref();
                Ok(())
            }
            _ => Err(e),
        }
    }

    /// An operation found nothing: the task of `cx` is woken when it is worth another try.
    fn wait(&self, fd: RawFd, direction: Direction, cx: &Context<'_>) -> io::Result<()> {
        let scheduled = match self.scheduled.get() {
            Some(scheduled) => scheduled,
            None => self.register(fd, Some(direction))?,
        };
        if scheduled.is_local() {
            scheduled.clear(direction);
        }
        park_waker(scheduled, direction, cx)
    }

    /// The task of `cx` is woken once the part of `interest` that is no direction may have come.
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
        if let Some(reactor) = context::get_if(scheduled.reactor) {
            return reactor.wait_non_directional(scheduled.token, interest, cx);
        }
        check(scheduled, interest)?;
        let message = Message::WaitNonDirectional {
            token: scheduled.token,
            interest,
            waker: cx.waker().clone(),
        };
        send(scheduled, message)
    }

    /// Registers it in the reactor of this thread. In `blocked` an operation found nothing.
    #[cold]
    fn register(&self, fd: RawFd, blocked: Option<Direction>) -> io::Result<&ScheduledIo> {
        let reactor = context::get().ok_or_else(|| {
            let doing: &dyn fmt::Display = match &blocked {
                Some(direction) => direction,
                None => &"watching",
            };
            context::no_runtime(&format!("{doing} descriptor {fd}"))
        })?;
        let blocked = blocked.map_or(Readiness::EMPTY, Direction::readiness);
        let scheduled = reactor.register(fd, blocked)?;
        let registered = self.scheduled.get_or_init(|| scheduled.clone());
        if !Arc::ptr_eq(registered, &scheduled) {
            // Another thread was first, so it is that reactor's.
            reactor.remove_open(scheduled.token, fd);
        }
        Ok(registered)
    }

    fn note_blocked(&self, direction: Direction) {
        self.blocked
            .fetch_or(1 << direction.index(), Ordering::Relaxed);
    }

    /// What of `interest` may be ready, as far as is known without a registration: everything in
    /// which no `try_io` found nothing.
    fn optimistic(&self, interest: Interest) -> Readiness {
        let blocked = self.blocked.load(Ordering::Relaxed);
        let found_nothing = |d: Direction| blocked & 1 << d.index() != 0;
        let hopeless = interest.directions().filter(|&d| found_nothing(d));
        hopeless.fold(interest.optimistic(), |optimistic, d| {
            optimistic.without(d.readiness())
        })
    }
}

/// How many bytes an operation moved, if they are fewer than it could have.
#[inline]
fn fell_short(asked: usize) -> impl Fn(&usize) -> Option<usize> {
    move |&moved| (moved < asked && moved != 0).then_some(moved)
}

/// Sends the task of `cx` to the back of the queue, until the next turn. Outside every runtime there
/// are no turns, and no neighbours.
#[cold]
fn wait_for_turn(cx: &Context<'_>) -> Poll<()> {
    let Some(reactor) = context::get() else {
        return Poll::Ready(());
    };
    reactor.request_turn();
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// The task of `cx` is woken when there is something in `direction`.
#[inline(never)]
fn park_waker(scheduled: &ScheduledIo, direction: Direction, cx: &Context<'_>) -> io::Result<()> {
    // Cloning a waker is other people's code, and so is dropping it: nothing is borrowed then. To ask
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

/// Has `waker` woken where something stands in the way: the reactor is not that of this thread, the
/// registration failed, or somebody waits already.
#[cold]
fn park_slow(scheduled: &ScheduledIo, direction: Direction, waker: Waker) -> io::Result<()> {
    if let Some(reactor) = context::get_if(scheduled.reactor) {
        return reactor.add_waker(scheduled.token, direction, waker);
    }
    check(scheduled, direction.interest())?;
    let token = scheduled.token;
    let message = Message::Wait {
        token,
        direction,
        waker,
    };
    send(scheduled, message)
}

/// Says on another thread than its reactor's that a registration failed, and has it tried again.
fn check(scheduled: &ScheduledIo, interest: Interest) -> io::Result<()> {
    scheduled.error(interest).or_else(|e| {
        let token = scheduled.token;
        send(scheduled, Message::Retry { token, interest }).and(Err(e))
    })
}

/// Asks the reactor of another thread to wake somebody.
#[cold]
pub(crate) fn send(scheduled: &ScheduledIo, message: Message) -> io::Result<()> {
    match Mailbox::find(scheduled.reactor).map(|mailbox| mailbox.send(message)) {
        Some(Ok(())) => Ok(()),
        Some(Err(_)) | None => Err(context::shut_down("this source")),
    }
}

impl Drop for SourceState {
    fn drop(&mut self) {
        let Some(scheduled) = self.scheduled.get() else {
            return;
        };
        let &ScheduledIo {
            reactor, token, fd, ..
        } = &**scheduled;
        match (context::get_if(reactor), self.sole_owner) {
            (Some(reactor), true) => reactor.remove(token),
            (Some(reactor), false) => reactor.remove_open(token, fd),
            (None, sole_owner) => {
                if let Some(mailbox) = Mailbox::find(reactor) {
                    mailbox.remove(token, (!sole_owner).then_some(fd));
                }
            }
        }
    }
}

/// The future of [`Source::ready`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Ready<'a, T> {
    source: &'a Source<T>,
    interest: Interest,
    /// Whether a reactor of another thread was asked: then being polled again is all the answer
    /// there is.
    messaged: bool,
}

impl<T: AsFd> Future for Ready<'_, T> {
    type Output = io::Result<Readiness>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        // Whoever is told goes on to operate, again and again: that counts as the operation.
        if !self.source.state.use_quota() {
            ready!(wait_for_turn(cx));
        }
        let result = self.poll_here(cx);
        if result.is_pending() {
            self.source.state.refund_quota();
        }
        result
    }
}

impl<T: AsFd> Ready<'_, T> {
    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        let Source { state, io } = self.source;
        if let Some((reactor, scheduled)) = state.reactor() {
            return reactor.poll_ready(scheduled.token, self.interest, cx);
        }
        // Nothing is known of it on this thread, or nowhere yet.
        let rare = self.interest.non_directional();
        let optimistic = match state.scheduled.get() {
            // What is no direction can be seen from here: no operation takes it away.
            Some(scheduled) if self.messaged => {
                self.interest.optimistic() | scheduled.readiness().satisfying(rare)
            }
            Some(scheduled) => scheduled.readiness().satisfying(rare),
            None if context::get().is_none() => {
                return Poll::Ready(Err(context::no_runtime("a source")));
            }
            None => state.optimistic(self.interest),
        };
        if !optimistic.is_empty() {
            return Poll::Ready(Ok(optimistic));
        }
        let fd = io.as_fd().as_raw_fd();
        for direction in self.interest.directions() {
            state.wait(fd, direction, cx)?;
        }
        if !rare.is_empty() {
            state.wait_non_directional(fd, rare, cx)?;
        }
        self.messaged = true;
        Poll::Pending
    }
}

impl<T> Unpin for Ready<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("io", &self.io)
            .field(
                "reactor",
                &self
                    .state
                    .scheduled
                    .get()
                    .map(|scheduled| scheduled.reactor),
            )
            .finish()
    }
}
