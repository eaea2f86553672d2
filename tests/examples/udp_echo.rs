use std::net::UdpSocket;

use crate::support::{LIMIT, Server, run, text};

#[test]
fn each_datagram_is_returned_to_its_sender() {
    let server = Server::start("udp_echo", &[]);
    let clients = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    for (n, client) in (1..).zip(&clients) {
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.connect(server.address).unwrap();
        for length in [n, 100 * n, 0] {
            client.send(&vec![7; length]).unwrap();
        }
    }
    for (n, client) in (1..).zip(&clients) {
        for length in [n, 100 * n, 0] {
            let mut buffer = [0; 1500];
            assert_eq!(client.recv(&mut buffer).unwrap(), length);
            assert!(buffer[..length].iter().all(|&byte| byte == 7));
        }
    }
}

#[test]
fn a_port_in_use_is_reported_in_one_line_with_code_1() {
    let in_use = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = in_use.local_addr().unwrap().to_string();
    let output = run("udp_echo", &["--listen", &address]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("in use"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn an_error_that_concerns_one_peer_does_not_end_the_server_nor_does_a_broken_standard_error() {
    let faults = [
        "trace=recvmmsg,sendmmsg",
        "inject=recvmmsg:error=ECONNREFUSED:when=1..3",
        "inject=sendmmsg:error=EPERM:when=1",
    ];
    let Some(server) = Server::start_with_faults(&faults, &[], "udp_echo", &[]) else {
        return;
    };
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.connect(server.address).unwrap();
    client.send(b"this answer is lost").unwrap();
    // The first answer cannot be sent. The second one shows that the server goes on.
    client.send(b"this one is not").unwrap();
    let mut buffer = [0; 100];
    let n = client.recv(&mut buffer).unwrap();
    assert!(buffer[..n].starts_with(b"this"));
}
