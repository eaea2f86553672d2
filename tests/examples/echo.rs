use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::Server;

#[test]
fn what_is_sent_comes_back_and_the_end_too() {
    let server = Server::start("echo", &[]);
    let mut stream = server.connect();
    let sent: Vec<u8> = (0..100_000_u32).map(|i| i as u8).collect();
    stream.write_all(&sent).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut came = Vec::new();
    stream.read_to_end(&mut came).unwrap();
    assert_eq!(came, sent);
}

#[test]
#[cfg(target_os = "linux")]
fn no_thread_but_the_first_serves() {
    let server = Server::start("echo", &[]);
    let mut clients = [(); 10].map(|()| server.connect());
    for client in &mut clients {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        assert_eq!(server.threads(), 1);
    }
}
