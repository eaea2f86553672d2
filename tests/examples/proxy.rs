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

    // Our end has come through; the other direction is still open, and long.
    let (mut there, _) = target.accept().unwrap();
    let mut question = String::new();
    there.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    there.write_all(&[b'a'; 50_000]).unwrap();
    drop(there);

    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [b'a'; 50_000]);
    let line = server.line();
    assert!(
        line.ends_with(": 8 bytes there, 50000 bytes back"),
        "{line}"
    );
}

#[test]
fn a_target_that_is_not_there_ends_the_connection_and_not_the_proxy() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let server = Server::start("proxy", &["--to", &gone.unwrap().to_string()]);
    for _ in 0..2 {
        assert_eq!(server.connect().read(&mut [0]).unwrap(), 0);
    }
}
