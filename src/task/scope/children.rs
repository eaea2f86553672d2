//! The children of a scope, and the poll of those that were woken.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use runtime_executor::internal::{Group, GroupKind, Member, Proceed, member_waker};

use super::live::Live;

/// The key of the body. No child has it.
const BODY: usize = usize::MAX;

type Payload = Box<dyn Any + Send>;

/// The end of a scope: its value, or the panic of its body or of a child.
type End<T> = Result<T, Payload>;

/// The children of a scope, in the future of the scope.
pub(super) struct Children<'scope, T> {
    group: Arc<Group>,
    slots: RefCell<Slots<'scope>>,
    body: Arc<Member>,
    body_waker: Waker,
    /// The members that are still to be polled before those that were woken since.
    batch: RefCell<VecDeque<usize>>,
    proceed: RefCell<Proceed>,
    /// The output of the body, until the last child is complete.
    output: Cell<Option<T>>,
    /// The value with which the scope ends at once.
    exit: Cell<Option<T>>,
    /// True once the scope has ended or is about to: no more children are added.
    is_closed: Cell<bool>,
    _live: Live,
}

/// The children by key.
#[derive(Default)]
struct Slots<'scope> {
    /// A child is taken out of its place while it is polled.
    children: Vec<Option<Child<'scope>>>,
    free: Vec<usize>,
    /// The number of children that were ever added.
    spawned: u64,
    len: usize,
}

struct Child<'scope> {
    future: Pin<Box<dyn Future<Output = ()> + 'scope>>,
    member: Arc<Member>,
    waker: Waker,
    /// The children are dropped in the order of these numbers.
    number: u64,
}

impl<'scope, T> Children<'scope, T> {
    pub(super) fn new() -> Children<'scope, T> {
        let group = Group::new(GroupKind::Scope);
        let body = group.member(BODY);
        body.wake();
        Children {
            slots: RefCell::default(),
            body_waker: member_waker(body.clone()),
            body,
            batch: RefCell::default(),
            proceed: RefCell::default(),
            output: Cell::new(None),
            exit: Cell::new(None),
            is_closed: Cell::new(false),
            _live: Live::new(&group),
            group,
        }
    }

    /// Adds a child, or drops it if the scope ends.
    pub(super) fn add(&self, future: Pin<Box<dyn Future<Output = ()> + 'scope>>) {
        if self.is_closed.get() {
            return;
        }
        let member = {
            let mut slots = self.slots.borrow_mut();
            let key = slots.vacant_key();
            let member = self.group.member(key);
            slots.spawned += 1;
            slots.len += 1;
            slots.children[key] = Some(Child {
                future,
                waker: member_waker(member.clone()),
                member: member.clone(),
                number: slots.spawned,
            });
            self.group.set_len(slots.len);
            member
        };
        member.wake();
    }

    /// Returns the number of children.
    pub(super) fn len(&self) -> usize {
        self.slots.borrow().len
    }

    /// Ends the scope with a value, unless it ends already.
    pub(super) fn exit(&self, value: T) {
        if !self.is_closed.replace(true) {
            self.exit.set(Some(value));
        }
    }

    /// Polls the members that were woken, once each. Returns the end of the scope once everything
    /// in it was dropped. `ends` returns true for an output of the body that ends the scope before
    /// its children are complete.
    pub(super) fn poll<B>(
        &self,
        mut body: Pin<&mut Option<B>>,
        ends: fn(&T) -> bool,
        cx: &Context<'_>,
    ) -> Poll<End<T>>
    where
        B: Future<Output = T>,
    {
        let mut batch = self.batch.take();
        if batch.is_empty() {
            self.group.take_batch(&mut batch);
        }
        while let Some(&key) = batch.front() {
            // The members share the poll of one task with others, so each of them is counted.
            if self.proceed.borrow_mut().poll(cx).is_pending() {
                self.batch.replace(batch);
                return Poll::Pending;
            }
            batch.pop_front();
            let polled = if key == BODY {
                self.poll_body(body.as_mut(), ends)
            } else {
                self.poll_child(key)
            };
            if let Some(end) = self.end(&body, polled) {
                return Poll::Ready(self.close(body, end));
            }
        }
        self.batch.replace(batch); // for its capacity
        self.proceed.borrow_mut().set_waited();
        if !self.group.wait(cx) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Polls the body, which is dropped once it is complete.
    fn poll_body<B>(
        &self,
        mut body: Pin<&mut Option<B>>,
        ends: fn(&T) -> bool,
    ) -> Result<(), Payload>
    where
        B: Future<Output = T>,
    {
        let Some(future) = body.as_mut().as_pin_mut() else {
            return Ok(());
        };
        if !self.body.take_wake() {
            return Ok(());
        }
        let mut cx = Context::from_waker(&self.body_waker);
        if let Poll::Ready(output) = catch(|| future.poll(&mut cx))? {
            self.body.retire();
            if ends(&output) {
                self.exit(output);
            } else {
                self.output.set(Some(output));
            }
            catch(|| body.set(None))?;
        }
        Ok(())
    }

    /// Polls a child, which is dropped once it is complete.
    fn poll_child(&self, key: usize) -> Result<(), Payload> {
        let taken = {
            let mut slots = self.slots.borrow_mut();
            let is_woken = |child: &mut Child<'_>| child.member.take_wake();
            slots
                .children
                .get_mut(key)
                .and_then(|slot| slot.take_if(is_woken))
        };
        // The key of a child that was woken in its last poll may belong to a later child.
        let Some(mut child) = taken else {
            return Ok(());
        };
        let mut cx = Context::from_waker(&child.waker);
        let polled = catch(|| child.future.as_mut().poll(&mut cx));
        let mut slots = self.slots.borrow_mut();
        if let Ok(Poll::Pending) = polled {
            slots.children[key] = Some(child);
            return Ok(());
        }
        child.member.retire();
        slots.free.push(key);
        slots.len -= 1;
        self.group.set_len(slots.len);
        drop(slots);
        let dropped = catch(|| drop(child));
        polled.map(|_| ()).and(dropped)
    }

    /// Returns the end of the scope if it ends now.
    fn end<B>(&self, body: &Option<B>, polled: Result<(), Payload>) -> Option<End<T>> {
        if let Err(payload) = polled {
            return Some(Err(payload));
        }
        if let Some(value) = self.exit.take() {
            return Some(Ok(value));
        }
        let is_complete = body.is_none() && self.len() == 0;
        is_complete.then(|| self.output.take()).flatten().map(Ok)
    }

    /// Drops the body and the children, and returns the end of the scope: a panic of a destructor
    /// only if there was no panic before.
    fn close<B>(&self, mut body: Pin<&mut Option<B>>, end: End<T>) -> End<T> {
        self.is_closed.set(true);
        let body = catch(|| body.set(None));
        let children = self.drop_children();
        match (end, body.and(children)) {
            (Ok(value), Err(payload)) => {
                let _ = catch(|| drop(value)).map_err(mem::forget);
                Err(payload)
            }
            (end, Ok(())) => end,
            (Err(first), Err(later)) => {
                // Its own drop might panic.
                mem::forget(later);
                Err(first)
            }
        }
    }

    /// Drops the children in the order in which they were spawned. Returns the first panic.
    fn drop_children(&self) -> Result<(), Payload> {
        let slots = self.slots.take();
        self.group.set_len(0);
        self.group.close();
        let mut children: Vec<Child<'_>> = slots.children.into_iter().flatten().collect();
        children.sort_unstable_by_key(|child| child.number);
        let mut first = Ok(());
        for child in children {
            let dropped = catch(|| drop(child));
            if first.is_ok() {
                first = dropped;
            } else {
                let _ = dropped.map_err(mem::forget);
            }
        }
        first
    }
}

impl<T> Drop for Children<'_, T> {
    fn drop(&mut self) {
        self.is_closed.set(true);
        if let Err(payload) = self.drop_children() {
            if thread::panicking() {
                mem::forget(payload);
            } else {
                resume_unwind(payload);
            }
        }
    }
}

impl Slots<'_> {
    fn vacant_key(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.children.push(None);
            self.children.len() - 1
        })
    }
}

/// Calls foreign code. The caller drops what a panic leaves behind, and resumes the panic.
fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}
