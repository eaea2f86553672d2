//! A kind of task that is always ready does not keep the other from running, and nothing spins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::net::UnixStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::block_on;

/// Keeps a task of tokio ready until it is dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn start() -> Busy {
        let busy = Arc::new(AtomicBool::new(true));
        let is_busy = busy.clone();
        tokio::spawn(async move {
            while is_busy.load(Ordering::Relaxed) {
                // Not yield_now, which lets tokio look for events before it goes on.
                let mut yielded = false;
                std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::replace(&mut yielded, true) {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
            }
        });
        Busy(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_task_of_ours_that_a_busy_tokio_wakes_runs() {
    block_on(async {
        let _busy = Busy::start();
        for _ in 0..100 {
            let (wake, woken) = oneshot::channel();
            let task = runtime::spawn(woken);
            tokio::spawn(async move { wake.send(5).unwrap() });
            assert_eq!(task.await.unwrap(), Ok(5));
        }
    });
}

#[test]
fn a_task_of_ours_that_a_busy_tokio_spawns_runs() {
    block_on(async {
        let _busy = Busy::start();
        for _ in 0..100 {
            let task = tokio::spawn(async { runtime::spawn(async { 5 }).await });
            assert_eq!(task.await.unwrap().unwrap(), 5);
        }
    });
}

#[test]
fn a_task_of_ours_whose_handle_is_kept_runs() {
    block_on(async {
        let task = tokio::spawn(async {
            let (send, receive) = oneshot::channel();
            let kept = runtime::spawn(async move { send.send(5).unwrap() });
            let received = receive.await;
            drop(kept);
            received
        });
        assert_eq!(task.await.unwrap(), Ok(5));
    });
}

#[test]
fn a_sleep_of_ours_in_a_busy_tokio_ends() {
    block_on(async {
        let _busy = Busy::start();
        for _ in 0..10 {
            let sleep = runtime::time::sleep(Duration::from_millis(2));
            tokio::spawn(sleep).await.unwrap();
        }
    });
}

#[test]
fn a_socket_of_ours_in_a_busy_tokio_gets_more_than_its_quota() {
    block_on(async {
        let _busy = Busy::start();
        let (mut one, mut other) = UnixStream::pair().unwrap();
        // Several times what a source may do in a turn, with nothing else that asks for a turn.
        let bytes = vec![7; 1000];
        one.write_all(&bytes).await.unwrap();
        let reading = tokio::spawn(async move {
            for _ in 0..1000 {
                assert_eq!(other.read_u8().await.unwrap(), 7);
            }
        });
        reading.await.unwrap();
    });
}

#[test]
fn a_busy_task_of_ours_does_not_keep_tokio_from_running() {
    block_on(async {
        let busy = runtime::spawn(async {
            loop {
                runtime::task::yield_now().await;
            }
        });
        for _ in 0..10 {
            tokio::spawn(tokio::time::sleep(Duration::from_millis(1)))
                .await
                .unwrap();
        }
        busy.abort();
    });
}

#[test]
fn a_runtime_that_waits_does_not_spin() {
    let runtime = runtime::Runtime::builder().tokio(true).build().unwrap();
    runtime.block_on(async {
        // A task of tokio that waits, beside a socket and a timer of ours.
        let (_one, mut other) = UnixStream::pair().unwrap();
        tokio::spawn(async move { other.read_u8().await });
        let polls = std::cell::Cell::new(0);
        let mut sleep = Box::pin(runtime::time::sleep(Duration::from_millis(100)));
        std::future::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            sleep.as_mut().poll(cx)
        })
        .await;
        assert!(polls.get() < 5, "{} polls", polls.get());
    });
    let waits = runtime.stats().waits;
    assert!(waits < 20, "{waits} waits");
}
