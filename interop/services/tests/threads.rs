//! Clients with tokio's context start no thread, except those that the guide to databases names.
//! This test has a process of its own, without the threads of a test harness.

use std::fs;
use std::future::pending;

use ::redis::AsyncConnectionConfig;
use futures_util::StreamExt;
use interop_services::servers::{nats, postgres, redis};
use runtime::Runtime;
use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions, Connection};
use tokio_postgres::NoTls;

/// The names of the threads of this process.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
    names.map(|name| name.trim_end().to_owned()).collect()
}

fn main() {
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: the threads of a process are counted on Linux only");
        return;
    }
    // Each has a thread here that reads its log.
    let servers = (postgres::start(None), redis::start(None), nats::start(None));
    let (Some(postgres), Some(redis), Some(nats)) = servers else {
        return;
    };
    let before = threads().len();
    let runtime = Runtime::builder().tokio(true).build().unwrap();
    runtime.block_on(async {
        let connected = tokio_postgres::connect(&postgres.url(), NoTls).await;
        let (client, connection) = connected.unwrap();
        let connection = runtime::spawn(connection);
        client.execute("SELECT 1", &[]).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();

        let pool = PgPool::connect(&postgres.url()).await.unwrap();
        sqlx::query("SELECT 1").execute(&pool).await.unwrap();
        // It goes back to its pool when the runtime is dropped, in a task that sqlx spawns then.
        // Without tokio's context sqlx would start async-std's threads for it.
        let held = pool.acquire().await.unwrap();
        drop(runtime::spawn(async move {
            let _held = held;
            pending::<()>().await;
        }));

        let client = ::redis::Client::open(redis.url()).unwrap();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await.unwrap();
        let _: () = ::redis::cmd("PING")
            .query_async(&mut connection)
            .await
            .unwrap();

        let client = async_nats::connect(nats.url()).await.unwrap();
        let mut subscriber = client.subscribe("subject").await.unwrap();
        client.publish("subject", "".into()).await.unwrap();
        subscriber.next().await.unwrap();
        assert_eq!(threads().len(), before, "{:?}", threads());

        // The name of a host is looked up in tokio's blocking pool.
        let url = postgres.url().replace("127.0.0.1", "localhost");
        let connected = tokio_postgres::connect(&url, NoTls).await;
        drop(connected.unwrap());
        assert_eq!(threads().len(), before + 1, "{:?}", threads());
    });
    drop(runtime);
    assert_eq!(threads().len(), before, "{:?}", threads());

    let before = threads().len();
    let options = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true);
    let runtime = Runtime::builder().tokio(true).build().unwrap();
    runtime.block_on(async {
        let connection = options.connect().await.unwrap();
        assert_eq!(threads().len(), before + 1, "{:?}", threads());
        connection.close().await.unwrap();
    });
    println!("clients of PostgreSQL, Redis and NATS start no thread, and SQLite one: ok");
}
