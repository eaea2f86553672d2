//! The example `quic`.

use std::collections::BTreeMap;

use crate::support::{ScratchFile, Server, run, run_traced};

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

#[test]
fn a_datagram_costs_no_system_call_but_the_one_that_sends_it() {
    let roots = ScratchFile::new("traced.pem");
    let trace = ScratchFile::new("trace");
    let server = Server::start("quic", &["server", "--write-roots", roots.path()]);
    let address = server.address.to_string();
    let client = ["client", "--roots", roots.path(), "--bytes", "1000000"];
    let client = [&client[..], &[&address]].concat();
    if !run_traced(trace.path(), "quic", &client) {
        return;
    }
    server.stop();
    // Lines as "12.96  0.022559  2  9270  ppoll", with the number of errors before some names.
    let text = std::fs::read_to_string(trace.path()).unwrap();
    let counts: BTreeMap<&str, u32> = text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some((*words.last()?, words.get(3)?.parse().ok()?))
        })
        .collect();
    let count = |name| counts.get(name).copied().unwrap_or(0);
    assert!(count("sendmsg") > 50, "{text}");
    assert!(count("poll") + count("ppoll") < 10, "{text}");
}
