//! NATS.

use std::sync::OnceLock;

use super::keeper::{Kind, Scratch, Server};
use super::program::find;
use super::tls::Tls;

/// The options that name the files of [`Tls::write`].
const TLS: [&str; 5] = ["--tls", "--tlscert", "server.crt", "--tlskey", "server.key"];

/// Starts a server without data, which requires TLS if `tls` is given. `None` if NATS is not
/// installed.
pub fn start(tls: Option<&Tls>) -> Option<Server> {
    let program = find("nats-server")?;
    let kind = Kind {
        signal: "TERM",
        ready: "Server is ready",
        url: match tls {
            None => |_, port| format!("nats://127.0.0.1:{port}"),
            Some(_) => |_, port| format!("tls://127.0.0.1:{port}"),
        },
    };
    let scratch = Scratch::new("nats");
    if let Some(tls) = tls {
        tls.write(&scratch, "");
    }
    Some(Server::start(kind, scratch, |_, port| {
        let mut arguments = vec![program.clone().into_os_string()];
        let port = port.to_string();
        arguments.extend(["--addr", "127.0.0.1", "--port", &port].map(Into::into));
        if let Some(tls) = tls {
            arguments.extend(TLS.map(Into::into));
            if tls.client.is_some() {
                arguments.extend(["--tlsverify", "--tlscacert", "client.crt"].map(Into::into));
            }
        }
        arguments
    }))
}

/// Returns the server that the tests of this process share.
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(|| start(None)).as_ref()
}
