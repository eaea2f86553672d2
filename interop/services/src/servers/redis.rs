//! Redis.

use std::sync::OnceLock;

use super::keeper::{Kind, Scratch, Server};
use super::program::find;

/// Starts a server without data. `None` if Redis is not installed.
pub fn start() -> Option<Server> {
    let program = find("redis-server")?;
    let kind = Kind {
        signal: "TERM",
        ready: "Ready to accept connections",
        url: |port| format!("redis://127.0.0.1:{port}"),
    };
    let scratch = Scratch::new("redis");
    Some(Server::start(kind, scratch, |_, port| {
        let mut arguments = vec![program.clone().into_os_string()];
        let port = port.to_string();
        let rest = ["--port", &port, "--bind", "127.0.0.1", "--save", ""];
        arguments.extend(rest.map(Into::into));
        // Data survives a restart.
        arguments.extend(["--appendonly", "yes", "--appendfsync", "no"].map(Into::into));
        arguments
    }))
}

/// Returns the server that the tests of this process share.
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(start).as_ref()
}
