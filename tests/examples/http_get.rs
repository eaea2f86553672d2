use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use crate::support::{Server, run, text};

#[test]
fn the_body_goes_to_stdout_and_the_rest_to_stderr() {
    let server = Server::start("http_server", &[]);
    let output = run("http_get", &[&format!("http://{}/", server.address)]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(text(&output.stdout).contains("It works"));
    assert!(stderr.starts_with("HTTP/1.1 200 OK\n"), "{stderr}");
    assert!(stderr.contains("answered after"), "{stderr}");
}

#[test]
fn an_error_status_is_reported_after_its_body() {
    let server = Server::start("http_server", &[]);
    let output = run("http_get", &[&format!("http://{}/no", server.address)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "Page not found.\n");
    assert!(text(&output.stderr).contains("the server returned 404"));
}

#[test]
fn a_refused_connection_is_an_error_that_names_the_address() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let closed = closed.unwrap().to_string();
    let output = run("http_get", &[&format!("http://{closed}/")]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains(&format!("connect to {closed}: ")),
        "{stderr}"
    );
}

#[test]
fn a_server_that_does_not_respond_is_an_error_after_the_time_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("http://{address}/");
    let output = run("http_get", &["--timeout", "0.02", &url]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains(&url), "{stderr}");
    assert!(stderr.contains("not complete within 0.02 s"), "{stderr}");
}

#[test]
fn a_truncated_response_is_an_error() {
    let (url, server) = serve_once(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    let output = run("http_get", &[&url]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "half");
    assert!(text(&output.stderr).contains(&url));
    assert!(server.join().unwrap().contains("\r\nhost: 127.0.0.1:"));
}

#[test]
fn an_invalid_url_is_rejected() {
    let urls = [
        ("https://127.0.0.1/", "https is not supported"),
        ("127.0.0.1:80", "http://HOST"),
        ("http:///x", ""),
        ("http://127.0.0.1:99999/", "from 0 to 65535"),
        ("ftp://127.0.0.1/", "http://HOST"),
        ("", ""),
    ];
    for (url, reason) in urls {
        let output = run("http_get", &[url]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{url}: {stderr}");
        assert!(stderr.contains(reason), "{stderr}");
    }
}

/// Starts a server for one request; joining its thread returns the request.
fn serve_once(response: &'static [u8]) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(response).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, server)
}
