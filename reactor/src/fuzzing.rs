//! Entry points of the fuzz targets in `fuzz/`. Compiled with `--cfg fuzzing` only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use crate::timers::{TimerKey, Timers};
use crate::wake_list::{WakeList, wake_all};

pub use crate::message_queue::fuzz_messages as messages;

/// A waker that appends its number to a list.
struct Numbered(u32, Arc<Mutex<Vec<u32>>>);

impl Wake for Numbered {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Compares the timers with a sorted map, over the history that `data` describes: three bytes for
/// each operation.
///
/// # Panics
/// Panics if the two differ.
pub fn timers(data: &[u8]) {
    let mut timers = Timers::default();
    // The number of a timer, its key, deadline, and serial number of arming.
    let mut keys: Vec<(u32, TimerKey, u64, u64)> = Vec::new();
    let mut stale: Vec<TimerKey> = Vec::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut now = 0;
    for (serial, operation) in data.chunks_exact(3).enumerate() {
        let (serial, at) = (serial as u64, u64::from(operation[2]));
        let chosen = usize::from(operation[1]) % keys.len().max(1);
        match operation[0] % 8 {
            0..=2 => {
                let number = serial as u32;
                let waker = Waker::from(Arc::new(Numbered(number, log.clone())));
                let deadline = now + 1 + at;
                keys.push((number, timers.insert(deadline, waker), deadline, serial));
            }
            3 if !keys.is_empty() => {
                let (.., key, _, _) = keys.swap_remove(chosen);
                assert!(timers.remove(key).is_some());
                stale.push(key);
            }
            4 | 5 if !keys.is_empty() => {
                keys[chosen].2 = now + 1 + at;
                assert!(timers.reset(keys[chosen].1, now + 1 + at));
            }
            6 => {
                now += at;
                let (due, rest): (Vec<_>, Vec<_>) = keys.into_iter().partition(|it| it.2 <= now);
                keys = rest;
                let due: BTreeMap<_, _> = due.iter().map(|it| ((it.2, it.3), it)).collect();
                let woken = RefCell::new(WakeList::default());
                assert_eq!(timers.fire(now, &mut woken.borrow_mut()), due.len() as u64);
                wake_all(&woken);
                let expected: Vec<u32> = due.values().map(|it| it.0).collect();
                assert_eq!(*log.lock().unwrap(), expected);
                log.lock().unwrap().clear();
                stale.extend(due.values().map(|it| it.1));
            }
            7 if at == 0 => {
                let woken = RefCell::new(WakeList::default());
                timers.clear(&mut woken.borrow_mut());
                wake_all(&woken);
                let mut cleared = std::mem::take(&mut *log.lock().unwrap());
                cleared.sort_unstable();
                let mut expected: Vec<u32> = keys.iter().map(|it| it.0).collect();
                expected.sort_unstable();
                assert_eq!(cleared, expected);
                stale.extend(keys.drain(..).map(|it| it.1));
            }
            _ => {}
        }
        assert_eq!(timers.len(), keys.len());
        assert_eq!(timers.next_deadline(), keys.iter().map(|it| it.2).min());
        if let Some(&key) = stale.last() {
            assert!(timers.waker(key).is_none());
            assert!(!timers.reset(key, now));
        }
    }
    for (.., key, _, _) in keys {
        assert!(timers.remove(key).is_some());
    }
    assert_eq!(timers.next_deadline(), None);
}
