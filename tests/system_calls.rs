//! The number of system calls, by the reactor's own counters.

use runtime::Runtime;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};

#[test]
fn a_connection_that_never_has_to_wait_is_never_registered() {
    let runtime = Runtime::new().unwrap();
    let registered = || runtime.stats().registrations;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..10 {
        // The request arrives before the connection is accepted.
        let mut client = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut client, b"request").unwrap();
        runtime.block_on(async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 7];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(b"response").await.unwrap();
        });
        let mut response = String::new();
        std::io::Read::read_to_string(&mut client, &mut response).unwrap();
        assert_eq!(response, "response");
    }
    assert_eq!(registered(), 0);
    assert_eq!(runtime.stats().removals, 0);
}

#[test]
fn a_hundred_waiting_connections_cost_a_hundred_registrations_and_nothing_else() {
    const CONNECTIONS: u64 = 100;
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..CONNECTIONS {
        let mut client = std::net::TcpStream::connect(address).unwrap();
        runtime.block_on(async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 7];
            for _ in 0..3 {
                let mut read = std::pin::pin!(stream.read_exact(&mut request));
                // The first attempt would block.
                assert!(
                    futures_lite::future::poll_once(read.as_mut())
                        .await
                        .is_none()
                );
                std::io::Write::write_all(&mut client, b"request").unwrap();
                read.await.unwrap();
            }
            stream.write_all(b"response").await.unwrap();
        });
        let mut response = String::new();
        std::io::Read::read_to_string(&mut client, &mut response).unwrap();
        assert_eq!(response, "response");
    }
    let stats = runtime.stats();
    let made = (stats.registrations, stats.reregistrations, stats.removals);
    assert_eq!(made, (CONNECTIONS, 0, 0));
    assert_eq!((stats.sources, stats.stale_events), (0, 0), "{stats:?}");
}

#[test]
fn a_connection_is_registered_once_and_removed_by_close_alone() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = runtime::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut byte = [0];
            while stream.read(&mut byte).await.unwrap() != 0 {
                stream.write_all(&byte).await.unwrap();
            }
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        for _ in 0..100 {
            client.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
        }
        drop(client);
        server.await.unwrap();
    });
    let stats = runtime.stats();
    // The listener, the server's connection, the client's.
    assert!(stats.registrations <= 3, "{stats:?}");
    assert_eq!((stats.removals, stats.reregistrations), (0, 0), "{stats:?}");
    assert_eq!(stats.sources, 0, "{stats:?}");
}

#[test]
fn tasks_that_only_run_make_few_system_calls() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..10_000 {
            runtime::task::yield_now().await;
        }
    });
    assert!(
        runtime.stats().waits <= 10_000 / 32,
        "{:?}",
        runtime.stats()
    );
}

#[test]
fn a_wake_of_the_root_future_alone_makes_no_system_call() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..10 {
            runtime::spawn(async {}).await.unwrap();
        }
    });
    assert_eq!(runtime.stats().waits, 0);
}
