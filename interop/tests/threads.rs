//! A runtime with tokio's context has one thread. This test has a process of its own, without the
//! threads of a test harness.

use std::time::Duration;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

fn main() {
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: the threads of a process are counted on Linux only");
        return;
    }
    let runtime = runtime::Runtime::builder().tokio(true).build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { listener.accept().await.map(drop) });
        runtime::net::TcpStream::connect(address).await.unwrap();
        server.await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        runtime::time::sleep(Duration::from_millis(1)).await;
    });
    assert_eq!(threads(), 1, "neither runtime starts a thread");
    runtime.block_on(async { tokio::fs::metadata("/").await.unwrap() });
    assert_eq!(threads(), 2, "tokio's files use its blocking pool");
    drop(runtime);
    println!("a runtime with tokio's context has one thread: ok");
}
