//! Futures that are awaited as a group: each is polled with a waker of its own, so that a wake says
//! which of them to poll, and one waker awaits them all.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};

use crate::sync::Mutex;

/// The owner of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// A set of tasks, whose members are join handles.
    JoinSet,
    /// A scope, whose members are futures.
    Scope,
}

/// The members of a group that were woken, and the waker that awaits them.
#[derive(Debug)]
pub struct Group {
    kind: GroupKind,
    /// The number of members, as their owner counts them. For lists of tasks.
    len: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The keys of the members that were woken, in that order.
    woken: VecDeque<usize>,
    waiter: Option<Waker>,
    /// True once no member is polled any more.
    is_closed: bool,
}

/// A member of a group: what its waker refers to.
#[derive(Debug)]
pub struct Member {
    key: usize,
    /// True while the key is among those that were woken. So each key is there once at most.
    is_woken: AtomicBool,
    group: Arc<Group>,
}

impl Group {
    /// Returns a group without members.
    pub fn new(kind: GroupKind) -> Arc<Group> {
        Arc::new(Group {
            kind,
            len: AtomicUsize::new(0),
            state: Mutex::default(),
        })
    }

    /// Makes a member with a key that its owner chooses.
    pub fn member(self: &Arc<Group>, key: usize) -> Arc<Member> {
        Arc::new(Member {
            key,
            is_woken: AtomicBool::new(false),
            group: self.clone(),
        })
    }

    /// Sets the number of members that lists of tasks show.
    pub fn set_len(&self, len: usize) {
        self.len.store(len, Ordering::Relaxed);
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Returns true if there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn kind(&self) -> GroupKind {
        self.kind
    }

    /// Returns true if a member was woken and not taken since.
    pub fn has_woken(&self) -> bool {
        !self.state.lock().woken.is_empty()
    }

    /// Takes the key of the member that was woken first.
    pub fn take_woken(&self) -> Option<usize> {
        self.state.lock().woken.pop_front()
    }

    /// Exchanges the keys of all members that were woken for `batch`, which is empty. The waker
    /// that awaits them is forgotten, so that a wake during the batch only adds a key.
    pub fn take_batch(&self, batch: &mut VecDeque<usize>) {
        let waiter = {
            let mut state = self.state.lock();
            mem::swap(&mut state.woken, batch);
            state.waiter.take()
        };
        drop(waiter);
    }

    /// Stores a waker, in place of the last one. Returns false and stores nothing if a member was
    /// woken in the meantime.
    pub fn wait(&self, cx: &Context<'_>) -> bool {
        // Foreign code: the lock is held neither for the clone nor for the drop.
        let new = cx.waker().clone();
        let mut state = self.state.lock();
        let is_idle = state.woken.is_empty();
        let unwanted = if is_idle {
            state.waiter.replace(new)
        } else {
            Some(new)
        };
        drop(state);
        drop(unwanted);
        is_idle
    }

    /// Forgets the members that were woken.
    pub fn clear(&self) {
        self.state.lock().woken.clear();
    }

    /// Ends the group: wakers of members have no effect any more.
    pub fn close(&self) {
        let closed = State {
            is_closed: true,
            ..State::default()
        };
        let state = mem::replace(&mut *self.state.lock(), closed);
        drop(state);
    }

    /// Calls a function with the waker that awaits the group. The function must not call foreign
    /// code.
    pub(crate) fn with_waiter<R>(&self, f: impl FnOnce(Option<&Waker>) -> R) -> R {
        f(self.state.lock().waiter.as_ref())
    }
}

impl Member {
    /// Adds the member to those that were woken, and wakes the waker that awaits the group.
    pub fn wake(&self) {
        if self.is_woken.swap(true, Ordering::AcqRel) {
            return;
        }
        let waiter = {
            let mut state = self.group.state.lock();
            if state.is_closed {
                return;
            }
            state.woken.push_back(self.key);
            state.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Returns true if the member was woken since the last call. From then on a wake counts again,
    /// so this is called before the member is polled.
    pub fn take_wake(&self) -> bool {
        self.is_woken.swap(false, Ordering::AcqRel)
    }

    /// Ends the member: its wakers have no effect any more.
    pub fn retire(&self) {
        self.is_woken.store(true, Ordering::Release);
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}
