//! Clients in use when the runtime is dropped. Their destructors spawn tasks and stop timers, so
//! they need the context, and a panic in them would be lost in the drop.

use std::cell::Cell;
use std::future::pending;
use std::panic;
use std::rc::Rc;
use std::sync::Once;

use interop_services::servers::{nats, postgres, redis as redis_server};
use runtime::Runtime;
use sqlx::postgres::{PgListener, PgPool};
use sqlx::sqlite::SqlitePool;
use tokio_postgres::NoTls;

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Counts the panics of this thread from now on, including those that are caught.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            previous(info);
        }));
    });
}

/// Spawns a task that holds this value until the runtime is dropped.
fn hold<T: 'static>(value: T, alive: &Rc<()>) {
    let alive = alive.clone();
    drop(runtime::spawn(async move {
        let _held = (value, alive);
        pending::<()>().await;
    }));
}

async fn hold_clients([postgres, redis, nats]: &[String; 3], alive: &Rc<()>) {
    let connected = tokio_postgres::connect(postgres, NoTls).await;
    let (client, connection) = connected.unwrap();
    drop(runtime::spawn(connection));
    hold(client, alive);

    let mut config = deadpool_postgres::Config::new();
    config.url = Some(postgres.clone());
    let tokio = Some(deadpool_postgres::Runtime::Tokio1);
    let pool = config.create_pool(tokio, NoTls).unwrap();
    hold((pool.get().await.unwrap(), pool), alive);

    let pool = PgPool::connect(postgres).await.unwrap();
    let listener = PgListener::connect_with(&pool).await.unwrap();
    let transaction = pool.begin().await.unwrap();
    hold(
        (transaction, pool.acquire().await.unwrap(), listener, pool),
        alive,
    );

    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    hold((pool.begin().await.unwrap(), pool), alive);

    let client = redis::Client::open(redis.as_str()).unwrap();
    let subscriber = client.get_async_pubsub().await.unwrap();
    hold(
        (client.get_connection_manager().await.unwrap(), subscriber),
        alive,
    );

    let client = async_nats::connect(nats).await.unwrap();
    hold((client.subscribe("subject").await.unwrap(), client), alive);
}

#[test]
fn clients_in_use_are_dropped_with_the_runtime_without_a_panic() {
    let servers = (postgres::shared(), redis_server::shared(), nats::shared());
    let (Some(postgres), Some(redis), Some(nats)) = servers else {
        return;
    };
    count_panics();
    let runtime = Runtime::builder().tokio(true).build().unwrap();
    let alive = Rc::new(());
    let urls = [postgres.url(), redis.url(), nats.url()];
    runtime.block_on(hold_clients(&urls, &alive));
    assert_eq!(Rc::strong_count(&alive), 7);
    drop(runtime);
    assert_eq!(Rc::strong_count(&alive), 1);
    assert_eq!(PANICS.get(), 0);
}
