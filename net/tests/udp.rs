//! Datagrams.

mod support;

use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_lite::future;
use runtime_net::udp::{Ecn, Received, Transmit};
use runtime_net::{Interest, UdpSocket};
use runtime_reactor::Reactor;
use support::{block_on, run};

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Two sockets that are connected to each other.
async fn pair() -> (UdpSocket, UdpSocket) {
    let (one, two) = (socket().await, socket().await);
    one.connect(two.local_addr().unwrap()).await.unwrap();
    two.connect(one.local_addr().unwrap()).await.unwrap();
    (one, two)
}

fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn datagrams_keep_their_bounds_and_their_senders() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (one, two) = (socket().await, socket().await);
        let to = two.local_addr().unwrap();
        assert_eq!(one.send_to(b"first", to).await.unwrap(), 5);
        assert_eq!(one.send_to(b"", to).await.unwrap(), 0);
        assert_eq!(one.send_to(b"last", to).await.unwrap(), 4);
        let mut buf = [0; 64];
        let from = one.local_addr().unwrap();
        assert_eq!(two.peek(&mut buf).await.unwrap(), 5);
        assert_eq!(two.peek_from(&mut buf).await.unwrap(), (5, from));
        assert_eq!(two.recv_from(&mut buf).await.unwrap(), (5, from));
        assert_eq!(&buf[..5], b"first");
        assert_eq!(two.recv_from(&mut buf).await.unwrap(), (0, from));
        assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
    });
}

#[test]
fn a_receiver_waits_and_every_datagram_of_a_burst_is_received() {
    let _open = support::LeavesNothingOpen::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (one, two) = pair().await;
        let mut buf = [0; 64];
        let mut wait = Box::pin(two.recv(&mut buf));
        assert!(future::poll_once(&mut wait).await.is_none());
        // All of them arrive behind one event, each of fewer bytes than were asked for.
        for n in 1..=20 {
            one.send(&[7; 64][..n]).await.unwrap();
        }
        assert_eq!(wait.await.unwrap(), 1);
        for n in 2..=20 {
            assert_eq!(two.recv(&mut buf).await.unwrap(), n);
        }
        assert_eq!(kind(two.try_recv(&mut buf)), ErrorKind::WouldBlock);
        assert_eq!(reactor.stats().registrations, 1);
    });
}

#[test]
fn what_is_cut_off_is_told() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (one, two) = pair().await;
        one.send(b"much too long").await.unwrap();
        one.send(b"fits").await.unwrap();
        let mut buf = [0; 4];
        let cut = two.recv_msg(&mut buf).await.unwrap();
        assert!(cut.is_truncated);
        assert_eq!((cut.len, cut.addr), (4, one.local_addr().unwrap()));
        let whole = two.try_recv_msg(&mut buf).unwrap();
        assert!(!whole.is_truncated);
        assert_eq!((whole.len, whole.segment_size, &buf), (4, 4, b"fits"));
        one.send(b"much too long").await.unwrap();
        assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(kind(two.try_recv(&mut buf)), ErrorKind::WouldBlock);
    });
}

#[test]
fn batches_arrive_in_order_and_whole() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (one, two) = (socket().await, socket().await);
        let to = two.local_addr().unwrap();
        let contents: Vec<Vec<u8>> = (0..100).map(|n| vec![n; 1 + n as usize]).collect();
        let all: Vec<Transmit<'_>> = contents.iter().map(|c| Transmit::to(c, to)).collect();
        let (mut sent, mut got) = (0, 0);
        let mut memory = [[0; 128]; 40];
        while got < all.len() {
            if sent < all.len() {
                sent += one.send_batch(&all[sent..]).await.unwrap();
            }
            let mut received = [Received::default(); 40];
            let mut bufs = memory.each_mut().map(|buf| IoSliceMut::new(buf));
            let n = two.recv_batch(&mut bufs, &mut received).await.unwrap();
            for (buf, received) in memory.iter().zip(&received[..n]) {
                assert_eq!(buf[..received.len], contents[got]);
                assert_eq!(received.addr, one.local_addr().unwrap());
                assert!(!received.is_truncated);
                got += 1;
            }
        }
        let mut one_buf = [IoSliceMut::new(&mut memory[0])];
        let mut places = [Received::default(); 2];
        let nothing = two.try_recv_batch(&mut one_buf, &mut places);
        assert_eq!(kind(nothing), ErrorKind::WouldBlock);
        one.send_batch(&all[99..]).await.unwrap();
        let n = two.recv_batch(&mut one_buf, &mut places).await.unwrap();
        assert_eq!((n, places[0].len), (1, 100));
    });
}

#[test]
fn an_empty_batch_is_done_at_once() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let socket = socket().await;
        assert_eq!(socket.send_batch(&[]).await.unwrap(), 0);
        assert_eq!(socket.try_send_batch(&[]).unwrap(), 0);
        assert_eq!(socket.recv_batch(&mut [], &mut []).await.unwrap(), 0);
        assert_eq!(socket.try_recv_batch(&mut [], &mut []).unwrap(), 0);
    });
}

#[test]
fn a_batch_tells_of_what_was_cut_off_and_fails_at_its_first_failure() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (one, two) = pair().await;
        one.send(b"much too long").await.unwrap();
        let mut buf = [0; 4];
        let mut received = [Received::default()];
        let mut bufs = [IoSliceMut::new(&mut buf)];
        assert_eq!(two.recv_batch(&mut bufs, &mut received).await.unwrap(), 1);
        assert!(received[0].is_truncated && received[0].len == 4);

        let too_long = vec![0; 70_000];
        let batch = [Transmit::new(b"good"), Transmit::new(&too_long)];
        assert_eq!(one.send_batch(&batch).await.unwrap(), 1);
        let error = one.send_batch(&batch[1..]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(two.recv(&mut [0; 8]).await.unwrap(), 4);
    });
}

#[test]
fn a_refused_datagram_is_told_to_a_connected_sender() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        // It holds its port, and takes datagrams from its peer alone.
        let aloof = socket().await;
        let sender = socket().await;
        let elsewhere = socket().await;
        aloof
            .connect(elsewhere.local_addr().unwrap())
            .await
            .unwrap();
        sender.connect(aloof.local_addr().unwrap()).await.unwrap();
        sender.send(b"anybody?").await.unwrap();
        assert_eq!(
            kind(sender.recv(&mut [0; 8]).await),
            ErrorKind::ConnectionRefused
        );
    });
}

/// Sockets on a port that refuses what they send, and the one that holds it.
async fn refused() -> (UdpSocket, UdpSocket) {
    let (aloof, sender, elsewhere) = (socket().await, socket().await, socket().await);
    let (here, there) = (aloof.local_addr().unwrap(), elsewhere.local_addr().unwrap());
    aloof.connect(there).await.unwrap();
    sender.connect(here).await.unwrap();
    (sender, aloof)
}

#[test]
fn a_refusal_in_the_middle_of_a_batch_keeps_no_datagram_from_being_sent() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (sender, _aloof) = refused().await;
        let all = [Transmit::new(b"x"); 5];
        let (mut sent, mut calls) = (0, 0);
        while sent < all.len() {
            // The answer to one may come before the next is sent, or after: then this call fails.
            match sender.send_batch(&all[sent..]).await {
                Ok(n) => sent += n,
                Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionRefused),
            }
            calls += 1;
            assert!(
                calls <= 2 * all.len(),
                "each call sends one or takes an error"
            );
        }
        // That of the last one is told for certain.
        let refused = sender.recv(&mut [0; 8]).await;
        assert_eq!(kind(refused), ErrorKind::ConnectionRefused);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_refusal_beside_datagrams_is_told_and_loses_none() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (receiver, aloof) = refused().await;
        let sender = UdpSocket::from_std(aloof.into_std()).unwrap();
        receiver.send(b"anybody?").await.unwrap();
        sender
            .connect(receiver.local_addr().unwrap())
            .await
            .unwrap();
        sender.send_batch(&[Transmit::new(b"y"); 3]).await.unwrap();
        let mut memory = [[0; 4]; 8];
        let mut received = [Received::default(); 8];
        let (mut got, mut told) = (0, 0);
        while got < 3 || told < 1 {
            let mut bufs = memory.each_mut().map(|buf| IoSliceMut::new(buf));
            match receiver.recv_batch(&mut bufs, &mut received).await {
                Ok(n) => got += n,
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
                    told += 1;
                }
            }
        }
        assert_eq!((got, told), (3, 1));
    });
}

/// Receives one by itself and one in a batch, which both are whole.
#[cfg(any(target_os = "linux", target_os = "android"))]
async fn receive_two(socket: &UdpSocket, is_control_truncated: bool) {
    let mut buf = [0; 4];
    let first = socket.recv_msg(&mut buf).await.unwrap();
    let (mut bufs, mut second) = ([IoSliceMut::new(&mut buf)], [Received::default()]);
    assert_eq!(socket.recv_batch(&mut bufs, &mut second).await.unwrap(), 1);
    for received in [first, second[0]] {
        assert_eq!((received.len, received.is_truncated), (4, false));
        assert_eq!(received.is_control_truncated, is_control_truncated);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn what_travels_beside_a_datagram_and_has_no_room_is_told() {
    let _open = support::LeavesNothingOpen::new();
    use std::os::fd::AsRawFd;
    block_on(async {
        let (one, two) = pair().await;
        two.set_recv_destination(true).unwrap();
        for contents in [b"good"; 4] {
            one.send(contents).await.unwrap();
        }
        receive_two(&two, false).await;
        // Somebody asks for what this crate has no room for: times, the hops left, options.
        let times = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
        for (level, option, value) in [
            (
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPING,
                times as libc::c_int,
            ),
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1),
            (libc::IPPROTO_IP, libc::IP_RECVTTL, 1),
            (libc::IPPROTO_IP, libc::IP_RECVTOS, 1),
            (libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR, 1),
        ] {
            let (value, size): (*const libc::c_int, _) = (&value, size_of::<libc::c_int>());
            // SAFETY: setsockopt reads one int, which outlives the call.
            let set = unsafe {
                libc::setsockopt(two.as_raw_fd(), level, option, value.cast(), size as _)
            };
            assert_eq!(set, 0, "{option}");
        }
        receive_two(&two, true).await;
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn mtu_discovery(socket: &UdpSocket) -> libc::c_int {
    use std::os::fd::AsRawFd;
    let (mut how, mut size) = (-1, size_of::<libc::c_int>() as libc::socklen_t);
    let (fd, to): (_, *mut libc::c_int) = (socket.as_raw_fd(), &mut how);
    let (level, option) = (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    // SAFETY: getsockopt writes one int, which outlives the call.
    let got = unsafe { libc::getsockopt(fd, level, option, to.cast(), &mut size) };
    assert_eq!(got, 0);
    how
}

#[test]
fn what_may_not_be_cut_into_fragments_fails_if_it_is_too_long() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (one, two) = pair().await;
        match one.set_dont_fragment(true) {
            Err(e) => return assert_eq!(e.kind(), ErrorKind::Unsupported),
            Ok(()) => one.send(b"short").await.unwrap(),
        };
        let refused = one.send(&[0; 65_507]).await;
        // What loopback takes in one piece depends on the machine.
        if let Err(e) = refused {
            assert_eq!(e.raw_os_error(), Some(libc::EMSGSIZE));
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        assert_eq!(mtu_discovery(&one), libc::IP_PMTUDISC_PROBE);
        one.set_dont_fragment(false).unwrap();
        #[cfg(any(target_os = "linux", target_os = "android"))]
        assert_eq!(mtu_discovery(&one), libc::IP_PMTUDISC_WANT);
        assert_eq!(two.recv(&mut [0; 8]).await.unwrap(), 5);
        if let Ok(six) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await {
            six.set_dont_fragment(true).unwrap();
            let to = six.local_addr().unwrap();
            six.send_to(b"short", to).await.unwrap();
        }
    });
}

#[test]
fn errors_name_the_address() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let held = socket().await;
        let taken = held.local_addr().unwrap();
        let error = UdpSocket::bind(taken).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(
            error.to_string().starts_with(&format!("bind {taken}: ")),
            "{error}"
        );
        let empty: &[SocketAddr] = &[];
        let socket = socket().await;
        assert_eq!(
            kind(socket.send_to(b"x", empty).await),
            ErrorKind::InvalidInput
        );
        assert_eq!(kind(socket.connect(empty).await), ErrorKind::InvalidInput);
        assert_eq!(
            kind(UdpSocket::bind("no port").await),
            ErrorKind::InvalidInput
        );
        assert_eq!(kind(socket.peer_addr()), ErrorKind::NotConnected);
        assert!(socket.send(b"to nobody").await.is_err());
        assert!(socket.take_error().unwrap().is_none());
    });
}

#[test]
fn readiness_is_told_until_a_try_finds_nothing() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (one, two) = pair().await;
        let mut buf = [0; 8];
        two.writable().await.unwrap();
        assert_eq!(kind(two.try_recv_from(&mut buf)), ErrorKind::WouldBlock);
        assert_eq!(kind(two.try_peek(&mut buf)), ErrorKind::WouldBlock);
        let mut readable = Box::pin(two.readable());
        assert!(future::poll_once(&mut readable).await.is_none());
        assert_eq!(one.try_send(b"x").unwrap(), 1);
        readable.await.unwrap();
        two.ready(Interest::READABLE).await.unwrap();
        assert_eq!(two.try_peek_from(&mut buf).unwrap().0, 1);
        let got = two.try_io(Interest::READABLE, |socket| socket.recv(&mut buf));
        assert_eq!(got.unwrap(), 1);
        assert_eq!(kind(two.try_recv(&mut buf)), ErrorKind::WouldBlock);
        let to = one.local_addr().unwrap();
        let other = socket().await;
        assert_eq!(other.try_send_to(b"x", to).unwrap(), 1);
    });
}

#[test]
fn options_are_set_and_read() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let socket = socket().await;
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(7).unwrap();
        assert_eq!(socket.ttl().unwrap(), 7);
        socket.set_tos(0x10).unwrap();
        assert_eq!(socket.tos().unwrap(), 0x10);
        assert_eq!(kind(socket.set_tos(256)), ErrorKind::InvalidInput);
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        socket.set_recv_buffer_size(65536).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 65536);
        socket.set_send_buffer_size(65536).unwrap();
        assert!(socket.send_buffer_size().unwrap() >= 65536);
        let no_group = Ipv4Addr::LOCALHOST;
        let joined = socket.join_multicast_v4(no_group, Ipv4Addr::UNSPECIFIED);
        assert_eq!(kind(joined), ErrorKind::InvalidInput);
        let left = socket.leave_multicast_v4(Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::LOCALHOST);
        assert_eq!(kind(left), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_multicast_reaches_a_member_of_the_group() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let group = Ipv4Addr::new(239, 255, 77, 1);
        let member = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        member
            .join_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .unwrap();
        let sender = socket().await;
        let interface = Ipv4Addr::LOCALHOST;
        socket2::SockRef::from(&sender)
            .set_multicast_if_v4(&interface)
            .unwrap();
        let port = member.local_addr().unwrap().port();
        sender.send_to(b"all", (group, port)).await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(member.recv(&mut buf).await.unwrap(), 3);
        member
            .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .unwrap();
    });
}

#[test]
fn sockets_of_ipv6_do_the_same() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        // There may be no IPv6 here.
        let Ok(socket) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await else {
            return;
        };
        socket.set_tos(0x20).unwrap();
        assert_eq!(socket.tos().unwrap(), 0x20);
        socket.set_multicast_loop_v6(false).unwrap();
        assert!(!socket.multicast_loop_v6().unwrap());
        socket.set_multicast_hops_v6(2).unwrap();
        assert_eq!(socket.multicast_hops_v6().unwrap(), 2);
        assert!(socket.join_multicast_v6(&Ipv6Addr::LOCALHOST, 0).is_err());
        assert!(socket.leave_multicast_v6(&Ipv6Addr::LOCALHOST, 0).is_err());
        socket.set_recv_ecn(true).unwrap();
        socket.set_recv_destination(true).unwrap();
        let to = socket.local_addr().unwrap();
        let mut transmit = Transmit::to(b"six", to);
        transmit.ecn = Some(Ecn::Ce);
        transmit.source = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));
        socket.send_msg(&transmit).await.unwrap();
        let mut buf = [0; 8];
        let received = socket.recv_msg(&mut buf).await.unwrap();
        assert_eq!(received.ecn, Some(Ecn::Ce));
        assert_eq!(received.destination, Some(Ipv6Addr::LOCALHOST.into()));
        assert!(received.interface.is_some());
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn ecn_and_addresses_travel_beside_a_datagram() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let receiver = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        receiver.set_recv_ecn(true).unwrap();
        receiver.set_recv_destination(true).unwrap();
        let sender = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let to = (Ipv4Addr::LOCALHOST, receiver.local_addr().unwrap().port());
        let mut buf = [0; 8];
        for ecn in [Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce), None] {
            let mut transmit = Transmit::to(b"x", to.into());
            transmit.ecn = ecn;
            // Another address of this machine than it would choose.
            let source = Ipv4Addr::new(127, 0, 0, 9);
            transmit.source = Some(source.into());
            sender.send_batch(&[transmit]).await.unwrap();
            let received = receiver.recv_msg(&mut buf).await.unwrap();
            assert_eq!(received.ecn, ecn);
            assert_eq!(received.destination, Some(Ipv4Addr::LOCALHOST.into()));
            assert_eq!(received.addr.ip(), source);
            assert!(received.interface.is_some());
        }
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn ipv4_in_the_clothes_of_ipv6_has_its_ecn_bits() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let Ok(receiver) = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await else {
            return;
        };
        receiver.set_recv_ecn(true).unwrap();
        receiver.set_recv_destination(true).unwrap();
        let port = receiver.local_addr().unwrap().port();
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let mut transmit = Transmit::to(b"x", (mapped, port).into());
        transmit.ecn = Some(Ecn::Ect0);
        transmit.source = Some(Ipv4Addr::new(127, 0, 0, 9).into());
        receiver.send_msg(&transmit).await.unwrap();
        let received = receiver.recv_msg(&mut [0; 8]).await.unwrap();
        assert_eq!(received.ecn, Some(Ecn::Ect0));
        assert_eq!(received.destination, Some(Ipv4Addr::LOCALHOST.into()));
    });
}

#[test]
fn segments_are_cut_and_joined_where_the_kernel_does_it() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (one, two) = pair().await;
        let mut transmit = Transmit::new(&[5; 250]);
        let mut buf = [0; 65535];
        // What is one segment is sent everywhere.
        for size in [250, 100_000] {
            transmit.segment_size = Some(size);
            assert_eq!(one.send_msg(&transmit).await.unwrap(), 250);
            assert_eq!(two.recv(&mut buf).await.unwrap(), 250);
        }
        transmit.segment_size = Some(100);
        if one.max_segments() == 1 {
            assert_eq!(kind(one.send_msg(&transmit).await), ErrorKind::Unsupported);
            return;
        }
        assert_eq!(one.send_msg(&transmit).await.unwrap(), 250);
        for expected in [100, 100, 50] {
            assert_eq!(two.recv(&mut buf).await.unwrap(), expected);
        }
        two.set_gro(true).unwrap();
        one.send_msg(&transmit).await.unwrap();
        let mut lengths = Vec::new();
        while lengths.iter().sum::<usize>() < 250 {
            let received = two.recv_msg(&mut buf).await.unwrap();
            let segments = buf[..received.len].chunks(received.segment_size);
            lengths.extend(segments.map(<[u8]>::len));
        }
        assert_eq!(lengths, [100, 100, 50]);
        let mut transmit = Transmit::new(&[5; 70_000]);
        transmit.segment_size = Some(66_000);
        assert_eq!(kind(one.try_send_msg(&transmit)), ErrorKind::InvalidInput);
        transmit.segment_size = Some(0);
        assert_eq!(kind(one.try_send_msg(&transmit)), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_socket_goes_to_std_and_back() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (one, two) = pair().await;
        let mut buf = [0; 8];
        assert!(
            future::poll_once(Box::pin(two.recv(&mut buf)))
                .await
                .is_none()
        );
        let two = UdpSocket::from_std(two.into_std()).unwrap();
        one.send(b"x").await.unwrap();
        assert_eq!(two.recv(&mut buf).await.unwrap(), 1);
        let fd = std::os::fd::OwnedFd::from(two);
        let two = UdpSocket::try_from(fd).unwrap();
        one.send(b"y").await.unwrap();
        assert_eq!(two.recv(&mut buf).await.unwrap(), 1);
    });
}

#[test]
fn waiting_outside_a_runtime_is_an_error() {
    let _open = support::LeavesNothingOpen::new();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::from_std(socket).unwrap();
    let mut buf = [0; 8];
    let outside = support::poll_once(&mut Box::pin(socket.recv(&mut buf)));
    assert!(matches!(outside, std::task::Poll::Ready(Err(_))));
}
