//! The number of system calls, by the reactor's own counters.

use std::cell::Cell;
use std::time::Duration;

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

thread_local! {
    static ACCEPTS: Cell<u64> = const { Cell::new(0) };
}

/// Replaces accept4(2) of the C library, to count the calls.
///
/// # Safety
/// The pointers are valid as accept4(2) requires.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    fd: libc::c_int,
    address: *mut libc::sockaddr,
    size: *mut libc::socklen_t,
    flags: libc::c_int,
) -> libc::c_int {
    ACCEPTS.set(ACCEPTS.get() + 1);
    // SAFETY: the caller passes valid pointers.
    unsafe { libc::syscall(libc::SYS_accept4, fd, address, size, flags) as libc::c_int }
}

/// Accepts `connections` in a task while `connect` makes them. Returns the number of calls of
/// accept4(2) and of the waiting call.
#[cfg(target_os = "linux")]
fn calls_of(connections: u64, connect: impl AsyncFn(std::net::SocketAddr)) -> (u64, u64) {
    let runtime = Runtime::new().unwrap();
    let before = ACCEPTS.get();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = runtime::spawn(async move {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"response").await.unwrap();
            }
        });
        connect(address).await;
        server.await.unwrap();
    });
    let stats = runtime.stats();
    // The change of the listener's trigger.
    assert!(stats.reregistrations <= 1, "{stats:?}");
    (ACCEPTS.get() - before, stats.waits)
}

#[cfg(target_os = "linux")]
async fn visit(address: std::net::SocketAddr) {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn an_accept_that_finds_nothing_is_rare() {
    const VISITS: u64 = 1_000;
    let (accepts, _) = calls_of(VISITS, async |address| {
        for _ in 0..VISITS {
            visit(address).await;
        }
    });
    assert!(
        (VISITS..=VISITS + VISITS / 50).contains(&accepts),
        "{accepts}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_burst_of_connections_is_accepted_in_few_turns() {
    const VISITS: u64 = 10;
    const BURST: u64 = 2_000;
    let (accepts, waits) = calls_of(VISITS + BURST, async |address| {
        for _ in 0..VISITS {
            visit(address).await;
        }
        let connect = |_| std::net::TcpStream::connect(address).unwrap();
        let clients: Vec<_> = (0..BURST).map(connect).collect();
        // They stay until all are accepted.
        clients.into_iter().for_each(std::mem::forget);
    });
    assert!(accepts <= VISITS + BURST + BURST / 50, "{accepts}");
    assert!(waits <= BURST / 10, "{waits}");
}

#[test]
fn a_listener_from_which_no_task_accepts_ends_two_waits() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // A listener that has waited several times.
        for _ in 0..10 {
            let client = runtime::spawn(TcpStream::connect(address));
            listener.accept().await.unwrap();
            client.await.unwrap().unwrap();
        }
        let _clients: Vec<_> = (0..10)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let before = runtime.stats().waits;
        runtime::time::sleep(Duration::from_millis(5)).await;
        let waits = runtime.stats().waits - before;
        // One for the timer and one for the connections; a kernel may end a wait early.
        assert!(waits <= 8, "{waits}");
        for _ in 0..10 {
            listener.accept().await.unwrap();
        }
    });
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
