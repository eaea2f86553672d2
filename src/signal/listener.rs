//! A socket pair a listener, and which handler was there before.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::mem;
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use runtime_reactor::{Direction, Source};
use signal_hook_registry::SigId;

/// What is known of the signals that have been listened to, by number.
static TABLE: Mutex<BTreeMap<libc::c_int, Entry>> = Mutex::new(BTreeMap::new());

struct Entry {
    listeners: usize,
    /// What the last listener puts back.
    previous: libc::sigaction,
    /// The registry's handler. It is installed by the registry itself the first time only.
    ours: libc::sigaction,
}

fn table() -> MutexGuard<'static, BTreeMap<libc::c_int, Entry>> {
    // Nothing panics while it is held.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The handler writes to one end, the reactor waits for the other.
#[derive(Debug)]
pub(super) struct Listener {
    signal: libc::c_int,
    id: SigId,
    reader: Source<UnixStream>,
}

impl Listener {
    /// Nothing but a signal that the registry takes may be given here: it panics at others.
    pub(super) fn new(signal: libc::c_int) -> io::Result<Listener> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let id = install(signal, writer)?;
        Ok(Listener {
            signal,
            id,
            reader: Source::new(reader).sole_owner(),
        })
    }

    /// Takes what the handler has written. More than the buffer holds are told as two.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let take = |mut stream: &UnixStream| stream.read(&mut [0; 256]);
        self.reader
            .poll_io(Direction::Read, cx, take)
            .map_ok(|_| ())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut table = table();
        let Some(entry) = table.get_mut(&self.signal) else {
            unreachable!("a listener was counted");
        };
        entry.listeners -= 1;
        let installed = swap_disposition(self.signal, None);
        // First the disposition, then the action: a signal in between does what it did before we
        // came, and is not swallowed. A handler that somebody else has put over ours stays.
        if entry.listeners == 0 && installed.is_ok_and(|now| is_same(&now, &entry.ours)) {
            let _ = swap_disposition(self.signal, Some(&entry.previous));
        }
        signal_hook_registry::unregister(self.id);
    }
}

/// Lets every `signal` of this process write to `writer`.
fn install(signal: libc::c_int, writer: UnixStream) -> io::Result<SigId> {
    let process = process_id();
    let notify = move || {
        // Between fork(2) and execve(2) a child has our handler and our descriptors; the signal is
        // not meant for us.
        if process_id() == process {
            // A full pipe says what is to be said already, and an error cannot be told here.
            let _ = (&writer).write(&[1]);
        }
    };
    let mut table = table();
    let previous = swap_disposition(signal, None)?;
    // SAFETY: the action may only do what is async-signal-safe: it calls getpid(2) and makes one
    // write(2) or send(2), whichever std does, on a socket it owns, without allocation, lock or
    // panic. The registry saves errno around it.
    let id = unsafe { signal_hook_registry::register(signal, notify) }?;
    let result = match table.get_mut(&signal) {
        None => swap_disposition(signal, None).map(|ours| {
            let entry = Entry {
                listeners: 1,
                previous,
                ours,
            };
            table.insert(signal, entry);
        }),
        Some(entry) if entry.listeners == 0 => {
            entry.previous = previous;
            swap_disposition(signal, Some(&entry.ours)).map(|_| entry.listeners = 1)
        }
        Some(entry) => {
            entry.listeners += 1;
            Ok(())
        }
    };
    if result.is_err() {
        signal_hook_registry::unregister(id);
    }
    result.map(|()| id)
}

/// Whether two dispositions have the same handler.
fn is_same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    one.sa_sigaction == other.sa_sigaction
}

/// Installs a disposition, if one is given, and says which there was.
fn swap_disposition(
    signal: libc::c_int,
    new: Option<&libc::sigaction>,
) -> io::Result<libc::sigaction> {
    let new = new.map_or(ptr::null(), ptr::from_ref);
    let mut old = mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: `new` is null or a disposition that this function gave out, whose handler the program
    // had installed and has not unloaded; the old one is written to a place that has room for it.
    if unsafe { libc::sigaction(signal, new, old.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: sigaction succeeded, so it has written the whole of it.
    Ok(unsafe { old.assume_init() })
}

fn process_id() -> libc::pid_t {
    // SAFETY: getpid takes nothing and cannot fail.
    unsafe { libc::getpid() }
}
