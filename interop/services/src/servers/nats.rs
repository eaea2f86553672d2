//! NATS.

use std::sync::OnceLock;

use super::keeper::{Kind, Scratch, Server};
use super::program::find;

/// Starts a server without data. `None` if NATS is not installed.
pub fn start() -> Option<Server> {
    let program = find("nats-server")?;
    let kind = Kind {
        signal: "TERM",
        ready: "Server is ready",
        url: |port| format!("nats://127.0.0.1:{port}"),
    };
    let scratch = Scratch::new("nats");
    Some(Server::start(kind, scratch, |_, port| {
        let mut arguments = vec![program.clone().into_os_string()];
        let port = port.to_string();
        arguments.extend(["--addr", "127.0.0.1", "--port", &port].map(Into::into));
        arguments
    }))
}

/// Returns the server that the tests of this process share.
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(start).as_ref()
}
