//! Unix datagram sockets.

mod support;

use std::io::ErrorKind;
use std::net::Shutdown;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
use std::thread;

use futures_lite::future;
use runtime_net::UnixDatagram;
use support::{TempPath, block_on, kind};

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_sender_with_any_kind_of_name_can_be_answered() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let place = TempPath::new("answers");
        let server = UnixDatagram::bind(&place).unwrap();
        let name = "runtime-answered-".to_owned() + &std::process::id().to_string();
        // A path, an abstract name, one of maximum length with zeros, and one that the system
        // chooses.
        let long = [name.as_bytes(), &[0; 107][name.len()..]].concat();
        let named = |name: &[u8]| SocketAddr::from_abstract_name(name).unwrap();
        let here = TempPath::new("asks");
        let clients = [
            UnixDatagram::bind(&here),
            UnixDatagram::bind_addr(&named(name.as_bytes())),
            UnixDatagram::bind_addr(&named(&long)),
            UnixDatagram::bind(""),
        ];
        for client in clients {
            let client = client.unwrap();
            client.send_to(b"question", &place).await.unwrap();
            let (n, from) = server.recv_from(&mut [0; 16]).await.unwrap();
            assert_eq!(n, 8);
            let ours = client.local_addr().unwrap();
            assert_eq!(format!("{from:?}"), format!("{ours:?}"));
            assert_eq!(server.send_to_addr(b"answer", &from).await.unwrap(), 6);
            assert_eq!(server.try_send_to_addr(b"again", &from).unwrap(), 5);
            assert_eq!(client.recv(&mut [0; 16]).await.unwrap(), 6);
            assert_eq!(client.recv(&mut [0; 16]).await.unwrap(), 5);
        }
        let unnamed = SocketAddr::from_pathname("").unwrap();
        assert!(server.send_to_addr(b"x", &unnamed).await.is_err());
    });
}

#[test]
fn datagrams_are_sent_by_name_and_in_pairs() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (here, there) = (TempPath::new("here"), TempPath::new("there"));
        let one = UnixDatagram::bind(&here).unwrap();
        let two = UnixDatagram::bind(&there).unwrap();
        one.send_to(b"hello", &there).await.unwrap();
        let mut buf = [0; 16];
        let (n, from) = two.recv_from(&mut buf).await.unwrap();
        assert_eq!((n, from.as_pathname()), (5, Some(here.as_ref())));
        two.connect(&here).unwrap();
        assert_eq!(two.peer_addr().unwrap().as_pathname(), Some(here.as_ref()));
        let mut wait = Box::pin(one.recv(&mut buf));
        assert!(future::poll_once(&mut wait).await.is_none());
        for n in 1..=5 {
            two.send(&[7; 8][..n]).await.unwrap();
        }
        assert_eq!(wait.await.unwrap(), 1);
        for n in 2..=5 {
            assert_eq!(one.recv(&mut buf).await.unwrap(), n);
        }
        assert_eq!(kind(one.try_recv_from(&mut buf)), ErrorKind::WouldBlock);
        let not_connected = one.try_send(b"x").unwrap_err();
        let without_peer = match not_connected.kind() {
            ErrorKind::NotConnected => true,
            _ => cfg!(not(target_os = "linux")) && is_without_address(&not_connected),
        };
        assert!(without_peer, "{not_connected}");
        drop(one);
        let gone = kind(two.send(b"x").await);
        let is_reset = cfg!(not(target_os = "linux")) && gone == ErrorKind::ConnectionReset;
        assert!(gone == ErrorKind::ConnectionRefused || is_reset, "{gone:?}");
        let missing = TempPath::new("missing");
        assert_eq!(kind(two.send_to(b"x", &missing).await), ErrorKind::NotFound);
        assert_eq!(kind(two.connect(&missing)), ErrorKind::NotFound);
    });
}

/// Returns true if the error is that of sending without an address.
fn is_without_address(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EDESTADDRREQ)
}

/// Linux and macOS return EAGAIN or wait; the BSDs return another error.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn sending_to_a_full_receiver_waits_whether_connected_or_not() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let place = TempPath::new("slow");
        let receiver = UnixDatagram::bind(&place).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let mut sent = 0;
        let full = loop {
            match sender.try_send_to(b"x", &place) {
                Ok(_) => sent += 1,
                Err(e) => break e,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let mut unconnected = Box::pin(sender.send_to(b"y", &place));
        assert!(future::poll_once(&mut unconnected).await.is_none());
        let other = UnixDatagram::unbound().unwrap();
        other.connect(&place).unwrap();
        let mut connected = Box::pin(other.send(b"z"));
        assert!(future::poll_once(&mut connected).await.is_none());
        let mut buf = [0; 4];
        for _ in 0..sent {
            assert_eq!(receiver.recv(&mut buf).await.unwrap(), 1);
        }
        let (one, two) = future::try_zip(unconnected, connected).await.unwrap();
        assert_eq!((one, two), (1, 1));
        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 1);
        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 1);
    });
}

#[test]
fn after_a_shutdown_receiving_returns_the_end_and_does_not_wait() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = UnixDatagram::pair().unwrap();
        let (mut buf, mut other) = ([0; 4], [0; 4]);
        one.send(b"left").await.unwrap();
        two.shutdown(Shutdown::Write).unwrap();
        assert_eq!(
            two.recv(&mut buf).await.unwrap(),
            4,
            "only sending was shut down"
        );
        assert_eq!(kind(two.try_recv(&mut buf)), ErrorKind::WouldBlock);
        one.send(b"left").await.unwrap();
        assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
        {
            let mut first = Box::pin(two.recv(&mut buf));
            let mut second = Box::pin(two.recv_from(&mut other));
            assert!(future::poll_once(&mut first).await.is_none());
            assert!(future::poll_once(&mut second).await.is_none());
            one.send(b"last").await.unwrap();
            two.shutdown(Shutdown::Read).unwrap();
            let (first, second) = future::try_zip(first, second).await.unwrap();
            let received = first + second.0;
            // The BSDs discard what is queued; else one gets the datagram, the other the end.
            let is_discarded = cfg!(not(target_os = "linux")) && received == 0;
            assert!(received == 4 || is_discarded, "{received}");
        }
        assert_eq!(two.recv(&mut buf).await.unwrap(), 0);
        assert_eq!(two.try_recv(&mut buf).unwrap(), 0);
        let (n, from) = two.try_recv_from(&mut buf).unwrap();
        assert!(n == 0 && from.is_unnamed());
        let received = two.recv_fds(&mut buf, &mut []).await.unwrap();
        assert_eq!((received.len, received.is_truncated), (0, false));
        assert_eq!(kind(one.send(b"x").await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn receiving_is_shut_down_by_another_thread() {
    if support::is_simulated("a simulated kernel belongs to one thread") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (_one, two) = UnixDatagram::pair().unwrap();
        let two = std::sync::Arc::new(two);
        let mut buf = [0; 4];
        let mut recv = Box::pin(two.recv(&mut buf));
        assert!(future::poll_once(&mut recv).await.is_none());
        let there = two.clone();
        let ending = thread::spawn(move || there.shutdown(Shutdown::Both).unwrap());
        assert_eq!(recv.await.unwrap(), 0);
        ending.join().unwrap();
    });
}
