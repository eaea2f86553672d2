//! What the reactor knows of one registered descriptor, and the token that names it to the kernel.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::Waker;
use std::{fmt, io, mem};

use slab::Slab;

use crate::context;
use crate::interest::{Direction, Interest, Readiness};
use crate::sys::{self, Selector};
use crate::token::Token;
use crate::wake_list::WakeList;

/// Every registered descriptor of one reactor.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    slab: Slab<Registration>,
    /// Counts registrations, and is so a generation that no two occupants of a slot share.
    generation: u32,
}

/// What a source and its registration share, so that an operation which need not wait
/// asks nobody else.
#[derive(Debug)]
pub(crate) struct ScheduledIo {
    pub(crate) reactor: u32,
    pub(crate) token: Token,
    /// Names the descriptor to the selector; its source keeps it open. Of a process, its number.
    pub(crate) fd: RawFd,
    /// Whether it is the end of a process that is waited for.
    pub(crate) is_process: bool,
    /// What else than directions its selector can tell of.
    pub(crate) supported: Interest,
    /// The errno of a registration that failed, told with the next wait: of reading in the lower half
    /// and of writing in the upper one, since kqueue registers them one by one.
    errno: AtomicU32,
    /// Set by events (and at first by hope), cleared by the operation that finds nothing. Written on
    /// the reactor's thread only (but for `take_priority`), so plain loads and stores do.
    readiness: AtomicU8,
    /// How many bytes there were to read at the last event that said so. Written as `readiness`.
    unread: AtomicU32,
}

/// One registered descriptor. Only the reactor's thread touches it.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The generation half of the token; written once.
    generation: u32,
    /// Whether the selector knows of it.
    pub(crate) is_added: bool,
    pub(crate) scheduled: Arc<ScheduledIo>,
    /// The last one to wait in each direction.
    wakers: [Option<Waker>; 2],
    /// What is rarely there.
    overflow: Option<Box<Overflow>>,
}

/// What few registrations have.
#[derive(Debug)]
struct Overflow {
    /// Those who waited before the last one and have another waker: two tasks that share a source,
    /// in one direction. So nobody is here in whose direction `wakers` is empty. And, without a
    /// direction, those who wait for hang-up, an error or urgent data.
    extra_wakers: Vec<(Option<Direction>, Waker)>,
    /// How many there may be before they are all woken to queue up anew, which bounds what
    /// wakers nobody needs any more can pile up to.
    limit: u32,
    /// The turn in which there was no more room.
    last_overflow: u32,
}

/// How many extra wakers are kept at first.
const INITIAL_LIMIT: u32 = 64;

/// Whoever was woken for lack of room, and still waits, is back within so many turns.
const TURNS_TO_COME_BACK: u32 = 16;

impl Registrations {
    /// Makes a registration in which everything but `blocked` counts as ready.
    pub(crate) fn insert(
        &mut self,
        reactor: u32,
        fd: RawFd,
        blocked: Readiness,
        is_edge: bool,
        supported: Interest,
    ) -> io::Result<Arc<ScheduledIo>> {
        let optimistic = Readiness::READABLE | Readiness::WRITABLE;
        let level = match is_edge {
            true => Readiness::EMPTY,
            false => Readiness::LEVEL,
        };
        let scheduled = Arc::new(ScheduledIo {
            reactor,
            token: self.next_token()?,
            fd,
            is_process: false,
            supported,
            errno: AtomicU32::new(0),
            readiness: AtomicU8::new((optimistic.without(blocked) | level).to_bits()),
            unread: AtomicU32::new(0),
        });
        self.fill(&scheduled);
        Ok(scheduled)
    }

    /// Makes a registration for the end of a process, which is told as readable.
    pub(crate) fn insert_process(&mut self, reactor: u32, id: u32) -> io::Result<Arc<ScheduledIo>> {
        let scheduled = Arc::new(ScheduledIo {
            reactor,
            token: self.next_token()?,
            fd: id as RawFd,
            is_process: true,
            supported: Interest::NONE,
            errno: AtomicU32::new(0),
            readiness: AtomicU8::new(Readiness::EMPTY.to_bits()),
            unread: AtomicU32::new(0),
        });
        self.fill(&scheduled);
        Ok(scheduled)
    }

    /// The token of the slot that is filled next.
    fn next_token(&mut self) -> io::Result<Token> {
        // The kernel gives out fewer descriptors than this, so nobody will see the error.
        let index = u32::try_from(self.slab.vacant_key())
            .ok()
            .filter(|&index| index != u32::MAX)
            .ok_or_else(|| io::Error::other("the reactor has 2^32 - 1 sources already"))?;
        self.generation = self.generation.wrapping_add(1);
        Ok(Token::new(index, self.generation))
    }

    fn fill(&mut self, scheduled: &Arc<ScheduledIo>) {
        self.slab.insert(Registration {
            generation: self.generation,
            is_added: false,
            scheduled: scheduled.clone(),
            wakers: [None, None],
            overflow: None,
        });
    }

    /// The registration of `token`, unless its slot has another occupant by now.
    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Registration> {
        let registration = self.slab.get_mut(token.index())?;
        (registration.generation == token.generation()).then_some(registration)
    }

    /// Whether another registration than that of `token` is for the same descriptor. O(n).
    pub(crate) fn has_another(&self, fd: RawFd, token: Token) -> bool {
        let mut registrations = self.slab.iter();
        registrations
            .any(|(index, registration)| registration.scheduled.fd == fd && index != token.index())
    }

    /// Takes the registration out, with the wakers in it: they are dropped by the caller, after its borrow.
    pub(crate) fn remove(&mut self, token: Token) -> Option<Registration> {
        self.get(token)?;
        Some(self.slab.remove(token.index()))
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Registration> {
        self.slab.iter_mut().map(|(_, registration)| registration)
    }

    /// Takes everything out; the wakers are handed over.
    pub(crate) fn clear(&mut self, woken: &mut WakeList) {
        for (_, registration) in &mut self.slab {
            registration.wake_everyone(woken);
        }
        // No waker is left in them, so nobody's code runs.
        self.slab.clear();
    }
}

/// What an operation asks on the thread of the reactor, and tells it.
impl ScheduledIo {
    /// Whether its reactor is that of this thread.
    #[inline]
    pub(crate) fn is_local(&self) -> bool {
        self.reactor == context::tick().reactor
    }

    #[inline]
    pub(crate) fn readiness(&self) -> Readiness {
        Readiness::from_bits(self.readiness.load(Ordering::Relaxed))
    }

    #[inline]
    fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(readiness.to_bits(), Ordering::Relaxed);
    }

    #[inline]
    fn add_readiness(&self, readiness: Readiness) {
        self.set_readiness(self.readiness() | readiness);
    }

    /// Whether the selector reports each change once, without being asked again.
    #[inline]
    pub(crate) fn is_edge(&self) -> bool {
        !self.readiness().intersects(Readiness::LEVEL)
    }

    /// Whether an operation of `direction` is worth a try.
    #[inline]
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.readiness().intersects(direction.readiness_mask())
    }

    /// Notes that an operation found nothing. What was said of the direction's end is then not so
    /// either: a named pipe may have a new writer.
    #[inline]
    pub(crate) fn clear(&self, direction: Direction) {
        self.set_readiness(self.readiness().without(direction.readiness_mask()));
    }

    /// The error of its registration, if there is nothing else to wait for in `interest`. On any
    /// thread.
    #[inline]
    pub(crate) fn error(&self, interest: Interest) -> io::Result<()> {
        match self.errno.load(Ordering::Relaxed) {
            0 => Ok(()),
            errno => self.registration_error(errno, interest),
        }
    }

    #[cold]
    fn registration_error(&self, errno: u32, interest: Interest) -> io::Result<()> {
        let errno = |d: Direction| (errno >> (16 * d.index()) & 0xffff) as i32;
        // Who waits for no direction hears of it from either.
        let both = Interest::READABLE | Interest::WRITABLE;
        let interest = match interest.non_directional().is_empty() {
            true => interest,
            false => both,
        };
        if interest.directions().any(|direction| errno(direction) == 0) {
            return Ok(());
        }
        let first = interest.directions().map(errno).next();
        match first.map(io::Error::from_raw_os_error) {
            Some(e) if self.is_process => {
                let text = format!("cannot wait for process {}: {e}", self.fd);
                Err(io::Error::new(e.kind(), text))
            }
            Some(e) => Err(cannot_wait(self.fd, &e)),
            None => Ok(()),
        }
    }

    /// Notes that its registration failed, and says whom it concerns.
    #[cold]
    fn fail(&self, readiness: Readiness, errno: i32) -> Readiness {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        let readiness = match readiness.intersects(both) {
            true => readiness,
            false => readiness | both,
        };
        let told = [Direction::Read, Direction::Write].into_iter();
        let told = told.filter(|d| readiness.intersects(d.readiness()));
        let bits = |d: Direction, bits: u32| bits << (16 * d.index());
        let errnos = told.fold(self.errno.load(Ordering::Relaxed), |errnos, d| {
            errnos & !bits(d, 0xffff) | bits(d, errno as u32 & 0xffff)
        });
        self.errno.store(errnos, Ordering::Relaxed);
        readiness
    }

    /// Forgets that, for who waits for `interest`: it was told, or it is not so any more.
    pub(crate) fn clear_error(&self, interest: Interest) {
        let rare = !interest.non_directional().is_empty();
        let bits = interest.directions().map(|d| 0xffff << (16 * d.index()));
        let cleared = if rare { u32::MAX } else { bits.sum() };
        self.errno.fetch_and(!cleared, Ordering::Relaxed);
    }

    /// Registers it in a selector that knows nothing of it.
    pub(crate) fn add(&self, selector: &mut dyn Selector) -> io::Result<()> {
        match self.is_process {
            true => selector.add_process(self.fd as u32, self.token),
            false => selector.add(self.fd, self.token),
        }
    }

    /// Has the selector say again what is so.
    pub(crate) fn reregister(&self, selector: &mut dyn Selector) -> io::Result<()> {
        match self.is_process {
            true => selector.add_process(self.fd as u32, self.token),
            false => selector.reregister(self.fd, self.token),
        }
    }

    /// # Errors
    /// `Unsupported` if the selector cannot tell of some of `interest`.
    #[cold]
    pub(crate) fn check_supported(&self, interest: Interest) -> io::Result<()> {
        let untold = interest.non_directional().without(self.supported);
        if untold.is_empty() {
            return Ok(());
        }
        let text = format!("this backend cannot tell of {untold:?}");
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    /// Notes that somebody goes to see what the urgent data is. On any thread: a store of the
    /// reactor's own at the same moment may undo it, and it is told once more.
    #[cold]
    pub(crate) fn take_priority(&self) {
        let others = !Readiness::PRIORITY.to_bits();
        self.readiness.fetch_and(others, Ordering::Relaxed);
    }

    /// Notes that an operation moved `moved` bytes, less than it could have: if that was all there
    /// was, the next one need not be tried before the kernel says so. Not after the end was reported,
    /// which is said only once, nor where urgent data may have cut it short: the kernel told of it, or
    /// that there is more.
    #[inline]
    pub(crate) fn on_short_transfer(&self, direction: Direction, moved: usize) {
        let all = match direction {
            Direction::Read => self.unread.load(Ordering::Relaxed) as usize,
            Direction::Write => 0,
        };
        let readiness = self.readiness();
        let stays = readiness.is_exceptional() || readiness.intersects(Readiness::LEVEL);
        if moved >= all && !stays {
            self.clear(direction);
        }
    }

    /// Notes how much the kernel said there was to read.
    #[inline]
    pub(crate) fn count_unread(&self, bytes: u32) {
        if bytes != 0 {
            self.unread.store(bytes, Ordering::Relaxed);
        }
    }
}

impl Registration {
    /// What an event says, and who waited for it.
    #[inline]
    pub(crate) fn deliver(&mut self, readiness: Readiness, errno: i32, woken: &mut WakeList) {
        if errno != 0 || self.overflow.is_some() {
            return self.deliver_slow(readiness, errno, woken);
        }
        self.scheduled.add_readiness(readiness);
        for direction in [Direction::Read, Direction::Write] {
            if readiness.intersects(direction.readiness()) {
                if let Some(waker) = self.wakers[direction.index()].take() {
                    woken.push(waker);
                }
            }
        }
    }

    /// The same where there is an error, or more than one who waits. An error concerns the directions
    /// that `readiness` names, or both if it names none: there will be no event any more, and whoever
    /// tries hears of it when there is nothing.
    #[cold]
    fn deliver_slow(&mut self, readiness: Readiness, errno: i32, woken: &mut WakeList) {
        let readiness = match errno {
            0 => readiness,
            errno => self.scheduled.fail(readiness, errno),
        };
        self.scheduled.add_readiness(readiness);
        for direction in [Direction::Read, Direction::Write] {
            if readiness.intersects(direction.readiness()) {
                self.wake(direction, woken);
            }
        }
        if readiness.is_exceptional() || errno != 0 {
            self.wake_non_directional(woken);
        }
    }

    /// What it says that its registration failed: see `deliver`.
    #[cold]
    pub(crate) fn fail(&mut self, readiness: Readiness, e: &io::Error, woken: &mut WakeList) {
        let errno = e.raw_os_error().unwrap_or(libc::EIO);
        self.deliver_slow(readiness, errno, woken);
    }

    /// Hands over all that waits, whatever for.
    pub(crate) fn wake_everyone(&mut self, woken: &mut WakeList) {
        self.wake(Direction::Read, woken);
        self.wake(Direction::Write, woken);
        self.wake_non_directional(woken);
    }

    fn wake_non_directional(&mut self, woken: &mut WakeList) {
        if let Some(overflow) = &mut self.overflow {
            overflow.wake(None, woken);
        }
    }

    fn wake(&mut self, direction: Direction, woken: &mut WakeList) {
        let Some(last) = self.wakers[direction.index()].take() else {
            return;
        };
        woken.push(last);
        if let Some(overflow) = &mut self.overflow {
            overflow.wake(Some(direction), woken);
        }
    }

    /// Hands over all that waits, not to be woken any more.
    pub(crate) fn discard(mut self, woken: &mut WakeList) {
        for waker in self.wakers.iter_mut().filter_map(Option::take) {
            woken.discard(waker);
        }
        if let Some(overflow) = self.overflow {
            overflow
                .extra_wakers
                .into_iter()
                .for_each(|(_, w)| woken.discard(w));
        }
    }

    /// Whether anybody waits for what is no direction.
    pub(crate) fn has_non_directional_wakers(&self) -> bool {
        let overflow = self.overflow.as_ref();
        overflow.is_some_and(|overflow| overflow.extra_wakers.iter().any(|(d, _)| d.is_none()))
    }

    /// Whether anybody waits in `direction`.
    pub(crate) fn has_wakers(&self, direction: Direction) -> bool {
        self.wakers[direction.index()].is_some()
    }

    /// Whether `waker` stands in the queue of `direction` already.
    pub(crate) fn has_waker(&self, direction: Direction, waker: &Waker) -> bool {
        match &self.wakers[direction.index()] {
            None => false,
            Some(last) => last.will_wake(waker) || self.has_extra_waker(Some(direction), waker),
        }
    }

    #[cold]
    fn has_extra_waker(&self, direction: Option<Direction>, waker: &Waker) -> bool {
        let extra_wakers = self
            .overflow
            .iter()
            .flat_map(|overflow| &overflow.extra_wakers);
        extra_wakers
            .filter(|(d, _)| *d == direction)
            .any(|(_, other)| other.will_wake(waker))
    }

    /// Takes `waker` for `direction`, if that is not ready, nobody waits for it yet, and the selector
    /// need not be asked.
    #[inline]
    pub(crate) fn try_add_waker(&mut self, direction: Direction, waker: &mut Option<Waker>) {
        let place = &mut self.wakers[direction.index()];
        let failed = self.scheduled.errno.load(Ordering::Relaxed) != 0;
        let asks = direction.readiness_mask() | Readiness::LEVEL;
        if place.is_none() && !failed && !self.scheduled.readiness().intersects(asks) {
            *place = waker.take();
        }
    }

    /// Puts `waker` into the queue of `direction`. If the queue has become too long, everybody who
    /// stood in it before is handed to `woken`: they look again and, if need be, come back. When
    /// they fill it again at once it is not forgotten wakers but a crowd, which gets a higher limit:
    /// otherwise they would go on waking each other.
    pub(crate) fn add_waker(
        &mut self,
        direction: Direction,
        waker: Waker,
        turn: u32,
        woken: &mut WakeList,
    ) {
        if self.has_wakers(direction) && self.overflow().reserve(turn) {
            self.wake_everyone(woken);
        }
        if let Some(before) = self.wakers[direction.index()].replace(waker) {
            self.overflow().extra_wakers.push((Some(direction), before));
        }
    }

    /// Has `waker` called at the next hang-up, error or urgent data, or gives it back because one
    /// like it is there already.
    pub(crate) fn add_non_directional_waker(
        &mut self,
        waker: Waker,
        turn: u32,
        woken: &mut WakeList,
    ) -> Option<Waker> {
        if self.has_extra_waker(None, &waker) {
            return Some(waker);
        }
        if self.overflow().reserve(turn) {
            self.wake_everyone(woken);
        }
        self.overflow().extra_wakers.push((None, waker));
        None
    }

    #[cold]
    fn overflow(&mut self) -> &mut Overflow {
        self.overflow.get_or_insert_with(|| {
            Box::new(Overflow {
                extra_wakers: Vec::new(),
                limit: INITIAL_LIMIT,
                last_overflow: 0,
            })
        })
    }
}

impl Overflow {
    #[cold]
    fn wake(&mut self, direction: Option<Direction>, woken: &mut WakeList) {
        if !self.extra_wakers.iter().any(|(d, _)| *d == direction) {
            // Most often one waits for the end, beside the one who reads: that list stays.
            return;
        }
        for (d, waker) in mem::take(&mut self.extra_wakers) {
            if d == direction {
                woken.push(waker);
            } else {
                self.extra_wakers.push((d, waker));
            }
        }
    }

    /// Whether everybody has to be woken before another one can be taken in.
    fn reserve(&mut self, turn: u32) -> bool {
        if self.extra_wakers.len() < self.limit as usize {
            return false;
        }
        if turn.wrapping_sub(self.last_overflow) <= TURNS_TO_COME_BACK {
            self.limit = self.limit.saturating_mul(2);
        }
        self.last_overflow = turn;
        true
    }
}

/// Says why a descriptor cannot be waited for, in words where the system's are none.
pub(crate) fn cannot_wait(fd: RawFd, e: &io::Error) -> io::Error {
    let (kind, why): (_, &dyn fmt::Display) = match e.raw_os_error() {
        Some(libc::EPERM) => (io::ErrorKind::Unsupported, &sys::UNPOLLABLE),
        Some(libc::EEXIST) => (
            io::ErrorKind::AlreadyExists,
            &"another source of this runtime waits for the same descriptor; share that one",
        ),
        Some(libc::ENOSPC) => (
            e.kind(),
            &"the limit of watched descriptors is reached (/proc/sys/fs/epoll/max_user_watches)",
        ),
        _ => (e.kind(), e),
    };
    io::Error::new(kind, format!("cannot wait for descriptor {fd}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake_list::tests::CountingWaker;

    #[test]
    fn a_recycled_slot_does_not_answer_to_its_old_token() {
        let mut registrations = Registrations::default();
        let old = registrations
            .insert(0, 3, Readiness::EMPTY, true, Interest::NON_DIRECTIONAL)
            .unwrap()
            .token;
        assert!(registrations.remove(old).is_some());
        let new = registrations
            .insert(0, 3, Readiness::EMPTY, true, Interest::NON_DIRECTIONAL)
            .unwrap()
            .token;
        assert_eq!(old.index(), new.index(), "the slab reuses the registration");
        assert!(registrations.get(old).is_none() && registrations.remove(old).is_none());
        assert!(registrations.get(new).is_some());
    }

    #[test]
    fn what_cannot_be_waited_for_is_called_what_it_is() {
        let mut registrations = Registrations::default();
        let process = registrations.insert_process(0, 77).unwrap();
        let fd = registrations.insert(0, 78, Readiness::EMPTY, true, Interest::NON_DIRECTIONAL);
        let names = ["process 77: Op", "descriptor 78: regular files"];
        for (scheduled, name) in [process, fd.unwrap()].into_iter().zip(names) {
            let registration = registrations.get(scheduled.token).unwrap();
            registration.deliver(Readiness::EMPTY, libc::EPERM, &mut WakeList::default());
            let text = scheduled.error(Interest::READABLE).unwrap_err().to_string();
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn two_tasks_that_wait_in_one_direction_are_both_woken() {
        let mut registrations = Registrations::default();
        let token = registrations
            .insert(0, 3, Readiness::READABLE, true, Interest::NON_DIRECTIONAL)
            .unwrap()
            .token;
        let registration = registrations.get(token).unwrap();
        let (first, second, writer) = (
            CountingWaker::new(),
            CountingWaker::new(),
            CountingWaker::new(),
        );
        let mut woken = WakeList::default();
        registration.add_waker(Direction::Read, first.waker(), 1, &mut woken);
        registration.add_waker(Direction::Read, second.waker(), 1, &mut woken);
        registration.add_waker(Direction::Write, writer.waker(), 1, &mut woken);
        assert!(registration.has_waker(Direction::Read, &first.waker()));
        assert!(!registration.has_waker(Direction::Write, &first.waker()));
        registration.deliver(Readiness::READABLE, 0, &mut woken);
        woken.wake_all();
        assert_eq!((first.count(), second.count(), writer.count()), (1, 1, 0));
    }

    #[test]
    fn a_queue_of_wakers_nobody_needs_stays_short() {
        let mut registrations = Registrations::default();
        let token = registrations
            .insert(0, 3, Readiness::READABLE, true, Interest::NON_DIRECTIONAL)
            .unwrap()
            .token;
        let registration = registrations.get(token).unwrap();
        let wakers: Vec<CountingWaker> = (0..1000).map(|_| CountingWaker::new()).collect();
        let mut woken = WakeList::default();
        for (turn, waker) in (100..).zip(&wakers) {
            registration.add_waker(Direction::Read, waker.waker(), turn, &mut woken);
            assert!(registration.overflow().extra_wakers.len() <= INITIAL_LIMIT as usize);
        }
        registration.wake_everyone(&mut woken);
        woken.wake_all();
        assert!(
            wakers.iter().all(|waker| waker.count() == 1),
            "bounded, yet nobody is lost"
        );
    }
}
