//! PostgreSQL.

use std::process::Stdio;
use std::sync::OnceLock;

use super::keeper::{Kind, Scratch, Server};
use super::program::find;
use super::tls::Tls;

/// Access without a password, except for the user `guarded` by TCP.
const RULES: &str = "
local all all trust
host all guarded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
";

/// Starts a server with an empty database, and with TLS if `tls` is given. `None` if PostgreSQL is
/// not installed. The user is `postgres`.
///
/// # Panics
/// Panics if the database cannot be created.
pub fn start(tls: Option<&Tls>) -> Option<Server> {
    let (initdb, postgres) = (find("initdb")?, find("postgres")?);
    let scratch = Scratch::new("postgres");
    let created = scratch
        .command(initdb)
        .args(["--pgdata=data", "--username=postgres", "--auth=trust"])
        .args(["--encoding=UTF8", "--no-locale", "--no-sync"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(created.status.success(), "initdb: {created:?}");
    scratch.write("data/pg_hba.conf", RULES);
    let mut ssl = "ssl=off";
    if let Some(tls) = tls {
        tls.write(&scratch, "data/");
        ssl = "ssl=on";
    }
    let kind = Kind {
        signal: "INT",
        ready: "ready to accept connections",
        url: |_, port| format!("postgres://postgres@127.0.0.1:{port}/postgres"),
    };
    Some(Server::start(kind, scratch, |folder, port| {
        let mut arguments = vec![postgres.clone().into_os_string(), "-k".into()];
        arguments.push(folder.into());
        let rest = ["-D", "data", "-h", "127.0.0.1", "-p", &port.to_string()];
        arguments.extend(rest.map(Into::into));
        // Data of tests need not survive a crash of the system.
        let settings = ["fsync=off", "shared_buffers=16MB", ssl];
        arguments.extend(settings.iter().flat_map(|one| ["-c".into(), one.into()]));
        arguments
    }))
}

/// Returns the server without TLS that the tests of this process share.
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(|| start(None)).as_ref()
}
