//! The example `rc_service`.

use std::io::{Read, Write};

use crate::support::{Server, curl, read_until};

#[test]
fn values_are_stored_by_one_version_of_http_and_read_by_the_other() {
    let server = Server::start("rc_service", &[]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let url = server.url("/manifest");
    if curl(&["--upload-file", file, &url]).is_none() {
        return;
    }
    let stored = curl(&["--http2-prior-knowledge", &url]).unwrap();
    assert_eq!(stored, std::fs::read_to_string(file).unwrap());
    curl(&["--request", "DELETE", &url]).unwrap();
    let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let mut command = std::process::Command::new("curl");
    let output = command.args(status).arg(&url).output().unwrap();
    assert_eq!(output.stdout, b"404");
    server.stop();
}

#[test]
fn the_shutdown_waits_for_a_request_that_has_begun() {
    let mut server = Server::start("rc_service", &[]);
    let mut client = server.connect();
    client
        .write_all(
            b"PUT /late HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                     Content-Length: 4\r\n\r\n",
        )
        .unwrap();
    // The handler waits for the body.
    read_until(&mut client, "HTTP/1.1 100 Continue\r\n\r\n");
    server.interrupt();
    assert_eq!(server.read_line(), "shutting down\n");
    client.write_all(b"data").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    let (status, _) = server.wait();
    assert!(status.success());
}
