//! Sockets of IPv6 that are for IPv6 alone, and those that are for IPv4 too.

mod support;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use futures_lite::future::try_zip;
use runtime_net::{TcpListener, TcpSocket, TcpStream};

/// Returns a listener on all addresses of IPv6, and on those of IPv4 unless `only_v6`. Returns an
/// error where the system has no such listener.
fn listen(only_v6: bool) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v6()?;
    socket.set_only_v6(only_v6)?;
    assert_eq!(socket.only_v6()?, only_v6);
    socket.bind("[::]:0".parse().unwrap())?;
    socket.listen(16)
}

#[test]
fn a_listener_of_both_families_accepts_a_client_of_ipv4_with_a_mapped_address() {
    support::block_on(async {
        let Ok(listener) = listen(false) else {
            return;
        };
        let port = listener.local_addr().unwrap().port();
        let connect = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        let (client, (server, peer)) = try_zip(connect, listener.accept()).await.unwrap();
        let mapped = |addr: SocketAddr| {
            let ip = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
            SocketAddr::from((ip, addr.port()))
        };
        assert_eq!(peer, mapped(client.local_addr().unwrap()));
        assert_eq!(
            server.local_addr().unwrap(),
            mapped(client.peer_addr().unwrap())
        );
    });
}

#[test]
fn a_listener_for_ipv6_alone_leaves_the_port_of_ipv4_to_another() {
    support::block_on(async {
        let Ok(v6) = listen(true) else {
            return;
        };
        let port = v6.local_addr().unwrap().port();
        // Unless another process has the port.
        let Ok(v4) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await else {
            return;
        };
        let connect = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        let (client, (_, peer)) = try_zip(connect, v4.accept()).await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert!(peer.is_ipv4());
    });
}

#[test]
fn the_option_of_ipv6_is_refused_once_the_socket_is_bound_and_on_one_of_ipv4() {
    support::block_on(async {
        let v4 = TcpSocket::new_v4().unwrap();
        assert!(v4.set_only_v6(true).is_err());
        let v6 =
            TcpSocket::new_v6().and_then(|v6| v6.bind("[::1]:0".parse().unwrap()).map(|()| v6));
        let Ok(v6) = v6 else {
            return;
        };
        // Other systems allow it.
        if cfg!(any(target_os = "linux", target_os = "android")) {
            assert!(v6.set_only_v6(true).is_err());
        }
    });
}
