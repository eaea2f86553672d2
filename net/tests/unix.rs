//! Unix listeners and streams, and passing descriptors.

mod support;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::mem::offset_of;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, future};
use runtime_net::{Interest, UnixDatagram, UnixListener, UnixSocket, UnixStream};
use runtime_reactor::Reactor;
use support::{TempPath, block_on, kind, run};

#[test]
fn a_client_and_a_server_talk_over_a_path() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let place = TempPath::new("talk");
        let listener = UnixListener::bind(&place).unwrap();
        let client = async {
            let mut stream = UnixStream::connect(&place).await?;
            assert_eq!(stream.peer_addr()?.as_pathname(), Some(place.as_ref()));
            stream.write_all(b"hello").await?;
            stream.close().await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok(answer)
        };
        let server = async {
            let (stream, peer) = listener.accept().await?;
            assert!(peer.is_unnamed());
            let (reader, writer) = stream.split();
            futures_lite::io::copy(reader, writer).await
        };
        let (answer, copied) = future::try_zip(client, server).await.unwrap();
        assert_eq!((&*answer, copied), ("hello", 5));
        let mut incoming = listener.incoming();
        let (connected, accepted) = future::zip(UnixStream::connect(&place), incoming.next()).await;
        assert!(connected.is_ok() && accepted.unwrap().is_ok());
    });
}

#[test]
fn errors_name_the_path() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let place = TempPath::new("errors");
        let path = place.0.display().to_string();
        let error = UnixStream::connect(&place).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error
                .to_string()
                .starts_with(&format!("connect to {path}: ")),
            "{error}"
        );
        let listener = UnixListener::bind(&place).unwrap();
        let error = UnixListener::bind(&place).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(
            error.to_string().starts_with(&format!("bind {path}: ")),
            "{error}"
        );
        assert_eq!(kind(UnixDatagram::bind(&place)), ErrorKind::AddrInUse);
        drop(listener);
        // The file still exists, without a socket.
        assert_eq!(
            kind(UnixStream::connect(&place).await),
            ErrorKind::ConnectionRefused
        );
        assert_eq!(kind(UnixListener::bind(&place)), ErrorKind::AddrInUse);
        let long = "x".repeat(200);
        assert_eq!(kind(UnixListener::bind(&long)), ErrorKind::InvalidInput);
        assert_eq!(
            kind(UnixStream::connect("a\0b").await),
            ErrorKind::InvalidInput
        );
        let (stream, _) = UnixStream::pair().unwrap();
        let not_listening = UnixListener::try_from(OwnedFd::from(stream)).unwrap();
        let error = not_listening.accept().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}");
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn abstract_names_are_addresses_too() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let name = format!("runtime-test-{}", std::process::id());
        let addr = SocketAddr::from_abstract_name(&name).unwrap();
        assert_eq!(
            kind(UnixStream::connect_addr(&addr).await),
            ErrorKind::ConnectionRefused
        );
        let listener = UnixListener::bind_addr(&addr).unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(local.as_abstract_name(), Some(name.as_bytes()));
        assert_eq!(kind(UnixListener::bind_addr(&addr)), ErrorKind::AddrInUse);
        let connect = UnixStream::connect_addr(&addr);
        let (stream, _accepted) = future::try_zip(connect, listener.accept()).await.unwrap();
        let peer = stream.peer_addr().unwrap();
        assert_eq!(peer.as_abstract_name(), Some(name.as_bytes()));
        drop(listener);
        let here = UnixDatagram::bind_addr(&addr).unwrap();
        let there = UnixDatagram::unbound().unwrap();
        there.connect_addr(&addr).unwrap();
        there.send(b"x").await.unwrap();
        let (n, from) = here.recv_from(&mut [0; 4]).await.unwrap();
        assert!(n == 1 && from.is_unnamed());
    });
}

#[test]
fn paths_are_as_long_as_the_system_takes() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let dir = TempPath::new("long");
        std::fs::create_dir(&dir).unwrap();
        let most = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path) - 1;
        let name_len = most - dir.0.as_os_str().len() - 1;
        let longest = TempPath(dir.0.join("x".repeat(name_len)));
        let listener = UnixListener::bind(&longest).unwrap();
        let connect = UnixStream::connect(&longest);
        let (stream, _accepted) = future::try_zip(connect, listener.accept()).await.unwrap();
        let peer = stream.peer_addr().unwrap();
        assert_eq!(peer.as_pathname(), Some(longest.as_ref()));
        let longer = dir.0.join("x".repeat(name_len + 1));
        assert_eq!(kind(UnixListener::bind(&longer)), ErrorKind::InvalidInput);
        let connected = UnixStream::connect(&longer).await;
        assert_eq!(kind(connected), ErrorKind::InvalidInput);
        drop(longest);
        std::fs::remove_dir(&dir).unwrap();
    });
}

/// Linux returns EAGAIN, for which there is no event.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn connecting_to_a_full_queue_waits_for_a_free_place() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let place = TempPath::new("full");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&place).unwrap();
        let listener = socket.listen(0).unwrap();
        let _first = UnixStream::connect(&place).await.unwrap();
        let mut second = Box::pin(UnixStream::connect(&place));
        assert!(future::poll_once(&mut second).await.is_none());
        listener.accept().await.unwrap();
        second.await.unwrap();
    });
}

#[test]
fn the_credentials_of_the_peer_are_those_of_this_process() {
    let _leak_check = support::DescriptorLeakCheck::new();
    // Connected, since not every system has the credentials of a pair.
    let cred = block_on(async {
        let place = TempPath::new("known");
        let listener = UnixListener::bind(&place).unwrap();
        let one = UnixStream::connect(&place).await.unwrap();
        let _two = listener.accept().await.unwrap();
        one.peer_cred().unwrap()
    });
    let file = std::fs::metadata("/proc/self").ok();
    use std::os::unix::fs::MetadataExt;
    if let Some(file) = file {
        assert_eq!((cred.uid(), cred.gid()), (file.uid(), file.gid()));
        assert_eq!(cred.pid(), Some(std::process::id() as i32));
    }
}

#[test]
fn halves_of_a_stream_are_reunited_or_shut_it_down() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = UnixStream::pair().unwrap();
        let (reader, writer) = one.into_split();
        let (other, _) = UnixStream::pair().unwrap();
        let (other_reader, _other_writer) = other.into_split();
        let error = other_reader.reunite(writer).unwrap_err();
        let mut stream = reader.reunite(error.1).unwrap();
        stream.write_all(b"x").await.unwrap();
        let (_reader, writer) = stream.into_split();
        drop(writer);
        let mut all = Vec::new();
        (&two).read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"x");
    });
}

#[test]
fn attempts_and_waits_transfer_bytes() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (one, two) = UnixStream::pair().unwrap();
        let mut buf = [0; 8];
        assert_eq!(kind(one.try_read(&mut buf)), ErrorKind::WouldBlock);
        let mut readable = Box::pin(one.readable());
        assert!(future::poll_once(&mut readable).await.is_none());
        two.writable().await.unwrap();
        assert_eq!(two.try_write(b"hello").unwrap(), 5);
        readable.await.unwrap();
        let mut parts = [0; 3];
        let mut bufs = [
            std::io::IoSliceMut::new(&mut parts),
            std::io::IoSliceMut::new(&mut buf),
        ];
        assert_eq!(one.try_read_vectored(&mut bufs).unwrap(), 5);
        assert_eq!((&parts, &buf[..2]), (b"hel", &b"lo"[..]));
        let bufs = [std::io::IoSlice::new(b"a"), std::io::IoSlice::new(b"b")];
        assert_eq!(two.try_write_vectored(&bufs).unwrap(), 2);
        assert_eq!(two.try_write_vectored(&[]).unwrap(), 0);
        let read = |mut stream: &std::os::unix::net::UnixStream| {
            support::other_code::recv(stream, &mut buf, |buf| stream.read(buf))
        };
        let read = one.try_io(Interest::READABLE, read);
        assert_eq!(read.unwrap(), 2);
        drop(one);
        assert_eq!(kind(two.try_write(b"x")), ErrorKind::BrokenPipe);
        assert_eq!(reactor.stats().registrations, 1);
    });
}

#[test]
fn the_end_of_a_stream_is_reported_with_unread_bytes() {
    let _leak_check = support::DescriptorLeakCheck::new();
    if !support::reports_closed() {
        return;
    }
    block_on(async {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        let mut closed = Box::pin(one.closed());
        assert!(future::poll_once(&mut closed).await.is_none());
        two.write_all(b"unread").await.unwrap();
        assert!(future::poll_once(&mut closed).await.is_none());
        two.shutdown(Shutdown::Write).unwrap();
        closed.await.unwrap();
        one.write_all(b"still").await.unwrap();
        let mut all = String::new();
        one.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "unread");
        drop(one);
        two.closed().await.unwrap();
    });
}

#[test]
fn received_descriptors_work_and_are_closed_on_exec() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = UnixStream::pair().unwrap();
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let sent = one
            .send_fds(b"two of them", &[theirs.as_fd(), theirs.as_fd()])
            .await;
        assert_eq!(sent.unwrap(), 11);
        drop(theirs);
        let mut buf = [0; 32];
        let mut fds = [None, None, None];
        let received = two.recv_fds(&mut buf, &mut fds).await.unwrap();
        assert_eq!(
            (received.len, received.fds, received.is_truncated),
            (11, 2, false)
        );
        assert!(fds[2].is_none());
        let fd = fds[1].take().unwrap();
        // SAFETY: F_GETFD takes no pointer; the descriptor is open.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
        assert_ne!(flags & libc::FD_CLOEXEC, 0);
        File::from(fd).write_all(b"through it").unwrap();
        drop(fds);
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through it", "and all duplicates are closed");
    });
}

#[test]
fn a_read_that_stops_at_a_descriptor_is_followed_by_others() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (mut one, two) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let mut buf = [0; 32];
        let mut fds = [None];
        {
            let mut wait = Box::pin(two.recv_fds(&mut buf, &mut fds));
            assert!(future::poll_once(&mut wait).await.is_none());
        }
        one.write_all(b"before").await.unwrap();
        one.send_fds(b"with", &[null.as_fd()]).await.unwrap();
        one.write_all(b"after").await.unwrap();
        // One event for all three messages.
        let (mut bytes, mut came) = (0, 0);
        while bytes < 15 {
            let received = two.recv_fds(&mut buf, &mut fds).await.unwrap();
            bytes += received.len;
            came += received.fds;
        }
        assert_eq!((bytes, came), (15, 1));
    });
}

#[test]
fn descriptors_without_a_place_are_closed_and_reported() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = UnixDatagram::pair().unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let many = vec![theirs.as_fd(); 253];
        one.send_fds(b"many", &many).await.unwrap();
        drop(theirs);
        let mut fds = [None];
        let received = two.recv_fds(&mut [0; 8], &mut fds).await.unwrap();
        assert_eq!(
            (received.len, received.fds, received.is_truncated),
            (4, 1, true)
        );
        drop(fds);
        // All of them are closed.
        assert_eq!((&ours).read(&mut [0; 1]).unwrap(), 0);
        one.send_fds(b"too long for it", &[]).await.unwrap();
        let received = two.recv_fds(&mut [0; 8], &mut []).await.unwrap();
        assert_eq!(
            (received.len, received.fds, received.is_truncated),
            (8, 0, true)
        );
    });
}

#[test]
fn descriptors_that_cannot_be_sent_are_rejected() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, _two) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let bare = one.send_fds(b"", &[null.as_fd()]).await;
        assert_eq!(kind(bare), ErrorKind::InvalidInput);
        let crowd = vec![null.as_fd(); 254];
        assert_eq!(
            kind(one.send_fds(b"x", &crowd).await),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn sockets_are_converted_to_std_and_back() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = UnixStream::pair().unwrap();
        assert!(
            future::poll_once(Box::pin((&two).read(&mut [0; 4])))
                .await
                .is_none()
        );
        let mut two = UnixStream::from_std(two.into_std()).unwrap();
        (&one).write_all(b"x").await.unwrap();
        assert_eq!(two.read(&mut [0; 4]).await.unwrap(), 1);
        if support::is_simulated("part: a socket of std is one of the real kernel") {
            return;
        }
        let (one, two) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let two = UnixDatagram::from_std(two).unwrap();
        one.send(b"x").unwrap();
        assert_eq!(two.recv(&mut [0; 4]).await.unwrap(), 1);
        one.send(b"y").unwrap();
        assert_eq!(two.into_std().recv(&mut [0; 4]).unwrap(), 1);
    });
}
