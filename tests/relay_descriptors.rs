//! The descriptors that relays take. A process of its own, because it counts them.

mod support;

use futures_lite::future::poll_once;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{UnixStream, relay};
use support::descriptors;
use support::relays::stream_of;

/// Both ends of the pipes that a thread keeps for its relays.
const KEPT: usize = 2 * 4;
/// Both ends of the pipes that the relays of a thread may hold together.
const HELD: usize = 2 * 32;

#[runtime::test]
async fn relays_hold_pipes_only_for_bytes_and_a_bounded_number_of_them() {
    const CONNECTIONS: usize = 40;
    let data = stream_of(1, 3_000_000);
    // The runtime opens what it needs.
    runtime::time::sleep(std::time::Duration::from_millis(1)).await;
    let base = descriptors();
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    let mut relaying = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, mut front) = UnixStream::pair().unwrap();
        let (mut back, server) = UnixStream::pair().unwrap();
        clients.push(client);
        servers.push(server);
        relaying.push(runtime::spawn(
            async move { relay(&mut front, &mut back).await },
        ));
    }
    let connected = base + 4 * CONNECTIONS;
    runtime::task::yield_now().await;
    assert_eq!(descriptors(), connected, "idle relays");

    // No server reads, so that bytes stay in the relays.
    let mut sending: Vec<_> = clients
        .iter_mut()
        .map(|client| Box::pin(client.write_all(&data)))
        .collect();
    for _ in 0..200 {
        for sending in &mut sending {
            assert!(
                poll_once(sending.as_mut()).await.is_none(),
                "the relay reads on"
            );
        }
        runtime::task::yield_now().await;
    }
    let held = descriptors() - connected;
    assert!(held <= HELD, "{held} descriptors are held");
    #[cfg(target_os = "linux")]
    assert_eq!(held, HELD, "the pipes are not used");

    // The relays without a pipe copy, and nothing is lost.
    for (server, mut sending) in servers.iter_mut().zip(sending) {
        let mut received = vec![0; data.len()];
        let (sent, read) = runtime::join!(&mut sending, server.read_exact(&mut received));
        sent.unwrap();
        read.unwrap();
        assert!(received == data);
    }
    let held = descriptors() - connected;
    assert!(held <= KEPT, "{held} descriptors are held by idle relays");

    drop((clients, servers));
    for relaying in relaying {
        assert_eq!(relaying.await.unwrap().unwrap(), (data.len() as u64, 0));
    }
    let left = descriptors() - base;
    assert!(left <= KEPT, "{left} descriptors are left");

    // A relay that is dropped with bytes in its pipe closes it.
    let (mut client, mut front) = UnixStream::pair().unwrap();
    let (mut back, _server) = UnixStream::pair().unwrap();
    let before = descriptors();
    let relaying = runtime::spawn(async move { relay(&mut front, &mut back).await });
    let mut sending = Box::pin(client.write_all(&data));
    for _ in 0..200 {
        assert!(poll_once(sending.as_mut()).await.is_none());
        runtime::task::yield_now().await;
    }
    relaying.abort();
    assert!(relaying.await.unwrap_err().is_cancelled());
    assert!(descriptors() <= before - 2, "{} of {before}", descriptors());
}
