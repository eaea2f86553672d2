//! The example `axum_app`.

use std::io::Write;

use crate::support::{Server, curl, python, read_until};

#[test]
fn curl_lists_adds_counts_and_measures() {
    let server = Server::start("axum_app", &[]);
    let add = [
        "--header",
        "content-type: application/json",
        "--data",
        r#"{"text":"buy milk"}"#,
        &server.url("/notes"),
    ];
    let Some(added) = curl(&add) else { return };
    assert_eq!(added, r#"{"text":"buy milk"}"#);
    let notes = curl(&[&server.url("/notes")]).unwrap();
    assert_eq!(notes, r#"[{"text":"buy milk"}]"#);
    let countdown = curl(&["--http2-prior-knowledge", &server.url("/countdown/3")]);
    assert_eq!(countdown.unwrap(), "3\n2\n1\n");
    let program = std::env::current_exe().unwrap();
    let length = std::fs::metadata(&program).unwrap().len();
    let upload = ["--upload-file", program.to_str().unwrap()];
    let measured = curl(&[upload[0], upload[1], &server.url("/length")]).unwrap();
    assert_eq!(measured, format!("{length}\n"));
    let address = curl(&[&server.url("/address")]).unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    server.stop();
}

#[test]
fn an_event_reports_a_note_and_the_shutdown_ends_the_stream() {
    let server = Server::start("axum_app", &[]);
    let mut events = server.connect();
    events
        .write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    read_until(&mut events, "\r\n\r\n");
    let mut adding = server.connect();
    let note = r#"{"text":"new"}"#;
    write!(
        adding,
        "POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{note}",
        note.len()
    )
    .unwrap();
    let answer = read_until(&mut adding, note);
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    let event = read_until(&mut events, "\n\n");
    assert!(event.ends_with("event: note\ndata: new\n\n"), "{event}");
    server.interrupt();
    // The last chunk of the body.
    read_until(&mut events, "0\r\n\r\n");
    let (status, rest) = server.wait();
    assert!(status.success());
    assert_eq!(rest, "shutting down\n");
}

#[test]
fn frames_and_close_codes_are_as_the_standard_says() {
    let server = Server::start("axum_app", &[]);
    let port = server.address.port().to_string();
    if let Some(cases) = python("websocket_frames.py", [&port]) {
        assert_eq!(cases.lines().last(), Some("20 cases passed"), "{cases}");
    }
    server.stop();
}

#[test]
fn a_web_socket_is_closed_by_the_shutdown() {
    let server = Server::start("axum_app", &[]);
    let mut socket = server.connect();
    socket
        .write_all(
            b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        )
        .unwrap();
    let head = read_until(&mut socket, "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    server.interrupt();
    let mut close = [0; 4];
    std::io::Read::read_exact(&mut socket, &mut close).unwrap();
    // A close frame with the code 1001, "going away".
    assert_eq!(close, [0x88, 2, 0x03, 0xe9]);
    drop(socket);
    let (status, _) = server.wait();
    assert!(status.success());
}
