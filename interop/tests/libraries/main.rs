//! Libraries that expect tokio, used as their documentation says, on the sockets and tasks of
//! `runtime`. Where a program of another maker can be the peer, it is one.

mod autobahn;
mod axum;
mod channels;
mod handshakes;
mod hyper_util;
mod quinn;
mod reqwest;
mod tls;
mod tower;
mod tracing;
mod websocket;

use std::ffi::OsStr;
use std::path::PathBuf;

/// Runs a program of another maker and returns what it writes. `None`, and a line that says so, if
/// it is not installed.
async fn peer<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Option<String> {
    let output = runtime::process::Command::new(program)
        .args(arguments)
        .output()
        .await;
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program}: {text} {errors}");
            Some(text)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: {program} is not installed, so it is no peer of this test");
            None
        }
        Err(e) => panic!("{program}: {e}"),
    }
}

/// Returns the path of a program that `ci/peers` installs. `None`, and a line that says so, if it
/// is not installed.
fn installed_peer(name: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().unwrap(); // in target/debug/deps
    let mut paths = test
        .ancestors()
        .map(|folder| folder.join("peers").join(name));
    let path = paths.find(|path| path.exists());
    if path.is_none() {
        eprintln!("SKIPPED: {name} is not installed: run ci/peers");
    }
    path
}
