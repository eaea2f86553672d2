//! Prints the changes of a file until it is deleted.
//!
//! It shows `Async` with a descriptor of a kind that the runtime does not know: inotify on Linux, a
//! kqueue of its own with EVFILT_VNODE elsewhere. `Async` waits for any descriptor that the system
//! can poll.
//!
//! Run with:
//!
//!     cargo run --example custom_fd -- /tmp/file
//!
//! and, in another terminal,
//!
//!     echo news >>/tmp/file; rm /tmp/file
//!
//! It prints the path it watches, then `modified`, `renamed` or `deleted` for each change; equal
//! changes in a row are printed once. It ends when the file is deleted. Linux reports the deletion
//! when the last descriptor of the file is closed.

mod common;

use std::process::ExitCode;

use common::Arguments;
use runtime::io;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("custom_fd PATH");
    let Some(path) = arguments.positional() else {
        arguments.usage_error("PATH is missing");
    };
    arguments.finish();
    common::report("custom_fd", watch(&path).await)
}

async fn watch(path: &str) -> io::Result<()> {
    let watch =
        Watch::new(path).map_err(|e| io::Error::new(e.kind(), format!("watch {path}: {e}")))?;
    common::print_line(format_args!("watching {path}"));
    let mut last = None;
    while last != Some(Change::Deleted) {
        for change in watch.changes().await? {
            // One change by a program may arrive as several events.
            if last != Some(change) {
                common::print_line(change.name());
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

        /// Waits for changes and returns those since the last call.
        pub(crate) async fn changes(&self) -> io::Result<Vec<Change>> {
            self.0.read_with(read).await
        }
    }

    /// Reads one buffer of events. `Async` waits when this returns `WouldBlock`.
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
                (ReadFlags::UNMOUNT, Change::Deleted), // the file system is gone
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
        /// The watched file. It stays open because closing it removes the watch from the kqueue.
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
            // SAFETY: kevent requires the descriptor of the filter to stay open; `_file` keeps it
            // so.
            unsafe { kevent(&queue, &[change], &mut none, Some(Duration::ZERO)) }?;
            // kevent takes a timeout, so a kqueue has no blocking mode to change.
            let queue = Async::new_nonblocking(queue)?;
            Ok(Watch { queue, _file: file })
        }

        /// Waits for changes and returns those since the last call.
        pub(crate) async fn changes(&self) -> io::Result<Vec<Change>> {
            self.queue.read_with(read).await
        }
    }

    /// Takes the pending events. `Async` waits when this returns `WouldBlock`.
    fn read(queue: &OwnedFd) -> io::Result<Vec<Change>> {
        let mut events = Vec::with_capacity(8);
        let spare = rustix::buffer::spare_capacity(&mut events);
        // SAFETY: kevent requires the registered descriptors to stay open; this call registers
        // none.
        unsafe { kevent(queue, &[], spare, Some(Duration::ZERO)) }?;
        let mut changes = Vec::new();
        for event in &events {
            let EventFilter::Vnode { flags, .. } = event.filter() else {
                continue;
            };
            let kinds = [
                (VnodeEvents::WRITE, Change::Modified),
                (VnodeEvents::RENAME, Change::Renamed),
                (VnodeEvents::DELETE, Change::Deleted),
                (VnodeEvents::REVOKE, Change::Deleted), // the file system is gone
            ];
            let what = kinds.into_iter().filter(|(flag, _)| flags.contains(*flag));
            changes.extend(what.map(|(_, change)| change));
        }
        if changes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(changes)
    }
}
