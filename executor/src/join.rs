//! Waiting for a task's output, on its thread or on another.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::{fmt, mem};

use crate::core::{Core, Joined, unheard};
use crate::current;
use crate::error::JoinError;
use crate::id::{Id, TaskKey};
use crate::mailbox::Mailbox;
use crate::sync::Mutex;
use crate::task::{Sink, drop_quietly, lost, take_output, wake_quietly};

/// Awaits the output of a task.
///
/// Dropping it *detaches* the task, which runs on. It is `Send` and `Sync` if the output is `Send`:
/// on the thread of the task it looks at the task itself, elsewhere it sends mail.
///
/// # Errors
/// It is awaited for a `Result`: the [`JoinError`] says that the task panicked, was aborted, or that
/// its runtime was dropped before the output was taken.
///
/// # Panics
/// If it is polled after it was ready.
///
/// # Cancel safety
/// Awaiting `&mut handle` and dropping that future loses nothing.
///
/// # Examples
/// ```
/// # mod support { include!("../tests/support/block_on.rs"); }
/// # support::block_on(async {
/// let answer = runtime_executor::spawn(async { 6 * 7 });
/// assert_eq!(answer.await.unwrap(), 42);
///
/// let endless = runtime_executor::spawn(std::future::pending::<()>());
/// endless.abort();
/// assert!(endless.await.unwrap_err().is_cancelled());
/// # });
/// ```
pub struct JoinHandle<T> {
    id: Id,
    place: Place,
    /// Made when it is first used away from the thread of its task, and then the only way.
    reply: OnceLock<Arc<Reply<T>>>,
}

/// How to reach a task.
#[derive(Clone)]
enum Place {
    /// In this slot: it was spawned on the thread of its executor.
    Here(u32),
    /// It was posted there from another one, or is a blocking job.
    Elsewhere(Arc<dyn Cancel + Send + Sync>),
}

/// Where the output was given out. No slot has this number.
const NOWHERE: u32 = u32::MAX;

/// Something whose output comes by way of a [`Reply`], and which can be asked not to begin.
pub(crate) trait Cancel {
    fn cancel(self: Arc<Self>);
}

impl<T> JoinHandle<T> {
    pub(crate) fn here(key: TaskKey) -> JoinHandle<T> {
        JoinHandle {
            id: key.id(),
            place: Place::Here(key.slot),
            reply: OnceLock::new(),
        }
    }

    pub(crate) fn elsewhere(
        id: Id,
        cancel: Arc<dyn Cancel + Send + Sync>,
        reply: Arc<Reply<T>>,
    ) -> JoinHandle<T> {
        JoinHandle {
            id,
            place: Place::Elsewhere(cancel),
            reply: OnceLock::from(reply),
        }
    }

    /// The task's identity.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Asks the task to end: instead of being polled again it is dropped, in its turn. Awaiting the
    /// handle then gives an error, unless the task had finished by itself.
    ///
    /// A blocking job that has begun cannot be stopped; nothing happens.
    pub fn abort(&self) {
        self.place.abort(self.id);
    }

    /// A handle is dropped that the task, or a reply, may have to know of.
    #[inline(never)]
    fn let_go(&self) {
        if let Some(reply) = self.reply.get() {
            reply.abandon();
        }
        match self.place {
            Place::Here(NOWHERE) | Place::Elsewhere(_) => {}
            Place::Here(slot) => tell(self.id.key(slot), Core::detach),
        }
    }

    /// Something that can only abort, and of which there can be many.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            id: self.id,
            place: self.place.clone(),
        }
    }
}

impl<T: 'static> JoinHandle<T> {
    /// Whether the task has come to its end, so that awaiting it is over at once.
    ///
    /// Away from the thread of the task, and on it while its runtime is not running, the answer may be late: the first call asks for the output,
    /// and says no unless it is here.
    pub fn is_finished(&self) -> bool {
        match (self.reply.get(), &self.place) {
            (Some(reply), _) => reply.is_complete(),
            (None, Place::Here(NOWHERE)) => true,
            (None, Place::Here(slot)) => match current::if_numbered(self.id.executor()) {
                Some(core) => core.is_finished(self.id.key(*slot)),
                None => self.ask(*slot).is_complete(),
            },
            (None, _) => true,
        }
    }

    /// Asks the thread of the task to send the output here.
    #[cold]
    fn ask(&self, slot: u32) -> &Reply<T> {
        self.reply.get_or_init(|| {
            let key = self.id.key(slot);
            let reply = Reply::new();
            let sink = Sink::new(self.id, reply.clone());
            // If there is no such executor, the sink is dropped, which completes the reply.
            if let Some(mailbox) = Mailbox::find(key.executor) {
                mailbox.post(Box::new(move |core| core.mail_output(key, sink)));
            }
            reply
        })
    }

    /// A poll in which there is more to do than a look at the task.
    #[cold]
    #[track_caller]
    fn poll_by_mail(&mut self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let reply = match (self.reply.get(), &self.place) {
            (_, Place::Here(NOWHERE)) => panic!("JoinHandle polled after it was ready"),
            (Some(reply), _) => reply,
            (None, Place::Here(slot)) => self.ask(*slot),
            (None, _) => unreachable!("what is elsewhere has a reply from the start"),
        };
        let output = ready!(reply.poll(cx));
        self.place = Place::Here(NOWHERE);
        Poll::Ready(output)
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let this = &mut *self;
        match (&mut this.place, this.reply.get()) {
            (Place::Here(slot), None) if *slot != NOWHERE => match look(this.id, *slot, cx) {
                Joined::Waits => return Poll::Pending,
                Joined::Finished(task) => {
                    *slot = NOWHERE;
                    return Poll::Ready(take_output(task, this.id));
                }
                Joined::Gone => {
                    *slot = NOWHERE;
                    return Poll::Ready(lost(this.id));
                }
                Joined::Elsewhere => {}
            },
            _ => {}
        }
        this.poll_by_mail(cx)
    }
}

impl<T> Unpin for JoinHandle<T> {}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if self.reply.get().is_some() || !matches!(self.place, Place::Here(NOWHERE)) {
            self.let_go();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Place {
    fn abort(&self, id: Id) {
        match self {
            Place::Here(NOWHERE) => {}
            Place::Here(slot) => tell(id.key(*slot), Core::abort),
            Place::Elsewhere(task) => task.clone().cancel(),
        }
    }
}

/// A look at the task of a join handle, from whatever thread: the part of its poll that knows no
/// types.
fn look(id: Id, slot: u32, cx: &Context<'_>) -> Joined {
    // What was there before is dropped where nothing is borrowed.
    let mut before = None;
    let look = |core: &Core| core.look(id.key(slot), cx.waker(), &mut before);
    match current::with_numbered(id.executor(), look) {
        Some(Some(joined)) => joined,
        Some(None) => look_with_clone(id, slot, cx),
        None => Joined::Elsewhere,
    }
}

/// The same for somebody else's waker. To clone it is other people's code, which may end the task.
#[cold]
fn look_with_clone(id: Id, slot: u32, cx: &Context<'_>) -> Joined {
    let mut waker = Some(cx.waker().clone());
    let leave = |core: &Core| core.leave(id.key(slot), &mut waker);
    match current::with_numbered(id.executor(), leave) {
        Some(true) => Joined::Waits,
        // There is something else to be found now.
        _ => look(id, slot, cx),
    }
}

/// Does something about a task, on its thread.
fn tell(key: TaskKey, what: fn(&Core, TaskKey)) {
    match current::if_numbered(key.executor) {
        Some(core) => what(&core, key),
        None => {
            if let Some(mailbox) = Mailbox::find(key.executor) {
                mailbox.post(Box::new(move |core| what(core, key)));
            }
        }
    }
}

/// Aborts a task, and can be cloned. Made by [`JoinHandle::abort_handle`].
///
/// It does not keep the task alive, and does nothing once the task has finished.
#[derive(Clone)]
pub struct AbortHandle {
    id: Id,
    place: Place,
}

impl AbortHandle {
    /// The task's identity.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Asks the task to end. See [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.place.abort(self.id);
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Where the output of a task meets a join handle on another thread.
pub(crate) struct Reply<T>(Mutex<ReplyState<T>>);

enum ReplyState<T> {
    Waiting(Option<Waker>),
    Complete(Result<T, JoinError>),
    /// The output was given out, or the handle was dropped.
    Taken,
}

impl<T> Reply<T> {
    pub(crate) fn new() -> Arc<Reply<T>> {
        Arc::new(Reply(Mutex::new(ReplyState::Waiting(None))))
    }

    /// Takes the output there, unless there is one or the handle was dropped, and wakes who waits.
    pub(crate) fn complete(&self, output: &mut Option<Result<T, JoinError>>) {
        if let Some(waker) = self.put(output) {
            wake_quietly(waker);
        }
    }

    /// As `complete`, and leaves the waking to the caller.
    pub(crate) fn put(&self, output: &mut Option<Result<T, JoinError>>) -> Option<Waker> {
        let mut state = self.0.lock();
        let ReplyState::Waiting(waker) = &mut *state else {
            return None;
        };
        let waker = waker.take();
        let Some(output) = output.take() else {
            unreachable!("a task is mailed once");
        };
        *state = ReplyState::Complete(output);
        waker
    }

    /// The handle is dropped.
    fn abandon(&self) {
        let before = mem::replace(&mut *self.0.lock(), ReplyState::Taken);
        match before {
            ReplyState::Complete(Err(error)) if error.is_panic() => unheard(error),
            before => drop_quietly(before),
        }
    }

    fn is_complete(&self) -> bool {
        !matches!(*self.0.lock(), ReplyState::Waiting(_))
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let mut new = None;
        loop {
            let mut state = self.0.lock();
            let before = match &mut *state {
                ReplyState::Waiting(Some(waker)) if waker.will_wake(cx.waker()) => {
                    return Poll::Pending;
                }
                ReplyState::Waiting(waker) => match new.take() {
                    Some(new) => waker.replace(new),
                    None => {
                        // Cloned, as it is dropped, while the lock is not held.
                        drop(state);
                        new = Some(cx.waker().clone());
                        continue;
                    }
                },
                _ => match mem::replace(&mut *state, ReplyState::Taken) {
                    ReplyState::Complete(output) => return Poll::Ready(output),
                    _ => unreachable!("a handle is not polled after it was ready"),
                },
            };
            drop(state);
            drop(before);
            return Poll::Pending;
        }
    }
}

/// Models in every interleaving that loom can think of. CONTRIBUTING.md says how to run them.
#[cfg(all(test, loom))]
mod loom_tests {
    use std::sync::Arc;
    use std::task::Wake;

    use loom::sync::atomic::{AtomicBool, Ordering};
    use loom::thread;

    use super::*;

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn poll_until_woken(reply: &Reply<u8>) -> Result<u8, JoinError> {
        loop {
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let waker = flag.clone().into();
            if let Poll::Ready(output) = reply.poll(&Context::from_waker(&waker)) {
                return output;
            }
            while !flag.0.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_handle_on_another_thread_gets_the_output() {
        loom::model(|| {
            let reply = Reply::new();
            let sink = Sink::new(Id::new(0, 1), reply.clone());
            let task = thread::spawn(move || {
                sink.deliver(&mut Some(Ok::<u8, JoinError>(7)));
            });
            assert_eq!(poll_until_woken(&reply).unwrap(), 7);
            task.join().unwrap();
        });
    }

    #[test]
    fn a_handle_on_another_thread_learns_that_the_runtime_is_gone() {
        loom::model(|| {
            let reply = Reply::<u8>::new();
            let sink = Sink::new(Id::new(0, 1), reply.clone());
            let runtime = thread::spawn(move || drop(sink));
            assert!(poll_until_woken(&reply).unwrap_err().is_cancelled());
            runtime.join().unwrap();
        });
    }

    #[test]
    fn an_output_whose_handle_is_dropped_is_dropped_by_it_or_stays_with_the_task() {
        loom::model(|| {
            let counted = Arc::new(());
            let reply = Reply::<Arc<()>>::new();
            let sink = Sink::new(Id::new(0, 1), reply.clone());
            let mut output = Some(Ok::<_, JoinError>(counted.clone()));
            let task = thread::spawn(move || {
                sink.deliver(&mut output);
                output
            });
            let polled = reply.poll(&Context::from_waker(Waker::noop()));
            if polled.is_pending() {
                reply.abandon();
            }
            let kept = task.join().unwrap();
            assert!(!(polled.is_ready() && kept.is_some()));
            drop((polled, kept));
            assert_eq!(Arc::strong_count(&counted), 1);
        });
    }

    #[test]
    fn a_handle_that_is_polled_anew_is_woken_by_the_last_waker() {
        loom::model(|| {
            let reply = Reply::<u8>::new();
            let sink = Sink::new(Id::new(0, 1), reply.clone());
            let task = thread::spawn(move || sink.deliver(&mut Some(Ok::<u8, JoinError>(7))));
            let polled = reply.poll(&Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(output) => assert_eq!(output.unwrap(), 7),
                Poll::Pending => assert_eq!(poll_until_woken(&reply).unwrap(), 7),
            }
            task.join().unwrap();
        });
    }
}
