//! The example `quic`.

use crate::support::{ScratchFile, Server, run};

fn transfer(name: &str, bytes: &str, connections: &str) -> String {
    let roots = ScratchFile::new(name);
    let server = Server::start("quic", &["server", "--write-roots", roots.path()]);
    let address = server.address.to_string();
    let sizes = ["--bytes", bytes, "--connections", connections];
    let client = ["client", "--roots", roots.path()];
    let text = run("quic", [&client[..], &sizes, &[&address]].concat());
    server.stop();
    text
}

#[test]
fn what_many_sockets_send_comes_back_as_sent() {
    let text = transfer("many.pem", "100000", "32");
    assert!(
        text.starts_with("3200000 bytes in each direction"),
        "{text}"
    );
}

#[test]
#[ignore = "takes a minute; run it with --release"]
fn a_gigabyte_comes_back_as_sent() {
    let text = transfer("large.pem", "1000000000", "1");
    assert!(
        text.starts_with("1000000000 bytes in each direction"),
        "{text}"
    );
}
