//! Redis.

use std::sync::OnceLock;

use super::keeper::{Kind, Scratch, Server};
use super::program::find;
use super::tls::Tls;

/// The options that name the files of [`Tls::write`].
const TLS: [&str; 6] = [
    "--tls-cert-file",
    "server.crt",
    "--tls-key-file",
    "server.key",
    "--tls-ca-cert-file",
    "client.crt",
];

/// Starts a server without data, which accepts TLS alone if `tls` is given. `None` if Redis is not
/// installed.
pub fn start(tls: Option<&Tls>) -> Option<Server> {
    let program = find("redis-server")?;
    let kind = Kind {
        signal: "TERM",
        ready: "Ready to accept connections",
        url: match tls {
            None => |_, port| format!("redis://127.0.0.1:{port}"),
            Some(_) => |_, port| format!("rediss://127.0.0.1:{port}"),
        },
    };
    let scratch = Scratch::new("redis");
    if let Some(tls) = tls {
        tls.write(&scratch, "");
    }
    Some(Server::start(kind, scratch, |_, port| {
        let mut arguments = vec![program.clone().into_os_string()];
        let port = port.to_string();
        let rest = ["--bind", "127.0.0.1", "--save", ""];
        arguments.extend(rest.map(Into::into));
        // Data survives a restart.
        arguments.extend(["--appendonly", "yes", "--appendfsync", "no"].map(Into::into));
        let Some(tls) = tls else {
            arguments.extend(["--port", &port].map(Into::into));
            return arguments;
        };
        arguments.extend(["--port", "0", "--tls-port", &port].map(Into::into));
        arguments.extend(TLS.map(Into::into));
        let clients = if tls.client.is_some() { "yes" } else { "no" };
        arguments.extend(["--tls-auth-clients", clients].map(Into::into));
        arguments
    }))
}

/// Returns the server that the tests of this process share.
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(|| start(None)).as_ref()
}
