//! select(2): one bit for each descriptor there may be, handed over by every wait.
//!
//! The sets are our own, as long as the largest descriptor needs: FD_SET on the `fd_set` of C writes
//! past its end from descriptor 1024 on. The kernels themselves take any length.
//!
//! A hang-up and an error make a descriptor readable, or writable, or both; more is not told.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, ptr};

use super::levels::LevelRegistrations;
use super::notify::NotifyFd;
use super::{Backend, Event, Notify, Selector, Word, cvt, pselect, timespec};
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

/// Room for 1024 descriptors at first, so that small programs allocate once.
const FIRST_WORDS: usize = 1024 / Word::BITS as usize;

pub(super) struct Select {
    notifier: Arc<NotifyFd>,
    levels: LevelRegistrations,
    /// What is asked, and then what is answered. Filled anew by every wait.
    readable: Set,
    writable: Set,
}

impl Select {
    pub(super) fn new() -> io::Result<Select> {
        Ok(Select {
            notifier: Arc::new(NotifyFd::new()?),
            levels: LevelRegistrations::default(),
            readable: Set(Vec::with_capacity(FIRST_WORDS)),
            writable: Set(Vec::with_capacity(FIRST_WORDS)),
        })
    }

    /// Waits, and leaves the answers in the sets.
    fn fill(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.readable.0.clear();
        self.writable.0.clear();
        self.readable.insert(self.notifier.raw());
        for watched in self.levels.armed() {
            if watched.armed.is_readable() {
                self.readable.insert(watched.fd);
            }
            if watched.armed.is_writable() {
                self.writable.insert(watched.fd);
            }
        }
        let words = self.readable.0.len().max(self.writable.0.len());
        self.readable.0.resize(words, 0);
        self.writable.0.resize(words, 0);
        let limit = limit.map(timespec);
        // SAFETY: the kernel reads and writes as many bits of each set as it is told, and both have
        // them; it reads one timespec that outlives the call or null, and takes no signal mask.
        let told = cvt(unsafe {
            pselect(
                words as libc::c_int * Word::BITS as libc::c_int,
                self.readable.0.as_mut_ptr().cast(),
                self.writable.0.as_mut_ptr().cast(),
                ptr::null_mut(),
                limit.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null(),
            )
        });
        if told.is_err() {
            // The sets are then what they were, and no answer.
            self.readable.0.clear();
            self.writable.0.clear();
        }
        told.map(drop)
    }

    /// One closed descriptor spoils the whole call, and which one is not said.
    fn report_closed(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        check_open(self.notifier.raw())?;
        let is_closed = |fd| check_open(fd).is_err();
        self.levels.report_each_closed(events, is_closed);
        Ok(())
    }
}

impl Selector for Select {
    fn backend(&self) -> Backend {
        Backend::Select
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn supported(&self) -> Interest {
        // Readable and writable are all it knows.
        Interest::NON_DIRECTIONAL.without(Interest::NON_DIRECTIONAL)
    }

    fn is_edge(&self) -> bool {
        false
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.levels.add(fd, token)
    }

    fn reregister(&mut self, _: RawFd, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        self.levels.arm(token, direction);
    }

    /// It tells of none of it.
    fn arm_non_directional(&mut self, _: Token, _: Interest) {}

    fn remove(&mut self, _: RawFd, token: Token) -> io::Result<()> {
        self.levels.forget(token);
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        self.levels.forget(token);
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        let mut waited = self.fill(limit);
        if matches!(&waited, Err(e) if e.raw_os_error() == Some(libc::EBADF)) {
            self.report_closed(events)?;
            // Those that are open are not to wait for it. If yet another one was closed in between,
            // the next wait finds it.
            waited = self.fill(Some(Duration::ZERO));
        }
        match waited.as_ref().map_err(io::Error::raw_os_error) {
            Err(Some(libc::EINTR)) => return Ok(()),
            // Yet another one was closed in between, or the first by now is open again: a wait that
            // found nothing, and the next one finds out.
            Err(Some(libc::EBADF)) => return Ok(()),
            Err(_) => return waited,
            Ok(()) => {}
        }
        if self.readable.contains(self.notifier.raw()) {
            self.notifier.drain();
        }
        let (readable, writable) = (&self.readable, &self.writable);
        self.levels.report_each(events, |fd| {
            let mut readiness = Readiness::EMPTY;
            if readable.contains(fd) {
                readiness |= Readiness::READABLE;
            }
            if writable.contains(fd) {
                readiness |= Readiness::WRITABLE;
            }
            readiness
        });
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }
}

/// # Errors
/// EBADF for a descriptor that is closed.
fn check_open(fd: RawFd) -> io::Result<()> {
    // SAFETY: F_GETFD takes no pointer, and any integer for a descriptor.
    cvt(unsafe { libc::fcntl(fd, libc::F_GETFD) }).map(drop)
}

/// A set of descriptors, laid out as the kernel reads it.
#[derive(Debug, Default)]
struct Set(Vec<Word>);

impl Set {
    #[inline(never)] // Three copies of it would be most of this backend.
    fn insert(&mut self, fd: RawFd) {
        let (word, bit) = place(fd);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn contains(&self, fd: RawFd) -> bool {
        let (word, bit) = place(fd);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

fn place(fd: RawFd) -> (usize, Word) {
    let fd = fd as u32;
    ((fd / Word::BITS) as usize, 1 << (fd % Word::BITS))
}

#[cfg(test)]
mod tests {
    use std::{mem, slice};

    use super::*;

    #[test]
    fn a_set_is_laid_out_as_that_of_c() {
        let fds = [0, 1, 31, 32, 33, 63, 64, 100, 1023];
        let mut ours = Set::default();
        // SAFETY: an fd_set holds integers, for which all-zero is a value.
        let mut theirs: libc::fd_set = unsafe { mem::zeroed() };
        for fd in fds {
            ours.insert(fd);
            // SAFETY: the descriptor is below FD_SETSIZE, and the set is a live one.
            unsafe { libc::FD_SET(fd, &mut theirs) };
        }
        let theirs = (&raw const theirs).cast::<Word>();
        // SAFETY: an fd_set is 1024 bits, no less aligned than its words, and lives long enough.
        let theirs = unsafe { slice::from_raw_parts(theirs, 1024 / Word::BITS as usize) };
        assert_eq!(ours.0, theirs);
        assert!(fds.iter().all(|&fd| ours.contains(fd)));
        assert!(!ours.contains(2) && !ours.contains(5000));
    }
}
