//! A selector that a test plays: it says what it is told to, and remembers what it was asked.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io};

use super::{Backend, Event, Notify, Selector};
use crate::interest::{Direction, Interest};
use crate::token::Token;

/// What a selector was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Add(RawFd, Token),
    Renew(RawFd, Token),
    Arm(Token, Direction),
    ArmNonDirectional(Token, Interest),
    Remove(RawFd, Token),
    Forget(Token),
    Wait(Option<Duration>),
}

/// What one `wait` answers.
pub(crate) type Answer = Box<dyn FnOnce() -> io::Result<Vec<Event>>>;

/// The two ends of a play: the test keeps one clone, the reactor has the other.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) calls: Rc<RefCell<Vec<Call>>>,
    /// Answers for the waits to come; when there is none left, a wait finds nothing.
    pub(crate) answers: Rc<RefCell<VecDeque<Answer>>>,
    /// What the next `add` fails with.
    pub(crate) refuse: Rc<RefCell<Option<io::Error>>>,
    pub(crate) notifier: Arc<ScriptedNotify>,
    pub(crate) level: bool,
}

#[derive(Debug, Default)]
pub(crate) struct ScriptedNotify {
    pub(crate) notifications: AtomicUsize,
    pub(crate) removals: AtomicUsize,
}

impl Script {
    /// Lets the next unscripted wait return `events`.
    pub(crate) fn tell(&self, events: Vec<Event>) {
        self.answers
            .borrow_mut()
            .push_back(Box::new(move || Ok(events)));
    }

    /// Lets `work` happen during the next unscripted wait, which finds nothing.
    pub(crate) fn meanwhile(&self, work: impl FnOnce() + 'static) {
        self.answers.borrow_mut().push_back(Box::new(|| {
            work();
            Ok(Vec::new())
        }));
    }

    /// Takes what was asked so far.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        self.calls.take()
    }

    /// The token of the last `add`.
    pub(crate) fn last_added(&self) -> Token {
        let added = self
            .calls
            .borrow()
            .iter()
            .rev()
            .find_map(|call| match call {
                Call::Add(_, token) => Some(*token),
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
    fn note(&self, call: Call) {
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

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }

    fn supported(&self) -> Interest {
        Interest::NON_DIRECTIONAL
    }

    fn is_edge(&self) -> bool {
        !self.script.level
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.note(Call::Add(fd, token));
        self.script.refuse.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn reregister(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.note(Call::Renew(fd, token));
        Ok(())
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        self.note(Call::Arm(token, direction));
    }

    fn arm_non_directional(&mut self, token: Token, interest: Interest) {
        self.note(Call::ArmNonDirectional(token, interest));
    }

    fn remove(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.note(Call::Remove(fd, token));
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        self.note(Call::Forget(token));
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        self.note(Call::Wait(limit));
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
