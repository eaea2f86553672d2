//! A queue of messages between threads, without many repetitions.

use std::collections::BinaryHeap;
use std::mem;
use std::sync::atomic::Ordering;

use crate::sync::{AtomicBool, Mutex};

/// Kind of a wait, its source or timer, and the two words of its waker.
pub(crate) type WaitKey = (u16, u64, usize, usize);

/// A message whose repetitions in one queue change nothing.
pub(crate) trait Repeatable {
    /// Returns the same key for a message and its repetitions, or `None` if it has none.
    fn repetition_key(&self) -> Option<WaitKey> {
        None
    }
}

/// A list that any thread appends to and one thread takes, all at once.
#[derive(Debug)]
pub(crate) struct MessageQueue<M> {
    /// `None` once it is closed.
    list: Mutex<Option<MessageList<M>>>,
    /// True if the list is not empty; written under the lock and read without it, so that an empty
    /// list costs its owner one plain load.
    any: AtomicBool,
}

/// Messages without many repetitions: there are at most twice as many as different ones, or
/// [`MIN_LIMIT`].
#[derive(Debug)]
struct MessageList<M> {
    messages: Vec<M>,
    /// The length at which repetitions are removed.
    limit: usize,
}

/// Below this length repetitions are not removed.
const MIN_LIMIT: usize = 64;

impl<M: Repeatable> MessageList<M> {
    fn new() -> MessageList<M> {
        MessageList {
            messages: Vec::new(),
            limit: MIN_LIMIT,
        }
    }

    /// Appends a message, in O(log n) amortized. Returns messages to be dropped without a lock.
    fn push(&mut self, message: M) -> Vec<M> {
        self.messages.push(message);
        if self.messages.len() < self.limit {
            return Vec::new();
        }
        let repetitions = self.remove_repetitions();
        self.limit = (2 * self.messages.len()).max(MIN_LIMIT);
        repetitions
    }

    #[cold]
    fn remove_repetitions(&mut self) -> Vec<M> {
        let keys = self.messages.iter().zip(0_usize..);
        let keys = keys.filter_map(|(message, i)| Some((message.repetition_key()?, i)));
        // Sorted by a heap, which is less code than a quicksort.
        let keys = keys.collect::<BinaryHeap<_>>().into_sorted_vec();
        let mut is_repetition = vec![false; self.messages.len()];
        for pair in keys.windows(2) {
            if pair[0].0 == pair[1].0 {
                is_repetition[pair[1].1] = true;
            }
        }
        let mut is_repetition = is_repetition.into_iter();
        let messages = mem::take(&mut self.messages).into_iter();
        let (repetitions, messages) = messages.partition(|_| is_repetition.next() == Some(true));
        self.messages = messages;
        repetitions
    }
}

/// Sends the messages that `data` describes, one for each byte, to a list and to a model of it. The
/// upper bits of a byte choose the key, of which some have none; a byte of 0 takes all messages.
///
/// # Panics
/// Panics if a message is lost, comes twice without need, or out of order.
#[cfg(fuzzing)]
pub fn fuzz_messages(data: &[u8]) {
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Numbered(u8, usize);
    impl Repeatable for Numbered {
        fn repetition_key(&self) -> Option<WaitKey> {
            (self.0 % 4 != 3).then_some((u16::from(self.0 % 4), u64::from(self.0 / 4), 0, 0))
        }
    }
    let queue = MessageQueue::new();
    let mut sent: Vec<Numbered> = Vec::new();
    let last = data.len();
    for (number, byte) in data.iter().copied().chain([0]).enumerate() {
        if byte != 0 {
            let message = Numbered(byte, number);
            queue.push(message).unwrap();
            sent.push(message);
            continue;
        }
        let taken = queue.take();
        assert!(taken.is_sorted_by_key(|it| it.1));
        let mut expected: Vec<Numbered> = Vec::new();
        for message in sent.drain(..) {
            let key = message.repetition_key();
            let is_known = |it: &Numbered| it.repetition_key() == key;
            if key.is_none() || !expected.iter().any(is_known) {
                expected.push(message);
            }
        }
        // The first of each kind is kept, and the others are at most as many or few.
        assert!(
            expected.iter().all(|it| taken.contains(it)),
            "{number} of {last}"
        );
        assert!(taken.len() <= (2 * expected.len()).max(MIN_LIMIT));
    }
}

impl<M: Repeatable> MessageQueue<M> {
    pub(crate) fn new() -> MessageQueue<M> {
        MessageQueue {
            list: Mutex::new(Some(MessageList::new())),
            any: AtomicBool::new(false),
        }
    }

    pub(crate) fn push(&self, message: M) -> Result<(), M> {
        self.push_after(|| (), message)
    }

    /// Calls `first`, whose effect must not be seen without the message, and appends the message.
    pub(crate) fn push_after(&self, first: impl FnOnce(), message: M) -> Result<(), M> {
        let mut list = self.list.lock();
        first();
        let repetitions = match &mut *list {
            Some(list) => list.push(message),
            None => return Err(message),
        };
        self.any.store(true, Ordering::Release);
        drop(list);
        // To drop a waker is foreign code.
        drop(repetitions);
        Ok(())
    }

    pub(crate) fn unless_any(&self, change: impl FnOnce()) -> bool {
        let list = self.list.lock();
        let is_empty = list.as_ref().is_none_or(|list| list.messages.is_empty());
        if is_empty {
            change();
        }
        is_empty
    }

    pub(crate) fn has_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(crate) fn take(&self) -> Vec<M> {
        if !self.has_any() {
            return Vec::new();
        }
        let mut list = self.list.lock();
        self.any.store(false, Ordering::Relaxed);
        let list = list.as_mut();
        list.map(|list| mem::replace(list, MessageList::new()).messages)
            .unwrap_or_default()
    }

    pub(crate) fn close(&self) -> Vec<M> {
        let list = self.list.lock().take();
        list.map(|list| list.messages).unwrap_or_default()
    }
}

#[cfg(test)]
impl Repeatable for u8 {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::inbox::{Message, Removal, Request};
    use crate::interest::Direction;
    use crate::token::Token;
    use crate::wake_list::tests::CountingWaker;

    #[test]
    fn repeated_waits_take_one_entry_each_and_no_other_message_is_lost() {
        let queue = MessageQueue::new();
        let counts = [CountingWaker::new(), CountingWaker::new()];
        let token = |i: u64| Token::from_bits(i % 3);
        for i in 0..10_000 {
            let waker = counts[i as usize % 2].waker();
            let wait = Request::Wait {
                token: token(i),
                direction: Direction::BOTH[i as usize / 6 % 2],
                waker,
            };
            assert!(queue.push(Message::from(wait)).is_ok());
            if i % 1_000 == 0 {
                let removal = Removal::Source(token(i)).into();
                assert!(queue.push(removal).is_ok());
            }
            let list = queue.list.lock();
            assert!(list.as_ref().unwrap().messages.len() <= MIN_LIMIT);
        }
        let messages = queue.take();
        let removals = messages
            .iter()
            .filter(|message| matches!(message, Message::Removal(_)));
        assert_eq!(removals.count(), 10);
        let keys = messages.iter().filter_map(Repeatable::repetition_key);
        let keys: std::collections::BTreeSet<_> = keys.collect();
        assert_eq!(keys.len(), 12, "3 sources, 2 directions, 2 wakers");
        for message in messages {
            if let Some(waker) = message.into_waker() {
                waker.wake();
            }
        }
        assert!(counts.iter().all(|count| count.count() >= 6));
    }

    #[test]
    fn repetitions_are_not_looked_for_at_each_message_of_a_list_of_different_ones() {
        let mut list = MessageList::new();
        let mut limits = std::collections::BTreeSet::new();
        for i in 0..10_000 {
            let (token, waker) = (Token::from_bits(i), CountingWaker::new().waker());
            let direction = Direction::Read;
            let wait = Request::Wait {
                token,
                direction,
                waker,
            };
            assert!(list.push(Message::from(wait)).is_empty());
            assert!(list.messages.len() < list.limit);
            limits.insert(list.limit);
        }
        assert!(limits.len() <= 9, "it has doubled: {limits:?}");
    }

    #[test]
    fn a_closed_queue_returns_messages() {
        let queue = MessageQueue::new();
        assert_eq!(queue.push(1_u8), Ok(()));
        assert_eq!(queue.close(), [1]);
        assert_eq!(queue.push(2), Err(2));
        assert!(queue.take().is_empty());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn a_message_sent_while_the_queue_closes_is_received_or_returned() {
        loom::model(|| {
            let queue = Arc::new(MessageQueue::new());
            let sender = {
                let queue = queue.clone();
                thread::spawn(move || queue.push(7).is_ok())
            };
            let got = queue.close();
            let accepted = sender.join().unwrap();
            assert_eq!(accepted, got == [7]);
        });
    }
}
