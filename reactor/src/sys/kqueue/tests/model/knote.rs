//! A knote: one filter registered for one descriptor or process.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use super::edges::{is_datagram, is_shut, process, unread, was_refused};
use super::flavor::PipeFilters;
use super::{EV_ADD, EV_CLEAR, EV_EOF, EV_OOBAND, EV_RECEIPT, EVFILT_PROC, EVFILT_READ};
use super::{EVFILT_USER, EVFILT_WRITE, NOTE_EXIT, NOTE_TRIGGER};
use super::{Filter, Flags, Flavor, Kevent, revents};

#[derive(Debug)]
pub(super) struct Knote {
    /// Unique among all knotes of the queue, past ones included.
    pub(super) number: u64,
    pub(super) ident: usize,
    pub(super) filter: Filter,
    /// The flags that the kernel stores: `EV_CLEAR`, `EV_EOF`, and on some `EV_RECEIPT` and
    /// `EV_ADD`.
    pub(super) flags: Flags,
    udata: u64,
    /// Set for `EVFILT_READ` and `EVFILT_WRITE`.
    pub(super) file: Option<File>,
    /// The pidfd of an `EVFILT_PROC`.
    process: Option<OwnedFd>,
    is_triggered: bool,
}

/// The identity of an open file, as far as /proc shows it, and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct File {
    device: u64,
    inode: u64,
    kind: Kind,
    /// Distinguishes the two ends of a pipe, which have the same inode.
    is_writer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socket,
    Pipe,
    /// A pipe with a name in the file system.
    Fifo,
    /// A kqueue. It refuses the write filter (kqueue_kqfilter).
    Queue,
    /// A device whose driver has no kqueue support on some systems.
    PlainDevice,
    /// The kernel's log. /dev/full stands for it, which every process may open.
    Log,
    /// A regular file or a directory, which is always ready.
    RegularFile,
    Other,
}

/// The result of a filter that has something to report.
pub(super) struct Finding {
    is_end: bool,
    is_urgent: bool,
    data: i64,
    fflags: u32,
    /// The kernel deletes the knote with this event.
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
        } else if of.is_char_device() && file.rdev() == libc::makedev(1, 7) {
            Kind::Log
        } else if of.is_char_device() && matches!(libc::major(file.rdev()), 1 | 5) {
            // Major 1 is /dev/null, /dev/zero and so on; major 5 is /dev/tty and /dev/ptmx.
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

impl Knote {
    pub(super) fn attach(
        flavor: &Flavor,
        number: u64,
        change: &Kevent,
        file: Option<File>,
    ) -> Result<Knote, i32> {
        let mut knote = Knote {
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
            if has_ended(&process) && !flavor.reports_zombies {
                return Err(libc::ESRCH);
            }
            knote.process = Some(process);
        }
        match file.map(|file| file.kind) {
            Some(Kind::Log) if change.filter == EVFILT_WRITE && flavor.log_errno.is_some() => {
                return flavor.log_errno.map_or(Ok(knote), Err);
            }
            Some(Kind::PlainDevice | Kind::Log) => flavor.device_errno.map_or(Ok(()), Err)?,
            Some(Kind::Queue) if change.filter == EVFILT_WRITE => return Err(libc::EINVAL),
            Some(Kind::Fifo) if flavor.fifo_is_socket_pair => {}
            Some(Kind::Pipe | Kind::Fifo) if change.filter == EVFILT_WRITE => {
                let is_neutered =
                    !knote.fits_pipe_end() && flavor.pipe_filters == PipeFilters::OwnDirection;
                let errno = flavor.broken_pipe_errno;
                if let (false, true, Some(errno)) = (is_neutered, knote.is_alone(), errno) {
                    return Err(errno);
                }
            }
            _ => {}
        }
        knote.touch(flavor, change);
        let is_triggered = change.fflags & NOTE_TRIGGER != 0;
        knote.is_triggered = is_triggered && !flavor.trigger_ignored_on_add;
        Ok(knote)
    }

    /// Applies to the knote what every change does, the adding one included.
    pub(super) fn touch(&mut self, flavor: &Flavor, change: &Kevent) {
        self.udata = if flavor.udata_is_32_bit {
            change.udata & u64::from(u32::MAX)
        } else {
            change.udata
        };
        if flavor.events_carry_receipt {
            self.flags |= change.flags & EV_RECEIPT;
        }
        if flavor.events_carry_add {
            self.flags |= change.flags & EV_ADD;
        }
        if self.filter == EVFILT_USER {
            self.is_triggered |= change.fflags & NOTE_TRIGGER != 0;
            if change.flags & EV_CLEAR != 0 && flavor.clear_cancels_trigger {
                self.is_triggered = false;
            }
        } else if flavor.readd_changes_mode && change.flags & EV_ADD != 0 {
            self.flags = self.flags & !EV_CLEAR | change.flags & EV_CLEAR;
        }
    }

    /// Returns the descriptor whose changes activate this knote: its own, or the pidfd.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        let process = self.process.as_ref().map(AsRawFd::as_raw_fd);
        process.or(self.file.map(|_| self.ident as RawFd))
    }

    /// Returns true if the descriptor is still open on the file the knote was added for.
    fn is_of_its_file(&self) -> bool {
        let open = |file| File::of(self.ident as RawFd) == Ok(file);
        self.file.is_none_or(open)
    }

    /// Returns true if the kernel has deleted the knote by itself, because of its descriptor.
    pub(super) fn is_deleted(&self, flavor: &Flavor) -> bool {
        let is_write_filter_of_pipe = self.filter == EVFILT_WRITE
            && self.file.is_some_and(|file| file.kind == Kind::Pipe)
            && self.fits_pipe_end();
        !self.is_of_its_file()
            || flavor.write_filter_misses_eof && is_write_filter_of_pipe && self.is_alone()
    }

    fn fits_pipe_end(&self) -> bool {
        self.file.is_some_and(|file| file.is_writer) == (self.filter == EVFILT_WRITE)
    }

    /// Returns true if the other end of the pipe is closed.
    fn is_alone(&self) -> bool {
        revents(self.ident as RawFd) & (libc::POLLERR | libc::POLLHUP) != 0
    }

    /// Runs the filter on the present state. Returns what it reports, or `None` if it is not ready.
    pub(super) fn run_filter(&self, flavor: &Flavor) -> Option<Finding> {
        if let Some(process) = &self.process {
            return has_ended(process).then_some(Finding {
                fflags: NOTE_EXIT,
                is_last: true,
                ..Finding::ended(true)
            });
        }
        let Some(file) = self.file else {
            return self.is_triggered.then_some(Finding::READY);
        };
        match file.kind {
            Kind::Fifo if !self.fits_pipe_end() && flavor.fifo_is_socket_pair => {
                self.wrong_fifo_end()
            }
            Kind::Pipe | Kind::Fifo if !self.fits_pipe_end() => self.wrong_pipe_end(flavor),
            Kind::Pipe | Kind::Fifo => self.pipe_filter(flavor),
            Kind::Socket => self.socket_filter(flavor),
            Kind::RegularFile => Some(Finding::READY),
            Kind::PlainDevice | Kind::Log | Kind::Queue | Kind::Other => {
                let asked = match self.filter {
                    EVFILT_READ => libc::POLLIN | libc::POLLHUP,
                    _ => libc::POLLOUT | libc::POLLHUP,
                };
                let found = revents(self.ident as RawFd) & asked;
                (found != 0).then(|| Finding::ended(found & libc::POLLHUP != 0))
            }
        }
    }

    fn wrong_pipe_end(&self, flavor: &Flavor) -> Option<Finding> {
        let is_alone = self.is_alone();
        let is_ready = match flavor.pipe_filters {
            PipeFilters::OwnDirection => false,
            PipeFilters::OwnDirectionAndEof => is_alone,
            // The other direction carries no data, so it is never readable and always has room.
            PipeFilters::BothDirections => is_alone || self.filter == EVFILT_WRITE,
        };
        is_ready.then(|| Finding::ended(is_alone))
    }

    /// The filter of a FIFO for the direction that its descriptor was not opened for.
    fn wrong_fifo_end(&self) -> Option<Finding> {
        let bytes = unread(self.ident as RawFd).0;
        match self.filter {
            EVFILT_READ => (bytes > 0).then_some(Finding {
                data: bytes,
                ..Finding::READY
            }),
            _ => (bytes == 0).then_some(Finding::READY),
        }
    }

    fn pipe_filter(&self, flavor: &Flavor) -> Option<Finding> {
        let found = revents(self.ident as RawFd);
        let is_missed = flavor.misses_fifo_eof && self.file.is_some_and(|f| f.is_fifo());
        let is_alone = found & (libc::POLLERR | libc::POLLHUP) != 0 && !is_missed;
        let is_ready = found & (libc::POLLIN | libc::POLLOUT) != 0;
        (is_ready || is_alone).then(|| Finding {
            data: match self.filter {
                EVFILT_READ => unread(self.ident as RawFd).0,
                _ => 1,
            },
            is_last: is_alone && self.filter == EVFILT_WRITE && flavor.broken_pipe_deletes_filter,
            ..Finding::ended(is_alone)
        })
    }

    fn socket_filter(&self, flavor: &Flavor) -> Option<Finding> {
        let found = revents(self.ident as RawFd);
        let both_ends = found & libc::POLLHUP != 0;
        // Linux reports a hang-up of both directions, but no end of the peer's.
        let is_unconnected = both_ends && found & (libc::POLLRDHUP | libc::POLLERR) == 0;
        if is_unconnected && flavor.unconnected_is_silent {
            return None;
        }
        // A pending error of a datagram socket is not an EOF: the filter is ready without fflags.
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
        let is_urgent = flavor.reports_urgent && short != all;
        let overhead = if self.filter == EVFILT_READ && is_datagram(self.ident as RawFd) {
            flavor.datagram_overhead
        } else {
            0
        };
        is_ready.then(|| Finding {
            is_urgent,
            data: overhead + if is_urgent { short } else { all },
            fflags: if !has_failed {
                0
            } else if flavor.reports_refusal && was_refused(self.ident as RawFd) {
                libc::ECONNREFUSED as u32
            } else {
                libc::ECONNRESET as u32
            },
            ..Finding::ended(is_end)
        })
    }

    /// Returns the event to deliver and resets the state that delivery resets.
    pub(super) fn report(&mut self, finding: &Finding) -> Kevent {
        let mut flags = self.flags;
        if finding.is_urgent {
            flags |= EV_OOBAND;
        }
        if finding.is_end {
            flags |= EV_EOF;
            // On a socket EV_EOF stays set; a FIFO may get a new writer or reader.
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
            fflags: finding.fflags,
            data: finding.data,
            udata: self.udata,
        }
    }
}

/// Returns true if the process of a pidfd has exited, whether or not it was reaped.
fn has_ended(process: &OwnedFd) -> bool {
    revents(process.as_raw_fd()) & libc::POLLIN != 0
}

impl Finding {
    const READY: Finding = Finding::ended(false);

    const fn ended(is_end: bool) -> Finding {
        Finding {
            is_end,
            is_urgent: false,
            data: 1,
            fflags: 0,
            is_last: false,
        }
    }
}
