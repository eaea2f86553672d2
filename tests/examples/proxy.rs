use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};

use crate::support::Server;

#[test]
fn a_half_closed_connection_stays_half_closed() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = target.local_addr().unwrap().to_string();
    let server = Server::start("proxy", &["--to", &address]);

    let mut client = server.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    // The end of the client's stream has arrived; the opposite direction is still open.
    let (mut target_side, _) = target.accept().unwrap();
    let mut question = String::new();
    target_side.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    target_side.write_all(&[b'a'; 50_000]).unwrap();
    drop(target_side);

    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [b'a'; 50_000]);
    let line = server.line();
    assert!(
        line.ends_with(": 8 bytes to target, 50000 bytes to client"),
        "{line}"
    );
}

#[test]
fn an_unreachable_target_ends_the_connection_and_not_the_proxy() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let server = Server::start("proxy", &["--to", &closed.unwrap().to_string()]);
    for _ in 0..2 {
        assert_eq!(server.connect().read(&mut [0]).unwrap(), 0);
    }
}
