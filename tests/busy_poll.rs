//! A runtime that asks for events again and again before its thread sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use runtime::Runtime;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::UnixStream;

/// Longer than any test.
const ENDLESS: Duration = Duration::from_secs(3600);

/// Returns a runtime that polls for `limit`, and the number of times that its thread slept.
fn polling(limit: Duration) -> (Runtime, Arc<AtomicU32>) {
    let sleeps = Arc::new(AtomicU32::new(0));
    let counter = sleeps.clone();
    let count = move || {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let runtime = Runtime::builder().busy_poll(limit).on_park(count).build();
    (runtime.unwrap(), sleeps)
}

#[test]
fn a_thread_that_polls_does_not_sleep() {
    let (runtime, sleeps) = polling(ENDLESS);
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let client = thread::spawn(move || {
        for _ in 0..100 {
            std::io::Write::write_all(&mut theirs, b"x").unwrap();
            std::io::Read::read_exact(&mut theirs, &mut [0]).unwrap();
        }
    });
    runtime.block_on(async {
        let mut stream = UnixStream::from_std(ours).unwrap();
        let mut byte = [0];
        while stream.read(&mut byte).await.unwrap() != 0 {
            stream.write_all(&byte).await.unwrap();
        }
    });
    client.join().unwrap();
    assert_eq!(sleeps.load(Ordering::Relaxed), 0);
}

#[test]
fn another_thread_needs_no_system_call_to_reach_a_thread_that_polls() {
    let (runtime, sleeps) = polling(ENDLESS);
    let handle = runtime.handle().clone();
    let (sender, receiver) = async_channel::bounded(1);
    let other = thread::spawn(move || {
        for n in 0..100 {
            let sender = sender.clone();
            handle.spawn(async move { sender.send(n).await.unwrap() });
        }
    });
    runtime.block_on(async {
        for _ in 0..100 {
            receiver.recv().await.unwrap();
        }
    });
    other.join().unwrap();
    assert_eq!(sleeps.load(Ordering::Relaxed), 0);
    assert_eq!(runtime.stats().notifications, 0);
}

#[test]
fn timers_fire_while_the_thread_polls() {
    let (runtime, sleeps) = polling(ENDLESS);
    let limit = Duration::from_millis(5);
    let start = Instant::now();
    runtime.block_on(runtime::time::sleep(limit));
    assert!(start.elapsed() >= limit);
    assert_eq!(sleeps.load(Ordering::Relaxed), 0);
}

#[test]
fn the_thread_sleeps_once_the_limit_has_passed() {
    let (runtime, sleeps) = polling(Duration::from_micros(100));
    runtime.block_on(runtime::time::sleep(Duration::from_millis(50)));
    assert!(sleeps.load(Ordering::Relaxed) >= 1);
}

#[test]
fn without_the_option_the_thread_sleeps_at_once() {
    let (runtime, sleeps) = polling(Duration::ZERO);
    runtime.block_on(runtime::time::sleep(Duration::from_millis(5)));
    let waits = runtime.stats().waits;
    assert_eq!(u64::from(sleeps.load(Ordering::Relaxed)), waits);
}
