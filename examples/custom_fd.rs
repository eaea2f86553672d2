//! Tells of the changes of a file until it is gone, through a descriptor that this runtime knows
//! nothing of: inotify on Linux, a kqueue of its own with EVFILT_VNODE elsewhere. Whatever the system
//! can wait for, `Async` can.
//!
//! Run with:
//!
//!     cargo run --example custom_fd -- /tmp/file
//!
//! and, in another terminal,
//!
//!     echo news >>/tmp/file; rm /tmp/file
//!
//! It prints what it watches, then `modified`, `renamed` or `deleted`, each once if it comes several
//! times in a row, and ends with the file. On Linux that is when nobody has it open any more.

mod common;

use std::process::ExitCode;

use common::Arguments;
use runtime::io;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("custom_fd PATH");
    let Some(path) = arguments.word() else {
        arguments.wrong("which file?");
    };
    arguments.finish();
    common::report("custom_fd", tell(&path).await)
}

async fn tell(path: &str) -> io::Result<()> {
    let watch =
        Watch::new(path).map_err(|e| io::Error::new(e.kind(), format!("watch {path}: {e}")))?;
    common::say(format_args!("watching {path}"));
    let mut last = None;
    while last != Some(Change::Deleted) {
        for change in watch.changes().await? {
            // The system may tell once or twice of what is one change to people.
            if last != Some(change) {
                common::say(change.name());
            }
            last = Some(change);
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Modified,
    Renamed,
    Deleted,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Change::Modified => "modified",
            Change::Renamed => "renamed",
            Change::Deleted => "deleted",
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
use inotify::Watch;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use vnode::Watch;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod inotify {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;

    use runtime::io::{self, Async};
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

    use super::Change;

    pub(crate) struct Watch(Async<OwnedFd>);

    impl Watch {
        pub(crate) fn new(path: &str) -> io::Result<Watch> {
            let inotify = init(CreateFlags::CLOEXEC)?;
            let flags = WatchFlags::MODIFY | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
            add_watch(&inotify, path, flags)?;
            Async::new(inotify).map(Watch)
        }

        /// What has happened since it was asked last.
        pub(crate) async fn changes(&self) -> io::Result<Vec<Change>> {
            self.0.read_with(read).await
        }
    }

    /// Reads one buffer of events. `WouldBlock` is all that waiting needs to know.
    fn read(inotify: &OwnedFd) -> io::Result<Vec<Change>> {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut changes = Vec::new();
        loop {
            let event = reader.next()?.events();
            let kinds = [
                (ReadFlags::MODIFY, Change::Modified),
                (ReadFlags::MOVE_SELF, Change::Renamed),
                (ReadFlags::DELETE_SELF, Change::Deleted),
                (ReadFlags::UNMOUNT, Change::Deleted), // with its file system
            ];
            let what = kinds.into_iter().filter(|(flag, _)| event.contains(*flag));
            changes.extend(what.map(|(_, change)| change));
            if reader.is_buffer_empty() {
                return Ok(changes);
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod vnode {
    use std::fs::File;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use runtime::io::{self, Async, ErrorKind};
    use rustix::event::kqueue::{Event, EventFilter, EventFlags, VnodeEvents, kevent, kqueue};

    use super::Change;

    pub(crate) struct Watch {
        queue: Async<OwnedFd>,
        /// What is watched; the kqueue forgets it when it is closed.
        _file: File,
    }

    impl Watch {
        pub(crate) fn new(path: &str) -> io::Result<Watch> {
            let file = File::open(path)?;
            let queue = kqueue()?;
            let filter = EventFilter::Vnode {
                vnode: file.as_raw_fd(),
                flags: VnodeEvents::WRITE
                    | VnodeEvents::RENAME
                    | VnodeEvents::DELETE
                    | VnodeEvents::REVOKE,
            };
            let flags = EventFlags::ADD | EventFlags::CLEAR;
            let change = Event::new(filter, flags, std::ptr::null_mut());
            let mut none: [Event; 0] = [];
            // SAFETY: the file is kept open beside the kqueue.
            unsafe { kevent(&queue, &[change], &mut none, Some(Duration::ZERO)) }?;
            // A kqueue waits as long as it is told to, so there is no mode to be set.
            let queue = Async::new_nonblocking(queue)?;
            Ok(Watch { queue, _file: file })
        }

        /// What has happened since it was asked last; something has.
        pub(crate) async fn changes(&self) -> io::Result<Vec<Change>> {
            self.queue.read_with(read).await
        }
    }

    /// Takes the events that there are. `WouldBlock` is all that waiting needs to know.
    fn read(queue: &OwnedFd) -> io::Result<Vec<Change>> {
        let mut events = Vec::with_capacity(8);
        let room = rustix::buffer::spare_capacity(&mut events);
        // SAFETY: nothing is registered.
        unsafe { kevent(queue, &[], room, Some(Duration::ZERO)) }?;
        let mut changes = Vec::new();
        for event in &events {
            let EventFilter::Vnode { flags, .. } = event.filter() else {
                continue;
            };
            let kinds = [
                (VnodeEvents::WRITE, Change::Modified),
                (VnodeEvents::RENAME, Change::Renamed),
                (VnodeEvents::DELETE, Change::Deleted),
                (VnodeEvents::REVOKE, Change::Deleted), // with its file system
            ];
            let what = kinds.into_iter().filter(|(flag, _)| flags.contains(*flag));
            changes.extend(what.map(|(_, change)| change));
        }
        match changes.is_empty() {
            true => Err(ErrorKind::WouldBlock.into()),
            false => Ok(changes),
        }
    }
}
