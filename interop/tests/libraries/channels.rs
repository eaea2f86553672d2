//! The channels and locks of tokio, which need no context of tokio: between tasks that are not
//! `Send`, in an ordinary runtime.

use std::cell::Cell;
use std::rc::Rc;

use runtime::task::JoinSet;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, oneshot, watch};

#[runtime::test]
async fn a_oneshot_carries_one_value_that_is_not_send() {
    let (sender, receiver) = oneshot::channel::<Rc<Cell<u32>>>();
    let shared = Rc::new(Cell::new(1));
    let task = runtime::spawn(async move { receiver.await.map(|value| value.replace(2)) });
    assert!(sender.send(shared.clone()).is_ok());
    assert_eq!(task.await.unwrap(), Ok(1));
    assert_eq!(shared.get(), 2);
}

#[runtime::test]
async fn an_mpsc_channel_holds_its_senders_back() {
    let (sender, mut receiver) = mpsc::channel::<Rc<u32>>(1);
    let mut senders = JoinSet::new();
    for number in 0..10 {
        let sender = sender.clone();
        senders.spawn(async move { sender.send(Rc::new(number)).await.is_ok() });
    }
    drop(sender);
    let mut received = Vec::new();
    while let Some(number) = receiver.recv().await {
        received.push(*number);
    }
    received.sort_unstable();
    assert_eq!(received, (0..10).collect::<Vec<_>>());
    assert!(senders.join_all().await.into_iter().all(|sent| sent));
}

#[runtime::test]
async fn a_watch_shows_the_latest_value() {
    let (sender, mut receiver) = watch::channel(Rc::new(0));
    let watcher = runtime::spawn(async move {
        let latest = receiver.wait_for(|value| **value == 3).await;
        latest.map(|value| **value).ok()
    });
    for value in 1..=3 {
        runtime::task::yield_now().await;
        assert!(sender.send(Rc::new(value)).is_ok());
    }
    assert_eq!(watcher.await.unwrap(), Some(3));
}

#[runtime::test]
async fn a_broadcast_reaches_every_receiver() {
    let (sender, _) = broadcast::channel::<Rc<&str>>(4);
    let mut receivers = JoinSet::new();
    for _ in 0..3 {
        let mut receiver = sender.subscribe();
        receivers.spawn(async move { receiver.recv().await.map(|text| *text).ok() });
    }
    assert!(sender.send(Rc::new("news")).is_ok());
    assert_eq!(receivers.join_all().await, [Some("news"); 3]);
}

#[runtime::test]
async fn notify_and_semaphore_order_tasks() {
    let (notify, permits) = (Rc::new(Notify::new()), Rc::new(Semaphore::new(2)));
    let (active, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (notify, permits) = (notify.clone(), permits.clone());
        let (active, most) = (active.clone(), most.clone());
        tasks.spawn(async move {
            notify.notified().await;
            let _permit = permits.acquire().await.unwrap();
            active.set(active.get() + 1);
            most.set(most.get().max(active.get()));
            runtime::task::yield_now().await;
            active.set(active.get() - 1);
        });
    }
    runtime::task::yield_now().await;
    notify.notify_waiters();
    tasks.join_all().await;
    assert_eq!((active.get(), most.get()), (0, 2));
}
