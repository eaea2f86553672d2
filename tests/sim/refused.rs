//! The errors of operations that a simulated world does not have.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use runtime::io::AsyncReadExt;
use runtime::net::{UdpSocket, UnixStream};
use runtime::sim::Builder;

#[test]
fn a_descriptor_of_the_system_is_refused_with_an_error_that_says_so() {
    let mut world = Builder::new().build();
    world.client("client", async {
        let (one, _other) = std::os::unix::net::UnixStream::pair()?;
        let mut stream = UnixStream::try_from(OwnedFd::from(one))?;
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(
            error.to_string().contains("not one of this simulation"),
            "{error}"
        );
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn a_descriptor_of_the_system_with_the_number_of_a_dropped_socket_is_refused_too() {
    let mut world = Builder::new().build();
    world.client("client", async {
        let socket = UdpSocket::bind("0.0.0.0:53").await?;
        socket.try_send_to(b"x", "127.0.0.1:53".parse()?)?;
        // With a duplicate the simulated socket outlives its number, which the pair then gets.
        let duplicate = socket.as_fd().try_clone_to_owned()?;
        drop(socket);
        let (one, _other) = std::os::unix::net::UnixStream::pair()?;
        let mut stream = UnixStream::try_from(OwnedFd::from(one))?;
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let received = UdpSocket::try_from(duplicate)?.try_recv(&mut [0; 9])?;
        assert_eq!(received, 1);
        Ok(())
    });
    world.run().unwrap();
}
