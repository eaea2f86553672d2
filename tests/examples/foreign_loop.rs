use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::Server;

/// Returns true if the backend has a descriptor that a foreign loop can poll; poll and select have
/// none.
fn has_descriptor() -> bool {
    let backend = std::env::var("RUNTIME_BACKEND");
    !matches!(backend.as_deref(), Ok("poll" | "select"))
}

#[test]
fn one_thread_serves_clients_and_standard_input() {
    if !has_descriptor() {
        return;
    }
    let (mut server, mut stdin) = Server::start_with_stdin("foreign_loop");
    let mut stream = server.connect();
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    writeln!(stdin, "how many?").unwrap();
    assert_eq!(server.line(), "1 clients");
    #[cfg(target_os = "linux")]
    assert_eq!(server.threads(), 1);
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    writeln!(stdin, "quit").unwrap();
    assert!(server.wait().success());
}

#[test]
fn it_keeps_serving_after_the_end_of_standard_input() {
    if !has_descriptor() {
        return;
    }
    let server = Server::start("foreign_loop", &[]);
    for _ in 0..3 {
        let mut stream = server.connect();
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
    }
}
