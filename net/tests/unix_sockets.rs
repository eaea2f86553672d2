//! Unix sockets that are bound before they listen, connect or send.

mod support;

use std::io::ErrorKind;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use runtime_net::{UnixSocket, UnixStream};
use support::{TempPath, block_on};

#[test]
fn a_client_with_an_address_connects_to_a_listener_with_a_short_queue() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (server, client) = (
            TempPath::new("socket-server"),
            TempPath::new("socket-client"),
        );
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&server).unwrap();
        let listener = socket.listen(1).unwrap();
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&client).unwrap();
        let stream: UnixStream = socket.connect(&server).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.as_pathname(), Some(client.0.as_path()));
        assert_eq!(stream.try_write(b"x").unwrap(), 1);
        accepted.readable().await.unwrap();
        assert_eq!(accepted.try_read(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn a_bound_socket_sends_and_receives_datagrams() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let path = TempPath::new("socket-datagram");
        let socket = UnixSocket::new_datagram().unwrap();
        socket.bind(&path).unwrap();
        let socket = socket.datagram().unwrap();
        let other = UnixSocket::new_datagram().unwrap().datagram().unwrap();
        assert_eq!(other.send_to(b"hello", &path).await.unwrap(), 5);
        assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 5);
    });
}

#[test]
fn a_socket_of_the_wrong_kind_is_an_error_with_the_remedy() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let datagram = || UnixSocket::new_datagram().unwrap();
        let stream = UnixSocket::new_stream().unwrap();
        let listen = datagram().listen(1).unwrap_err();
        let connect = datagram().connect("/nonexistent").await.unwrap_err();
        let convert = stream.datagram().unwrap_err();
        for (error, remedy) in [
            (listen, "UnixSocket::new_stream"),
            (connect, "UnixSocket::new_stream"),
            (convert, "UnixSocket::new_datagram"),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().ends_with(remedy), "{error}");
        }
        let error = UnixSocket::new_stream()
            .unwrap()
            .connect("/nonexistent")
            .await
            .unwrap_err();
        assert!(
            error.to_string().starts_with("connect to /nonexistent: "),
            "{error}"
        );
        let error = UnixSocket::new_stream()
            .unwrap()
            .bind("/nonexistent/a")
            .unwrap_err();
        assert!(
            error.to_string().starts_with("bind /nonexistent/a: "),
            "{error}"
        );
    });
}

#[test]
fn a_socket_is_converted_to_its_descriptor() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let socket = UnixSocket::new_stream().unwrap();
    let number = socket.as_raw_fd();
    let raw = socket.into_raw_fd();
    assert_eq!(raw, number);
    // SAFETY: the descriptor is open, and `into_raw_fd` has left it to this test.
    drop(unsafe { OwnedFd::from_raw_fd(raw) });
    let (one, _two) = UnixStream::pair().unwrap();
    let raw = one.into_raw_fd();
    // SAFETY: the descriptor is open, and `into_raw_fd` has left it to this test.
    drop(unsafe { OwnedFd::from_raw_fd(raw) });
}

/// On other systems sending to a full receiver is an error.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn sending_to_a_full_receiver_can_be_polled() {
    use std::future::poll_fn;

    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (full, free) = (TempPath::new("poll-full"), TempPath::new("poll-free"));
        let receiver = runtime_net::UnixDatagram::bind(&full).unwrap();
        let _other = runtime_net::UnixDatagram::bind(&free).unwrap();
        let sender = runtime_net::UnixDatagram::unbound().unwrap();
        while sender.try_send_to(b"x", &full).is_ok() {}
        let send = || Box::pin(poll_fn(|cx| sender.poll_send_to(cx, b"last", &full)));
        let (mut one, mut two) = (send(), send());
        assert!(support::poll_once(&mut one).is_pending());
        assert!(support::poll_once(&mut two).is_pending());
        let addr = std::os::unix::net::SocketAddr::from_pathname(&free.0).unwrap();
        let other = poll_fn(|cx| sender.poll_send_to_addr(cx, b"now", &addr)).await;
        assert_eq!(other.unwrap(), 3, "another receiver has room");
        while receiver.try_recv(&mut [0; 8]).is_ok() {}
        assert_eq!((one.await.unwrap(), two.await.unwrap()), (4, 4));
        assert_eq!(receiver.try_recv(&mut [0; 8]).unwrap(), 4);
    });
}
