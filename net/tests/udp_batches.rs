//! Batches of datagrams, and ancillary data.

mod support;

use std::io::{ErrorKind, IoSliceMut};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::net::{Ipv4Addr, Ipv6Addr};

use runtime_net::UdpSocket;
#[cfg(any(target_os = "linux", target_os = "android"))]
use runtime_net::udp::Ecn;
use runtime_net::udp::{Received, Transmit};
use support::{block_on, kind, udp_pair, udp_socket};

#[test]
fn batches_arrive_in_order_and_whole() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = (udp_socket().await, udp_socket().await);
        // Of the default buffer NetBSD drops a fifth of the datagrams.
        two.set_recv_buffer_size(200_000).unwrap();
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
fn an_empty_batch_completes_at_once() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let socket = udp_socket().await;
        assert_eq!(socket.send_batch(&[]).await.unwrap(), 0);
        assert_eq!(socket.try_send_batch(&[]).unwrap(), 0);
        assert_eq!(socket.recv_batch(&mut [], &mut []).await.unwrap(), 0);
        assert_eq!(socket.try_recv_batch(&mut [], &mut []).unwrap(), 0);
    });
}

#[test]
fn a_batch_reports_truncation_and_fails_only_at_its_first_datagram() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = udp_pair().await;
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

/// Returns a socket connected to a port that refuses its datagrams, and the one that holds the
/// port.
async fn refused() -> (UdpSocket, UdpSocket) {
    let (aloof, sender, elsewhere) = (udp_socket().await, udp_socket().await, udp_socket().await);
    let (here, there) = (aloof.local_addr().unwrap(), elsewhere.local_addr().unwrap());
    aloof.connect(there).await.unwrap();
    sender.connect(here).await.unwrap();
    (sender, aloof)
}

#[test]
fn a_refusal_in_the_middle_of_a_batch_keeps_no_datagram_from_being_sent() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (sender, _aloof) = refused().await;
        let all = [Transmit::new(b"x"); 5];
        let (mut sent, mut calls) = (0, 0);
        while sent < all.len() {
            // The refusal of a datagram may arrive before or after this call, which then fails.
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
        // The refusal of the last one has arrived for certain.
        let refused = sender.recv(&mut [0; 8]).await;
        assert_eq!(kind(refused), ErrorKind::ConnectionRefused);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_refusal_beside_datagrams_is_returned_and_loses_none() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (receiver, aloof) = refused().await;
        let sender = UdpSocket::from_std(aloof.into_std()).unwrap();
        receiver.send(b"question").await.unwrap();
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

/// Receives a datagram alone and one in a batch, and checks that both are complete.
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
fn truncated_ancillary_data_is_reported() {
    if support::is_simulated("the options are those of other code, set by system calls") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    use std::os::fd::AsRawFd;
    block_on(async {
        let (one, two) = udp_pair().await;
        two.set_recv_destination(true).unwrap();
        for contents in [b"good"; 4] {
            one.send(contents).await.unwrap();
        }
        receive_two(&two, false).await;
        // Other code enables ancillary data that this crate has no space for.
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
        // The messages are shorter where a word has 32 bits, and fit.
        receive_two(&two, cfg!(target_pointer_width = "64")).await;
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn ecn_bits_and_addresses_are_sent_with_a_datagram() {
    let _leak_check = support::DescriptorLeakCheck::new();
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
            // Not the address that the system would choose.
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
fn a_mapped_ipv4_address_has_ecn_bits() {
    let _leak_check = support::DescriptorLeakCheck::new();
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
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = udp_pair().await;
        let mut transmit = Transmit::new(&[5; 250]);
        let mut buf = [0; 65535];
        // A single segment is sent everywhere.
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
