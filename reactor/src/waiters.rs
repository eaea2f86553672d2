//! The wakers that wait for one source.

use std::mem;
use std::task::Waker;

use crate::interest::{Direction, Readiness};
use crate::wake_list::WakeList;

/// The number of extra wakers that are kept at first.
const INITIAL_LIMIT: u32 = 64;

/// A waker that was woken to free a place, and still waits, is back within this many turns.
const TURNS_TO_COME_BACK: u32 = 16;

/// The wakers of one source.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// The last waker of each direction.
    last: [Option<Waker>; 2],
    /// The other ones. Few sources have any.
    overflow: Option<Box<Overflow>>,
}

#[derive(Debug)]
struct Overflow {
    /// With a direction: those that came before the last one of that direction and differ from it,
    /// because two tasks share the source. So there are none while `last` is empty. Without a
    /// direction: those that wait for a hang-up, an error or urgent data.
    extra_wakers: Vec<(Option<Direction>, Waker)>,
    /// The number of extra wakers at which all are woken, to wait again if necessary. This bounds
    /// the number of abandoned wakers.
    limit: u32,
    /// The turn in which the limit was last reached.
    last_overflow: u32,
    /// True for a listener that is watched by level. Any other source may have an overflow without.
    is_level: bool,
    /// True for a source that is watched for writing because a task waited to write.
    is_writing: bool,
}

impl Waiters {
    /// Returns true if a waker waits for `direction`.
    pub(crate) fn has_wakers(&self, direction: Direction) -> bool {
        self.last[direction.index()].is_some()
    }

    /// Returns true if a waker waits for something other than a direction.
    pub(crate) fn has_non_directional_wakers(&self) -> bool {
        self.overflow.as_ref().is_some_and(|o| o.has_any(None))
    }

    /// Returns the last waker of `direction`.
    #[inline]
    pub(crate) fn last(&self, direction: Direction) -> Option<&Waker> {
        self.last[direction.index()].as_ref()
    }

    /// Drops the last waker of `direction`, which runs no foreign code.
    pub(crate) fn remove_last(&mut self, direction: Direction) {
        self.last[direction.index()] = None;
    }

    /// Returns true if `waker` waits for `direction` already.
    pub(crate) fn has_waker(&self, direction: Direction, waker: &Waker) -> bool {
        match &self.last[direction.index()] {
            None => false,
            Some(last) => last.will_wake(waker) || self.has_extra_waker(Some(direction), waker),
        }
    }

    #[cold]
    fn has_extra_waker(&self, direction: Option<Direction>, waker: &Waker) -> bool {
        let extra_wakers = self.overflow.iter().flat_map(|o| &o.extra_wakers);
        extra_wakers
            .filter(|(d, _)| *d == direction)
            .any(|(_, extra)| extra.will_wake(waker))
    }

    /// Takes `waker` out of its option and stores it for `direction`, if that has no waker yet.
    #[inline]
    pub(crate) fn try_add_waker(&mut self, direction: Direction, waker: &mut Option<Waker>) {
        let last = &mut self.last[direction.index()];
        if last.is_none() {
            *last = waker.take();
        }
    }

    /// Adds a waker for `direction`. If there are too many, all earlier ones are handed to `woken`:
    /// their tasks poll again and, if necessary, wait again. If they reach the limit again at once,
    /// the wakers are not abandoned, and the limit rises: otherwise the tasks would keep waking
    /// each other.
    pub(crate) fn add_waker(
        &mut self,
        direction: Direction,
        waker: Waker,
        turn: u32,
        woken: &mut WakeList,
    ) {
        if self.has_wakers(direction) && self.overflow().is_full(turn) {
            self.wake_everyone(woken);
        }
        if let Some(before) = self.last[direction.index()].replace(waker) {
            self.overflow().extra_wakers.push((Some(direction), before));
        }
    }

    /// Adds a waker for the next hang-up, error or urgent data, or returns it if one like it is
    /// there already.
    pub(crate) fn add_non_directional_waker(
        &mut self,
        waker: Waker,
        turn: u32,
        woken: &mut WakeList,
    ) -> Option<Waker> {
        if self.has_extra_waker(None, &waker) {
            return Some(waker);
        }
        if self.overflow().is_full(turn) {
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
                is_level: false,
                is_writing: false,
            })
        })
    }

    /// Returns true if there is more to wake than the last waker of each direction.
    #[inline]
    pub(crate) fn has_overflow(&self) -> bool {
        self.overflow.is_some()
    }

    /// Sets whether the source is a listener that is watched by level.
    #[cold]
    pub(crate) fn set_level(&mut self, is_level: bool) {
        self.overflow().is_level = is_level;
    }

    /// Returns true if the source is a listener that is watched by level.
    pub(crate) fn is_level(&self) -> bool {
        self.overflow.as_ref().is_some_and(|o| o.is_level)
    }

    /// Sets whether the source is watched for writing because a task waited to write.
    #[cold]
    pub(crate) fn set_writing(&mut self, is_writing: bool) {
        self.overflow().is_writing = is_writing;
    }

    /// Returns true if the source is reported more often than others, and no task waits for that.
    pub(crate) fn is_unattended(&self, readiness: Readiness) -> bool {
        let is_writing = self.overflow.as_ref().is_some_and(|o| o.is_writing);
        let in_vain = |direction| !self.has_wakers(direction);
        (self.is_level() && in_vain(Direction::Read))
            || (is_writing && readiness.is_writable() && in_vain(Direction::Write))
    }

    /// Hands over the last waker of `direction`; without an overflow there is no other one.
    #[inline]
    pub(crate) fn wake_last(&mut self, direction: Direction, woken: &mut WakeList) {
        if let Some(waker) = self.last[direction.index()].take() {
            woken.push(waker);
        }
    }

    /// Hands over the wakers of `direction`.
    pub(crate) fn wake(&mut self, direction: Direction, woken: &mut WakeList) {
        self.wake_last(direction, woken);
        if let Some(overflow) = &mut self.overflow {
            overflow.wake(Some(direction), woken);
        }
    }

    /// Hands over the wakers that wait for something other than a direction.
    pub(crate) fn wake_non_directional(&mut self, woken: &mut WakeList) {
        if let Some(overflow) = &mut self.overflow {
            overflow.wake(None, woken);
        }
    }

    /// Hands over all wakers.
    pub(crate) fn wake_everyone(&mut self, woken: &mut WakeList) {
        self.wake(Direction::Read, woken);
        self.wake(Direction::Write, woken);
        self.wake_non_directional(woken);
    }

    /// Returns all wakers, each with the direction that it waits for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<Direction>, &Waker)> {
        let last = Direction::BOTH.into_iter().filter_map(|direction| {
            let waker = self.last[direction.index()].as_ref()?;
            Some((Some(direction), waker))
        });
        let extra_wakers = self.overflow.iter().flat_map(|o| &o.extra_wakers);
        last.chain(extra_wakers.map(|(direction, waker)| (*direction, waker)))
    }

    /// Hands over all wakers to be dropped instead of woken.
    pub(crate) fn discard(mut self, woken: &mut WakeList) {
        for direction in Direction::BOTH {
            if let Some(waker) = self.last[direction.index()].take() {
                woken.discard(waker);
            }
        }
        if let Some(overflow) = self.overflow {
            for (_, waker) in overflow.extra_wakers {
                woken.discard(waker);
            }
        }
    }
}

impl Overflow {
    fn has_any(&self, direction: Option<Direction>) -> bool {
        self.extra_wakers.iter().any(|(d, _)| *d == direction)
    }

    #[cold]
    fn wake(&mut self, direction: Option<Direction>, woken: &mut WakeList) {
        if !self.has_any(direction) {
            // The usual case is one waker for the end beside the reader: the list stays.
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

    /// Returns true if all wakers must be woken before another one can be added.
    fn is_full(&mut self, turn: u32) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake_list::tests::CountingWaker;

    #[test]
    fn two_tasks_that_wait_in_one_direction_are_both_woken() {
        let mut waiters = Waiters::default();
        let (first, second, writer) = (
            CountingWaker::new(),
            CountingWaker::new(),
            CountingWaker::new(),
        );
        let mut woken = WakeList::default();
        waiters.add_waker(Direction::Read, first.waker(), 1, &mut woken);
        waiters.add_waker(Direction::Read, second.waker(), 1, &mut woken);
        waiters.add_waker(Direction::Write, writer.waker(), 1, &mut woken);
        assert!(waiters.has_waker(Direction::Read, &first.waker()));
        assert!(!waiters.has_waker(Direction::Write, &first.waker()));
        waiters.wake(Direction::Read, &mut woken);
        woken.wake_all();
        assert_eq!((first.count(), second.count(), writer.count()), (1, 1, 0));
    }

    #[test]
    fn abandoned_wakers_do_not_pile_up() {
        let mut waiters = Waiters::default();
        let wakers: Vec<CountingWaker> = (0..1000).map(|_| CountingWaker::new()).collect();
        let mut woken = WakeList::default();
        for (turn, waker) in (100..).zip(&wakers) {
            waiters.add_waker(Direction::Read, waker.waker(), turn, &mut woken);
            assert!(waiters.overflow().extra_wakers.len() <= INITIAL_LIMIT as usize);
        }
        waiters.wake_everyone(&mut woken);
        woken.wake_all();
        assert!(
            wakers.iter().all(|waker| waker.count() == 1),
            "bounded, yet each is woken"
        );
    }
}
