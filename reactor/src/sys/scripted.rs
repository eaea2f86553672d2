//! A selector for tests: it reports scripted events and records the calls of the reactor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io};

use super::backend::Backend;
use super::event::Event;
use super::selector::{Notify, Selector};
use crate::interest::{Direction, Interest};
use crate::token::Token;

/// A recorded call of a [`Selector`] method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Add(RawFd, Token),
    Reregister(RawFd, Token),
    SetLevel(RawFd, Token, bool),
    AddForReading(RawFd, Token),
    SetWriting(RawFd, Token, bool),
    Arm(Token, Direction),
    ArmNonDirectional(Token, Interest),
    Remove(RawFd, Token),
    Forget(Token),
    Wait(Option<Duration>),
}

/// The result of one `wait`, computed when it is called.
pub(crate) type Answer = Box<dyn FnOnce() -> io::Result<Vec<Event>>>;

/// The code that a test runs in the middle of a call.
pub(crate) type Act = Box<dyn FnOnce()>;

/// The script and the record, shared by the test and the selector.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) calls: Rc<RefCell<Vec<Call>>>,
    /// The results of the coming waits. When none is left, a wait reports nothing.
    pub(crate) answers: Rc<RefCell<VecDeque<Answer>>>,
    /// The error of the next `add`.
    pub(crate) refuse: Rc<RefCell<Option<io::Error>>>,
    /// Called by the next `forget`.
    pub(crate) on_forget: Rc<RefCell<Option<Act>>>,
    pub(crate) notifier: Arc<ScriptedNotify>,
    pub(crate) level: bool,
}

#[derive(Debug, Default)]
pub(crate) struct ScriptedNotify {
    pub(crate) notifications: AtomicUsize,
    pub(crate) removals: AtomicUsize,
}

impl Script {
    /// Has the next wait that has no script yet return `events`.
    pub(crate) fn tell(&self, events: Vec<Event>) {
        self.answers
            .borrow_mut()
            .push_back(Box::new(move || Ok(events)));
    }

    /// Has the next wait that has no script yet run `work` and report nothing.
    pub(crate) fn meanwhile(&self, work: impl FnOnce() + 'static) {
        self.answers.borrow_mut().push_back(Box::new(|| {
            work();
            Ok(Vec::new())
        }));
    }

    /// Takes the record of the calls so far.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        self.calls.take()
    }

    /// Returns the token of the last `add`.
    pub(crate) fn last_added(&self) -> Token {
        let added = self
            .calls
            .borrow()
            .iter()
            .rev()
            .find_map(|call| match call {
                Call::Add(_, token) | Call::AddForReading(_, token) => Some(*token),
                _ => None,
            });
        added.expect("something was added")
    }

    pub(crate) fn selector(&self) -> Box<dyn Selector> {
        let fd = fs::File::open("/dev/null")
            .expect("/dev/null can be opened")
            .into();
        Box::new(Scripted {
            script: self.clone(),
            fd,
        })
    }
}

struct Scripted {
    script: Script,
    fd: OwnedFd,
}

impl Scripted {
    fn record(&self, call: Call) {
        self.script.calls.borrow_mut().push(call);
    }
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Selector for Scripted {
    fn backend(&self) -> Backend {
        Backend::available()[0]
    }

    fn is_edge(&self) -> bool {
        !self.script.level
    }

    fn supported(&self) -> Interest {
        Interest::NON_DIRECTIONAL
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.record(Call::Add(fd, token));
        self.script.refuse.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.record(Call::Reregister(fd, token));
        Ok(())
    }

    fn set_level(&mut self, fd: RawFd, token: Token, is_level: bool) -> io::Result<()> {
        if self.script.level {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.record(Call::SetLevel(fd, token, is_level));
        Ok(())
    }

    fn can_omit_writing(&self) -> bool {
        !self.script.level
    }

    fn add_for_reading(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.record(Call::AddForReading(fd, token));
        Ok(())
    }

    fn set_writing(&mut self, fd: RawFd, token: Token, is_watched: bool) -> io::Result<()> {
        self.record(Call::SetWriting(fd, token, is_watched));
        Ok(())
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        self.record(Call::Arm(token, direction));
    }

    fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        self.record(Call::ArmNonDirectional(token, interest));
    }

    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.record(Call::Remove(fd, token));
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        self.record(Call::Forget(token));
        let act = self.script.on_forget.borrow_mut().take();
        if let Some(act) = act {
            act();
        }
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        self.record(Call::Wait(limit));
        events.clear();
        let answer = self.script.answers.borrow_mut().pop_front();
        events.extend(answer.map_or(Ok(Vec::new()), |answer| answer())?);
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.script.notifier.clone()
    }
}

impl Notify for ScriptedNotify {
    fn notify(&self) -> io::Result<()> {
        self.notifications.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn remove(&self, _: RawFd) {
        self.removals.fetch_add(1, Ordering::SeqCst);
    }
}
