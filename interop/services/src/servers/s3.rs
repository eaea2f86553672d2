//! The server of S3 in Python's moto, with TLS.

use std::env;
use std::path::PathBuf;

use super::Tls;
use super::keeper::{Kind, Scratch, Server};
use super::program::report_skipped;

/// Starts a server without buckets. `None` if `ci/peers` has not installed moto.
pub fn start(tls: &Tls) -> Option<Server> {
    let Some(program) = moto() else {
        report_skipped("moto is not installed (run ci/peers)");
        return None;
    };
    let kind = Kind {
        signal: "TERM",
        ready: "Running on https://",
        url: |_, port| format!("https://127.0.0.1:{port}"),
    };
    // Only this user may be able to read what `ci/peers` has installed.
    let scratch = Scratch::of_this_user("s3");
    tls.write(&scratch, "");
    Some(Server::start(kind, scratch, |_, port| {
        let mut arguments = vec![program.clone().into_os_string()];
        let port = port.to_string();
        arguments.extend(["-H", "127.0.0.1", "-p", &port].map(Into::into));
        arguments.extend(["-c", "server.crt", "-k", "server.key"].map(Into::into));
        arguments
    }))
}

/// Returns the path of the server in the folder of `ci/peers`, which is in a folder above the one
/// of this program.
fn moto() -> Option<PathBuf> {
    let program = env::current_exe().unwrap();
    let mut peers = program.ancestors().map(|folder| folder.join("peers"));
    let peers = peers.find(|peers| peers.join("moto.ok").exists())?;
    Some(peers.join("moto/bin/moto_server"))
}
