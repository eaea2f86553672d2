//! Foreign descriptors in `io::Async`.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use runtime::io::{Async, AsyncReadExt, AsyncWriteExt, Interest};

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
    // select does not report the end of a stream.
    let reports_ends = std::env::var("RUNTIME_BACKEND").as_deref() != Ok("select");
    assert_eq!(ours.closed().await.is_ok(), reports_ends);
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
