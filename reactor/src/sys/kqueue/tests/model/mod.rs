//! A model of the kernel's side of kqueue(2), which lets the backend's own code run on Linux.
//!
//! It takes the place of `abi.rs` in tests: the same names, without a system call of a BSD.
//!
//! - A [`Queue`] keeps a list of knotes, one for each registered filter, as the kernels do.
//! - The *state* of a descriptor is read with poll(2) when an event is about to be reported.
//! - A *change* of that state is detected with one edge-triggered epoll(7) for each filter. It
//!   replaces the KNOTE calls in the sockets and pipes of the kernels.
//! - The exit of a process is detected with a pidfd.
//! - The number of readable bytes is counted as the BSDs and macOS count it when urgent data lies
//!   among them.
//! - [`Flavor`] holds the differences between the systems.
//!
//! The model covers what the backend uses and nothing more. A flag or filter that the backend does
//! not use makes it panic, because such a use has to be modeled first. The pending error of a
//! socket is reported as `ECONNRESET` or `ECONNREFUSED` at a guess: Linux cannot read the error
//! without clearing it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};
use std::{io, process};

use self::edges::{Edges, revents};
pub(crate) use self::flavor::Flavor;
use self::flavor::FullEventlist;
use self::knote::{File, Knote};
use crate::sync::Mutex;
use crate::sys::notify::Pipe;

mod edges;
mod flavor;
mod knote;
mod tests;

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

pub(crate) fn udata(event: &Kevent) -> u64 {
    event.udata
}

pub(crate) fn is_urgent(flags: Flags) -> bool {
    flags & EV_OOBAND != 0
}

/// A kqueue.
#[derive(Debug)]
pub(crate) struct Queue {
    flavor: Flavor,
    edges: Edges,
    /// Readable while a knote is active, so that a blocked `kevent` and pollers of the queue
    /// notice.
    pending: Pipe,
    knotes: Mutex<Knotes>,
    /// The process that opened the queue; a forked child does not inherit it.
    process: u32,
}

#[derive(Debug, Default)]
struct Knotes {
    all: Vec<Knote>,
    last_number: u64,
    /// The numbers of the knotes whose filters have to be run, in order.
    active: VecDeque<u64>,
}

impl Queue {
    pub(crate) fn open() -> io::Result<Queue> {
        let pending = Pipe::new()?;
        Ok(Queue {
            flavor: Flavor::current(),
            edges: Edges::new(pending.raw())?,
            pending,
            knotes: Mutex::new(Knotes::default()),
            process: process::id(),
        })
    }

    pub(crate) fn has_wide_udata(&self) -> bool {
        !self.flavor.udata_is_32_bit
    }

    pub(crate) fn misses_eof_of(&self, fd: RawFd, _: &libc::stat) -> bool {
        self.flavor.misses_fifo_eof && File::of(fd).is_ok_and(|file| file.is_fifo())
    }

    pub(crate) fn write_filter_misses_eof(&self) -> bool {
        self.flavor.write_filter_misses_eof
    }

    pub(crate) fn kevent(
        &self,
        changes: &[Kevent],
        eventlist: &mut Vec<Kevent>,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        eventlist.clear();
        if process::id() != self.process {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let room = eventlist.capacity();
        let goes_on = self.apply(changes, eventlist, room)?;
        // A receipt or an error, and a list without room, keep the call from collecting events.
        if !goes_on || !eventlist.is_empty() || room == 0 {
            return Ok(());
        }
        self.wait(eventlist, room, limit)
    }

    /// Applies the changes. Returns false if the call ends here.
    fn apply(
        &self,
        changes: &[Kevent],
        eventlist: &mut Vec<Kevent>,
        room: usize,
    ) -> io::Result<bool> {
        let mut knotes = self.knotes.lock();
        for change in changes {
            let errno = knotes.apply(self, change).err().unwrap_or(0);
            let receipt = change.flags & EV_RECEIPT != 0;
            if errno == 0 && !receipt {
                continue;
            }
            if eventlist.len() < room {
                let kept = if self.flavor.receipts_keep_flags {
                    change.flags
                } else {
                    0
                };
                eventlist.push(Kevent {
                    flags: kept | EV_ERROR,
                    data: errno.into(),
                    ..*change
                });
                continue;
            }
            match self.flavor.full_eventlist {
                FullEventlist::Overruns => {
                    panic!("DragonFly writes past the end of the event list")
                }
                FullEventlist::Drops if receipt => {}
                FullEventlist::StopsEmpty if receipt => {
                    eventlist.clear();
                    return Ok(false);
                }
                _ if errno != 0 => return Err(io::Error::from_raw_os_error(errno)),
                _ => return Ok(false),
            }
        }
        if !knotes.active.is_empty() {
            self.pending.notify()?;
        }
        Ok(true)
    }

    fn wait(
        &self,
        eventlist: &mut Vec<Kevent>,
        room: usize,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        let deadline = limit.map(|limit| Instant::now() + self.in_ticks(limit));
        loop {
            {
                let mut knotes = self.knotes.lock();
                self.pending.drain();
                for number in self.edges.take()? {
                    knotes.activate(number);
                }
                knotes.scan(self, eventlist, room);
                if !knotes.active.is_empty() {
                    self.pending.notify()?;
                }
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !eventlist.is_empty() || left == Some(Duration::ZERO) {
                return Ok(());
            }
            self.edges.wait(left)?;
        }
    }

    /// Rounds a timeout as the kernel does.
    fn in_ticks(&self, limit: Duration) -> Duration {
        let Some(tick) = self.flavor.tick else {
            return limit;
        };
        if limit.is_zero() {
            return limit;
        }
        let more = u128::from(self.flavor.adds_a_tick);
        let ticks = limit.as_nanos().div_ceil(tick.as_nanos()) + more;
        tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.edges.as_fd()
    }
}

impl Knotes {
    fn apply(&mut self, queue: &Queue, change: &Kevent) -> Result<(), i32> {
        assert_eq!(change.flags & !KNOWN_FLAGS, 0, "flags without a model");
        let is_oneshot = change.flags & EV_ONESHOT != 0;
        let file = match change.filter {
            EVFILT_READ | EVFILT_WRITE => Some(File::of(change.ident as RawFd)?),
            EVFILT_PROC => {
                assert_eq!(change.fflags, NOTE_EXIT, "fflags without a model");
                assert!(is_oneshot, "kernels report an exit only once");
                None
            }
            EVFILT_USER if queue.flavor.has_user_filter => None,
            EVFILT_USER => return Err(libc::EINVAL),
            filter => panic!("filter {filter} has no model"),
        };
        let may_be_oneshot = change.filter == EVFILT_PROC;
        assert!(!is_oneshot || may_be_oneshot, "EV_ONESHOT without a model");
        // Closing a descriptor deletes its knotes, so one of another file with this number no
        // longer exists.
        let is_same = |knote: &Knote| knote.ident == change.ident && knote.filter == change.filter;
        let is_deleted = |knote: &Knote| knote.file != file || knote.is_deleted(&queue.flavor);
        self.all
            .retain(|knote| !is_same(knote) || !is_deleted(knote));
        let place = self.all.iter().position(is_same);
        let number = match place {
            _ if change.flags & EV_DELETE != 0 => {
                let knote = self.all.swap_remove(place.ok_or(libc::ENOENT)?);
                queue.edges.remove(&knote);
                return Ok(());
            }
            Some(place) => {
                let knote = &mut self.all[place];
                knote.touch(&queue.flavor, change);
                queue.edges.add(knote)?;
                knote.number
            }
            None if change.flags & EV_ADD == 0 => return Err(libc::ENOENT),
            None => {
                self.last_number += 1;
                let knote = Knote::attach(&queue.flavor, self.last_number, change, file)?;
                queue.edges.add(&knote)?;
                self.all.push(knote);
                self.last_number
            }
        };
        // Adding and touching run the filter even if the state has not changed.
        self.activate(number);
        Ok(())
    }

    fn activate(&mut self, number: u64) {
        if !self.active.contains(&number) {
            self.active.push_back(number);
        }
    }

    /// Runs the filters of the active knotes and reports those that are ready, up to `room`.
    fn scan(&mut self, queue: &Queue, eventlist: &mut Vec<Kevent>, room: usize) {
        // A knote that stays ready goes to the end of the queue, for the next call.
        for _ in 0..self.active.len() {
            if eventlist.len() == room {
                return;
            }
            let Some(number) = self.active.pop_front() else {
                return;
            };
            // The knote may have been deleted since, by a change or because its file was closed.
            let Some(place) = self.all.iter().position(|knote| knote.number == number) else {
                continue;
            };
            let knote = &mut self.all[place];
            if knote.is_deleted(&queue.flavor) {
                self.all.swap_remove(place);
                continue;
            }
            let Some(finding) = knote.run_filter(&queue.flavor) else {
                continue;
            };
            eventlist.push(knote.report(&finding));
            if knote.flags & EV_CLEAR == 0 {
                self.active.push_back(number);
            }
            if finding.is_last {
                let knote = self.all.swap_remove(place);
                queue.edges.remove(&knote);
            }
        }
    }
}
