//! redis: its own sockets with tokio's context, and ours without it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use interop_services::servers::{Server, redis as server};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection, PubSub};
use redis::{AsyncCommands, AsyncConnectionConfig, Client, ClientTlsConfig, RedisConnectionInfo};
use redis::{RedisResult, TlsCertificates, pipe};
use runtime::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::identity::Identity;
use crate::{at_once, until_ok};

const PATIENCE: Duration = Duration::from_secs(60);

fn client(server: &Server) -> Client {
    Client::open(server.url()).unwrap()
}

async fn connect(server: &Server) -> MultiplexedConnection {
    try_connect(&client(server)).await.unwrap()
}

/// Connects with a limit for responses that a busy machine keeps, unlike the default of 500 ms.
async fn try_connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await
}

async fn tcp(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap()
}

/// Uses one connection in 32 tasks. The keys of others have another prefix.
async fn use_connection(connection: MultiplexedConnection, prefix: &'static str) {
    let read = at_once(|n| {
        let mut connection = connection.clone();
        async move {
            let key = format!("{prefix}-{n}");
            for _ in 0..10 {
                let _: i32 = connection.incr(&key, n).await.unwrap();
            }
            connection.get::<_, i32>(&key).await.unwrap()
        }
    });
    assert_eq!(read.await, (0..32).map(|n| n * 10).collect::<Vec<_>>());

    let mut connection = connection;
    let key = format!("{prefix}-large");
    let mut transaction = pipe();
    transaction
        .atomic()
        .set(&key, vec![7; 8 << 20])
        .ignore()
        .strlen(&key)
        .get(&key);
    let (length, large): (usize, Vec<u8>) = transaction.query_async(&mut connection).await.unwrap();
    assert_eq!((length, large), (8 << 20, vec![7; 8 << 20]));
}

#[runtime::test(tokio)]
async fn tasks_share_a_connection_that_redis_makes() {
    let Some(server) = server::shared() else {
        return;
    };
    use_connection(connect(server).await, "tokio").await;
}

#[runtime::test]
async fn tasks_share_a_socket_of_ours_without_the_context() {
    let Some(server) = server::shared() else {
        return;
    };
    // The timeout of a response would need the context.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let info = RedisConnectionInfo::default();
    let socket = tcp(server).await;
    let made = MultiplexedConnection::new_with_config(&info, socket, config);
    let (connection, driver) = made.await.unwrap();
    let driver = runtime::spawn(driver);
    use_connection(connection, "ours").await;
    driver.await.unwrap(); // ends with the last connection
}

#[runtime::test(tokio)]
async fn a_response_that_is_late_times_out_and_the_next_is_not_mixed_up() {
    let Some(server) = server::shared() else {
        return;
    };
    let mut connection = connect(server).await;
    connection.set_response_timeout(Duration::from_millis(50));
    let late = connection.blpop::<_, ()>("no such list", 0.0).await;
    assert!(late.unwrap_err().is_timeout());
    // The server answers the blocked command first.
    let mut other = connect(server).await;
    let pushed = other.lpush::<_, _, usize>("no such list", "late").await;
    assert_eq!(pushed.unwrap(), 1);
    connection.set_response_timeout(PATIENCE);
    let mut echo = redis::cmd("ECHO");
    let echo = echo.arg("next").query_async::<String>(&mut connection);
    assert_eq!(echo.await.unwrap(), "next");
}

#[runtime::test(tokio)]
async fn a_subscriber_receives_what_tasks_publish() {
    let Some(server) = server::shared() else {
        return;
    };
    let subscriber = client(server).get_async_pubsub().await.unwrap();
    receive(subscriber, connect(server).await, "tokio-channel").await;
}

#[runtime::test(tokio)]
async fn a_subscriber_on_a_socket_of_ours_receives_the_same() {
    let Some(server) = server::shared() else {
        return;
    };
    let info = RedisConnectionInfo::default();
    let subscriber = PubSub::new(&info, tcp(server).await);
    receive(
        subscriber.await.unwrap(),
        connect(server).await,
        "our-channel",
    )
    .await;
}

async fn receive(mut subscriber: PubSub, publisher: MultiplexedConnection, channel: &'static str) {
    subscriber.subscribe(channel).await.unwrap();
    at_once(|n| {
        let mut publisher = publisher.clone();
        async move { publisher.publish::<_, _, ()>(channel, n).await.unwrap() }
    })
    .await;
    let messages = subscriber.on_message().take(32);
    let mut received: Vec<i32> = messages
        .map(|one| one.get_payload::<i32>().unwrap())
        .collect()
        .await;
    received.sort_unstable();
    assert_eq!(received, (0..32).collect::<Vec<_>>());
}

#[runtime::test(tokio)]
async fn a_manager_connects_again_after_a_restart_of_the_server() {
    let Some(server) = server::start(None) else {
        return;
    };
    connect_again(client(&server), server).await;
}

async fn connect_again(client: Client, mut server: Server) {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        .set_min_delay(Duration::from_millis(1))
        .set_max_delay(Duration::from_millis(10));
    let mut manager = ConnectionManager::new_with_config(client, config)
        .await
        .unwrap();
    manager.set::<_, _, ()>("key", "kept").await.unwrap();
    let restart = move || {
        server.stop();
        server.start_again();
        server
    };
    let _server = runtime::spawn_blocking(restart).await.unwrap();
    let get = || {
        let mut manager = manager.clone();
        async move { manager.get::<_, String>("key").await }
    };
    assert_eq!(until_ok(get).await, "kept");
    for result in at_once(|_| get()).await {
        assert_eq!(result.unwrap(), "kept");
    }
}

/// A client with the certificate `client`, which trusts `identity`.
fn client_with_tls(server: &Server, identity: &Identity, client: Option<&Identity>) -> Client {
    let client_tls = client.map(|client| ClientTlsConfig {
        client_cert: client.certificate.clone().into(),
        client_key: client.key.clone().into(),
    });
    let certificates = TlsCertificates {
        client_tls,
        root_cert: Some(identity.certificate.clone().into()),
    };
    Client::build_with_tls(server.url(), certificates).unwrap()
}

#[runtime::test(tokio)]
async fn a_client_and_a_server_authenticate_each_other_over_tls() {
    let (identity, other) = (Identity::new(), Identity::new());
    let Some(server) = server::start(Some(&identity.tls(Some(&other)))) else {
        return;
    };
    let client = client_with_tls(&server, &identity, Some(&other));
    use_connection(try_connect(&client).await.unwrap(), "tls").await;
    let subscriber = client.get_async_pubsub().await.unwrap();
    let publisher = try_connect(&client).await.unwrap();
    receive(subscriber, publisher, "tls-channel").await;

    let without_certificate = client_with_tls(&server, &identity, None);
    let error = try_connect(&without_certificate).await.err().unwrap();
    assert!(error.is_io_error(), "{error}");
    let distrusting = client_with_tls(&server, &other, Some(&other));
    let error = try_connect(&distrusting).await.err().unwrap();
    assert!(error.to_string().contains("certificate"), "{error}");

    connect_again(client, server).await;
}

#[runtime::test]
async fn a_socket_of_ours_carries_tls_without_the_context() {
    let identity = Identity::new();
    let Some(server) = server::start(Some(&identity.tls(None))) else {
        return;
    };
    let tls = TlsConnector::from(Arc::new(identity.client(None)));
    let name = "localhost".try_into().unwrap();
    let stream = tls.connect(name, tcp(&server).await).await.unwrap();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let info = RedisConnectionInfo::default();
    let made = MultiplexedConnection::new_with_config(&info, stream, config);
    let (connection, driver) = made.await.unwrap();
    let driver = runtime::spawn(driver);
    use_connection(connection, "ours").await;
    driver.await.unwrap();
}
