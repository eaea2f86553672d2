//! UDP sockets.

mod support;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_lite::future;
use runtime_net::udp::{Ecn, Transmit};
use runtime_net::{Interest, UdpSocket};
use runtime_reactor::Reactor;
use support::{block_on, kind, run, udp_pair, udp_socket};

#[test]
fn datagrams_keep_their_bounds_and_their_senders() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = (udp_socket().await, udp_socket().await);
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
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (one, two) = udp_pair().await;
        let mut buf = [0; 64];
        let mut wait = Box::pin(two.recv(&mut buf));
        assert!(future::poll_once(&mut wait).await.is_none());
        // All of them arrive with one event, each shorter than the buffer.
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
fn truncation_is_reported() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = udp_pair().await;
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
fn a_refused_datagram_is_an_error_of_a_connected_sender() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        // It holds its port, and receives datagrams of its peer alone.
        let holder = udp_socket().await;
        let sender = udp_socket().await;
        let elsewhere = udp_socket().await;
        holder
            .connect(elsewhere.local_addr().unwrap())
            .await
            .unwrap();
        sender.connect(holder.local_addr().unwrap()).await.unwrap();
        sender.send(b"question").await.unwrap();
        assert_eq!(
            kind(sender.recv(&mut [0; 8]).await),
            ErrorKind::ConnectionRefused
        );
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
fn a_datagram_that_must_not_be_fragmented_fails_if_it_is_too_long() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = udp_pair().await;
        match one.set_dont_fragment(true) {
            Err(e) => return assert_eq!(e.kind(), ErrorKind::Unsupported),
            Ok(()) => one.send(b"short").await.unwrap(),
        };
        let refused = one.send(&[0; 65_507]).await;
        // The MTU of the loopback interface depends on the machine.
        if let Err(e) = refused {
            assert_eq!(e.raw_os_error(), Some(libc::EMSGSIZE));
        }
        let is_simulated = support::is_simulated("part: the option is read by the system call");
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if !is_simulated {
            assert_eq!(mtu_discovery(&one), libc::IP_PMTUDISC_PROBE);
        }
        one.set_dont_fragment(false).unwrap();
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if !is_simulated {
            assert_eq!(mtu_discovery(&one), libc::IP_PMTUDISC_WANT);
        }
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
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let held = udp_socket().await;
        let taken = held.local_addr().unwrap();
        let error = UdpSocket::bind(taken).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(
            error.to_string().starts_with(&format!("bind {taken}: ")),
            "{error}"
        );
        let empty: &[SocketAddr] = &[];
        let socket = udp_socket().await;
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
        assert!(socket.send(b"without a peer").await.is_err());
        assert!(socket.take_error().unwrap().is_none());
    });
}

#[test]
fn readiness_is_reported_until_an_attempt_would_block() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = udp_pair().await;
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
        let recv = |socket: &std::net::UdpSocket| {
            support::other_code::recv(socket, &mut buf, |buf| socket.recv(buf))
        };
        let got = two.try_io(Interest::READABLE, recv);
        assert_eq!(got.unwrap(), 1);
        assert_eq!(kind(two.try_recv(&mut buf)), ErrorKind::WouldBlock);
        let to = one.local_addr().unwrap();
        let other = udp_socket().await;
        assert_eq!(other.try_send_to(b"x", to).unwrap(), 1);
    });
}

#[test]
fn options_are_set_and_returned() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let socket = udp_socket().await;
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
    if support::is_simulated("there is no multicast") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let group = Ipv4Addr::new(239, 255, 77, 1);
        let member = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        member
            .join_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .unwrap();
        let sender = udp_socket().await;
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
fn ipv6_sockets_have_the_same_features() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        // Some machines have no IPv6.
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

#[test]
fn a_socket_is_converted_to_std_and_back() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = udp_pair().await;
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
    let _leak_check = support::DescriptorLeakCheck::new();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::from_std(socket).unwrap();
    let mut buf = [0; 8];
    let outside = support::poll_once(&mut Box::pin(socket.recv(&mut buf)));
    assert!(matches!(outside, std::task::Poll::Ready(Err(_))));
}
