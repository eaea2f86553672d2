//! kqueue(2): one registration in a descriptor's life, with `EV_CLEAR`, both filters.
//!
//! Changes are put off and ride in the next call that waits, so that registering costs nothing.
//! Two consequences shape this file. The kernel tells what it refused in the room for events, and
//! does not look for events in that call; and room that is too small loses changes, or on DragonFly
//! is overrun, so there is always as much of it as there are changes.
//!
//! Left out: macOS accepts some character devices only with a `NOTE_LOWAT` of 1 and otherwise says
//! EINVAL. Those are reported as that error.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, mem, ptr};

use super::notify::Pipe;
use super::{Backend, Doorbell, Event, Selector, cvt, forks};
use crate::interest::{Direction, Readiness};
use crate::slot::Key;

/// Room for this many events at first, two for each busy descriptor; doubled, up to the most,
/// whenever a wait fills it.
const FIRST_CAPACITY: usize = 256;
const MOST_CAPACITY: usize = 8192;

/// Longer waits end early, as a wait for nothing may: OpenBSD's kqueue(2) knows no timeout of more
/// than a day, DragonFly sleeps in pieces of an hour, and nobody notices one wake-up an hour.
const MOST_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The two filters of a registration, always in this order.
const BOTH: [Filter; 2] = [libc::EVFILT_READ, libc::EVFILT_WRITE];

pub(super) struct Kqueue {
    bell: Arc<KqueueBell>,
    /// What the kernel is told by the next wait.
    changes: Changes,
    /// `changes` in the kernel's words. Filled anew by every wait; only its memory is kept.
    changelist: Vec<Kevent>,
    /// What the kernel answered to the last wait.
    answers: Vec<Kevent>,
    keys: Keys,
}

/// What `kevent` and `write` need, which any thread may call.
struct KqueueBell {
    kqueue: KqueueFd,
    /// The doorbell of a kernel without EVFILT_USER: NetBSD before 10.0, OpenBSD before 7.8.
    pipe: Option<Pipe>,
}

/// A descriptor that a forked child does not get (kqueue(2)). There its number may be another
/// one's, which must not be closed.
#[derive(Debug)]
struct KqueueFd {
    fd: ManuallyDrop<OwnedFd>,
    /// The process it was made in.
    forks: u32,
}

impl KqueueFd {
    fn new(fd: OwnedFd) -> KqueueFd {
        KqueueFd {
            fd: ManuallyDrop::new(fd),
            forks: forks(),
        }
    }
}

impl Deref for KqueueFd {
    type Target = OwnedFd;

    fn deref(&self) -> &OwnedFd {
        &self.fd
    }
}

impl Drop for KqueueFd {
    fn drop(&mut self) {
        if self.forks == forks() {
            // SAFETY: it is dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

impl Kqueue {
    pub(super) fn new() -> io::Result<Kqueue> {
        let kqueue = KqueueFd::new(kqueue()?);
        // Alone: FreeBSD and NetBSD ignore NOTE_TRIGGER in the change that adds.
        let user = bell_change(libc::EV_ADD | libc::EV_CLEAR, 0);
        match apply(&kqueue, user) {
            Ok(()) => Ok(Kqueue::with_bell(KqueueBell { kqueue, pipe: None })),
            Err(_) => Kqueue::with_pipe(kqueue),
        }
    }

    fn with_pipe(kqueue: KqueueFd) -> io::Result<Kqueue> {
        let pipe = Pipe::new()?;
        let flags = libc::EV_ADD | libc::EV_CLEAR;
        apply(
            &kqueue,
            change(
                pipe.raw(),
                libc::EVFILT_READ,
                flags,
                Key::DOORBELL.to_bits(),
            ),
        )?;
        Ok(Kqueue::with_bell(KqueueBell {
            kqueue,
            pipe: Some(pipe),
        }))
    }

    fn with_bell(bell: KqueueBell) -> Kqueue {
        Kqueue {
            bell: Arc::new(bell),
            changes: Changes::default(),
            changelist: Vec::new(),
            answers: Vec::with_capacity(FIRST_CAPACITY),
            keys: Keys::default(),
        }
    }

    /// Hands the changes to the kernel and waits, in one call, then appends what it answered to
    /// `events`. Says whether it refused a change, for then it has not looked for events.
    fn fill(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<bool> {
        self.write_changelist();
        self.answers.clear();
        // As the list is empty, this makes room for every single change to be refused.
        self.answers.reserve(self.changelist.len());
        match kevent(
            &self.bell.kqueue,
            &self.changelist,
            &mut self.answers,
            limit,
        ) {
            // Every change was applied before the wait that was interrupted (kqueue(2), ERRORS).
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                self.changes.clear();
                return Ok(false);
            }
            // How far it came is not known. Adding is harmless when it was done already, and so
            // the changes are kept, to be made again.
            Err(e) => {
                self.changes.doubt();
                return Err(e);
            }
            Ok(()) => {}
        }
        let refused = self.translate_answers(events);
        self.changes.clear();
        let (n, capacity) = (self.answers.len(), self.answers.capacity());
        if n == capacity && capacity < MOST_CAPACITY {
            self.answers.clear();
            self.answers.reserve(capacity * 2);
        }
        Ok(refused)
    }

    fn write_changelist(&mut self) {
        self.changelist.clear();
        for entry in &self.changes.0 {
            let udata = self.keys.udata(entry.fd, entry.key);
            // EV_RECEIPT would have every change answered, and so no call would ever wait.
            let flags = libc::EV_ADD | libc::EV_CLEAR;
            self.changelist
                .extend(BOTH.map(|filter| change(entry.fd, filter, flags, udata)));
        }
    }

    fn translate_answers(&mut self, events: &mut Vec<Event>) -> bool {
        let mut refused = false;
        for answer in &self.answers {
            let key = self.keys.key(answer);
            if key == Key::DOORBELL {
                self.bell.hear();
                continue;
            }
            let direction = match answer.filter {
                libc::EVFILT_READ => Direction::Read,
                libc::EVFILT_WRITE => Direction::Write,
                _ => continue,
            };
            if answer.flags & libc::EV_ERROR == 0 {
                let readiness = translate(direction, answer.flags, answer.fflags);
                events.push(Event {
                    key,
                    readiness,
                    errno: 0,
                });
            } else if answer.data != 0 {
                refused = true;
                refuse(events, key, direction, answer.data as i32);
            }
        }
        if refused {
            events.retain_mut(|event| {
                event.errno != libc::EBADF || settle(event, self.changes.only_renews(event.key))
            });
        }
        refused
    }
}

impl Selector for Kqueue {
    fn backend(&self) -> Backend {
        Backend::Kqueue
    }

    fn is_edge(&self) -> bool {
        true
    }

    fn add(&mut self, fd: RawFd, key: Key) -> io::Result<()> {
        self.changes.push(Change {
            fd,
            key,
            renewal: false,
        });
        Ok(())
    }

    /// Adding again runs the filters again, and so reports once more what is still true.
    fn renew(&mut self, fd: RawFd, key: Key) -> io::Result<()> {
        self.changes.push(Change {
            fd,
            key,
            renewal: true,
        });
        Ok(())
    }

    fn arm(&mut self, _: Key, _: Direction) {}

    fn remove(&mut self, fd: RawFd, key: Key) -> io::Result<()> {
        if self.changes.cancel(key) {
            return Ok(());
        }
        self.bell.delete(fd)
    }

    fn forget(&mut self, key: Key) {
        self.changes.cancel(key);
    }

    fn wait(&mut self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        if !self.fill(events, limit)? {
            return Ok(());
        }
        // Nobody has looked for events yet. With something to tell there is no waiting for them,
        // but neither may a source that is refused every turn starve those that are ready.
        let limit = if events.is_empty() {
            limit
        } else {
            Some(Duration::ZERO)
        };
        match self.fill(events, limit) {
            Err(e) if events.is_empty() => Err(e),
            // An error now would lose what was refused; if it lasts, the next wait meets it.
            _ => Ok(()),
        }
    }

    fn doorbell(&self) -> Arc<dyn Doorbell> {
        self.bell.clone()
    }
}

impl KqueueBell {
    /// Deletes both filters, now. A filter that is not there is no error: it was refused, or the
    /// kernel dropped it by itself, as FreeBSD does when the reader of a pipe is gone.
    fn delete(&self, fd: RawFd) -> io::Result<()> {
        // With receipts, the second change is made whatever becomes of the first, and the call
        // takes no events away from the one that waits. Without room they would stop it.
        let flags = libc::EV_DELETE | libc::EV_RECEIPT;
        let changes = BOTH.map(|filter| change(fd, filter, flags, 0));
        let mut receipts = Vec::with_capacity(changes.len());
        match kevent(&self.kqueue, &changes, &mut receipts, Some(Duration::ZERO)) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        let is_refused = |receipt: &&Kevent| {
            let error = receipt.flags & libc::EV_ERROR != 0;
            error && receipt.data != 0 && receipt.data as i32 != libc::ENOENT
        };
        match receipts.iter().find(is_refused) {
            Some(receipt) => Err(io::Error::from_raw_os_error(receipt.data as i32)),
            None => Ok(()),
        }
    }

    /// EVFILT_USER was emptied by being reported, a pipe has to be.
    fn hear(&self) {
        if let Some(pipe) = &self.pipe {
            pipe.hear();
        }
    }
}

impl Doorbell for KqueueBell {
    fn ring(&self) -> io::Result<()> {
        match &self.pipe {
            Some(pipe) => pipe.ring(),
            // Without EV_CLEAR, which in this change takes the trigger back on all BSDs.
            None => apply(&self.kqueue, bell_change(0, libc::NOTE_TRIGGER)),
        }
    }

    fn remove(&self, fd: RawFd) {
        // Nobody is left to tell an error to.
        let _ = self.delete(fd);
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.kqueue.as_fd()
    }
}

impl fmt::Debug for Kqueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Kqueue");
        debug
            .field("bell", &self.bell)
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KqueueBell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KqueueBell")
            .field(&self.kqueue)
            .field(&self.pipe)
            .finish()
    }
}

/// What the kernel is to be told by the next wait, in order. Each entry stands for two changes.
#[derive(Debug, Default)]
struct Changes(Vec<Change>);

#[derive(Debug, Clone, Copy)]
struct Change {
    fd: RawFd,
    key: Key,
    /// Whether the kernel knows the registration already, or may.
    renewal: bool,
}

impl Changes {
    fn push(&mut self, change: Change) {
        self.0.push(change);
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    /// Strikes out what concerns `key`, and says whether the kernel has never heard of it.
    /// Linear in what was put off since the last wait.
    fn cancel(&mut self, key: Key) -> bool {
        let mut unheard = false;
        self.0.retain(|change| {
            unheard |= change.key == key && !change.renewal;
            change.key != key
        });
        unheard
    }

    /// Whether `key` is only renewed here, and so may belong to a descriptor that is closed.
    fn only_renews(&self, key: Key) -> bool {
        self.0
            .iter()
            .filter(|change| change.key == key)
            .all(|change| change.renewal)
    }

    /// From here on any of them may have reached the kernel.
    fn doubt(&mut self) {
        self.0.iter_mut().for_each(|change| change.renewal = true);
    }
}

/// `EV_EOF` for reading is the peer's end, with data possibly left; for writing it is our own end,
/// also when it was we who shut it. It is not a hang-up, then, unless both are reported. The flags
/// may hold others besides: some kernels return those of the change, EV_RECEIPT among them.
fn translate(direction: Direction, flags: Flags, fflags: u32) -> Readiness {
    let mut readiness = direction.readiness();
    if flags & libc::EV_EOF != 0 {
        readiness |= closed(direction);
        // The socket's pending error, if it has one.
        if fflags != 0 {
            readiness |= Readiness::ERROR;
        }
    }
    readiness
}

fn closed(direction: Direction) -> Readiness {
    match direction {
        Direction::Read => Readiness::READ_CLOSED,
        Direction::Write => Readiness::WRITE_CLOSED,
    }
}

/// Notes that the kernel refused a filter. The two of one registration, which come one after the
/// other, become one event; for a single one the event names the direction that it concerns.
fn refuse(events: &mut Vec<Event>, key: Key, direction: Direction, errno: i32) {
    let readiness = direction.readiness();
    // The reader of a pipe was gone before the writer was registered (FreeBSD, DragonFly,
    // OpenBSD): not an error of the registration, but what it was made to find out.
    if errno == libc::EPIPE {
        let readiness = readiness | closed(direction);
        events.push(Event {
            key,
            readiness,
            errno: 0,
        });
        return;
    }
    match events.last_mut() {
        Some(last)
            if last.key == key && last.errno == errno && !last.readiness.intersects(readiness) =>
        {
            last.readiness |= readiness | Readiness::ERROR;
        }
        _ => events.push(Event {
            key,
            readiness,
            errno,
        }),
    }
}

/// What an EBADF means, which shows only when both filters are known. Says whether the event is
/// to be kept.
fn settle(event: &mut Event, renewal: bool) -> bool {
    if event.readiness == Readiness::WRITABLE {
        // The descriptor is good for reading: this is NetBSD's EPIPE (sys_pipe.c).
        event.readiness |= Readiness::WRITE_CLOSED;
        event.errno = 0;
        return true;
    }
    // Closed since. Its source may be gone when it is renewed, but not while it is added.
    !renewal
}

/// A filter of `fd` to change.
fn change(fd: RawFd, filter: Filter, flags: Flags, udata: u64) -> Kevent {
    // SAFETY: a kevent holds integers and one pointer, for which all-zero is a value. (FreeBSD's
    // and Apple's have fields that others lack, so it is not written out.)
    let mut change: Kevent = unsafe { mem::zeroed() };
    change.ident = fd as _;
    change.filter = filter;
    change.flags = flags;
    change.udata = narrow(udata);
    change
}

/// The doorbell to change. The key goes along each time, since every change overwrites it.
fn bell_change(flags: Flags, fflags: u32) -> Kevent {
    let mut change = change(0, libc::EVFILT_USER, flags, Key::DOORBELL.to_bits());
    change.fflags = fflags;
    change
}

/// Makes one change now. Without room for events, so it neither waits nor takes any.
fn apply(kqueue: &OwnedFd, change: Kevent) -> io::Result<()> {
    match kevent(kqueue, &[change], &mut Vec::new(), Some(Duration::ZERO)) {
        Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
        _ => Ok(()),
    }
}

/// Applies `changes`, then waits, and replaces the contents of `answers`, up to its capacity.
fn kevent(
    kqueue: &OwnedFd,
    changes: &[Kevent],
    answers: &mut Vec<Kevent>,
    limit: Option<Duration>,
) -> io::Result<()> {
    let limit = limit
        .map(|limit| limit.min(MOST_LIMIT))
        .map(|limit| libc::timespec {
            tv_sec: limit.as_secs() as _,
            tv_nsec: limit.subsec_nanos() as _,
        });
    answers.clear();
    let n = cvt(system_kevent(kqueue, changes, answers, limit.as_ref()))?;
    // SAFETY: the kernel has just written `n` events at the start of the buffer.
    unsafe { answers.set_len(n as usize) };
    Ok(())
}

// What differs from one system to the next. Everything above is the same for all.

/// Apple's kevent64 has room for 64 bits of key whatever the size of a pointer, and a flag not
/// to wait.
#[cfg(target_vendor = "apple")]
type Kevent = libc::kevent64_s;
#[cfg(not(target_vendor = "apple"))]
type Kevent = libc::kevent;

/// The types of `filter` and `flags` in it.
#[cfg(target_os = "netbsd")]
type Filter = u32;
#[cfg(not(target_os = "netbsd"))]
type Filter = i16;
#[cfg(target_os = "netbsd")]
type Flags = u32;
#[cfg(not(target_os = "netbsd"))]
type Flags = u16;

/// `udata`, as the kernel takes it and as it gives it back.
#[cfg(target_vendor = "apple")]
fn narrow(udata: u64) -> u64 {
    udata
}

#[cfg(not(target_vendor = "apple"))]
fn narrow(udata: u64) -> *mut libc::c_void {
    ptr::without_provenance_mut(udata as usize)
}

#[cfg(target_vendor = "apple")]
fn widen(udata: u64) -> u64 {
    udata
}

#[cfg(not(target_vendor = "apple"))]
fn widen(udata: *mut libc::c_void) -> u64 {
    udata.addr() as u64
}

/// kevent(2), which writes to the spare room of `answers`.
#[cfg(target_vendor = "apple")]
fn system_kevent(
    kqueue: &OwnedFd,
    changes: &[Kevent],
    answers: &mut Vec<Kevent>,
    limit: Option<&libc::timespec>,
) -> libc::c_int {
    let room = answers.spare_capacity_mut();
    // A timeout of zero arms a timer and sleeps on it where nothing is ready; the flag does not.
    let at_once = limit.is_some_and(|limit| limit.tv_sec == 0 && limit.tv_nsec == 0);
    let flags = if at_once {
        libc::KEVENT_FLAG_IMMEDIATE
    } else {
        libc::KEVENT_FLAG_NONE
    };
    // SAFETY: pointers and lengths are those of live slices, the kernel reads one and writes the
    // other; the timespec is null or outlives the call.
    unsafe {
        libc::kevent64(
            kqueue.as_raw_fd(),
            changes.as_ptr(),
            changes.len() as libc::c_int,
            room.as_mut_ptr().cast(),
            room.len() as libc::c_int,
            flags,
            limit.map_or(ptr::null(), ptr::from_ref),
        )
    }
}

/// kevent(2), which writes to the spare room of `answers`.
#[cfg(not(target_vendor = "apple"))]
fn system_kevent(
    kqueue: &OwnedFd,
    changes: &[Kevent],
    answers: &mut Vec<Kevent>,
    limit: Option<&libc::timespec>,
) -> libc::c_int {
    let room = answers.spare_capacity_mut();
    // SAFETY: pointers and lengths (size_t on NetBSD, int elsewhere) are those of live slices, the
    // kernel reads one and writes the other; the timespec is null or outlives the call.
    unsafe {
        libc::kevent(
            kqueue.as_raw_fd(),
            changes.as_ptr(),
            changes.len() as _,
            room.as_mut_ptr().cast(),
            room.len() as _,
            limit.map_or(ptr::null(), ptr::from_ref),
        )
    }
}

#[cfg(target_os = "netbsd")]
fn kqueue() -> io::Result<OwnedFd> {
    // SAFETY: kqueue1 takes an integer.
    let fd = cvt(unsafe { libc::kqueue1(libc::O_CLOEXEC) })?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Marked close-on-exec afterwards. A child forked in between has no kqueue: it is not inherited.
#[cfg(not(target_os = "netbsd"))]
fn kqueue() -> io::Result<OwnedFd> {
    // SAFETY: kqueue takes nothing.
    let fd = cvt(unsafe { libc::kqueue() })?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    let kqueue = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: F_SETFD takes an int and no pointer; the descriptor is ours and open.
    cvt(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(kqueue)
}

/// How a key travels through the kernel: in `udata`, where that holds 64 bits.
#[cfg(any(target_vendor = "apple", target_pointer_width = "64"))]
#[derive(Default)]
struct Keys {}

#[cfg(any(target_vendor = "apple", target_pointer_width = "64"))]
impl Keys {
    fn udata(&mut self, _: RawFd, key: Key) -> u64 {
        key.to_bits()
    }

    fn key(&self, answer: &Kevent) -> Key {
        Key::from_bits(widen(answer.udata))
    }
}

/// How a key travels through the kernel: in 32 bits it cannot, so the last key of each descriptor
/// is kept here, as `udata` itself is overwritten by each change. The kernel has no event for a
/// descriptor that is closed, so none can be taken for one of the number's next owner.
#[cfg(not(any(target_vendor = "apple", target_pointer_width = "64")))]
#[derive(Default)]
struct Keys(std::collections::HashMap<RawFd, Key>);

#[cfg(not(any(target_vendor = "apple", target_pointer_width = "64")))]
impl Keys {
    fn udata(&mut self, fd: RawFd, key: Key) -> u64 {
        self.0.insert(fd, key);
        0
    }

    /// The doorbell is not in the table: its `udata` is what nobody else's is.
    fn key(&self, answer: &Kevent) -> Key {
        let known = self
            .0
            .get(&(answer.ident as RawFd))
            .filter(|_| widen(answer.udata) == 0);
        known.copied().unwrap_or(Key::DOORBELL)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Instant;

    use super::*;

    const ONE: Key = Key::new(1, 7);
    const TWO: Key = Key::new(2, 7);
    const SOON: Option<Duration> = Some(Duration::from_secs(10));

    fn pair() -> (UnixStream, UnixStream) {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        b.set_nonblocking(true).unwrap();
        (a, b)
    }

    /// What one wait says of `key`, and the errno if there is one.
    fn told(kqueue: &mut Kqueue, key: Key, limit: Option<Duration>) -> (Readiness, i32) {
        let mut events = Vec::new();
        kqueue.wait(&mut events, limit).unwrap();
        let ours = events.iter().filter(|event| event.key == key);
        ours.fold((Readiness::EMPTY, 0), |(readiness, errno), event| {
            (readiness | event.readiness, errno.max(event.errno))
        })
    }

    #[test]
    fn the_end_of_a_direction_is_not_a_hang_up() {
        let flags = libc::EV_EOF | libc::EV_CLEAR | libc::EV_RECEIPT;
        let ended = translate(Direction::Read, flags, 0);
        assert_eq!(ended, Readiness::READABLE | Readiness::READ_CLOSED);
        let shut = translate(Direction::Write, flags, 0);
        assert_eq!(shut, Readiness::WRITABLE | Readiness::WRITE_CLOSED);
        let reset = translate(Direction::Read, flags, libc::ECONNRESET as u32);
        assert!(reset.is_error() && reset.is_readable() && !reset.is_writable());
        // Without EV_EOF, fflags hold nothing of ours.
        assert_eq!(
            translate(Direction::Read, libc::EV_CLEAR, 1),
            Readiness::READABLE
        );
    }

    #[test]
    fn a_refusal_concerns_the_direction_that_was_refused() {
        let mut events = Vec::new();
        refuse(&mut events, ONE, Direction::Write, libc::EINVAL);
        refuse(&mut events, TWO, Direction::Read, libc::EINVAL);
        refuse(&mut events, TWO, Direction::Write, libc::EINVAL);
        let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR;
        let expected = [
            Event {
                key: ONE,
                readiness: Readiness::WRITABLE,
                errno: libc::EINVAL,
            },
            Event {
                key: TWO,
                readiness: all,
                errno: libc::EINVAL,
            },
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn a_pipe_without_reader_is_ready_and_closed_in_every_kernels_words() {
        let closed = Readiness::WRITABLE | Readiness::WRITE_CLOSED;
        let expected = Event {
            key: ONE,
            readiness: closed,
            errno: 0,
        };
        let mut events = Vec::new();
        refuse(&mut events, ONE, Direction::Write, libc::EPIPE);
        assert_eq!(events, [expected]);
        let mut events = Vec::new();
        refuse(&mut events, ONE, Direction::Write, libc::EBADF);
        assert!(settle(&mut events[0], true));
        assert_eq!(events, [expected]);
    }

    #[test]
    fn a_closed_descriptor_is_an_error_to_add_and_none_to_renew() {
        for renewal in [false, true] {
            let mut events = Vec::new();
            refuse(&mut events, ONE, Direction::Read, libc::EBADF);
            refuse(&mut events, ONE, Direction::Write, libc::EBADF);
            assert_eq!(events.len(), 1);
            assert_eq!(settle(&mut events[0], renewal), !renewal);
        }
    }

    #[test]
    fn cancelling_tells_what_the_kernel_never_heard_of() {
        let mut changes = Changes::default();
        changes.push(Change {
            fd: 3,
            key: ONE,
            renewal: false,
        });
        changes.push(Change {
            fd: 4,
            key: TWO,
            renewal: true,
        });
        changes.push(Change {
            fd: 3,
            key: ONE,
            renewal: true,
        });
        assert!(!changes.only_renews(ONE) && changes.only_renews(TWO));
        assert!(changes.cancel(ONE), "it was never added");
        assert!(
            !changes.cancel(TWO),
            "it is registered, and only was to be renewed"
        );
        assert!(!changes.cancel(ONE) && changes.0.is_empty());
        changes.push(Change {
            fd: 3,
            key: ONE,
            renewal: false,
        });
        changes.doubt();
        assert!(!changes.cancel(ONE), "it may have been added");
    }

    #[test]
    fn registering_rides_in_the_wait_and_reports_once() {
        let mut kqueue = Kqueue::new().unwrap();
        let (mut ours, mut theirs) = pair();
        kqueue.add(ours.as_raw_fd(), ONE).unwrap();
        assert_eq!(told(&mut kqueue, ONE, SOON), (Readiness::WRITABLE, 0));
        theirs.write_all(b"x").unwrap();
        assert!(told(&mut kqueue, ONE, SOON).0.is_readable());
        let nothing = (Readiness::EMPTY, 0);
        assert_eq!(told(&mut kqueue, ONE, Some(Duration::ZERO)), nothing);
        kqueue.renew(ours.as_raw_fd(), ONE).unwrap();
        let again = Readiness::READABLE | Readiness::WRITABLE;
        assert_eq!(told(&mut kqueue, ONE, SOON), (again, 0));
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    }

    #[test]
    fn the_peers_half_close_leaves_our_half_open() {
        let mut kqueue = Kqueue::new().unwrap();
        let (ours, theirs) = pair();
        kqueue.add(ours.as_raw_fd(), ONE).unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        let (readiness, _) = told(&mut kqueue, ONE, SOON);
        assert!(readiness.is_readable() && readiness.is_read_closed());
        assert!(!readiness.is_write_closed());
    }

    #[test]
    fn one_refused_change_neither_stops_the_others_nor_hides_their_events() {
        let mut kqueue = Kqueue::new().unwrap();
        let (ours, _theirs) = pair();
        // No process has so many descriptors.
        kqueue.add(RawFd::MAX, ONE).unwrap();
        kqueue.add(ours.as_raw_fd(), TWO).unwrap();
        let mut events = Vec::new();
        kqueue.wait(&mut events, None).unwrap();
        let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR;
        assert!(events.contains(&Event {
            key: ONE,
            readiness: all,
            errno: libc::EBADF
        }));
        assert!(events.contains(&Event {
            key: TWO,
            readiness: Readiness::WRITABLE,
            errno: 0
        }));
        assert_eq!(events.len(), 2);
    }

    #[test]
    fn a_wait_whose_every_change_is_dropped_goes_on_waiting() {
        let mut kqueue = Kqueue::new().unwrap();
        kqueue.renew(RawFd::MAX, ONE).unwrap();
        let (before, limit) = (Instant::now(), Duration::from_millis(30));
        assert_eq!(told(&mut kqueue, ONE, Some(limit)), (Readiness::EMPTY, 0));
        assert!(before.elapsed() >= limit);
    }

    #[test]
    fn the_writer_of_a_pipe_without_reader_is_told_so() {
        let mut kqueue = Kqueue::new().unwrap();
        let mut ends = [-1; 2];
        // SAFETY: pipe writes two descriptors into the array of two that it is given.
        cvt(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
        // SAFETY: the kernel has just given us these descriptors and nobody else knows them.
        let [reader, writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        drop(reader);
        kqueue.add(writer.as_raw_fd(), ONE).unwrap();
        let (readiness, errno) = told(&mut kqueue, ONE, SOON);
        assert!(readiness.is_writable() && readiness.is_write_closed());
        assert_eq!(errno, 0);
    }

    #[test]
    fn what_is_removed_or_forgotten_is_silent() {
        let mut kqueue = Kqueue::new().unwrap();
        let (ours, mut theirs) = pair();
        let fd = ours.as_raw_fd();
        let silent = |kqueue: &mut Kqueue| {
            let nothing = (Readiness::EMPTY, 0);
            assert_eq!(told(kqueue, ONE, Some(Duration::ZERO)), nothing);
        };
        kqueue.add(fd, ONE).unwrap();
        kqueue.forget(ONE);
        silent(&mut kqueue);
        kqueue.add(fd, ONE).unwrap();
        kqueue.remove(fd, ONE).unwrap();
        silent(&mut kqueue);
        kqueue.add(fd, ONE).unwrap();
        assert!(told(&mut kqueue, ONE, SOON).0.is_writable());
        kqueue.renew(fd, ONE).unwrap();
        kqueue.remove(fd, ONE).unwrap();
        theirs.write_all(b"x").unwrap();
        silent(&mut kqueue);
        kqueue.remove(fd, ONE).unwrap();
        // From another thread, too.
        kqueue.add(fd, ONE).unwrap();
        assert!(told(&mut kqueue, ONE, SOON).0.is_readable());
        let bell = kqueue.doorbell();
        thread::spawn(move || bell.remove(fd)).join().unwrap();
        theirs.write_all(b"x").unwrap();
        silent(&mut kqueue);
    }

    #[test]
    fn removing_one_takes_no_event_from_another() {
        let mut kqueue = Kqueue::new().unwrap();
        let ((first, _peer), (second, mut writer)) = (pair(), pair());
        kqueue.add(first.as_raw_fd(), ONE).unwrap();
        kqueue.add(second.as_raw_fd(), TWO).unwrap();
        assert!(told(&mut kqueue, TWO, SOON).0.is_writable());
        writer.write_all(b"x").unwrap();
        kqueue.remove(first.as_raw_fd(), ONE).unwrap();
        assert!(told(&mut kqueue, TWO, SOON).0.is_readable());
    }

    #[test]
    fn the_doorbell_ends_a_wait_for_ever_and_reports_nothing() {
        let flavours = [
            Kqueue::new().unwrap(),
            Kqueue::with_pipe(kqueue().unwrap()).unwrap(),
        ];
        for mut kqueue in flavours {
            let mut events = Vec::new();
            for rings in 1..4 {
                let bell = kqueue.doorbell();
                let ringer = thread::spawn(move || (0..rings).try_for_each(|_| bell.ring()));
                kqueue.wait(&mut events, None).unwrap();
                assert!(events.is_empty());
                ringer.join().unwrap().unwrap();
                // Later rings of the three ended nothing, and end this one at most.
                kqueue.wait(&mut events, Some(Duration::ZERO)).unwrap();
            }
            let (before, limit) = (Instant::now(), Duration::from_micros(1500));
            kqueue.wait(&mut events, Some(limit)).unwrap();
            assert!(before.elapsed() >= limit, "nobody rang since");
        }
    }

    #[test]
    fn a_full_buffer_grows() {
        let mut kqueue = Kqueue::new().unwrap();
        let pairs: Vec<_> = (0..FIRST_CAPACITY / 4).map(|_| pair()).collect();
        let streams = || pairs.iter().flat_map(|(a, b)| [a, b]);
        for (index, mut stream) in streams().enumerate() {
            stream.write_all(b"x").unwrap();
            kqueue
                .add(stream.as_raw_fd(), Key::new(index as u32, 0))
                .unwrap();
        }
        let mut events = Vec::new();
        kqueue.wait(&mut events, None).unwrap();
        assert_eq!(events.len(), FIRST_CAPACITY);
        assert!(kqueue.answers.capacity() > FIRST_CAPACITY);
    }

    #[test]
    fn limits_of_any_length_are_taken() {
        let mut kqueue = Kqueue::new().unwrap();
        for limit in [Some(Duration::MAX), Some(Duration::from_nanos(1)), None] {
            kqueue.doorbell().ring().unwrap();
            kqueue.wait(&mut Vec::new(), limit).unwrap();
        }
    }
}
