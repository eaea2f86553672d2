//! Errors have a kind, and name the operation and the address.

mod support;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use runtime_net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use support::{ClosedPort, block_on, listen, pair, reset};

fn errno_within(error: &io::Error) -> Option<i32> {
    error.source()?.downcast_ref::<io::Error>()?.raw_os_error()
}

#[test]
fn the_error_of_a_refused_connection_names_its_address() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let closed = ClosedPort::new();
        let error = TcpStream::connect(closed.addr()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let text = format!("connect to {}: ", closed.addr());
        assert!(error.to_string().starts_with(&text), "{error}");
        assert_eq!(errno_within(&error), Some(libc::ECONNREFUSED));
    });
}

#[test]
fn the_error_of_an_address_in_use_names_it() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = listen().await;
        let addr = listener.local_addr().unwrap();
        let error = TcpListener::bind(addr).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let text = format!("bind {addr}: ");
        assert!(error.to_string().starts_with(&text), "{error}");
        assert_eq!(errno_within(&error), Some(libc::EADDRINUSE));
        let error = TcpSocket::new_v4().unwrap().bind(addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&text), "{error}");
    });
}

#[test]
fn connecting_tries_one_address_after_the_other() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let closed = ClosedPort::new();
        let listener = listen().await;
        let open = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[closed.addr(), open][..])
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let other = ClosedPort::new();
        let both = [closed.addr(), other.addr()];
        let error = TcpStream::connect(&both[..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(errno_within(&error), Some(libc::ECONNREFUSED));
        let said = error.to_string();
        assert!(said.starts_with(&format!("connect to {}: ", closed.addr())));
        assert!(said.contains(&format!("; to {}: ", other.addr())), "{said}");
    });
}

#[test]
fn binding_tries_one_address_after_the_other() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let used = listen().await;
        let taken = used.local_addr().unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listener = TcpListener::bind(&[taken, any][..]).await.unwrap();
        assert_ne!(listener.local_addr().unwrap(), taken);
    });
}

#[test]
fn no_address_at_all_is_invalid_input() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let none: &[SocketAddr] = &[];
        let error = TcpStream::connect(none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = TcpListener::bind(none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn the_error_of_a_string_that_is_not_an_address_quotes_it() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        for text in ["localhost:http", "localhost", "127.0.0.1:99999"] {
            let error = TcpStream::connect(text).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let said = error.to_string();
            assert!(
                said.starts_with("connect to: ") && said.contains(text),
                "{said}"
            );
        }
        let error = TcpListener::bind("127.0.0.1:99999").await.unwrap_err();
        assert!(error.to_string().starts_with("bind: "), "{error}");
    });
}

#[test]
fn the_error_of_listening_on_a_used_address_names_it() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let sockets = [(); 2].map(|()| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket
    });
    let [first, second] = sockets;
    first.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = first.local_addr().unwrap();
    // Linux lets both bind, and finds out when the second listens.
    let bound = second.bind(addr);
    let _listener = first.listen(1).unwrap();
    let (what, error) = match bound {
        Ok(()) => ("listen on", second.listen(1).unwrap_err()),
        Err(e) if cfg!(not(target_os = "linux")) => ("bind", e),
        Err(e) => panic!("{e}"),
    };
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let said = error.to_string();
    assert!(said.starts_with(&format!("{what} {addr}: ")), "{said}");
}

#[test]
fn accepting_on_a_socket_that_cannot_listen_is_an_error() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let datagrams = support::other_code::udp_descriptor();
        let listener = TcpListener::try_from(datagrams).unwrap();
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{error}");
        assert_eq!(listener.accept_backoffs(), 0);
    });
}

#[test]
fn a_name_outside_a_runtime_is_an_error_that_says_so() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let error = lookup_host("example.org:80").await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("look up example.org:80: "), "{text}");
        assert!(text.contains("no runtime drives this thread"), "{text}");
    });
}

#[test]
fn waiting_outside_a_runtime_is_an_error_that_says_so() {
    if support::is_simulated(
        "its sockets are refused outside by another error, which `simulated` tests",
    ) {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    let (stream, peer) = block_on(pair());
    let error = futures_lite::future::block_on((&stream).read(&mut [0])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no runtime drives this thread"), "{text}");
    let addr = peer.local_addr().unwrap();
    let connect = TcpStream::connect(ClosedPort::new().addr());
    let error = futures_lite::future::block_on(connect).unwrap_err();
    assert!(error.to_string().contains("no runtime"), "{error} {addr}");
}

#[test]
fn a_reset_by_the_peer_is_connection_reset() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (mut stream, peer) = pair().await;
        reset(peer);
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_wakes_a_read_that_waits() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (mut stream, peer) = pair().await;
        let mut byte = [0];
        let mut read = stream.read(&mut byte);
        assert!(futures_lite::future::poll_once(&mut read).await.is_none());
        reset(peer);
        let error = read.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn accepting_on_a_socket_that_does_not_listen_is_an_error() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        let listener = TcpListener::try_from(std::os::fd::OwnedFd::from(socket)).unwrap();
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}");
    });
}

#[test]
fn closing_a_connection_that_was_reset_is_no_error() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (mut stream, peer) = pair().await;
        reset(peer);
        stream.read(&mut [0]).await.unwrap_err();
        stream.close().await.unwrap();
    });
}
