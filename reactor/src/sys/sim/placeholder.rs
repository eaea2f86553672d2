//! Placeholders: the real descriptors by which a program holds simulated sockets.
//!
//! A placeholder is the writing end of a pipe of which the simulated kernel keeps the reading end.
//! So the real kernel counts the duplicates, reports a hang-up once the last of them is closed, and
//! gives the pipe an inode that no other open file has. Nothing is ever written to it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::super::epoll::Epoll as Watcher;
use super::super::event::Event;
use super::super::fstat::identity;
use super::super::pipe::pipe;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::super::poll::Poll as Watcher;
use super::super::selector::Selector;
use crate::interest::Direction;
use crate::token::Token;

/// A number that names a simulated socket, and is never used again.
pub(super) type SocketId = u64;

/// The file that a descriptor refers to: device and inode.
pub(super) type Identity = (u64, u64);

/// The simulated kernel's ends of all placeholders.
pub(super) struct Placeholders {
    /// Reports the hang-up of each. Opened with the first placeholder.
    watcher: Option<Watcher>,
    by_identity: BTreeMap<Identity, SocketId>,
    readers: BTreeMap<SocketId, (OwnedFd, Identity)>,
    /// The sockets of numbers that a socket of the program is known to own, to save the fstat.
    by_number: BTreeMap<RawFd, SocketId>,
    events: Vec<Event>,
}

impl Placeholders {
    pub(super) fn new() -> Placeholders {
        Placeholders {
            watcher: None,
            by_identity: BTreeMap::new(),
            readers: BTreeMap::new(),
            by_number: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Creates a placeholder for a socket, and returns the descriptor for the program.
    ///
    /// # Errors
    /// Returns the system's error if no descriptor is available.
    pub(super) fn create(&mut self, id: SocketId) -> io::Result<OwnedFd> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            empty => empty.insert(Watcher::new()?),
        };
        let (reader, writer) = pipe()?;
        let identity = identity(writer.as_raw_fd())?;
        watcher.add(reader.as_raw_fd(), token(id))?;
        watcher.arm(token(id), Direction::Read);
        self.by_identity.insert(identity, id);
        self.readers.insert(id, (reader, identity));
        self.by_number.insert(writer.as_raw_fd(), id);
        Ok(writer)
    }

    /// Returns the socket that a descriptor of a socket of the program refers to.
    ///
    /// The number is looked up without a system call once it is known. It stays with the socket
    /// that owns it, and each way to a new owner calls [`forget_number`] or [`create`].
    ///
    /// [`forget_number`]: Placeholders::forget_number
    /// [`create`]: Placeholders::create
    pub(super) fn find(&mut self, fd: BorrowedFd<'_>) -> Option<SocketId> {
        let fd = fd.as_raw_fd();
        if let Some(id) = self.by_number.get(&fd) {
            return Some(*id);
        }
        let id = self.find_raw(fd)?;
        self.by_number.insert(fd, id);
        Some(id)
    }

    /// Forgets what a number refers to, because the program makes a socket of a descriptor that may
    /// be any.
    pub(super) fn forget_number(&mut self, fd: BorrowedFd<'_>) {
        self.by_number.remove(&fd.as_raw_fd());
    }

    /// Returns the socket whose placeholder, or a duplicate of it, `fd` is. The number need not be
    /// open.
    pub(super) fn find_raw(&self, fd: RawFd) -> Option<SocketId> {
        let identity = identity(fd).ok()?;
        self.by_identity.get(&identity).copied()
    }

    /// Forgets the placeholder of a socket, whose descriptors refer to nothing from now on.
    pub(super) fn remove(&mut self, id: SocketId) {
        if let Some((reader, identity)) = self.readers.remove(&id) {
            self.by_identity.remove(&identity);
            self.by_number.retain(|_, known| *known != id);
            if let Some(watcher) = &mut self.watcher {
                watcher.forget(token(id));
            }
            drop(reader);
        }
    }

    /// Returns the sockets of which the program has closed the last descriptor, in the order in
    /// which they were created.
    pub(super) fn closed(&mut self) -> Vec<SocketId> {
        let Some(watcher) = &mut self.watcher else {
            return Vec::new();
        };
        let mut closed = Vec::new();
        loop {
            // Out of memory: the next call tries again.
            if watcher
                .wait(&mut self.events, Some(Duration::ZERO))
                .is_err()
            {
                break;
            }
            if self.events.is_empty() {
                break;
            }
            closed.extend(self.events.iter().map(|event| event.token.to_bits()));
        }
        closed.sort_unstable();
        closed
    }
}

fn token(id: SocketId) -> Token {
    Token::from_bits(id)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::fd::AsFd;

    use super::super::super::conformance::shared;
    use super::super::super::cvt::cvt;
    use super::*;

    #[test]
    fn a_placeholder_is_closed_with_its_last_duplicate() {
        let _no_fork = shared();
        let mut placeholders = Placeholders::new();
        let first = placeholders.create(7).unwrap();
        let second = placeholders.create(3).unwrap();
        let duplicate = first.try_clone().unwrap();
        assert_eq!(placeholders.find_raw(duplicate.as_raw_fd()), Some(7));
        assert_eq!(placeholders.find_raw(second.as_raw_fd()), Some(3));
        drop(first);
        assert!(placeholders.closed().is_empty());
        drop(duplicate);
        drop(second);
        assert_eq!(placeholders.closed(), [3, 7], "in the order of the numbers");
    }

    #[test]
    fn a_reused_number_is_not_taken_for_the_old_socket() {
        let _no_fork = shared();
        let mut placeholders = Placeholders::new();
        let old = placeholders.create(1).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(placeholders.find_raw(file.as_raw_fd()), None);
        placeholders.remove(1);
        assert_eq!(placeholders.find_raw(old.as_raw_fd()), None);
        assert!(placeholders.closed().is_empty());
    }

    #[test]
    fn a_known_number_is_forgotten_with_its_socket_or_when_it_has_a_new_owner() {
        let _no_fork = shared();
        let mut placeholders = Placeholders::new();
        let old = placeholders.create(1).unwrap();
        assert_eq!(placeholders.find(old.as_fd()), Some(1));
        placeholders.remove(1);
        assert_eq!(placeholders.find(old.as_fd()), None);

        let first = placeholders.create(2).unwrap();
        let duplicate = first.try_clone().unwrap();
        // Another file takes the number while a duplicate keeps the socket alive.
        let file = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: dup2 takes two integers. `first` stays the only owner of its number.
        cvt(unsafe { libc::dup2(file.as_raw_fd(), first.as_raw_fd()) }).unwrap();
        placeholders.forget_number(first.as_fd());
        assert_eq!(placeholders.find(first.as_fd()), None);
        assert_eq!(placeholders.find(duplicate.as_fd()), Some(2));
    }
}
