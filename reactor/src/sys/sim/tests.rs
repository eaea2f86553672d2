//! The simulated kernel as a world and the crate `net` use it.
//!
//! No other test may fork: the child would keep duplicates of the placeholders open, and
//! a close would be noticed late.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::super::conformance::shared;
use super::*;

const MS: Duration = Duration::from_millis(1);

fn world(seed: u64, link: Link) -> (Kernel, Host, Host) {
    let kernel = Kernel::new(seed);
    kernel.set_default_link(link);
    let ip = |last| IpAddr::from([10, 0, 0, last]);
    let one = kernel.add_host("one", [ip(1)]).unwrap();
    let two = kernel.add_host("two", [ip(2)]).unwrap();
    (kernel, one, two)
}

fn fixed(latency: Duration) -> Link {
    Link {
        latency: Latency::Fixed(latency),
        ..Link::default()
    }
}

fn listen(host: &Host) -> (OwnedFd, SocketAddr) {
    let listener = host.socket(SocketKind::Tcp { is_v6: false }).unwrap();
    let addr = SocketAddr::new(host.addrs()[0], 80);
    host.bind_inet(listener.as_fd(), addr).unwrap();
    host.listen(listener.as_fd(), 16).unwrap();
    (listener, addr)
}

fn connect(host: &Host, to: SocketAddr) -> OwnedFd {
    let socket = host.socket(SocketKind::Tcp { is_v6: false }).unwrap();
    let begun = host.connect_inet(socket.as_fd(), to).unwrap_err();
    assert_eq!(begun.raw_os_error(), Some(libc::EINPROGRESS));
    socket
}

fn send(host: &Host, fd: &OwnedFd, data: &[u8]) -> io::Result<usize> {
    host.send(fd.as_fd(), &[IoSlice::new(data)])
}

fn recv(host: &Host, fd: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut buf = vec![0; 65_536];
    let n = host.recv(fd.as_fd(), &mut [&mut buf], false)?;
    buf.truncate(n);
    Ok(buf)
}

/// Moves the time from event to event until the network is at rest.
fn settle(kernel: &Kernel) {
    while let Some(next) = kernel.next_visible_event() {
        kernel.advance_to(next);
    }
}

/// Returns both ends of a connection from `one` to `two`.
fn pair(kernel: &Kernel, one: &Host, two: &Host) -> (OwnedFd, OwnedFd) {
    let (listener, addr) = listen(two);
    let client = connect(one, addr);
    settle(kernel);
    let (server, _) = two.accept_inet(listener.as_fd()).unwrap();
    (client, server)
}

#[test]
fn a_connection_takes_the_time_of_its_packets() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(5 * MS));
    let (listener, addr) = listen(&two);
    let client = connect(&one, addr);
    let early = two.accept_inet(listener.as_fd()).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    kernel.advance_to(10 * MS);
    assert_eq!(one.peer_inet(client.as_fd()).unwrap(), addr);
    assert!(
        two.accept_inet(listener.as_fd()).is_err(),
        "the last of three packets is under way"
    );
    kernel.advance_to(15 * MS);
    let (server, peer) = two.accept_inet(listener.as_fd()).unwrap();
    assert_eq!(peer, one.local_inet(client.as_fd()).unwrap());
    send(&one, &client, b"hello").unwrap();
    kernel.advance_to(19 * MS);
    assert_eq!(
        recv(&two, &server).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    kernel.advance_to(20 * MS);
    assert_eq!(recv(&two, &server).unwrap(), b"hello");
}

#[test]
fn bytes_arrive_in_order_and_whole_over_a_bad_link() {
    let _no_fork = shared();
    let bad = Link {
        latency: Latency::Uniform(MS, 20 * MS),
        loss: 100_000,
        reorder: 200_000,
        ..Link::default()
    };
    for seed in 0..20 {
        let (kernel, one, two) = world(seed, bad.clone());
        let (client, server) = pair(&kernel, &one, &two);
        let sent: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut rest, mut received) = (&sent[..], Vec::new());
        let mut ended = false;
        while !ended {
            match send(&one, &client, rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) => assert!(rest.is_empty() || e.kind() == ErrorKind::WouldBlock, "{e}"),
            }
            if rest.is_empty() {
                one.shutdown(client.as_fd(), std::net::Shutdown::Write)
                    .unwrap();
            }
            match recv(&two, &server) {
                Ok(data) if data.is_empty() => ended = true,
                Ok(data) => received.extend(data),
                Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
            }
            if let (false, Some(next)) = (ended, kernel.next_visible_event()) {
                kernel.advance_to(next);
            }
        }
        assert!(received == sent, "seed {seed}");
    }
}

#[test]
fn a_writer_that_is_not_read_has_to_wait() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let (client, server) = pair(&kernel, &one, &two);
    let mut written = 0;
    loop {
        match send(&one, &client, &[7; 10_000]) {
            Ok(n) => written += n,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                let before = kernel.now();
                kernel.advance_to(before + Duration::from_secs(1));
                if send(&one, &client, &[7; 1]).is_err() {
                    break;
                }
                written += 1;
            }
        }
    }
    let mut read = 0;
    while read < written {
        match recv(&two, &server) {
            Ok(data) => read += data.len(),
            Err(_) => kernel.advance_to(kernel.next_event().unwrap()),
        }
    }
    assert_eq!(read, written);
    assert!(send(&one, &client, b"again").is_ok());
}

#[test]
fn a_connection_to_a_port_without_listener_is_refused() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let client = connect(&one, SocketAddr::new(two.addrs()[0], 81));
    settle(&kernel);
    let error = one.take_error(client.as_fd()).unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(kernel.now(), 2 * MS);
}

#[test]
fn a_connection_into_a_partition_times_out_after_its_retries() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    kernel.partition(one.id(), two.id());
    let client = connect(&one, SocketAddr::new(two.addrs()[0], 80));
    settle(&kernel);
    let error = one.take_error(client.as_fd()).unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(kernel.now(), Duration::from_secs(127));
}

#[test]
fn data_of_a_healed_partition_arrives_late_and_without_an_error() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let (client, server) = pair(&kernel, &one, &two);
    kernel.partition(one.id(), two.id());
    send(&one, &client, b"late").unwrap();
    kernel.advance_to(Duration::from_secs(30));
    assert!(recv(&two, &server).is_err());
    kernel.heal(one.id(), two.id());
    settle(&kernel);
    assert_eq!(recv(&two, &server).unwrap(), b"late");
}

#[test]
fn a_connection_in_a_partition_fails_once_its_retries_are_used_up() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let (client, _server) = pair(&kernel, &one, &two);
    kernel.partition(one.id(), two.id());
    send(&one, &client, b"lost").unwrap();
    settle(&kernel);
    let error = recv(&one, &client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn held_packets_arrive_once_the_link_is_healed() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let (client, server) = pair(&kernel, &one, &two);
    kernel.hold(one.id(), two.id());
    send(&one, &client, b"held").unwrap();
    kernel.advance_to(kernel.now() + 50 * MS);
    assert!(recv(&two, &server).is_err());
    kernel.heal(one.id(), two.id());
    kernel.advance_to(kernel.now() + MS);
    assert_eq!(recv(&two, &server).unwrap(), b"held");
}

#[test]
fn a_closed_connection_ends_and_frees_its_addresses_after_a_while() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let (client, server) = pair(&kernel, &one, &two);
    send(&one, &client, b"bye").unwrap();
    drop(client);
    settle(&kernel);
    assert_eq!(recv(&two, &server).unwrap(), b"bye");
    assert_eq!(recv(&two, &server).unwrap(), b"");
    drop(server);
    settle(&kernel);
    assert!(two.open_sockets().is_empty());
    let end = kernel.next_event().expect("TIME_WAIT");
    assert!(end >= Duration::from_secs(60));
    kernel.advance_to(end);
    assert_eq!(kernel.next_event(), None);
}

#[test]
fn unread_data_and_a_crash_reset_the_peer() {
    let _no_fork = shared();
    for crash in [false, true] {
        let (kernel, one, two) = world(1, fixed(MS));
        let (client, server) = pair(&kernel, &one, &two);
        if crash {
            kernel.crash(one.id(), Crash::Reset);
        } else {
            send(&two, &server, b"unread").unwrap();
            settle(&kernel);
            drop(client);
            assert!(one.open_sockets().is_empty());
        }
        settle(&kernel);
        let error = recv(&two, &server).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{crash}");
        assert_eq!(
            recv(&two, &server).unwrap(),
            b"",
            "the error is reported once"
        );
        let broken = send(&two, &server, b"x").unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
    }
}

#[test]
fn a_silent_crash_is_noticed_when_the_restarted_host_answers() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let (_client, server) = pair(&kernel, &one, &two);
    kernel.crash(one.id(), Crash::Silent);
    send(&two, &server, b"anyone?").unwrap();
    kernel.advance_to(Duration::from_secs(5));
    assert_eq!(
        recv(&two, &server).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    kernel.restart(one.id());
    settle(&kernel);
    assert_eq!(
        recv(&two, &server).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn keepalive_notices_a_peer_that_is_silent() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let (_client, server) = pair(&kernel, &one, &two);
    for (option, value) in [
        (SocketOption::KeepaliveTime, 10),
        (SocketOption::KeepaliveInterval, 5),
        (SocketOption::KeepaliveRetries, 3),
        (SocketOption::Keepalive, 1),
    ] {
        two.set_option(server.as_fd(), option, value).unwrap();
    }
    kernel.advance_to(Duration::from_secs(100));
    assert_eq!(
        recv(&two, &server).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    kernel.crash(one.id(), Crash::Silent);
    let before = kernel.now();
    kernel.advance_to(before + Duration::from_secs(40));
    assert_eq!(recv(&two, &server).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn datagrams_are_lost_doubled_and_reordered_as_the_link_says() {
    let _no_fork = shared();
    let link = Link {
        latency: Latency::Uniform(MS, 5 * MS),
        loss: 200_000,
        duplication: 100_000,
        reorder: 200_000,
        ..Link::default()
    };
    let (kernel, one, two) = world(7, link);
    let udp = |host: &Host| {
        let socket = host.socket(SocketKind::Udp { is_v6: false }).unwrap();
        let addr = SocketAddr::new(host.addrs()[0], 53);
        host.bind_inet(socket.as_fd(), addr).unwrap();
        (socket, addr)
    };
    let ((from, _), (to, addr)) = (udp(&one), udp(&two));
    for n in 0..200_u8 {
        one.send_datagram(from.as_fd(), &[n], Some(addr), None, None)
            .unwrap();
        kernel.advance_to(kernel.now() + MS);
    }
    settle(&kernel);
    let mut received = Vec::new();
    let mut buf = [0; 8];
    while let Ok(datagram) = two.recv_datagram(to.as_fd(), &mut buf, false) {
        assert_eq!(datagram.full_len, 1);
        received.push(buf[0]);
    }
    let mut distinct = received.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!((130..190).contains(&distinct.len()), "{}", distinct.len());
    assert!(received.len() > distinct.len(), "some arrive twice");
    assert!(!received.is_sorted(), "some are overtaken");
}

#[test]
fn a_datagram_to_no_socket_is_an_error_of_a_connected_sender() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let socket = one.socket(SocketKind::Udp { is_v6: false }).unwrap();
    let nowhere = SocketAddr::new(two.addrs()[0], 9);
    one.connect_inet(socket.as_fd(), nowhere).unwrap();
    send(&one, &socket, b"x").unwrap();
    settle(&kernel);
    let error = recv(&one, &socket).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let unknown = "192.0.2.1:9".parse().unwrap();
    let error = one.connect_inet(socket.as_fd(), unknown).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
}

#[test]
fn ports_are_taken_free_and_shared_as_by_a_kernel() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let (listener, addr) = listen(&two);
    let bind = |reuse: bool| {
        let socket = two.socket(SocketKind::Tcp { is_v6: false }).unwrap();
        let option = SocketOption::ReuseAddress;
        two.set_option(socket.as_fd(), option, reuse.into())
            .unwrap();
        two.bind_inet(socket.as_fd(), addr).map(|()| socket)
    };
    assert_eq!(
        bind(true).unwrap_err().kind(),
        ErrorKind::AddrInUse,
        "one listens"
    );
    let client = connect(&one, addr);
    settle(&kernel);
    let (server, _) = two.accept_inet(listener.as_fd()).unwrap();
    drop(listener);
    drop(server);
    drop(client);
    settle(&kernel);
    assert_eq!(
        bind(false).unwrap_err().kind(),
        ErrorKind::AddrInUse,
        "TIME_WAIT"
    );
    drop(bind(true).unwrap());
    kernel.advance_to(kernel.now() + Duration::from_secs(61));
    drop(bind(false).unwrap());
    let other = two.socket(SocketKind::Tcp { is_v6: false }).unwrap();
    let foreign = SocketAddr::new(one.addrs()[0], 80);
    let error = two.bind_inet(other.as_fd(), foreign).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn a_full_backlog_delays_a_client_until_a_connection_was_accepted() {
    let _no_fork = shared();
    let (kernel, one, two) = world(1, fixed(MS));
    let listener = two.socket(SocketKind::Tcp { is_v6: false }).unwrap();
    let addr = SocketAddr::new(two.addrs()[0], 80);
    two.bind_inet(listener.as_fd(), addr).unwrap();
    two.listen(listener.as_fd(), 0).unwrap();
    let _first = connect(&one, addr);
    settle(&kernel);
    let second = connect(&one, addr);
    kernel.advance_to(kernel.now() + 500 * MS);
    assert!(one.peer_inet(second.as_fd()).is_err());
    let _accepted = two.accept_inet(listener.as_fd()).unwrap();
    kernel.advance_to(kernel.now() + Duration::from_secs(1));
    assert!(one.peer_inet(second.as_fd()).is_ok());
}

#[test]
fn a_socket_is_used_on_its_own_host_alone() {
    let _no_fork = shared();
    let (_kernel, one, two) = world(1, fixed(MS));
    let socket = one.socket(SocketKind::Udp { is_v6: false }).unwrap();
    let error = two.local_inet(socket.as_fd()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("UDP"), "{error}");
    let real = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = one.local_inet(real.as_fd()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let _no_fork = shared();
    let history = |seed| {
        let link = Link {
            latency: Latency::LongTail {
                typical: 3 * MS,
                max: 100 * MS,
            },
            loss: 50_000,
            ..Link::default()
        };
        let (kernel, one, two) = world(seed, link);
        let lines = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let recorded = lines.clone();
        kernel.set_observer(Some(Box::new(move |record| {
            recorded.borrow_mut().push(record.to_string());
        })));
        let (client, server) = pair(&kernel, &one, &two);
        for n in 1..50 {
            send(&one, &client, &vec![n; 1000 * usize::from(n)]).unwrap();
            settle(&kernel);
            recv(&two, &server).unwrap();
        }
        drop((client, server));
        settle(&kernel);
        kernel.set_observer(None);
        let lines = lines.take();
        assert!(lines.len() > 200);
        lines
    };
    assert_eq!(history(3), history(3));
    assert_ne!(history(3), history(4));
}

/// Returns two hosts with addresses of both families.
fn dual_stack() -> (Kernel, Host, Host) {
    let kernel = Kernel::new(9);
    let addrs = |last| {
        let v6 = format!("fd00::{last}").parse().unwrap();
        [IpAddr::from([10, 0, 0, last]), v6]
    };
    let one = kernel.add_host("one", addrs(1)).unwrap();
    let two = kernel.add_host("two", addrs(2)).unwrap();
    (kernel, one, two)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn v6(host: &Host, is_tcp: bool, only_v6: bool) -> OwnedFd {
    let is_v6 = true;
    let kind = if is_tcp {
        SocketKind::Tcp { is_v6 }
    } else {
        SocketKind::Udp { is_v6 }
    };
    let socket = host.socket(kind).unwrap();
    let only_v6 = i32::from(only_v6);
    host.set_option(socket.as_fd(), SocketOption::OnlyV6, only_v6)
        .unwrap();
    socket
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap()
}

#[test]
fn a_listener_of_both_families_reports_mapped_addresses_and_one_of_ipv6_alone_refuses() {
    let _no_fork = shared();
    for only_v6 in [false, true] {
        let (kernel, one, two) = dual_stack();
        let listener = v6(&two, true, only_v6);
        two.bind_inet(listener.as_fd(), addr("[::]:80")).unwrap();
        two.listen(listener.as_fd(), 16).unwrap();
        let client = connect(&one, addr("10.0.0.2:80"));
        settle(&kernel);
        let client_addr = one.local_inet(client.as_fd()).unwrap();
        if only_v6 {
            let none = two.accept_inet(listener.as_fd()).unwrap_err();
            assert_eq!(none.kind(), ErrorKind::WouldBlock);
            let error = one.take_error(client.as_fd()).unwrap().unwrap();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        } else {
            let (server, peer) = two.accept_inet(listener.as_fd()).unwrap();
            let mapped = format!("[::ffff:10.0.0.1]:{}", client_addr.port());
            assert_eq!(peer, addr(&mapped));
            let local = two.local_inet(server.as_fd()).unwrap();
            assert_eq!(local, addr("[::ffff:10.0.0.2]:80"));
        }
        let client = v6(&one, true, false);
        let begun = one.connect_inet(client.as_fd(), addr("[fd00::2]:80"));
        assert_eq!(errno(begun), libc::EINPROGRESS);
        settle(&kernel);
        let (_, peer) = two.accept_inet(listener.as_fd()).unwrap();
        assert_eq!(peer.ip(), addr("[fd00::1]:0").ip());
    }
}

#[test]
fn a_port_is_shared_by_both_families_only_if_the_socket_of_ipv6_is_for_ipv6_alone() {
    let _no_fork = shared();
    for (only_v6, v4_addr) in [
        (false, "0.0.0.0:80"),
        (false, "127.0.0.1:80"),
        (true, "0.0.0.0:80"),
    ] {
        let (_, one, _) = dual_stack();
        let six = v6(&one, true, only_v6);
        one.bind_inet(six.as_fd(), addr("[::]:80")).unwrap();
        let four = one.socket(SocketKind::Tcp { is_v6: false }).unwrap();
        let bound = one.bind_inet(four.as_fd(), addr(v4_addr));
        if only_v6 {
            bound.unwrap();
        } else {
            assert_eq!(errno(bound), libc::EADDRINUSE);
        }
    }
}

#[test]
fn datagrams_of_a_socket_of_ipv6_reach_ipv4_unless_it_is_for_ipv6_alone() {
    let _no_fork = shared();
    let (kernel, one, two) = dual_stack();
    let receiver = two.socket(SocketKind::Udp { is_v6: false }).unwrap();
    two.bind_inet(receiver.as_fd(), addr("0.0.0.0:53")).unwrap();
    let (dual, only) = (v6(&one, false, false), v6(&one, false, true));
    let targets = ["[::ffff:10.0.0.2]:53", "10.0.0.2:53"].map(addr);
    for target in targets {
        let sent = one.send_datagram(dual.as_fd(), b"x", Some(target), None, None);
        assert_eq!(sent.unwrap(), 1);
        settle(&kernel);
        let received = two.recv_datagram(receiver.as_fd(), &mut [0; 8], false);
        assert_eq!(received.unwrap().from.ip(), IpAddr::from([10, 0, 0, 1]));
        let sent = one.send_datagram(only.as_fd(), b"x", Some(target), None, None);
        assert_eq!(errno(sent), libc::ENETUNREACH);
    }
    let connects = targets.map(|target| errno(one.connect_inet(only.as_fd(), target)));
    assert_eq!(connects, [libc::ENETUNREACH, libc::EAFNOSUPPORT]);
    one.connect_inet(dual.as_fd(), targets[1]).unwrap();
    assert_eq!(one.peer_inet(dual.as_fd()).unwrap(), targets[0]);
}

/// The numbers are those of Linux 6.
#[test]
fn addresses_of_the_other_family_are_refused_with_the_errors_of_linux() {
    let _no_fork = shared();
    let (_, one, _) = dual_stack();
    let four = one.socket(SocketKind::Tcp { is_v6: false }).unwrap();
    let (six, only) = (v6(&one, true, false), v6(&one, true, true));
    let (v4, mapped, v6_addr) = (
        addr("10.0.0.2:80"),
        addr("[::ffff:10.0.0.2]:80"),
        addr("[fd00::2]:80"),
    );
    let connect = |socket: &OwnedFd, to| errno(one.connect_inet(socket.as_fd(), to));
    assert_eq!(connect(&four, v6_addr), libc::EAFNOSUPPORT);
    assert_eq!(connect(&six, v4), libc::EINVAL);
    assert_eq!(connect(&only, mapped), libc::ENETUNREACH);
    let bind = |socket: &OwnedFd, to: &str| errno(one.bind_inet(socket.as_fd(), addr(to)));
    assert_eq!(bind(&four, "[::]:0"), libc::EAFNOSUPPORT);
    assert_eq!(bind(&six, "0.0.0.0:0"), libc::EINVAL);
    assert_eq!(bind(&only, "[::ffff:127.0.0.1]:0"), libc::EINVAL);
    one.bind_inet(six.as_fd(), addr("[::1]:0")).unwrap();
    assert_eq!(connect(&six, mapped), libc::ENETUNREACH);
    let on_v4 = v6(&one, true, false);
    one.bind_inet(on_v4.as_fd(), addr("[::ffff:127.0.0.1]:0"))
        .unwrap();
    assert_eq!(connect(&on_v4, v6_addr), libc::EAFNOSUPPORT);
    let set = |socket: &OwnedFd| errno(one.set_option(socket.as_fd(), SocketOption::OnlyV6, 1));
    assert_eq!((set(&six), set(&four)), (libc::EINVAL, libc::ENOPROTOOPT));
    let asked = one.option(four.as_fd(), SocketOption::OnlyV6);
    assert_eq!(errno(asked), libc::ENOPROTOOPT);
}
