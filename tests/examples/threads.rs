//! Examples run on one thread, except `per_core` and those that read files or resolve names.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::Stdio;

use crate::support::{Server, example, run, text, threads_of};

#[test]
fn servers_have_one_thread() {
    let target = Server::start("echo", &[]);
    let target_address = target.address.to_string();
    let servers = [
        ("chat", Server::start("chat", &[])),
        ("http_server", Server::start("http_server", &[])),
        ("proxy", Server::start("proxy", &["--to", &target_address])),
        ("echo", target),
    ];
    for (name, server) in &servers {
        let mut stream = server.connect();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        stream.read_exact(&mut [0]).unwrap();
        assert_eq!(server.threads(), 1, "of {name}");
    }
    let server = Server::start("udp_echo", &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"x", server.address).unwrap();
    socket.recv(&mut [0]).unwrap();
    assert_eq!(server.threads(), 1);
}

#[test]
fn waiting_for_a_custom_descriptor_takes_one_thread() {
    let path = std::env::temp_dir().join(format!("runtime-threads-{}", std::process::id()));
    std::fs::write(&path, "").unwrap();
    let mut child = example("custom_fd")
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    std::fs::write(&path, "news").unwrap();
    lines.next().unwrap().unwrap();
    assert_eq!(threads_of(child.id()), 1);
    std::fs::remove_file(&path).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn waiting_for_children_takes_one_thread() {
    let output = run(
        "run",
        &["one=exec cat", "two=grep ^Threads /proc/$PPID/status"],
    );
    assert_eq!(text(&output.stdout), "two | Threads:\t1\n");
}
