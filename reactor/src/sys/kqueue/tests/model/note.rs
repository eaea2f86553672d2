//! One filter of one descriptor: what the kernels call a knote.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use super::edges::{is_shut, process, unread};
use super::flavour::Pipes;
use super::{EV_ADD, EV_CLEAR, EV_EOF, EV_OOBAND, EV_RECEIPT, EVFILT_PROC, EVFILT_READ};
use super::{EVFILT_USER, EVFILT_WRITE, NOTE_EXIT, NOTE_TRIGGER};
use super::{Filter, Flags, Flavour, Kevent, revents};

#[derive(Debug)]
pub(super) struct Note {
    /// Never given to another one.
    pub(super) number: u64,
    pub(super) ident: usize,
    pub(super) filter: Filter,
    /// Those that stay: EV_CLEAR, EV_RECEIPT and EV_EOF.
    pub(super) flags: Flags,
    udata: u64,
    /// That of EVFILT_READ and EVFILT_WRITE.
    pub(super) file: Option<File>,
    /// That of EVFILT_PROC: a pidfd.
    process: Option<OwnedFd>,
    is_triggered: bool,
}

/// An open file, as far as one can be told from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct File {
    device: u64,
    inode: u64,
    kind: Kind,
    /// The two ends of a pipe have one inode.
    is_writer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socket,
    Pipe,
    /// One that has a name.
    Fifo,
    /// A kqueue, which is never writable (kqueue_kqfilter).
    Queue,
    /// A device that none of its driver's functions offers to kqueue.
    PlainDevice,
    /// Ready always.
    RegularFile,
    Other,
}

/// What a filter finds.
pub(super) struct Told {
    is_end: bool,
    is_urgent: bool,
    data: i64,
    fflags: u32,
    /// The filter is deleted with it.
    pub(super) is_last: bool,
}

impl File {
    /// # Errors
    /// EBADF for a descriptor that is closed.
    pub(super) fn of(fd: RawFd) -> Result<File, i32> {
        let path = format!("/proc/self/fd/{fd}");
        let (file, link) = (fs::metadata(&path), fs::symlink_metadata(&path));
        let (Ok(file), Ok(link), Ok(name)) = (file, link, fs::read_link(&path)) else {
            return Err(libc::EBADF);
        };
        let of = file.file_type();
        let kind = if of.is_socket() {
            Kind::Socket
        } else if of.is_fifo() && name.starts_with("/") {
            Kind::Fifo
        } else if of.is_fifo() {
            Kind::Pipe
        } else if name.as_os_str() == "anon_inode:[eventpoll]" {
            Kind::Queue
        } else if of.is_file() || of.is_dir() {
            Kind::RegularFile
        } else if of.is_char_device() && matches!(libc::major(file.rdev()), 1 | 5) {
            // /dev/null and its kin, /dev/tty and /dev/ptmx.
            Kind::PlainDevice
        } else {
            Kind::Other
        };
        Ok(File {
            device: file.dev(),
            inode: file.ino(),
            kind,
            is_writer: link.permissions().mode() & 0o600 == 0o200,
        })
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.kind == Kind::Fifo
    }
}

impl Note {
    pub(super) fn attach(
        flavour: &Flavour,
        number: u64,
        change: &Kevent,
        file: Option<File>,
    ) -> Result<Note, i32> {
        let mut note = Note {
            number,
            ident: change.ident,
            filter: change.filter,
            flags: change.flags & EV_CLEAR,
            udata: 0,
            file,
            process: None,
            is_triggered: false,
        };
        if change.filter == EVFILT_PROC {
            let process = process(change.ident)?;
            if has_ended(&process) && !flavour.tells_zombies {
                return Err(libc::ESRCH);
            }
            note.process = Some(process);
        }
        match file.map(|file| file.kind) {
            Some(Kind::PlainDevice) => flavour.devices.map_or(Ok(()), Err)?,
            Some(Kind::Queue) if change.filter == EVFILT_WRITE => return Err(libc::EINVAL),
            Some(Kind::Pipe | Kind::Fifo) if change.filter == EVFILT_WRITE => {
                let fits = note.fits_its_end() || flavour.pipes == Pipes::TwoWay;
                if let (true, true, Some(errno)) = (fits, note.is_alone(), flavour.lone_pipe) {
                    return Err(errno);
                }
            }
            _ => {}
        }
        note.touch(flavour, change);
        let is_triggered = change.fflags & NOTE_TRIGGER != 0;
        note.is_triggered = is_triggered && !flavour.trigger_is_lost_in_add;
        Ok(note)
    }

    /// What every change does, to begin with.
    pub(super) fn touch(&mut self, flavour: &Flavour, change: &Kevent) {
        self.udata = match flavour.is_32_bit {
            true => change.udata & u64::from(u32::MAX),
            false => change.udata,
        };
        if flavour.events_keep_receipt {
            self.flags |= change.flags & EV_RECEIPT;
        }
        if self.filter == EVFILT_USER {
            self.is_triggered |= change.fflags & NOTE_TRIGGER != 0;
            if change.flags & EV_CLEAR != 0 && flavour.clear_cancels_trigger {
                self.is_triggered = false;
            }
        } else if flavour.readding_changes_mode && change.flags & EV_ADD != 0 {
            self.flags = self.flags & !EV_CLEAR | change.flags & EV_CLEAR;
        }
    }

    /// What shows on Linux that something happened to it, if that is a descriptor.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        let process = self.process.as_ref().map(AsRawFd::as_raw_fd);
        process.or(self.file.map(|_| self.ident as RawFd))
    }

    /// Whether its descriptor is open still, and not another one's by now.
    pub(super) fn is_of_its_file(&self) -> bool {
        let open = |file| File::of(self.ident as RawFd) == Ok(file);
        self.file.is_none_or(open)
    }

    fn fits_its_end(&self) -> bool {
        self.file.is_some_and(|file| file.is_writer) == (self.filter == EVFILT_WRITE)
    }

    /// Whether the other end of the pipe is closed.
    fn is_alone(&self) -> bool {
        revents(self.ident as RawFd) & (libc::POLLERR | libc::POLLHUP) != 0
    }

    /// Runs the filter: what there is to tell at this moment, if anything.
    pub(super) fn look(&self, flavour: &Flavour) -> Option<Told> {
        if let Some(process) = &self.process {
            return has_ended(process).then_some(Told {
                fflags: NOTE_EXIT,
                is_last: true,
                ..Told::ended(true)
            });
        }
        let Some(file) = self.file else {
            return self.is_triggered.then_some(Told::READY);
        };
        match file.kind {
            Kind::Pipe | Kind::Fifo if !self.fits_its_end() => self.look_at_wrong_end(flavour),
            Kind::Pipe | Kind::Fifo => self.look_at_pipe(flavour),
            Kind::Socket => self.look_at_socket(flavour),
            Kind::RegularFile => Some(Told::READY),
            Kind::PlainDevice | Kind::Queue | Kind::Other => {
                let asked = match self.filter {
                    EVFILT_READ => libc::POLLIN | libc::POLLHUP,
                    _ => libc::POLLOUT | libc::POLLHUP,
                };
                let found = revents(self.ident as RawFd) & asked;
                (found != 0).then(|| Told::ended(found & libc::POLLHUP != 0))
            }
        }
    }

    fn look_at_wrong_end(&self, flavour: &Flavour) -> Option<Told> {
        if flavour.pipes == Pipes::OneWay {
            return None;
        }
        // Nothing comes the other way, and there is always room for it.
        let is_alone = self.is_alone();
        (is_alone || self.filter == EVFILT_WRITE).then(|| Told::ended(is_alone))
    }

    fn look_at_pipe(&self, flavour: &Flavour) -> Option<Told> {
        let found = revents(self.ident as RawFd);
        let is_missed = flavour.misses_ends_of_fifos && self.file.is_some_and(|f| f.is_fifo());
        let is_alone = found & (libc::POLLERR | libc::POLLHUP) != 0 && !is_missed;
        let is_ready = found & (libc::POLLIN | libc::POLLOUT) != 0;
        (is_ready || is_alone).then(|| Told {
            data: match self.filter {
                EVFILT_READ => unread(self.ident as RawFd).0,
                _ => 1,
            },
            is_last: is_alone && self.filter == EVFILT_WRITE && flavour.ended_pipe_is_deleted,
            ..Told::ended(is_alone)
        })
    }

    fn look_at_socket(&self, flavour: &Flavour) -> Option<Told> {
        let found = revents(self.ident as RawFd);
        let both_ends = found & libc::POLLHUP != 0;
        // An error of a datagram socket is no end: it is ready, and says so when it is used.
        let has_failed = both_ends && found & libc::POLLERR != 0;
        let (is_ready, is_end) = match self.filter {
            EVFILT_READ => (libc::POLLIN, found & libc::POLLRDHUP != 0),
            _ => {
                let is_writable = found & libc::POLLOUT != 0 && found & libc::POLLERR == 0;
                (libc::POLLOUT, is_writable && is_shut(self.ident as RawFd))
            }
        };
        let is_end = is_end || both_ends;
        let is_ready = is_end || found & (is_ready | libc::POLLERR) != 0;
        let (short, all) = match self.filter {
            EVFILT_READ => unread(self.ident as RawFd),
            _ => (1, 1),
        };
        let is_urgent = flavour.tells_urgent && short != all;
        is_ready.then(|| Told {
            is_urgent,
            data: if is_urgent { short } else { all },
            fflags: if has_failed {
                libc::ECONNRESET as u32
            } else {
                0
            },
            ..Told::ended(is_end)
        })
    }

    /// The event, after which a filter with EV_CLEAR has nothing to tell any more.
    pub(super) fn report(&mut self, told: &Told) -> Kevent {
        let mut flags = self.flags;
        if told.is_urgent {
            flags |= EV_OOBAND;
        }
        if told.is_end {
            flags |= EV_EOF;
            // Sockets never take it back; a pipe may get a new end.
            if self.file.is_some_and(|file| file.kind == Kind::Socket) {
                self.flags = flags;
            }
        }
        if self.flags & EV_CLEAR != 0 {
            self.is_triggered = false;
        }
        Kevent {
            ident: self.ident,
            filter: self.filter,
            flags,
            fflags: told.fflags,
            data: told.data,
            udata: self.udata,
        }
    }
}

/// Whether a pidfd's process has ended, reaped or not.
fn has_ended(process: &OwnedFd) -> bool {
    revents(process.as_raw_fd()) & libc::POLLIN != 0
}

impl Told {
    const READY: Told = Told::ended(false);

    const fn ended(is_end: bool) -> Told {
        Told {
            is_end,
            is_urgent: false,
            data: 1,
            fflags: 0,
            is_last: false,
        }
    }
}
