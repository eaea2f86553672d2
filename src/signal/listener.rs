//! Signal listeners, each a socket pair, and the dispositions to restore.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use runtime_reactor::{Direction, Source};
use signal_hook_registry::SigId;

/// The signals that have or had listeners, by number.
static TABLE: Mutex<BTreeMap<libc::c_int, Entry>> = Mutex::new(BTreeMap::new());

struct Entry {
    /// The descriptors that listeners wait for, one for each listener.
    readers: Vec<RawFd>,
    /// The disposition that the last listener restores.
    previous: libc::sigaction,
    /// The disposition with the registry's handler. The registry itself installs it only once.
    ours: libc::sigaction,
}

fn table() -> MutexGuard<'static, BTreeMap<libc::c_int, Entry>> {
    // No code panics while it is locked.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the signal whose listener waits for a descriptor.
pub(super) fn signal_of(reader: RawFd) -> Option<libc::c_int> {
    let table = table();
    let found = table
        .iter()
        .find(|(_, entry)| entry.readers.contains(&reader));
    found.map(|(signal, _)| *signal)
}

/// A listener for one signal. The handler writes to one end of a socket pair; the reactor waits for
/// the other.
#[derive(Debug)]
pub(super) struct Listener {
    _installed: Installed,
    reader: Source<UnixStream>,
}

/// A handler that writes a byte to a socket for each signal. Dropping the last one for a signal
/// restores the disposition that was there before.
#[derive(Debug)]
pub(crate) struct Installed {
    signal: libc::c_int,
    id: SigId,
    reader: RawFd,
}

impl Installed {
    /// Installs a handler that writes to `writer`, the other end of `reader`. The caller checks the
    /// signal: the registry panics for some signals.
    pub(super) fn new(
        signal: libc::c_int,
        writer: UnixStream,
        reader: &UnixStream,
    ) -> io::Result<Installed> {
        let reader = reader.as_raw_fd();
        let id = install(signal, writer, reader)?;
        Ok(Installed { signal, id, reader })
    }
}

impl Listener {
    /// Creates a listener. The caller checks the signal: the registry panics for some signals.
    pub(super) fn new(signal: libc::c_int) -> io::Result<Listener> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Listener {
            _installed: Installed::new(signal, writer, &reader)?,
            reader: Source::new(reader).sole_owner(),
        })
    }

    /// Waits until the handler has written, and discards what it wrote. Signals beyond the size of
    /// the buffer are reported separately.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let take = |mut stream: &UnixStream| stream.read(&mut [0; 256]);
        self.reader
            .poll_io(Direction::Read, cx, take)
            .map_ok(|_| ())
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let mut table = table();
        let Some(entry) = table.get_mut(&self.signal) else {
            unreachable!("every listener is counted");
        };
        entry.readers.retain(|other| *other != self.reader);
        let installed = swap_disposition(self.signal, None);
        // The disposition is restored before the action is removed, so that a signal in between has
        // the restored effect and is not lost. A handler that replaced ours is kept.
        if entry.readers.is_empty() && installed.is_ok_and(|now| is_same(&now, &entry.ours)) {
            let _ = swap_disposition(self.signal, Some(&entry.previous));
        }
        signal_hook_registry::unregister(self.id);
    }
}

/// Installs the handler and an action that writes to `writer` for every `signal` of this process.
fn install(signal: libc::c_int, writer: UnixStream, reader: RawFd) -> io::Result<SigId> {
    let process = process_id();
    let notify = move || {
        // Between fork(2) and execve(2) a child has this handler and this descriptor, but its
        // signals are not meant for the listener.
        if process_id() == process {
            // A full buffer already reports the signal, and other errors cannot be reported here.
            let _ = (&writer).write(&[1]);
        }
    };
    let mut table = table();
    let previous = swap_disposition(signal, None)?;
    // SAFETY: the action must be async-signal-safe. It calls getpid(2) and makes one write(2) or
    // send(2), as std chooses, on a socket that it owns. It does not allocate, lock or panic, and
    // the registry (since 1.4.8) preserves errno around it.
    let id = unsafe { signal_hook_registry::register(signal, notify) }?;
    let result = match table.get_mut(&signal) {
        None => swap_disposition(signal, None).map(|ours| {
            let entry = Entry {
                readers: vec![reader],
                previous,
                ours,
            };
            table.insert(signal, entry);
        }),
        Some(entry) if entry.readers.is_empty() => {
            entry.previous = previous;
            swap_disposition(signal, Some(&entry.ours)).map(|_| entry.readers.push(reader))
        }
        Some(entry) => {
            entry.readers.push(reader);
            Ok(())
        }
    };
    if result.is_err() {
        signal_hook_registry::unregister(id);
    }
    result.map(|()| id)
}

/// Returns true if two dispositions have the same handler.
fn is_same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    one.sa_sigaction == other.sa_sigaction
}

/// Installs a disposition, if one is given, and returns the previous one.
fn swap_disposition(
    signal: libc::c_int,
    new: Option<&libc::sigaction>,
) -> io::Result<libc::sigaction> {
    let new = new.map_or(ptr::null(), ptr::from_ref);
    let mut old = mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: sigaction requires null or a valid disposition, and room for the old one. `new` is
    // null or was returned by this function, so that the program had installed its handler; `old`
    // is a whole sigaction.
    if unsafe { libc::sigaction(signal, new, old.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: sigaction succeeded, so it has initialized all of `old`.
    Ok(unsafe { old.assume_init() })
}

fn process_id() -> libc::pid_t {
    // SAFETY: getpid takes no arguments and cannot fail.
    unsafe { libc::getpid() }
}
