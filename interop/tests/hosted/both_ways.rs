//! The features of each runtime work in the tasks of the other.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use runtime::net::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::block_on;

const SHORT: Duration = Duration::from_millis(5);

#[runtime::test(tokio)]
async fn tokio_works_in_the_main_future() {
    tokio::spawn(async {}).await.unwrap();
    tokio::time::sleep(SHORT).await;
    tokio::task::spawn_blocking(|| ()).await.unwrap();
}

#[test]
fn tokio_works_in_a_task_that_is_not_send() {
    block_on(async {
        let seen = Rc::new(Cell::new(0));
        let counter = seen.clone();
        let task = runtime::spawn(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = tokio::spawn(async move {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                tokio::time::sleep(SHORT).await;
                stream.write_all(b"from tokio").await.unwrap();
            });
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            counter.set(text.len());
            client.await.unwrap();
        });
        task.await.unwrap();
        assert_eq!(seen.get(), 10);
    });
}

#[test]
fn sockets_timers_and_tasks_of_ours_work_in_a_task_of_tokio() {
    block_on(async {
        let task = tokio::spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = runtime::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                runtime::time::sleep(SHORT).await;
                stream.write_all(b"from ours").await.unwrap();
            });
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            client.await.unwrap();
            text
        });
        assert_eq!(task.await.unwrap(), "from ours");
    });
}

#[test]
fn a_sleep_of_ours_in_a_task_of_tokio_is_not_early_and_ends() {
    block_on(async {
        for _ in 0..20 {
            let start = Instant::now();
            tokio::spawn(runtime::time::sleep(SHORT)).await.unwrap();
            assert!(start.elapsed() >= SHORT);
        }
    });
}

#[test]
fn a_deadline_that_is_moved_forward_in_a_task_of_tokio_is_kept() {
    block_on(async {
        let task = tokio::spawn(async {
            let mut sleep = Box::pin(runtime::time::sleep(Duration::from_secs(3600)));
            let armed = runtime::time::timeout(SHORT, sleep.as_mut()).await;
            assert!(armed.is_err());
            sleep.as_mut().reset(Instant::now() + SHORT);
            sleep.await;
        });
        task.await.unwrap();
    });
}

#[test]
fn both_handles_are_found_in_both_kinds_of_task() {
    block_on(async {
        fn spawn_on_both() -> (runtime::JoinHandle<u8>, tokio::task::JoinHandle<u8>) {
            let ours = runtime::Handle::current().spawn(async { 1 });
            let tokios = tokio::runtime::Handle::current().spawn(async { 2 });
            (ours, tokios)
        }
        let (ours, tokios) = spawn_on_both();
        assert_eq!((ours.await.unwrap(), tokios.await.unwrap()), (1, 2));
        let (ours, tokios) = tokio::spawn(async { spawn_on_both() }).await.unwrap();
        assert_eq!((ours.await.unwrap(), tokios.await.unwrap()), (1, 2));
    });
}

#[test]
fn ten_thousand_rounds_between_the_two_kinds_of_task_lose_no_wake() {
    block_on(async {
        let (to_tokio, mut at_tokio) = mpsc::channel(1);
        let (to_ours, mut at_ours) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            while let Some(round) = at_tokio.recv().await {
                to_ours.send(round).await.unwrap();
            }
        });
        let rounds = runtime::spawn(async move {
            for round in 0..10_000_u32 {
                to_tokio.send(round).await.unwrap();
                assert_eq!(at_ours.recv().await, Some(round));
            }
        });
        rounds.await.unwrap();
        task.await.unwrap();
    });
}

#[test]
fn each_kind_of_task_joins_and_aborts_the_other() {
    block_on(async {
        let ours = runtime::spawn(async {
            let theirs = tokio::spawn(std::future::pending::<()>());
            theirs.abort();
            assert!(theirs.await.unwrap_err().is_cancelled());
            7
        });
        let joined = tokio::spawn(async move {
            let endless = runtime::Handle::current().spawn(std::future::pending::<()>());
            endless.abort();
            assert!(endless.await.unwrap_err().is_cancelled());
            ours.await.unwrap()
        });
        assert_eq!(joined.await.unwrap(), 7);
    });
}

#[test]
fn another_thread_wakes_both_kinds_of_task() {
    block_on(async {
        for _ in 0..200 {
            let (wake_ours, ours) = oneshot::channel();
            let (wake_tokios, tokios) = oneshot::channel();
            let ours = runtime::spawn(ours);
            let tokios = tokio::spawn(tokios);
            let thread = std::thread::spawn(move || {
                wake_ours.send(1).unwrap();
                wake_tokios.send(2).unwrap();
            });
            assert_eq!(ours.await.unwrap(), Ok(1));
            assert_eq!(tokios.await.unwrap(), Ok(2));
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_handle_of_ours_spawns_from_another_thread() {
    block_on(async {
        let handle = runtime::Handle::current();
        let thread = std::thread::spawn(move || {
            handle.spawn(async {
                tokio::time::sleep(SHORT).await;
                3
            })
        });
        assert_eq!(thread.join().unwrap().await.unwrap(), 3);
    });
}

#[test]
fn files_of_both_are_read() {
    block_on(async {
        let ours = runtime::fs::read("/proc/self/comm").await.unwrap();
        let theirs = tokio::fs::read("/proc/self/comm").await.unwrap();
        assert_eq!(ours, theirs);
        let in_tokio = tokio::spawn(runtime::fs::read("/proc/self/comm")).await;
        assert_eq!(in_tokio.unwrap().unwrap(), ours);
    });
}

#[test]
fn a_socket_that_first_waited_in_one_kind_of_task_goes_on_in_the_other() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        for round in 0..100_u8 {
            let read = tokio::spawn(async move {
                let byte = server.read_u8().await.unwrap();
                (server, byte)
            });
            tokio::task::yield_now().await;
            client.write_u8(round).await.unwrap();
            let (back, byte) = read.await.unwrap();
            assert_eq!(byte, round);
            let read = runtime::spawn(async move {
                let mut back = back;
                let byte = back.read_u8().await.unwrap();
                (back, byte)
            });
            runtime::task::yield_now().await;
            client.write_u8(round).await.unwrap();
            let (back, byte) = read.await.unwrap();
            assert_eq!(byte, round);
            server = back;
        }
    });
}

#[test]
fn five_hundred_connections_are_served_at_once() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = runtime::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (reader, writer) = stream.into_split();
                drop(runtime::spawn(runtime::io::copy(reader, writer)));
            }
        });
        let mut clients = Vec::new();
        for _ in 0..500 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        for _ in 0..3 {
            for client in &mut clients {
                client.write_all(b"echo").await.unwrap();
            }
            for client in &mut clients {
                let mut echo = [0; 4];
                client.read_exact(&mut echo).await.unwrap();
                assert_eq!(&echo, b"echo");
            }
        }
        server.abort();
    });
}

#[test]
fn tokio_calls_the_hooks_around_its_waits() {
    use std::sync::atomic::{AtomicU32, Ordering};

    let calls: std::sync::Arc<[AtomicU32; 2]> = std::sync::Arc::default();
    let count = |i: usize| {
        let calls = calls.clone();
        move || {
            calls[i].fetch_add(1, Ordering::Relaxed);
        }
    };
    let runtime = runtime::Runtime::builder()
        .tokio(true)
        .on_park(count(0))
        .on_unpark(count(1))
        .build()
        .unwrap();
    runtime.block_on(runtime::time::sleep(Duration::from_millis(1)));
    let [parks, unparks] = [0, 1].map(|i| calls[i].load(Ordering::Relaxed));
    assert!(parks > 0 && parks == unparks, "{parks} and {unparks}");
}
