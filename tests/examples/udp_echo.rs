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
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run("udp_echo", &["--listen", &address]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("in use"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
