//! `compat::hyper::FileIo`: bodies of files arrive byte by byte, and their misuse is an error.

mod support;

use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_lite::io::AsyncWriteExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::rt::Write;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use runtime::compat::hyper::{FileBody, FileIo, SharedFile};
use runtime::io::AsyncReadExt;
use runtime::net::{TcpListener, TcpStream};
use runtime::time::{self, Duration};
use runtime::{Backend, Handle, Runtime};
use support::files::{TempFile, bytes};

async fn pair() -> (TcpStream, FileIo) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    (client, FileIo::new(listener.accept().await.unwrap().0))
}

/// Requests ranges of `file` on one connection, without waiting for the responses in between, and
/// returns all that the server sends, with the result of the server.
async fn responses(file: &TempFile, ranges: &[Range<u64>]) -> (Vec<u8>, hyper::Result<()>) {
    let (mut client, io) = pair().await;
    let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(ranges.len());
    let (files, left) = (io.files(), RefCell::new(ranges.iter().cloned()));
    let service = service_fn(|_: Request<Incoming>| {
        let range = left.borrow_mut().next().unwrap();
        let body = File::open(&file.0).map(|file| files.body(file, range));
        async { body.map(Response::new) }
    });
    let client = runtime::spawn(async move {
        client.write_all(requests.as_bytes()).await.unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        received
    });
    let served = http1::Builder::new()
        .half_close(true)
        .serve_connection(io, service)
        .await;
    (client.await.unwrap(), served)
}

/// Splits a response off, and returns its body.
fn body<'a>(received: &mut &'a [u8], length: usize) -> &'a [u8] {
    let end = received.windows(4).position(|it| it == b"\r\n\r\n");
    let (head, rest) = received.split_at(end.unwrap() + 4);
    let head = String::from_utf8_lossy(head).to_lowercase();
    let announced = format!("content-length: {length}\r\n");
    assert!(head.contains(&announced), "{head}");
    let (body, rest) = rest.split_at(length.min(rest.len()));
    *received = rest;
    body
}

#[test]
fn parts_of_files_arrive_as_they_are_on_every_backend() {
    // Larger than the buffers of a socket.
    let data = bytes(5_000_001);
    let file = TempFile::new("hyper-files", &data);
    let all = data.len() as u64;
    let ranges = [0..all, 7..8, 5..5, 4_095..(1 << 20) + 4_096, all - 1..all];
    for &backend in Backend::available() {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        let (received, served) = runtime.block_on(responses(&file, &ranges));
        served.unwrap();
        let mut rest = &received[..];
        for range in &ranges {
            let expected = &data[range.start as usize..range.end as usize];
            assert!(body(&mut rest, expected.len()) == expected, "{range:?}");
        }
        assert!(rest.is_empty());
    }
}

#[runtime::test]
async fn a_file_that_is_shorter_than_announced_ends_the_connection() {
    let data = bytes(1_000);
    let file = TempFile::new("hyper-files-short", &data);
    let (received, served) = responses(&file, &[100..2_000, 0..10]).await;
    assert_eq!(body(&mut &received[..], 1_900), &data[100..]);
    let error = served.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    let cause: &io::Error = cause.downcast_ref().unwrap();
    assert_eq!(cause.kind(), ErrorKind::UnexpectedEof);
}

/// Returns the first frame of a body.
async fn frame(body: &mut FileBody) -> Bytes {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
    frame.unwrap().unwrap().into_data().unwrap()
}

#[runtime::test]
async fn bytes_that_were_not_sent_as_a_file_fail_the_next_write() {
    let file = TempFile::new("hyper-files-misused", &bytes(10));
    let (_client, mut io) = pair().await;
    let mut body = io.files().body(File::open(&file.0).unwrap(), 0..10);
    let frame = frame(&mut body).await;
    // As TLS would: it reads the bytes, and writes others.
    let other = frame.to_vec();
    let written = poll_fn(|cx| Pin::new(&mut io).poll_write(cx, &other)).await;
    assert_eq!(written.unwrap(), 10);
    drop(frame);
    let error = poll_fn(|cx| Pin::new(&mut io).poll_write(cx, &other)).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("a FileBody were read as memory"), "{text}");
}

#[runtime::test]
async fn the_next_body_of_a_connection_waits_for_the_one_before() {
    let file = TempFile::new("hyper-files-turns", &bytes(10));
    let (_client, io) = pair().await;
    let open = || File::open(&file.0).unwrap();
    let (mut first, mut second) = (
        io.files().body(open(), 0..10),
        io.files().body(open(), 0..10),
    );
    let held = frame(&mut first).await;
    let waiting = runtime::spawn(async move { frame(&mut second).await.len() });
    runtime::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(held);
    assert_eq!(waiting.await.unwrap(), 10);
}

#[test]
fn one_open_file_is_sent_to_several_connections_at_once() {
    let data = bytes(3_000_000);
    let file = TempFile::new("hyper-files-shared", &data);
    let all = data.len() as u64;
    for &backend in Backend::available() {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        runtime.block_on(async {
            let opened = Arc::new(File::open(&file.0).unwrap());
            let shared = SharedFile::new(opened.clone());
            let ranges = [0..all, 1..all - 1, 4_096..2_000_000];
            let clients = ranges.map(|range| {
                let (shared, expected) = (shared.clone(), range.clone());
                let client = runtime::spawn(async move {
                    let (mut client, io) = pair().await;
                    let body = io.files().shared_body(&shared, range);
                    let body = RefCell::new(Some(body));
                    let service = service_fn(move |_: Request<Incoming>| {
                        let body = body.borrow_mut().take();
                        let missing = io::Error::from(ErrorKind::NotFound);
                        async { body.map(Response::new).ok_or(missing) }
                    });
                    let serving = http1::Builder::new().serve_connection(io, service);
                    let serving = runtime::spawn(serving);
                    let request = "GET / HTTP/1.1\r\nconnection: close\r\nhost: x\r\n\r\n";
                    client.write_all(request.as_bytes()).await.unwrap();
                    let mut received = Vec::new();
                    client.read_to_end(&mut received).await.unwrap();
                    serving.await.unwrap().unwrap();
                    received
                });
                (client, expected)
            });
            for (client, range) in clients {
                let received = client.await.unwrap();
                let expected = &data[range.start as usize..range.end as usize];
                assert!(
                    body(&mut &received[..], expected.len()) == expected,
                    "{range:?}"
                );
            }
            drop(shared);
            assert_eq!(Arc::strong_count(&opened), 1);
        });
    }
}

#[runtime::test]
async fn a_connection_that_is_dropped_while_it_sends_drops_the_file() {
    let data = bytes(12_000_000);
    let file = TempFile::new("hyper-files-dropped", &data);
    let opened = Arc::new(File::open(&file.0).unwrap());
    let shared = SharedFile::new(opened.clone());
    for _ in 0..2 {
        let (mut client, io) = pair().await;
        let files = io.files();
        let service = service_fn(|_: Request<Incoming>| {
            let body = files.shared_body(&shared, 0..data.len() as u64);
            async { io::Result::Ok(Response::new(body)) }
        });
        let mut serving = Box::pin(http1::Builder::new().serve_connection(io, service));
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut received = vec![0; 100_000];
        runtime::select! {
            result = &mut serving => panic!("{result:?}"),
            read = client.read_exact(&mut received) => read.unwrap(),
        }
        drop(serving);
        client.read_to_end(&mut received).await.unwrap();
        // The buffers of the connection cannot hold all.
        assert!(received.len() < data.len());
        let head = received.windows(4).position(|it| it == b"\r\n\r\n");
        let sent = &received[head.unwrap() + 4..];
        assert!(sent == &data[..sent.len()]);
    }
    drop(shared);
    assert_eq!(Arc::strong_count(&opened), 1);
}

/// The kernel cannot say whether a file of tmpfs is in memory, so a job reads it first.
#[runtime::test(start_paused = true)]
async fn a_shared_file_that_was_in_memory_is_checked_again_after_a_tenth_of_a_second() {
    let data = bytes(10_000);
    let folder = Path::new("/dev/shm");
    if !cfg!(target_os = "linux") || !folder.is_dir() {
        eprintln!("SKIPPED: there is no file system in memory at /dev/shm");
        return;
    }
    let file = TempFile::within(folder, "hyper-files-shm", &data);
    let shared = SharedFile::new(File::open(&file.0).unwrap());
    let (mut client, mut io) = pair().await;
    let mut jobs = Vec::new();
    // Part of what was sent before is known too, more is not.
    for (advance, range) in [
        (0, 0..9_000),
        (0, 0..9_000),
        (99, 100..9_000),
        (1, 0..9_000),
        (0, 0..10_000),
    ] {
        time::advance(Duration::from_millis(advance)).await;
        let mut body = io.files().shared_body(&shared, range.clone());
        let frame = frame(&mut body).await;
        let mut at = 0;
        while at < frame.len() {
            let rest = &frame[at..];
            at += poll_fn(|cx| Pin::new(&mut io).poll_write(cx, rest))
                .await
                .unwrap();
        }
        let mut received = vec![0; frame.len()];
        client.read_exact(&mut received).await.unwrap();
        assert!(received == data[range.start as usize..range.end as usize]);
        let metrics = Handle::current().metrics().await.unwrap();
        jobs.push(metrics.jobs_submitted);
    }
    // None if the kernel knows more than this test assumes.
    let one = jobs[0];
    assert_eq!(jobs, [one, one, one, 2 * one, 3 * one]);
}

/// A layer may pass on less of a frame than before, also after a write had to wait.
#[test]
fn a_write_sends_no_more_of_a_file_than_it_was_given() {
    let data = bytes(1 << 20);
    let file = TempFile::new("hyper-files-parts", &data);
    for &backend in Backend::available() {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        runtime.block_on(async {
            let (mut client, mut io) = pair().await;
            let shared = SharedFile::new(File::open(&file.0).unwrap());
            let files = io.files();
            let received = Rc::new(RefCell::new(Vec::new()));
            let to = received.clone();
            let receiver = runtime::spawn(async move {
                let mut buffer = vec![0; 10_000];
                loop {
                    let n = client.read(&mut buffer).await.unwrap();
                    if n == 0 {
                        break;
                    }
                    to.borrow_mut().extend_from_slice(&buffer[..n]);
                }
            });
            // Several frames: more than the buffers of the connection hold.
            const FRAMES: usize = 8;
            let mut lengths = [1, 70_000, 4_096, 300_000, 128 * 1024, 7, 1 << 20];
            for _ in 0..FRAMES {
                let mut body = files.shared_body(&shared, 0..data.len() as u64);
                let frame = frame(&mut body).await;
                let mut at = 0;
                while at < frame.len() {
                    let written = poll_fn(|cx| {
                        // Another length at each poll.
                        lengths.rotate_left(1);
                        let rest = &frame[at..];
                        let part = &rest[..rest.len().min(lengths[0])];
                        Pin::new(&mut io).poll_write(cx, part).map(|it| {
                            let count = it.unwrap();
                            assert!(count <= part.len(), "{count} of {}", part.len());
                            count
                        })
                    });
                    at += written.await;
                }
            }
            drop(io);
            receiver.await.unwrap();
            let received = received.take();
            assert_eq!(received.len(), FRAMES * data.len());
            for part in received.chunks(data.len()) {
                assert!(part == data);
            }
        });
    }
}

#[runtime::test]
async fn a_file_truncated_while_it_is_sent_ends_the_connection() {
    let data = bytes(12_000_000);
    let file = TempFile::new("hyper-files-cut", &data);
    let (mut client, io) = pair().await;
    let shared = SharedFile::new(File::open(&file.0).unwrap());
    let files = io.files();
    let service = service_fn(|_: Request<Incoming>| {
        let body = files.shared_body(&shared, 0..data.len() as u64);
        async { io::Result::Ok(Response::new(body)) }
    });
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let receiving = async {
        client.write_all(request).await.unwrap();
        let mut received = vec![0; 100_000];
        client.read_exact(&mut received).await.unwrap();
        // The buffers of the connection cannot hold the rest.
        let file = File::options().write(true).open(&file.0).unwrap();
        file.set_len(50_000).unwrap();
        client.read_to_end(&mut received).await.unwrap();
        received
    };
    let serving = http1::Builder::new().serve_connection(io, service);
    let (received, served) = runtime::join!(receiving, serving);
    let head = received.windows(4).position(|it| it == b"\r\n\r\n");
    assert!(received.len() - head.unwrap() < data.len());
    let error = served.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    let cause: &io::Error = cause.downcast_ref().unwrap();
    assert_eq!(cause.kind(), ErrorKind::UnexpectedEof);
}
