use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use crate::support::{Server, run, text};

#[test]
fn the_body_goes_to_stdout_and_the_rest_to_stderr() {
    let server = Server::start("http_server", &[]);
    let output = run("http_get", &[&format!("http://{}/", server.address)]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(text(&output.stdout).contains("It works"));
    assert!(said.starts_with("HTTP/1.1 200 OK\n"), "{said}");
    assert!(said.contains("answered after"), "{said}");
}

#[test]
fn what_the_server_refuses_is_an_error_after_its_words() {
    let server = Server::start("http_server", &[]);
    let output = run("http_get", &[&format!("http://{}/no", server.address)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "There is no such page.\n");
    assert!(text(&output.stderr).contains("the server says 404"));
}

#[test]
fn a_refused_connection_is_an_error_that_names_the_address() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let gone = gone.unwrap().to_string();
    let output = run("http_get", &[&format!("http://{gone}/")]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("connect to {gone}: ")), "{said}");
}

#[test]
fn a_silent_server_is_an_error_after_the_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("http://{address}/");
    let output = run("http_get", &["--timeout", "0.2", &url]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&url), "{said}");
    assert!(said.contains("not complete within 0.2 s"), "{said}");
}

#[test]
fn an_answer_that_is_cut_off_is_an_error() {
    let (url, server) = serve_once(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    let output = run("http_get", &[&url]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "half");
    assert!(text(&output.stderr).contains(&url));
    assert!(server.join().unwrap().contains("\r\nhost: 127.0.0.1:"));
}

#[test]
fn what_is_no_http_url_is_refused() {
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
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{url}: {said}");
        assert!(said.contains(reason), "{said}");
    }
}

/// A server for one request, which it gives back.
fn serve_once(answer: &'static [u8]) -> (String, JoinHandle<String>) {
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
        stream.write_all(answer).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, server)
}
