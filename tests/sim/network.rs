//! The simulated network between hosts.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::try_zip;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};
use runtime::sim::{Builder, Crash, Event, Handle, Latency, Result, World};
use runtime::time::{Instant, sleep, timeout};

use super::support::{MS, echo, ping, world};

#[test]
fn a_name_leads_to_its_host_and_a_round_trip_takes_twice_the_latency() {
    let mut world = world(11);
    world.host("server", echo);
    let (addr, addr_v6) = (world.ipv4_addr("server"), world.ipv6_addr("server"));
    world.client("client", async move {
        let found: Vec<_> = lookup_host("server:80").await?.collect();
        assert_eq!(found, [(addr, 80).into(), (addr_v6, 80).into()]);
        let start = Instant::now();
        let mut stream = TcpStream::connect("server:80").await?;
        assert_eq!(start.elapsed(), 20 * MS);
        assert_eq!(stream.peer_addr()?, (addr, 80).into());
        ping(&mut stream).await?;
        assert_eq!(start.elapsed(), 40 * MS);
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn an_unknown_name_and_a_closed_port_are_errors() {
    let mut world = world(11);
    world.host("server", std::future::pending);
    world.client("client", async {
        let unknown = TcpStream::connect("sever:80").await.unwrap_err();
        assert!(unknown.to_string().contains("sever:80"), "{unknown}");
        let refused = TcpStream::connect("server:80").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn a_port_in_use_is_refused_on_its_host_alone() {
    let mut world = world(11);
    for name in ["a", "b"] {
        world.client(name, async {
            let first = TcpListener::bind("0.0.0.0:80").await?;
            let error = TcpListener::bind("0.0.0.0:80").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            drop(first);
            TcpListener::bind("0.0.0.0:80").await?;
            Ok(())
        });
    }
    world.run().unwrap();
}

#[test]
fn a_partition_delays_a_connection_until_it_heals() {
    let mut world = world(11);
    world.host("server", echo);
    let pings = Rc::new(Cell::new(0));
    let counted = pings.clone();
    world.client("client", async move {
        let mut stream = TcpStream::connect("server:80").await?;
        loop {
            ping(&mut stream).await?;
            counted.set(counted.get() + 1);
            sleep(100 * MS).await;
        }
    });
    world.run_for(Duration::from_secs(1)).unwrap();
    let before = pings.get();
    assert!(before > 5);
    world.partition("client", "server");
    world.run_for(Duration::from_secs(2)).unwrap();
    assert!(pings.get() <= before + 1);
    let stopped = pings.get();
    world.heal("client", "server");
    world.run_for(Duration::from_secs(20)).unwrap();
    assert!(pings.get() > stopped + 50, "TCP sends again what was lost");
    let is_cut = |event: &Event| matches!(event, Event::Dropped(_, "partition"));
    assert!(
        world
            .trace()
            .entries()
            .iter()
            .any(|entry| is_cut(&entry.event))
    );
}

#[test]
fn held_packets_arrive_after_the_end_of_the_hold() {
    let mut world = world(11);
    world.host("server", || async {
        let socket = UdpSocket::bind("0.0.0.0:53").await?;
        let mut buf = [0; 8];
        for expected in 1..=3 {
            let (len, _) = socket.recv_from(&mut buf).await?;
            assert_eq!(&buf[..len], [expected]);
        }
        runtime::sim::note("all three");
        Ok(())
    });
    world.client("client", async {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        for number in 1..=3 {
            socket.send_to(&[number], "server:53").await?;
        }
        Ok(())
    });
    world.hold("client", "server");
    world.run_for(Duration::from_secs(5)).unwrap();
    let has_all = |world: &World| world.trace().last(100).to_string().contains("all three");
    assert!(!has_all(&world));
    world.heal("client", "server");
    world.run_for(Duration::from_secs(1)).unwrap();
    assert!(has_all(&world));
}

#[test]
fn peers_of_a_process_that_dies_get_a_reset_and_connect_again_after_the_restart() {
    let mut world = world(11);
    world.host("server", echo);
    world.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        ping(&mut stream).await?;
        let error = stream.read_exact(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let refused = TcpStream::connect("server:80").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        sleep(Duration::from_secs(10)).await;
        ping(&mut TcpStream::connect("server:80").await?).await?;
        Ok(())
    });
    world.run_for(Duration::from_secs(1)).unwrap();
    world.crash("server", Crash::Reset);
    world.run_for(Duration::from_secs(1)).unwrap();
    world.restart("server");
    world.run().unwrap();
}

#[test]
fn peers_of_a_machine_that_fails_get_no_answer() {
    let mut world = world(11);
    world.host("server", echo);
    world.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        ping(&mut stream).await?;
        let silence = timeout(Duration::from_secs(30), stream.read_exact(&mut [0])).await;
        assert!(silence.is_err());
        // The machine is up again by now, and does not know the connection.
        let error = ping(&mut stream).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        Ok(())
    });
    world.run_for(Duration::from_secs(1)).unwrap();
    world.crash("server", Crash::Silent);
    world.run_for(Duration::from_secs(10)).unwrap();
    world.restart("server");
    world.run().unwrap();
}

#[test]
fn bandwidth_limits_how_fast_bytes_arrive() {
    let mut world = Builder::new()
        .latency(Latency::Fixed(MS))
        .bandwidth(100_000)
        .build();
    world.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let (mut stream, _) = listener.accept().await?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await?;
        assert_eq!(received.len(), 500_000);
        runtime::sim::note("received");
        Ok(())
    });
    world.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        stream.write_all(&[7; 500_000]).await?;
        stream.close().await?;
        Ok(())
    });
    let received = |world: &World| world.trace().last(9).to_string().contains(": received\n");
    world.run_until(received).unwrap();
    let took = world.elapsed();
    assert!((5.0..7.0).contains(&took.as_secs_f64()), "{took:?}");
}

#[test]
fn loss_delays_a_transfer_and_damages_nothing() {
    let mut world = Builder::new().seed(3).loss(0.1).build();
    world.host("server", echo);
    world.client("client", async {
        let stream = TcpStream::connect("server:80").await?;
        let (mut reader, mut writer) = stream.into_split();
        let sent: Vec<u8> = (0..200_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        let copy = sent.clone();
        let writes = runtime::spawn(async move {
            writer.write_all(&copy).await?;
            writer.close().await
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await?;
        writes.await??;
        assert!(received == sent);
        Ok(())
    });
    world.run().unwrap();
    let is_loss = |event: &Event| matches!(event, Event::Dropped(..));
    assert!(
        world
            .trace()
            .entries()
            .iter()
            .any(|entry| is_loss(&entry.event))
    );
}

#[test]
fn the_same_seed_gives_the_same_trace_a_hundred_times() {
    let hash = |seed| {
        let mut world = Builder::new().seed(seed).loss(0.02).build();
        world.host("server", echo);
        for name in ["one", "two", "three"] {
            world.client(name, async {
                let mut stream = TcpStream::connect("server:80").await?;
                for _ in 0..20 {
                    ping(&mut stream).await?;
                }
                Ok(())
            });
        }
        world.run().unwrap();
        world.trace().hash()
    };
    let first = hash(1);
    assert_ne!(first, hash(2));
    for _ in 0..100 {
        assert_eq!(hash(1), first);
    }
}

/// Accepts one connection after the other and writes the peer's address to it.
async fn name_peers(socket: TcpSocket) -> Result {
    let listener = socket.listen(16)?;
    loop {
        let (mut stream, peer) = listener.accept().await?;
        stream.write_all(peer.ip().to_string().as_bytes()).await?;
    }
}

async fn own_name(server: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    let mut name = String::new();
    stream.read_to_string(&mut name).await?;
    Ok(name)
}

#[test]
fn a_listener_on_ipv6_serves_both_families_unless_it_is_for_ipv6_alone() {
    for only_v6 in [false, true] {
        let mut world = world(11);
        world.host("server", move || async move {
            let socket = TcpSocket::new_v6()?;
            socket.set_only_v6(only_v6)?;
            assert_eq!(socket.only_v6()?, only_v6);
            socket.bind("[::]:80".parse()?)?;
            name_peers(socket).await
        });
        world.client("client", async move {
            let world = Handle::current();
            let (v4, v6) = (world.ipv4_addr("server"), world.ipv6_addr("server"));
            let own = world.ipv6_addr("client").to_string();
            assert_eq!(own_name((v6, 80).into()).await?, own);
            match own_name((v4, 80).into()).await {
                Ok(name) if !only_v6 => {
                    assert_eq!(name, format!("::ffff:{}", world.ipv4_addr("client")));
                }
                result => {
                    assert!(only_v6, "{result:?}");
                    let refused = result.unwrap_err();
                    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
                    // The name leads to both addresses, which are tried in turn.
                    let stream = TcpStream::connect("server:80").await?;
                    assert_eq!(stream.peer_addr()?, (v6, 80).into());
                }
            }
            Ok(())
        });
        world.run().unwrap();
        let trace = world.trace().last(1_000).to_string();
        assert!(trace.contains("-> [fd00::1]:80"), "{trace}");
    }
}

#[test]
fn the_loopback_interface_has_both_families_on_each_host() {
    let mut world = world(11);
    for name in ["a", "b"] {
        world.client(name, async {
            let listener = TcpListener::bind("[::1]:80").await?;
            let connect = TcpStream::connect("[::1]:80");
            let (stream, (_, peer)) = try_zip(connect, listener.accept()).await?;
            assert_eq!(peer, stream.local_addr()?);
            assert!(peer.ip().is_loopback() && peer.is_ipv6());
            let refused = TcpStream::connect("127.0.0.1:80").await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            // `localhost` is both.
            TcpStream::connect("localhost:80").await?;
            Ok(())
        });
    }
    world.run().unwrap();
}

#[test]
fn datagrams_travel_over_ipv6() {
    let mut world = world(11);
    world.host("server", || async {
        let socket = UdpSocket::bind("[::]:53").await?;
        let mut buf = [0; 16];
        loop {
            let (len, peer) = socket.recv_from(&mut buf).await?;
            socket.send_to(&buf[..len], peer).await?;
        }
    });
    let v6 = world.ipv6_addr("server");
    world.client("client", async move {
        let socket = UdpSocket::bind("[::]:0").await?;
        let mut buf = [0; 16];
        socket.send_to(b"six", (v6, 53)).await?;
        let (len, peer) = socket.recv_from(&mut buf).await?;
        assert_eq!((&buf[..len], peer), (&b"six"[..], (v6, 53).into()));
        // The first address of a name is that of IPv4, to which such a socket sends too.
        socket.send_to(b"four", "server:53").await?;
        let (len, peer) = socket.recv_from(&mut buf).await?;
        assert_eq!(&buf[..len], b"four");
        let v4 = Handle::current().ipv4_addr("server");
        assert_eq!(peer, (v4.to_ipv6_mapped(), 53).into());
        Ok(())
    });
    world.run().unwrap();
    let trace = world.trace().last(1_000).to_string();
    assert!(trace.contains(" -> [fd00::1]:53, 3 bytes"), "{trace}");
    assert!(trace.contains(" -> 10.0.0.1:53, 4 bytes"), "{trace}");
}

#[test]
fn a_dropped_stream_ends_its_peer_at_once_on_one_host_and_after_the_latency_on_another() {
    let mut world = world(11);
    world.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        loop {
            drop(listener.accept().await?);
        }
    });
    world.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        let start = Instant::now();
        assert_eq!(stream.read(&mut [0]).await?, 0);
        // The last segment of the handshake and the end each take the latency.
        assert_eq!(start.elapsed(), 20 * MS);

        let listener = TcpListener::bind("127.0.0.1:80").await?;
        let mut ours = TcpStream::connect("127.0.0.1:80").await?;
        let (theirs, _) = listener.accept().await?;
        let start = Instant::now();
        let dropping = runtime::spawn(async move {
            sleep(MS).await;
            drop(theirs);
        });
        assert_eq!(ours.read(&mut [0]).await?, 0);
        assert_eq!(start.elapsed(), MS);
        dropping.await?;
        Ok(())
    });
    world.run().unwrap();
}
