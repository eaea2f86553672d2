//! tokio-postgres: its own sockets with tokio's context, and ours without it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use interop_services::servers::{Server, postgres};
use runtime::net::{TcpStream, UnixStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::at_once;
use crate::identity::Identity;

/// Drives a connection in a task of ours. Its output is the client.
fn drive<S, T>((client, connection): (Client, Connection<S, T>)) -> Client
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    T: tokio_postgres::tls::TlsStream + Unpin + 'static,
{
    drop(runtime::spawn(async move {
        // The error of a connection that the server ends.
        let _ = connection.await;
    }));
    client
}

fn config() -> Config {
    let mut config = Config::new();
    config.user("postgres").dbname("postgres");
    config
}

async fn tcp(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap()
}

async fn unix(server: &Server) -> UnixStream {
    let name = format!(".s.PGSQL.{}", server.port());
    UnixStream::connect(server.folder().join(name))
        .await
        .unwrap()
}

/// Runs queries of several kinds, in 32 tasks at once where one suffices for the protocol.
async fn use_client(client: Client) {
    let client = Arc::new(client);
    let rows = at_once(|n| {
        let client = client.clone();
        async move {
            let row = client.query_one("SELECT $1::int * 2", &[&n]).await.unwrap();
            row.get::<_, i32>(0)
        }
    });
    assert_eq!(rows.await, (0..32).map(|n| n * 2).collect::<Vec<_>>());

    // More than the buffers of a socket hold.
    let count = "SELECT generate_series(1, 200000)";
    let nothing: [i32; 0] = [];
    let rows = client.query_raw(count, nothing).await.unwrap();
    let sum = rows.try_fold(
        0,
        async |sum, row| Ok(sum + i64::from(row.get::<_, i32>(0))),
    );
    assert_eq!(sum.await.unwrap(), 200_000 * 200_001 / 2);

    let create = "CREATE TEMPORARY TABLE lines (line text)";
    client.batch_execute(create).await.unwrap();
    let sink = client.copy_in("COPY lines FROM STDIN").await.unwrap();
    let mut sink = pin!(sink);
    let line = bytes::Bytes::from("x".repeat(9_999) + "\n");
    let lines = stream::iter((0..1_000).map(|_| Ok(line.clone())));
    sink.send_all(&mut { lines }).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 1_000);
    let sum = "SELECT sum(length(line)) FROM lines";
    assert_eq!(
        client.query_one(sum, &[]).await.unwrap().get::<_, i64>(0),
        9_999_000
    );
}

/// Waits until the server runs `pg_sleep` for this client, as another client sees it.
async fn until_it_sleeps(observer: &Client, pid: i32) {
    let query = "SELECT count(*) FROM pg_stat_activity \
                 WHERE pid = $1 AND wait_event = 'PgSleep'";
    while observer
        .query_one(query, &[&pid])
        .await
        .unwrap()
        .get::<_, i64>(0)
        == 0
    {
        runtime::task::yield_now().await;
    }
}

async fn pid(client: &Client) -> i32 {
    let row = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap();
    row.get(0)
}

#[runtime::test(tokio)]
async fn a_client_that_connects_by_itself_needs_the_context_alone() {
    let Some(server) = postgres::shared() else {
        return;
    };
    use_client(drive(
        tokio_postgres::connect(&server.url(), NoTls).await.unwrap(),
    ))
    .await;
    let socket = format!(
        "host={} port={} user=postgres",
        server.folder().display(),
        server.port()
    );
    use_client(drive(
        tokio_postgres::connect(&socket, NoTls).await.unwrap(),
    ))
    .await;
}

#[runtime::test]
async fn sockets_of_ours_carry_a_client_without_the_context() {
    let Some(server) = postgres::shared() else {
        return;
    };
    use_client(drive(
        config()
            .connect_raw(tcp(server).await, NoTls)
            .await
            .unwrap(),
    ))
    .await;
    use_client(drive(
        config()
            .connect_raw(unix(server).await, NoTls)
            .await
            .unwrap(),
    ))
    .await;
}

#[runtime::test]
async fn a_password_is_checked_with_scram() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let client = drive(
        config()
            .connect_raw(unix(server).await, NoTls)
            .await
            .unwrap(),
    );
    let create = "CREATE USER guarded PASSWORD 'right'";
    client.batch_execute(create).await.unwrap();
    let mut guarded = config();
    guarded.user("guarded").password("right");
    let allowed = drive(guarded.connect_raw(tcp(server).await, NoTls).await.unwrap());
    assert_eq!(allowed.query("SELECT 1", &[]).await.unwrap().len(), 1);
    guarded.password("wrong");
    let error = guarded
        .connect_raw(tcp(server).await, NoTls)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
}

#[runtime::test(tokio)]
async fn a_query_is_canceled_by_a_second_connection() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let url = server.url();
    let client = drive(tokio_postgres::connect(&url, NoTls).await.unwrap());
    let observer = drive(tokio_postgres::connect(&url, NoTls).await.unwrap());
    let (pid, cancel) = (pid(&client).await, client.cancel_token());
    let query = runtime::spawn(async move {
        let error = client
            .execute("SELECT pg_sleep(3600)", &[])
            .await
            .unwrap_err();
        (client, error)
    });
    until_it_sleeps(&observer, pid).await;
    cancel.cancel_query(NoTls).await.unwrap();
    let (client, error) = query.await.unwrap();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    assert_eq!(
        client.query("SELECT 1", &[]).await.unwrap().len(),
        1,
        "it is usable"
    );
}

#[runtime::test]
async fn a_query_is_canceled_by_a_socket_of_ours() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let client = drive(
        config()
            .connect_raw(tcp(server).await, NoTls)
            .await
            .unwrap(),
    );
    let observer = drive(
        config()
            .connect_raw(tcp(server).await, NoTls)
            .await
            .unwrap(),
    );
    let (pid, cancel) = (pid(&client).await, client.cancel_token());
    let query = runtime::spawn(async move {
        client
            .execute("SELECT pg_sleep(3600)", &[])
            .await
            .unwrap_err()
    });
    until_it_sleeps(&observer, pid).await;
    cancel
        .cancel_query_raw(unix(server).await, NoTls)
        .await
        .unwrap();
    assert_eq!(query.await.unwrap().code(), Some(&SqlState::QUERY_CANCELED));
}

#[runtime::test]
async fn a_query_that_times_out_leaves_a_usable_client() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let client = drive(
        config()
            .connect_raw(tcp(server).await, NoTls)
            .await
            .unwrap(),
    );
    let observer = drive(
        config()
            .connect_raw(tcp(server).await, NoTls)
            .await
            .unwrap(),
    );
    let (pid, cancel) = (pid(&client).await, client.cancel_token());
    // One message to the server. `execute` would wait for the answer to a first one.
    let query = client.batch_execute("SELECT pg_sleep(3600)");
    let query = runtime::time::timeout(Duration::from_millis(20), query).await;
    assert!(query.is_err(), "it sleeps for an hour");
    // The server still runs the query, and the answer to the next one comes after its end.
    until_it_sleeps(&observer, pid).await;
    cancel
        .cancel_query_raw(tcp(server).await, NoTls)
        .await
        .unwrap();
    assert_eq!(client.query("SELECT 1", &[]).await.unwrap().len(), 1);
}

#[runtime::test]
async fn a_connection_delivers_notifications() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let connected = config()
        .connect_raw(tcp(server).await, NoTls)
        .await
        .unwrap();
    let (listener, mut connection) = connected;
    let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
    let received = runtime::spawn(async move {
        let mut received = Vec::new();
        while received.len() < 3 {
            if let AsyncMessage::Notification(one) = messages.next().await.unwrap().unwrap() {
                received.push(one.payload().to_owned());
            }
        }
        received
    });
    // Notifications belong to a database, so no other test has this channel's.
    listener.batch_execute("LISTEN ours").await.unwrap();
    let client = drive(
        config()
            .connect_raw(unix(server).await, NoTls)
            .await
            .unwrap(),
    );
    for text in ["a", "b", "c"] {
        let notify = format!("NOTIFY ours, '{text}'");
        client.batch_execute(&notify).await.unwrap();
    }
    assert_eq!(received.await.unwrap(), ["a", "b", "c"]);
}

/// A server with a certificate for `localhost`, and a connector that trusts it.
fn with_tls() -> Option<(Server, MakeRustlsConnect)> {
    let identity = Identity::new();
    let server = postgres::start(Some(&identity.tls(None)))?;
    Some((server, MakeRustlsConnect::new(identity.client(None))))
}

/// A runtime without tokio's context, with which the certificate is rejected too.
fn without_context(server: &Server, tls: MakeRustlsConnect) {
    use tokio_postgres::tls::MakeTlsConnect;
    let name =
        |name| MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls.clone(), name).unwrap();
    runtime::block_on(async {
        let mut config = config();
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let connected = config.connect_raw(tcp(server).await, name("localhost"));
        use_client(drive(connected.await.unwrap())).await;
        let connected = config.connect_raw(tcp(server).await, name("elsewhere"));
        let error = connected.await.err().unwrap();
        assert!(error.to_string().contains("TLS"), "{error}");
    });
}

#[test]
fn tls_works_with_and_without_the_context() {
    let Some((server, tls)) = with_tls() else {
        return;
    };
    without_context(&server, tls.clone());
    let runtime = runtime::Runtime::builder().tokio(true).build().unwrap();
    runtime.block_on(async {
        let options = format!(
            "host=localhost port={} user=postgres sslmode=require",
            server.port()
        );
        let client = drive(
            tokio_postgres::connect(&options, tls.clone())
                .await
                .unwrap(),
        );
        let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert!(
            client
                .query_one(query, &[])
                .await
                .unwrap()
                .get::<_, bool>(0)
        );
        let cancel = client.cancel_token();
        use_client(client).await;
        // There is nothing to cancel any more, which is no error.
        cancel.cancel_query(tls).await.unwrap();
    });
}
