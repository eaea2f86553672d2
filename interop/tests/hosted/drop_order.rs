//! Tasks that are dropped with the runtime still find both contexts.

use std::sync::mpsc;
use std::time::Duration;

use runtime::Runtime;

fn hosted() -> Runtime {
    Runtime::builder().tokio(true).build().unwrap()
}

/// Reports whether both contexts are there when it is dropped.
struct Report(mpsc::Sender<(bool, bool)>);

impl Drop for Report {
    fn drop(&mut self) {
        let ours = runtime::Handle::try_current().is_some();
        let tokios = tokio::runtime::Handle::try_current().is_ok();
        self.0.send((ours, tokios)).unwrap();
    }
}

#[test]
fn a_task_that_is_dropped_with_the_runtime_finds_both_contexts() {
    let (send, receive) = mpsc::channel();
    let runtime = hosted();
    let report = Report(send);
    runtime.block_on(async {
        drop(runtime::spawn(async move {
            // tokio's values in it are dropped in tokio's context too.
            let _report = report;
            let mut interval = tokio::time::interval(Duration::from_secs(3600));
            let _socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            loop {
                interval.tick().await;
            }
        }));
        runtime::task::yield_now().await;
    });
    drop(runtime);
    assert_eq!(receive.recv(), Ok((true, true)));
}

#[test]
fn a_task_of_tokio_is_dropped_after_ours_and_may_hold_a_socket_of_ours() {
    let (send, receive) = mpsc::channel();
    let runtime = hosted();
    runtime.block_on(async {
        let (one, other) = runtime::net::UnixStream::pair().unwrap();
        let (ours, theirs) = (send.clone(), send.clone());
        drop(runtime::spawn(async move {
            let _dropped = SendOnDrop(ours, "ours");
            let _ = one.readable().await;
            std::future::pending::<()>().await;
        }));
        tokio::spawn(async move {
            let _dropped = SendOnDrop(theirs, "tokio's");
            let mut byte = [0];
            let _ = tokio::io::AsyncReadExt::read(&mut &other, &mut byte).await;
            std::future::pending::<()>().await;
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
    drop(runtime);
    drop(send);
    assert_eq!(receive.iter().collect::<Vec<_>>(), ["ours", "tokio's"]);
}

struct SendOnDrop(mpsc::Sender<&'static str>, &'static str);

impl Drop for SendOnDrop {
    fn drop(&mut self) {
        self.0.send(self.1).unwrap();
    }
}

#[test]
fn tasks_of_both_go_on_in_the_next_block_on() {
    let runtime = hosted();
    let (ours, tokios) = runtime.block_on(async {
        let ours = runtime::spawn(async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            1
        });
        let tokios = tokio::spawn(async {
            runtime::time::sleep(Duration::from_millis(2)).await;
            2
        });
        tokio::task::yield_now().await;
        (ours, tokios)
    });
    assert_eq!(runtime.block_on(async { ours.await.unwrap() }), 1);
    assert_eq!(runtime.block_on(async { tokios.await.unwrap() }), 2);
}

#[test]
fn what_is_spawned_before_block_on_runs_in_it() {
    let runtime = hosted();
    let ours = runtime.spawn(async { tokio::spawn(async { 1 }).await.unwrap() });
    let tokios = runtime.tokio_handle().unwrap().spawn(async { 2 });
    let both = runtime.block_on(async { (ours.await.unwrap(), tokios.await.unwrap()) });
    assert_eq!(both, (1, 2));
}

#[test]
fn a_panic_of_the_main_future_leaves_the_runtime_usable() {
    let runtime = hosted();
    let panicking = || runtime.block_on(async { panic!("on purpose") });
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).unwrap_err();
    let answer = runtime.block_on(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        runtime::spawn(async { 42 }).await.unwrap()
    });
    assert_eq!(answer, 42);
}

#[test]
fn two_runtimes_on_two_threads_do_not_meet() {
    let threads = [1, 2].map(|which| {
        std::thread::spawn(move || {
            hosted().block_on(async move {
                let task = tokio::spawn(async move { runtime::spawn(async move { which }).await });
                task.await.unwrap().unwrap()
            })
        })
    });
    assert_eq!(threads.map(|thread| thread.join().unwrap()), [1, 2]);
}
