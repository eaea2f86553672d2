//! Many threads wake many tasks: no wake is lost, and messages do not accumulate.

mod support;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use runtime_executor::yield_now;
use support::{Loop, wait_for, watchdog};

const TASKS: usize = 50;
const WAKES: usize = 100_000;

/// An event that a task waits for. The sender sets it and then wakes the task.
#[derive(Default)]
struct Cell {
    sent: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Cell {
    fn send(&self) {
        self.sent.fetch_add(1, Ordering::Release);
        let waker = self.waker.lock().unwrap().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[test]
fn no_wake_is_lost() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let cells: Arc<Vec<Cell>> = Arc::new((0..TASKS).map(|_| Cell::default()).collect());
    let threads = 4;
    let each = WAKES / threads;
    let tasks: Vec<_> = (0..TASKS)
        .map(|n| {
            let cells = cells.clone();
            looped.executor.spawn(poll_fn(move |cx| {
                *cells[n].waker.lock().unwrap() = Some(cx.waker().clone());
                if cells[n].sent.load(Ordering::Acquire) == threads * each / TASKS {
                    return Poll::Ready(());
                }
                Poll::Pending
            }))
        })
        .collect();
    let senders: Vec<_> = (0..threads)
        .map(|_| {
            let cells = cells.clone();
            thread::spawn(move || {
                for n in 0..each {
                    cells[n % TASKS].send();
                }
            })
        })
        .collect();
    looped.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn a_ping_pong_with_another_thread_never_sleeps_over_a_wake() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let (ask, asked) = std::sync::mpsc::channel::<(Waker, Arc<AtomicBool>)>();
    let answers = thread::spawn(move || {
        for (waker, answer) in asked {
            answer.store(true, Ordering::Release);
            waker.wake();
        }
    });
    looped.block_on(async {
        for _ in 0..10_000 {
            let answer = Arc::new(AtomicBool::new(false));
            let mut sent = false;
            poll_fn(|cx| {
                if answer.load(Ordering::Acquire) {
                    return Poll::Ready(());
                }
                if !sent {
                    ask.send((cx.waker().clone(), answer.clone())).unwrap();
                    sent = true;
                }
                Poll::Pending
            })
            .await;
        }
        drop(ask);
    });
    answers.join().unwrap();
}

#[test]
fn tasks_sent_by_many_threads_all_run_and_answer() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let remote = looped.executor.handle().clone();
    let senders: Vec<_> = (0..3)
        .map(|n| {
            let remote = remote.clone();
            thread::spawn(move || {
                let mut sum = 0;
                for m in 0..500 {
                    let handle = remote.spawn(async move {
                        yield_now().await;
                        m
                    });
                    match (n + m) % 3 {
                        0 => sum += usize::from(wait_for(handle).is_ok()),
                        1 => drop(handle),
                        _ => {
                            handle.abort();
                            let _ = wait_for(handle);
                        }
                    }
                }
                sum
            })
        })
        .collect();
    while !senders.iter().all(thread::JoinHandle::is_finished) {
        looped.settle();
        thread::yield_now();
    }
    let answered: usize = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .sum();
    assert_eq!(answered, 500);
    looped.settle();
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn an_executor_dropped_while_threads_spawn_leaves_no_waiter() {
    let _watchdog = watchdog();
    for round in 0..200 {
        let looped = Loop::new();
        let remote = looped.executor.handle().clone();
        let local = looped.executor.spawn(std::future::pending::<()>());
        let spawns = thread::spawn(move || {
            let handles: Vec<_> = (0..20).map(|n| remote.spawn(async move { n })).collect();
            let blocking = remote.spawn_blocking(|| 0);
            let _ = wait_for(local);
            let _ = wait_for(blocking);
            handles
                .into_iter()
                .map(wait_for)
                .filter(Result::is_ok)
                .count()
        });
        for _ in 0..round % 7 {
            looped.batch();
            thread::yield_now();
        }
        drop(looped);
        assert!(spawns.join().unwrap() <= 20);
    }
}
