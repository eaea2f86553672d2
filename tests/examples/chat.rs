use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;

use crate::support::Server;

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(server: &Server, name: &str) -> Client {
        let stream = BufReader::new(server.connect());
        let mut client = Client { stream };
        assert_eq!(client.receive(), "* what is your name?");
        client.send(name);
        client
    }

    fn join(server: &Server, name: &str) -> Client {
        let mut client = Client::connect(server, name);
        assert_eq!(client.receive(), format!("* welcome, {name}"));
        client
    }

    fn send(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }
}

#[test]
fn members_receive_the_lines_of_others_and_not_their_own() {
    let server = Server::start("chat", &[]);
    let mut ann = Client::join(&server, "ann");
    let mut bob = Client::join(&server, "bob");
    assert_eq!(ann.receive(), "* bob has joined");
    ann.send("hello");
    bob.send("hi\r");
    assert_eq!(bob.receive(), "ann: hello");
    assert_eq!(ann.receive(), "bob: hi");
    drop(bob);
    assert_eq!(ann.receive(), "* bob has left");
    assert_eq!(server.line_with("left"), "bob has left");
}

#[test]
fn a_name_is_reserved_until_its_member_leaves() {
    let server = Server::start("chat", &[]);
    let ann = Client::join(&server, "ann");
    let mut other = Client::connect(&server, "ann");
    assert_eq!(other.receive(), "* that name is taken");
    assert_eq!(other.receive(), "* what is your name?");
    other.send("two words");
    assert_eq!(other.receive(), "* a name is one word of up to 32 bytes");
    assert_eq!(other.receive(), "* what is your name?");
    drop(ann);
    server.line_with("ann has left");
    other.send("ann");
    assert_eq!(other.receive(), "* welcome, ann");
}

#[test]
fn a_line_over_the_limit_ends_the_connection() {
    let server = Server::start("chat", &[]);
    let mut ann = Client::join(&server, "ann");
    let mut bob = Client::join(&server, "bob");
    assert_eq!(ann.receive(), "* bob has joined");
    bob.stream.get_mut().write_all(&[b'x'; 1025]).unwrap();
    assert_eq!(ann.receive(), "* bob has left");
}

#[test]
fn a_member_that_does_not_read_delays_no_other_and_is_notified_of_missed_lines() {
    const AT_A_TIME: usize = 32; // fewer than fit into the queue of a member who reads
    let server = Server::start("chat", &[]);
    let mut slow = Client::join(&server, "slow");
    let mut ann = Client::join(&server, "ann");
    let mut bob = Client::join(&server, "bob");
    assert_eq!(ann.receive(), "* bob has joined");
    // More than the socket buffers hold.
    let line = "x".repeat(1000);
    for _ in 0..16_000 / AT_A_TIME {
        (0..AT_A_TIME).for_each(|_| ann.send(&line));
        for _ in 0..AT_A_TIME {
            assert_eq!(bob.receive().len(), "ann: ".len() + line.len());
        }
    }
    let slow = thread::spawn(move || {
        while !slow.receive().starts_with("* you have missed ") {}
        slow // still connected, so that the others receive no line about its departure
    });
    while !slow.is_finished() {
        ann.send("still there?");
        assert_eq!(bob.receive(), "ann: still there?");
    }
    slow.join().unwrap();
}
