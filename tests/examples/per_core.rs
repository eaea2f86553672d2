use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::support::Server;

/// Connects, checks the echo, and returns the greeting and the open connection.
fn connect(server: &Server) -> (String, BufReader<TcpStream>) {
    let mut stream = BufReader::new(server.connect());
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    writeln!(stream.get_mut(), "hello").unwrap();
    let mut echo = String::new();
    stream.read_line(&mut echo).unwrap();
    assert_eq!(echo, "hello\n");
    (line, stream)
}

#[test]
fn connections_are_distributed_round_robin_and_results_are_in_core_order() {
    let mut server = Server::start("per_core", &["--cores", "3", "--deal", "1", "--pin", "1"]);
    let clients: Vec<_> = (0..6).map(|_| connect(&server)).collect();
    let cores: Vec<&str> = clients.iter().map(|(line, _)| line.trim()).collect();
    let expected = ["core 0", "core 1", "core 2", "core 0", "core 1", "core 2"];
    assert_eq!(cores, expected);
    server.interrupt();
    assert_eq!(server.line(), "core 0 greeted 6 clients");
    assert_eq!(server.line(), "core 1 greeted 0 clients");
    assert_eq!(server.line(), "core 2 greeted 0 clients");
    assert!(server.wait().success());
}

#[test]
fn all_cores_listen_on_one_port() {
    let mut server = Server::start("per_core", &["--cores", "2"]);
    for _ in 0..10 {
        let (core, _) = connect(&server);
        assert!(["core 0\n", "core 1\n"].contains(&&*core), "{core}");
    }
    server.interrupt();
    let greeted: u32 = (0..2)
        .map(|_| server.line())
        .map(|line| line.split(' ').nth(3).unwrap().parse::<u32>().unwrap())
        .sum();
    assert_eq!(greeted, 10);
    assert!(server.wait().success());
}
