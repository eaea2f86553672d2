use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::Server;

#[test]
fn bytes_and_the_end_of_the_stream_are_echoed() {
    let server = Server::start("echo", &[]);
    let mut stream = server.connect();
    let sent: Vec<u8> = (0..100_000_u32).map(|i| i as u8).collect();
    stream.write_all(&sent).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    assert_eq!(received, sent);
}

#[test]
#[cfg(target_os = "linux")]
fn all_connections_are_served_on_one_thread() {
    let server = Server::start("echo", &[]);
    let mut clients = [(); 10].map(|()| server.connect());
    for client in &mut clients {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        assert_eq!(server.threads(), 1);
    }
}
