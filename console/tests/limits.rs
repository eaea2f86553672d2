//! Clients that do what they should not, and listeners where they should not be.

mod support;

use std::future::pending;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use runtime::Runtime;
use runtime::net::{TcpListener, TcpSocket};
use runtime_console::Builder;
use support::{Events, LIMIT, Program, spawn};

const SHORT: Duration = Duration::from_millis(50);

fn often() -> Builder {
    Builder::new().period(Duration::from_millis(10))
}

#[test]
fn one_page_too_many_is_refused_until_another_is_closed() {
    let program = Program::start(Runtime::builder(), often().max_pages(1), || {});
    let mut first = program.events();
    first.next();
    let (head, body) = program.get("/events");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.contains("retry-after: 5"), "{head}");
    assert!(body.contains("1 open pages already"), "{body}");
    let (head, _) = program.send("HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    drop(first);
    let begin = Instant::now();
    while program.events().head.contains(" 503 ") {
        assert!(begin.elapsed() < LIMIT);
    }
}

#[test]
fn a_page_that_does_not_read_is_disconnected_and_the_others_go_on() {
    let console = often().send_timeout(SHORT);
    let program = Program::start(Runtime::builder(), console, || {
        for _ in 0..200 {
            spawn(&"long name ".repeat(20), pending());
        }
    });
    let stuck = runtime::block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let stream = socket.connect(program.address).await?;
        std::io::Result::Ok(stream.into_std())
    });
    let stuck = stuck.unwrap();
    stuck.set_nonblocking(false).unwrap();
    stuck.set_read_timeout(Some(LIMIT)).unwrap();
    let mut stuck = Events::of(stuck);
    assert!(stuck.next_text().is_some());
    // The task that accepts and that of this page. The first event may be older than this page.
    let mut events = program.events();
    events.next();
    events.find(|event| event["tasks"]["own"] == 2);
    events.next();
    // The events that had been sent can be read. Their number is bounded.
    println!("{} events were in buffers", stuck.drain());
}

#[test]
fn a_client_without_a_whole_request_is_disconnected() {
    let console = Builder::new().header_timeout(SHORT);
    let program = Program::start(Runtime::builder(), console, || {});
    for begin in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = program.connect();
        stream.write_all(begin.as_bytes()).unwrap();
        let mut response = Vec::new();
        // It may also be reset.
        if let Err(e) = stream.read_to_end(&mut response) {
            assert_ne!(e.kind(), ErrorKind::WouldBlock, "{begin:?} is waited for");
        }
        assert!(!response.starts_with(b"HTTP/1.1 200"), "{begin:?}");
    }
}

#[test]
fn idle_connections_do_not_keep_others_out() {
    let console = Builder::new().header_timeout(SHORT).max_pages(1);
    let program = Program::start(Runtime::builder(), console, || {});
    let idle: Vec<TcpStream> = (0..40).map(|_| program.connect()).collect();
    let (head, _) = program.get("/");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    drop(idle);
}

#[test]
fn the_end_of_the_runtime_ends_the_events() {
    let program = Program::start(Runtime::builder(), often(), || {});
    let mut events = program.events();
    events.next();
    drop(program);
    events.drain();
}

#[test]
fn aborting_the_console_closes_its_pages() {
    runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let console = often().spawn(listener).unwrap();
        let client = runtime::spawn_blocking(move || {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let mut events = Events::of(stream);
            events.next();
            events
        });
        let mut events = client.await.unwrap();
        console.abort();
        assert!(console.await.unwrap_err().is_cancelled());
        let ended = runtime::spawn_blocking(move || events.drain());
        ended.await.unwrap();
        let tasks = runtime::task::all();
        assert_eq!(tasks.tasks.len(), 0, "{tasks}");
    });
}

#[test]
fn a_listener_for_other_machines_is_refused_unless_it_is_permitted() {
    runtime::block_on(async {
        let listener = || TcpListener::bind("0.0.0.0:0");
        let error = runtime_console::serve(listener().await.unwrap()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = error.to_string();
        assert!(text.contains("listens on 0.0.0.0:"), "{text}");
        assert!(text.contains("Builder::allow_remote"), "{text}");
        let spawned = Builder::new().spawn(listener().await.unwrap());
        assert_eq!(spawned.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let permitted = Builder::new().allow_remote(true);
        assert!(permitted.spawn(listener().await.unwrap()).is_ok());
        let address = runtime_console::spawn(0).await.unwrap();
        assert!(address.ip().is_loopback() && address.port() != 0);
    });
}
