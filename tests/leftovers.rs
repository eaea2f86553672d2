//! What is left open or running afterwards: nothing. A binary of its own, with one test, since
//! descriptors and threads are the process's.

mod support;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use runtime::fs;
use runtime::io::{self, Async, AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::process::{Command, Stdio};
use runtime::signal::ctrl_c;
use runtime::signal::unix::{SignalKind, signal};
use runtime::time::timeout;
use runtime::{Backend, PerCore, Runtime, per_core};
use support::{descriptors, threads};

async fn signals() {
    let listeners = [
        SignalKind::terminate(),
        SignalKind::terminate(),
        SignalKind::child(),
    ]
    .map(|kind| signal(kind).unwrap());
    assert!(signal(SignalKind::from_raw(9)).is_err());
    assert!(signal(SignalKind::from_raw(999)).is_err());
    assert!(timeout(Duration::from_millis(1), ctrl_c()).await.is_err());
    drop(listeners);
}

async fn children() {
    let mut cat = Command::new("cat");
    cat.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Used, killed, dropped while it runs, and not there at all.
    let mut child = cat.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"x").await.unwrap();
    drop(stdin);
    assert_eq!(child.wait_with_output().await.unwrap().stdout, b"x");
    let mut child = cat.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    assert!(
        timeout(Duration::from_millis(1), stdout.read(&mut [0]))
            .await
            .is_err()
    );
    child.kill().await.unwrap();
    drop(cat.spawn().unwrap());
    let mut missing = Command::new("no-such-program");
    assert!(missing.stdin(Stdio::piped()).spawn().is_err());
    let limit = Duration::from_millis(1);
    let mut child = cat.spawn().unwrap();
    let stdin = child.stdin.take();
    assert!(timeout(limit, child.wait()).await.is_err());
    drop((child, stdin));
}

async fn files() {
    let path = std::env::temp_dir().join(format!("runtime-leftovers-{}", std::process::id()));
    let mut file = fs::File::create(&path).await.unwrap();
    file.write_all(b"x").await.unwrap();
    file.close().await.unwrap();
    assert!(fs::File::open(path.join("x")).await.is_err());
    fs::remove_file(&path).await.unwrap();
    let mut entries = fs::read_dir("/").await.unwrap();
    assert!(entries.next_entry().await.unwrap().is_some());
}

/// Runtimes that end while somebody waits in them, on every backend and on threads of their own.
fn runtimes() {
    async fn wait_in_vain() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = Async::new(ours).unwrap();
        // It is registered by now, and stays with the task until the runtime drops it.
        let mut read = Box::pin(async move { ours.read_with(|mut s| s.read(&mut [0])).await });
        assert!(timeout(Duration::from_millis(1), &mut read).await.is_err());
        drop(runtime::spawn(async move { (read.await, theirs) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        drop(runtime::spawn(
            async move { (listener.accept().await, stream) },
        ));
        runtime::task::yield_now().await;
    }
    for &backend in Backend::available() {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        let _ = runtime.pollable_fd(); // a duplicate, where there is one
        runtime.block_on(wait_in_vain());
        runtime.turn(Some(Duration::ZERO)).unwrap();
    }
    let failed = per_core(2, async |core: PerCore| {
        wait_in_vain().await;
        match core.index() {
            0 => Err(io::Error::other("ends the other one")),
            _ => std::future::pending::<io::Result<()>>().await,
        }
    });
    assert!(failed.is_err());
}

#[test]
fn nothing_is_left_open_or_running() {
    let (descriptors_before, threads_before) = (descriptors(), threads());
    runtime::block_on(async {
        signals().await;
        children().await;
    });
    assert_eq!(descriptors(), descriptors_before);
    assert_eq!(threads(), threads_before, "neither takes a thread");
    runtimes();
    assert_eq!(descriptors(), descriptors_before);
    runtime::block_on(files());
    // The thread that did the last job may still be about to leave the runtime. Would hang if it
    // left anything open.
    while descriptors() != descriptors_before {
        std::thread::yield_now();
    }
}
