//! Foreign descriptors in `io::Async`.

mod support;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::task::Poll;

use runtime::io::{Async, AsyncReadExt, AsyncWriteExt, Direction, Interest};

#[runtime::test]
async fn a_foreign_descriptor_can_be_awaited() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut ours, mut theirs) = (Async::new(ours).unwrap(), Async::new(theirs).unwrap());
    let echo = runtime::spawn(async move {
        let mut text = [0; 5];
        theirs.read_exact(&mut text).await.unwrap();
        theirs.write_all(&text).await.unwrap();
    });
    ours.write_all(b"hello").await.unwrap();
    let mut text = String::new();
    ours.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
    echo.await.unwrap();
}

#[runtime::test]
async fn any_operation_can_be_awaited() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let (ours, theirs) = (Async::new(ours).unwrap(), Async::new(theirs).unwrap());
    let mut buffer = [0; 8];
    let (received, sent) = runtime::join!(
        ours.read_with(|socket| socket.recv(&mut buffer)),
        theirs.write_with(|socket| socket.send(b"datagram")),
    );
    assert_eq!((received.unwrap(), sent.unwrap()), (8, 8));
}

#[runtime::test]
async fn readiness_is_reported_until_an_attempt_would_block() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Async::new(ours).unwrap();
    let mut byte = [0];
    let mut read = || ours.try_io(Interest::READABLE, |mut socket| socket.read(&mut byte));
    assert_eq!(read().unwrap_err().kind(), ErrorKind::WouldBlock);
    theirs.write_all(b"x").unwrap();
    ours.readable().await.unwrap();
    ours.readable().await.unwrap();
    assert_eq!(read().unwrap(), 1);
    assert_eq!(read().unwrap_err().kind(), ErrorKind::WouldBlock);
    let limit = std::time::Duration::from_millis(1);
    assert!(
        runtime::time::timeout(limit, ours.readable())
            .await
            .is_err()
    );
}

#[runtime::test]
async fn regular_files_are_rejected_with_a_reason() {
    // Both exist on every system.
    let program = std::env::current_exe().unwrap();
    for (path, kind) in [(program, "regular file"), ("/".into(), "directory")] {
        let file = File::open(path).unwrap();
        let name = format!("descriptor {} is a {kind}: ", file.as_raw_fd());
        let error = Async::new_nonblocking(file.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = Async::new(file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().starts_with(&name), "{error}");
        assert!(error.to_string().contains("use fs"), "{error}");
    }
}

#[test]
fn into_inner_removes_the_descriptor_from_the_reactor() {
    let runtime = runtime::Runtime::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = runtime.block_on(async {
        let mut ours = Async::new(ours).unwrap();
        theirs.write_all(b"x").unwrap();
        let mut bytes = [0; 2];
        ours.read_exact(&mut bytes[..1]).await.unwrap();
        let limit = std::time::Duration::from_millis(1);
        let more = ours.read(&mut bytes);
        assert!(runtime::time::timeout(limit, more).await.is_err());
        ours.into_inner()
    });
    assert_eq!(runtime.stats().removals, 1);
    theirs.write_all(b"y").unwrap();
    let waits = runtime.stats().waits;
    runtime.turn(Some(std::time::Duration::ZERO)).unwrap();
    assert_eq!(runtime.stats().waits, waits + 1);
    assert_eq!(runtime.stats().stale_events, 0);
    drop(ours);
}

#[runtime::test]
async fn the_end_is_reported_while_data_is_unread() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut ours = Async::new(ours).unwrap();
    theirs.write_all(b"unread").unwrap();
    drop(theirs);
    assert_eq!(ours.closed().await.is_ok(), support::reports_ends());
    let mut text = String::new();
    ours.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "unread");
}

#[runtime::test]
async fn operations_can_be_tried_or_polled_in_each_direction() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = Async::new_nonblocking(ours).unwrap();
    let mut buffer = [0; 8];
    let nothing = ours.try_read_with(|socket| socket.recv(&mut buffer));
    assert_eq!(nothing.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(ours.try_write_with(|socket| socket.send(b"x")).unwrap(), 1);
    let (received, sent) = runtime::join!(
        std::future::poll_fn(|cx| ours.poll_read_with(cx, |socket| socket.recv(&mut buffer))),
        async { theirs.send(b"yes").unwrap() },
    );
    assert_eq!((received.unwrap(), sent), (3, 3));
    let sent = std::future::poll_fn(|cx| ours.poll_write_with(cx, |socket| socket.send(b"z")));
    assert_eq!(sent.await.unwrap(), 1);
    assert_eq!(ours.try_priority_with(|_| Ok(5)).unwrap(), 5);
    ours.ready(Interest::WRITABLE).await.unwrap();
}

/// Returns true if `future` completes within a millisecond.
async fn completes(future: impl Future) -> bool {
    let limit = std::time::Duration::from_millis(1);
    runtime::time::timeout(limit, future).await.is_ok()
}

#[runtime::test]
async fn the_kernel_determines_the_readiness_of_a_new_descriptor() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Async::new(ours).unwrap();
    assert!(!completes(ours.readable()).await);
    let ours = Async::new(ours.into_inner()).unwrap();
    let both = Interest::READABLE | Interest::WRITABLE;
    let ready = ours.ready(both).await.unwrap();
    assert!(ready.is_writable() && !ready.is_readable(), "{ready:?}");
    theirs.write_all(b"x").unwrap();
    let ready = ours.ready(both).await.unwrap();
    assert!(ready.is_writable() && ready.is_readable(), "{ready:?}");
    let waits = std::future::poll_fn(|cx| Poll::Ready(ours.poll_read_ready(cx).is_ready()));
    assert!(waits.await, "a byte is there");
    drop(theirs);
    assert_eq!(ours.get_ref().read(&mut [0; 2]).unwrap(), 1);
    assert!(completes(ours.readable()).await, "the end is there");
}

#[runtime::test]
async fn a_loop_that_waits_and_operates_on_the_value_itself_does_not_spin() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Async::new(ours).unwrap();
    let (mut waits, mut received) = (0, 0);
    let read = async {
        while received < 10 {
            ours.readable().await.unwrap();
            waits += 1;
            if ours.get_ref().read(&mut [0]).is_ok() {
                received += 1;
            }
        }
    };
    let write = async {
        for _ in 0..10 {
            // Long enough for a loop that spins to be seen.
            for _ in 0..20 {
                runtime::task::yield_now().await;
            }
            theirs.write_all(b"x").unwrap();
        }
    };
    runtime::join!(read, write);
    // One event may be reported late for each byte.
    assert!(waits <= 20, "{waits}");
}

#[runtime::test]
async fn poll_based_waits_ask_the_kernel_as_well() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Async::new(ours).unwrap();
    let readable = || std::future::poll_fn(|cx| ours.poll_read_ready(cx));
    assert!(!completes(readable()).await);
    theirs.write_all(b"x").unwrap();
    readable().await.unwrap();
    assert_eq!(ours.get_ref().read(&mut [0]).unwrap(), 1);
    assert!(!completes(readable()).await);
    std::future::poll_fn(|cx| ours.poll_write_ready(cx))
        .await
        .unwrap();
    while ours.get_ref().write(&[0; 4096]).is_ok() {}
    assert!(!completes(std::future::poll_fn(|cx| ours.poll_write_ready(cx))).await);
}

#[runtime::test]
async fn readiness_is_also_known_on_another_thread() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Async::new(ours).unwrap();
    assert!(!completes(ours.readable()).await, "registered here");
    let reads = |runs: bool| {
        let ours = &ours;
        runtime::block_on(async move {
            let ready = std::future::poll_fn(|cx| ours.poll_read_ready(cx));
            assert_eq!(completes(ready).await, runs);
        });
    };
    std::thread::scope(|scope| scope.spawn(|| reads(false)).join().unwrap());
    theirs.write_all(b"x").unwrap();
    std::thread::scope(|scope| scope.spawn(|| reads(true)).join().unwrap());
}

#[runtime::test]
async fn a_connection_attempt_of_another_library_is_awaited() {
    use rustix::net::{AddressFamily, SocketType, connect, listen, socket};
    // A listener with a full queue answers no further client for the time being.
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    listen(&listener, 0).unwrap();
    let listener = std::net::TcpListener::from(listener);
    let addr = listener.local_addr().unwrap();
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], addr.port()));
    let _queued = std::net::TcpStream::connect(addr).unwrap();
    let client = || {
        let client = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        Async::new(client).unwrap()
    };
    let waiting = client();
    assert_eq!(connect(&waiting, &addr), Err(rustix::io::Errno::INPROGRESS));
    if cfg!(target_os = "linux") {
        assert!(!completes(waiting.writable()).await);
        assert!(!completes(waiting.begun(Direction::Write)).await);
    }
    let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client();
    let _ = connect(&client, &open.local_addr().unwrap());
    client.begun(Direction::Write).await.unwrap();
    let stream = std::net::TcpStream::from(client.into_inner());
    assert!(stream.take_error().unwrap().is_none() && stream.peer_addr().is_ok());
}

#[test]
fn the_value_that_cannot_be_wrapped_is_returned() {
    let directory = File::open("/").unwrap();
    let error = Async::try_new(directory).unwrap_err();
    assert!(error.to_string().contains("is a directory"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
    let (directory, error) = error.into_parts();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = std::io::Error::from(Async::try_new(directory).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn the_value_can_be_changed_in_place() {
    let mut pair = Async::new(Named(UnixStream::pair().unwrap().0, "one")).unwrap();
    pair.get_mut().1 = "two";
    assert_eq!(pair.get_ref().1, "two");
}

struct Named(UnixStream, &'static str);

impl std::os::fd::AsFd for Named {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
