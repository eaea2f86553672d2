//! The kernel's side of kqueue(2), played on Linux, so that the backend's own code runs in tests.
//!
//! A [`Queue`] keeps a list of notes, one a filter, as the kernels do. What is ready is asked of
//! poll(2) at the moment when it is reported; that something *happened* since is learnt from one
//! edge-triggered epoll(7) for each filter, which stands for the calls of KNOTE in the kernels'
//! sockets and pipes. Where the systems differ, [`Flavour`] says how.
//!
//! The end of a process is a pidfd's. What there is to read is counted as the BSDs and macOS count it
//! where urgent data lies in between.
//!
//! Nothing more is played than the backend uses. A flag or a filter it does not use is a panic, as
//! it needs a model first. Errors of sockets are all ECONNRESET, since nothing on Linux tells them
//! without taking them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};
use std::{io, process};

use self::edges::{Edges, revents};
pub(crate) use self::flavour::Flavour;
use self::flavour::NoRoom;
use self::note::{File, Note};
use crate::sync::Mutex;
use crate::sys::notify::Pipe;

mod edges;
mod flavour;
mod note;

pub(crate) type Filter = i16;
pub(crate) type Flags = u16;

pub(crate) const EVFILT_READ: Filter = -1;
pub(crate) const EVFILT_WRITE: Filter = -2;
pub(crate) const EVFILT_PROC: Filter = -5;
pub(crate) const EVFILT_USER: Filter = -11;
pub(crate) const EV_ADD: Flags = 0x0001;
pub(crate) const EV_DELETE: Flags = 0x0002;
pub(crate) const EV_ONESHOT: Flags = 0x0010;
pub(crate) const EV_CLEAR: Flags = 0x0020;
pub(crate) const EV_RECEIPT: Flags = 0x0040;
const EV_OOBAND: Flags = 0x2000;
pub(crate) const EV_ERROR: Flags = 0x4000;
pub(crate) const EV_EOF: Flags = 0x8000;
pub(crate) const NOTE_TRIGGER: u32 = 0x0100_0000;
pub(crate) const NOTE_EXIT: u32 = 0x8000_0000;

const KNOWN_FLAGS: Flags = EV_ADD | EV_DELETE | EV_ONESHOT | EV_CLEAR | EV_RECEIPT;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Kevent {
    pub(crate) ident: usize,
    pub(crate) filter: Filter,
    pub(crate) flags: Flags,
    pub(crate) fflags: u32,
    pub(crate) data: i64,
    pub(crate) udata: u64,
}

pub(crate) fn change(
    ident: RawFd,
    filter: Filter,
    flags: Flags,
    fflags: u32,
    udata: u64,
) -> Kevent {
    Kevent {
        ident: ident as usize,
        filter,
        flags,
        fflags,
        data: 0,
        udata,
    }
}

pub(crate) fn udata(answer: &Kevent) -> u64 {
    answer.udata
}

pub(crate) fn is_urgent(flags: Flags) -> bool {
    flags & EV_OOBAND != 0
}

/// A kernel's queue.
#[derive(Debug)]
pub(crate) struct Queue {
    flavour: Flavour,
    edges: Edges,
    /// Readable while notes are left to be reported, or were changed since the last look.
    pending: Pipe,
    notes: Mutex<Notes>,
    /// A child has no kqueue of its parent's.
    process: u32,
}

#[derive(Debug, Default)]
struct Notes {
    all: Vec<Note>,
    last_number: u64,
    /// The numbers of those to look at, in order.
    active: VecDeque<u64>,
}

impl Queue {
    pub(crate) fn open() -> io::Result<Queue> {
        let pending = Pipe::new()?;
        Ok(Queue {
            flavour: Flavour::current(),
            edges: Edges::new(pending.raw())?,
            pending,
            notes: Mutex::new(Notes::default()),
            process: process::id(),
        })
    }

    pub(crate) fn has_wide_udata(&self) -> bool {
        !self.flavour.is_32_bit
    }

    pub(crate) fn misses_the_end_of(&self, fd: RawFd, _: &libc::stat) -> bool {
        self.flavour.misses_ends_of_fifos && File::of(fd).is_ok_and(|file| file.is_fifo())
    }

    pub(crate) fn kevent(
        &self,
        changes: &[Kevent],
        answers: &mut Vec<Kevent>,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        answers.clear();
        if process::id() != self.process {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let room = answers.capacity();
        let goes_on = self.apply(changes, answers, room)?;
        // Any answer to a change, and any lack of room, keeps the call from looking for events.
        if !goes_on || !answers.is_empty() || room == 0 {
            return Ok(());
        }
        self.wait(answers, room, limit)
    }

    /// Makes the changes. Says whether the call goes on.
    fn apply(
        &self,
        changes: &[Kevent],
        answers: &mut Vec<Kevent>,
        room: usize,
    ) -> io::Result<bool> {
        let mut notes = self.notes.lock();
        for change in changes {
            let errno = notes.apply(self, change).err().unwrap_or(0);
            let receipt = change.flags & EV_RECEIPT != 0;
            if errno == 0 && !receipt {
                continue;
            }
            if answers.len() < room {
                let kept = match self.flavour.answers_keep_flags {
                    true => change.flags,
                    false => 0,
                };
                answers.push(Kevent {
                    flags: kept | EV_ERROR,
                    data: errno.into(),
                    ..*change
                });
                continue;
            }
            match self.flavour.no_room {
                NoRoom::Overruns => panic!("DragonFly writes past the end of the answers"),
                NoRoom::Drops if receipt => {}
                _ if errno != 0 => return Err(io::Error::from_raw_os_error(errno)),
                _ => return Ok(false),
            }
        }
        if !notes.active.is_empty() {
            self.pending.ring()?;
        }
        Ok(true)
    }

    fn wait(
        &self,
        answers: &mut Vec<Kevent>,
        room: usize,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        let deadline = limit.map(|limit| Instant::now() + self.in_ticks(limit));
        loop {
            {
                let mut notes = self.notes.lock();
                self.pending.hear();
                for number in self.edges.take()? {
                    notes.activate(number);
                }
                notes.scan(self, answers, room);
                if !notes.active.is_empty() {
                    self.pending.ring()?;
                }
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !answers.is_empty() || left == Some(Duration::ZERO) {
                return Ok(());
            }
            self.edges.wait(left)?;
        }
    }

    fn in_ticks(&self, limit: Duration) -> Duration {
        let Some(tick) = self.flavour.tick else {
            return limit;
        };
        let ticks = limit.as_nanos().div_ceil(tick.as_nanos());
        tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.edges.as_fd()
    }
}

impl Notes {
    fn apply(&mut self, queue: &Queue, change: &Kevent) -> Result<(), i32> {
        assert_eq!(change.flags & !KNOWN_FLAGS, 0, "flags that are not played");
        let is_oneshot = change.flags & EV_ONESHOT != 0;
        let file = match change.filter {
            EVFILT_READ | EVFILT_WRITE => Some(File::of(change.ident as RawFd)?),
            EVFILT_PROC => {
                assert_eq!(change.fflags, NOTE_EXIT, "notes that are not played");
                assert!(is_oneshot, "it is told once, whatever is asked");
                None
            }
            EVFILT_USER if queue.flavour.user_filter => None,
            EVFILT_USER => return Err(libc::EINVAL),
            filter => panic!("filter {filter} is not played"),
        };
        assert!(!is_oneshot || change.filter == EVFILT_PROC, "not played");
        // The kernel forgets what is closed, and so what another one has the number of.
        let names = |note: &Note| note.ident == change.ident && note.filter == change.filter;
        self.all.retain(|note| !names(note) || note.file == file);
        let place = self.all.iter().position(names);
        let number = match place {
            _ if change.flags & EV_DELETE != 0 => {
                let note = self.all.swap_remove(place.ok_or(libc::ENOENT)?);
                queue.edges.remove(&note);
                return Ok(());
            }
            Some(place) => {
                let note = &mut self.all[place];
                note.touch(&queue.flavour, change);
                queue.edges.add(note)?;
                note.number
            }
            None if change.flags & EV_ADD == 0 => return Err(libc::ENOENT),
            None => {
                self.last_number += 1;
                let note = Note::attach(&queue.flavour, self.last_number, change, file)?;
                queue.edges.add(&note)?;
                self.all.push(note);
                self.last_number
            }
        };
        // Adding and touching run the filter, whether anything has happened or not.
        self.activate(number);
        Ok(())
    }

    fn activate(&mut self, number: u64) {
        if !self.active.contains(&number) {
            self.active.push_back(number);
        }
    }

    /// Reports those that are ready, as far as there is room.
    fn scan(&mut self, queue: &Queue, answers: &mut Vec<Kevent>, room: usize) {
        // What goes on being true comes back to the end of the queue, and is for the next call.
        for _ in 0..self.active.len() {
            if answers.len() == room {
                return;
            }
            let Some(number) = self.active.pop_front() else {
                return;
            };
            // A note that was deleted, or of a descriptor that was closed, is gone.
            let Some(place) = self.all.iter().position(|note| note.number == number) else {
                continue;
            };
            let note = &mut self.all[place];
            if !note.is_of_its_file() {
                self.all.swap_remove(place);
                continue;
            }
            let Some(told) = note.look(&queue.flavour) else {
                continue;
            };
            answers.push(note.report(&told));
            if note.flags & EV_CLEAR == 0 {
                self.active.push_back(number);
            }
            if told.is_last {
                let note = self.all.swap_remove(place);
                queue.edges.remove(&note);
            }
        }
    }
}
