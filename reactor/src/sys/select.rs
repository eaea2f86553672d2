//! select(2): one bit for each descriptor number, passed to every wait.
//!
//! The sets are our own and as long as the largest descriptor needs. Kernels accept any length, but
//! the `fd_set` of C ends at descriptor 1023, and FD_SET writes past its end from there on.
//!
//! A hang-up or an error makes a descriptor readable, writable or both; select reports nothing
//! more.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, ptr};

use super::backend::Backend;
use super::cvt::cvt;
use super::event::Event;
use super::fcntl::check_open;
use super::level::LevelRegistrations;
use super::notify::NotifyFd;
use super::selector::{Notify, Selector};
use super::timeout::timespec;
use crate::interest::{Direction, Interest, Readiness};
use crate::token::Token;

/// The initial capacity of a set: 1024 descriptors, so that a small program allocates it once.
const FIRST_WORDS: usize = 1024 / Word::BITS as usize;

pub(super) struct Select {
    notifier: Arc<NotifyFd>,
    registrations: LevelRegistrations,
    /// The sets that select(2) reads and overwrites with its result. Filled anew by every wait.
    readable: FdSet,
    writable: FdSet,
}

impl Select {
    pub(super) fn new() -> io::Result<Select> {
        Ok(Select {
            notifier: Arc::new(NotifyFd::new()?),
            registrations: LevelRegistrations::new(Readiness::EMPTY),
            readable: FdSet(Vec::with_capacity(FIRST_WORDS)),
            writable: FdSet(Vec::with_capacity(FIRST_WORDS)),
        })
    }

    /// Writes the armed registrations into the sets and makes them equally long. Returns the number
    /// of words in each.
    fn fill_sets(&mut self) -> usize {
        self.readable.0.clear();
        self.writable.0.clear();
        self.readable.insert(self.notifier.raw());
        for entry in self.registrations.armed() {
            if entry.armed.is_readable() {
                self.readable.insert(entry.fd);
            }
            if entry.armed.is_writable() {
                self.writable.insert(entry.fd);
            }
        }
        let words = self.readable.0.len().max(self.writable.0.len());
        self.readable.0.resize(words, 0);
        self.writable.0.resize(words, 0);
        words
    }

    /// Waits, and leaves what is ready in the sets.
    fn wait_in_kernel(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let words = self.fill_sets();
        let limit = limit.map(timespec);
        // SAFETY: the kernel reads and writes the passed number of bits in each set, and both have
        // that many; `limit` is null or points to a timespec that outlives the call, and the null
        // set and the null signal mask are allowed.
        let ready = cvt(unsafe {
            pselect(
                words as libc::c_int * Word::BITS as libc::c_int,
                self.readable.0.as_mut_ptr().cast(),
                self.writable.0.as_mut_ptr().cast(),
                ptr::null_mut(),
                limit.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null(),
            )
        });
        if ready.is_err() {
            // A call that failed leaves the sets as they were passed, which is no result.
            self.readable.0.clear();
            self.writable.0.clear();
        }
        ready.map(drop)
    }

    /// Finds the descriptors that made the call fail, because select does not name them.
    fn report_closed(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        check_open(self.notifier.raw())?;
        let is_closed = |fd| check_open(fd).is_err();
        self.registrations.report_each_closed(events, is_closed);
        Ok(())
    }
}

impl Selector for Select {
    fn backend(&self) -> Backend {
        Backend::Select
    }

    fn is_edge(&self) -> bool {
        false
    }

    fn supported(&self) -> Interest {
        Interest::NONE
    }

    fn pollable_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<()> {
        self.registrations.add(fd, token)
    }

    fn reregister(&mut self, _: RawFd, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn arm(&mut self, token: Token, direction: Direction) {
        self.registrations.arm(token, direction);
    }

    /// Does nothing, because nothing of it is supported.
    fn arm_non_directional(&mut self, _: Token, _: Interest) {}

    fn remove(&mut self, _: RawFd, token: Token) -> io::Result<()> {
        self.registrations.forget(token);
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        self.registrations.forget(token);
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        let mut waited = self.wait_in_kernel(limit);
        if matches!(&waited, Err(e) if e.raw_os_error() == Some(libc::EBADF)) {
            self.report_closed(events)?;
            // The open descriptors are asked in the same turn, without a wait: there is a closed
            // one to report.
            waited = self.wait_in_kernel(Some(Duration::ZERO));
        }
        match waited.as_ref().map_err(io::Error::raw_os_error) {
            Err(Some(libc::EINTR)) => return Ok(()),
            // Another descriptor was closed in between, or the first one is open again. The next
            // wait deals with it.
            Err(Some(libc::EBADF)) => return Ok(()),
            Err(_) => return waited,
            Ok(()) => {}
        }
        if self.readable.contains(self.notifier.raw()) {
            self.notifier.drain();
        }
        let (readable, writable) = (&self.readable, &self.writable);
        self.registrations.report_each(events, |fd| {
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

/// A set of descriptors in the kernel's layout.
#[derive(Debug, Default)]
struct FdSet(Vec<Word>);

impl FdSet {
    #[inline(never)] // Three inlined copies would be most of this backend's code.
    fn insert(&mut self, fd: RawFd) {
        let (word, bit) = word_and_bit(fd);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn contains(&self, fd: RawFd) -> bool {
        let (word, bit) = word_and_bit(fd);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

fn word_and_bit(fd: RawFd) -> (usize, Word) {
    let fd = fd as u32;
    ((fd / Word::BITS) as usize, 1 << (fd % Word::BITS))
}

/// The element of an `fd_set`, whose lowest bit stands for its lowest descriptor.
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd"))]
type Word = u32;
#[cfg(not(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd")))]
type Word = libc::c_ulong;

#[cfg(not(target_vendor = "apple"))]
use libc::pselect;
#[cfg(target_vendor = "apple")]
unsafe extern "C" {
    /// The variant that a program compiled with _DARWIN_UNLIMITED_SELECT calls. The common one
    /// refuses descriptors of 1024 and over (select(2)).
    #[link_name = "pselect$DARWIN_EXTSN"]
    fn pselect(
        n: libc::c_int,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        limit: *const libc::timespec,
        mask: *const libc::sigset_t,
    ) -> libc::c_int;
}

#[cfg(test)]
mod tests {
    use std::{mem, slice};

    use super::*;

    #[test]
    fn a_set_has_the_layout_of_the_fd_set_of_c() {
        let fds = [0, 1, 31, 32, 33, 63, 64, 100, 1023];
        let mut ours = FdSet::default();
        // SAFETY: an fd_set consists of integers, for which all-zero is valid.
        let mut theirs: libc::fd_set = unsafe { mem::zeroed() };
        for fd in fds {
            ours.insert(fd);
            // SAFETY: the descriptor is below FD_SETSIZE, and the pointer is valid for an fd_set.
            unsafe { libc::FD_SET(fd, &mut theirs) };
        }
        let theirs = (&raw const theirs).cast::<Word>();
        // SAFETY: an fd_set consists of 1024 bits in words of this type, and outlives the slice.
        let theirs = unsafe { slice::from_raw_parts(theirs, 1024 / Word::BITS as usize) };
        assert_eq!(ours.0, theirs);
        assert!(fds.iter().all(|&fd| ours.contains(fd)));
        assert!(!ours.contains(2) && !ours.contains(5000));
    }
}
