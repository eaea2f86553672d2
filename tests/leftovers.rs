//! No descriptor and no thread is leaked. A separate binary with one test, because both belong to
//! the process.

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
    // Children that are used, killed, dropped while running, and that do not exist.
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

/// Drops runtimes while tasks wait in them, on every backend and on the threads of `per_core`.
fn runtimes() {
    async fn leave_tasks_waiting() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = Async::new(ours).unwrap();
        // The first wait registers it. The task keeps it until the runtime is dropped.
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
        let _ = runtime.pollable_fd(); // creates a duplicate where the backend has a descriptor
        runtime.block_on(leave_tasks_waiting());
        runtime.turn(Some(Duration::ZERO)).unwrap();
    }
    let failed = per_core(2, async |core: PerCore| {
        leave_tasks_waiting().await;
        match core.index() {
            0 => Err(io::Error::other("stops the other core")),
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
    assert_eq!(
        threads(),
        threads_before,
        "signals and children take no thread"
    );
    runtimes();
    assert_eq!(descriptors(), descriptors_before);
    runtime::block_on(files());
    // The pool thread that ran the last job may not have closed its descriptor yet. This would hang
    // if a descriptor leaked.
    while descriptors() != descriptors_before {
        std::thread::yield_now();
    }
}
