use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;

use crate::support::Server;

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn enter(server: &Server, name: &str) -> Client {
        let stream = BufReader::new(server.connect());
        let mut client = Client { stream };
        assert_eq!(client.hear(), "* what is your name?");
        client.say(name);
        client
    }

    fn join(server: &Server, name: &str) -> Client {
        let mut client = Client::enter(server, name);
        assert_eq!(client.hear(), format!("* welcome, {name}"));
        client
    }

    fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }
}

#[test]
fn two_hear_each_other_and_not_themselves() {
    let server = Server::start("chat", &[]);
    let mut ann = Client::join(&server, "ann");
    let mut bob = Client::join(&server, "bob");
    assert_eq!(ann.hear(), "* bob has joined");
    ann.say("hello");
    bob.say("hi\r");
    assert_eq!(bob.hear(), "ann: hello");
    assert_eq!(ann.hear(), "bob: hi");
    drop(bob);
    assert_eq!(ann.hear(), "* bob has left");
    assert_eq!(server.line_with("left"), "bob has left");
}

#[test]
fn a_name_is_taken_until_its_owner_leaves() {
    let server = Server::start("chat", &[]);
    let ann = Client::join(&server, "ann");
    let mut other = Client::enter(&server, "ann");
    assert_eq!(other.hear(), "* that name is taken");
    assert_eq!(other.hear(), "* what is your name?");
    other.say("two words");
    assert_eq!(other.hear(), "* a name is one word of up to 32 bytes");
    assert_eq!(other.hear(), "* what is your name?");
    drop(ann);
    server.line_with("ann has left");
    other.say("ann");
    assert_eq!(other.hear(), "* welcome, ann");
}

#[test]
fn an_endless_line_ends_the_stay() {
    let server = Server::start("chat", &[]);
    let mut ann = Client::join(&server, "ann");
    let mut bob = Client::join(&server, "bob");
    assert_eq!(ann.hear(), "* bob has joined");
    bob.stream.get_mut().write_all(&[b'x'; 1025]).unwrap();
    assert_eq!(ann.hear(), "* bob has left");
}

#[test]
fn who_does_not_read_holds_nobody_up_and_is_told_what_was_missed() {
    const AT_A_TIME: usize = 32; // fewer than fit into the queue of one who does read
    let server = Server::start("chat", &[]);
    let mut slow = Client::join(&server, "slow");
    let mut ann = Client::join(&server, "ann");
    let mut bob = Client::join(&server, "bob");
    assert_eq!(ann.hear(), "* bob has joined");
    // More than the sockets' buffers hold.
    let line = "x".repeat(1000);
    for _ in 0..16_000 / AT_A_TIME {
        (0..AT_A_TIME).for_each(|_| ann.say(&line));
        for _ in 0..AT_A_TIME {
            assert_eq!(bob.hear().len(), "ann: ".len() + line.len());
        }
    }
    let slow = thread::spawn(move || {
        while !slow.hear().starts_with("* you have missed ") {}
        slow // who stays, so that nobody hears of a departure
    });
    while !slow.is_finished() {
        ann.say("still there?");
        assert_eq!(bob.hear(), "ann: still there?");
    }
    slow.join().unwrap();
}
