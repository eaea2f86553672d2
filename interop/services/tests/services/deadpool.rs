//! deadpool-postgres with tokio's context.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use deadpool_postgres::{Config, Pool, PoolConfig, PoolError, Runtime, TimeoutType, Timeouts};
use interop_services::servers::{Server, postgres};
use tokio_postgres::NoTls;

use crate::{at_once, until_ok};

fn pool(server: &Server, size: usize) -> Pool {
    let mut config = Config::new();
    config.url = Some(server.url());
    let mut limits = PoolConfig::new(size);
    limits.timeouts = Timeouts::wait_millis(60_000);
    config.pool = Some(limits);
    config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap()
}

async fn one(pool: Pool) -> Result<i32, PoolError> {
    let client = pool.get().await?;
    let statement = client.prepare_cached("SELECT 1").await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
}

#[runtime::test(tokio)]
async fn tasks_that_are_not_send_share_four_connections() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let pool = pool(server, 4);
    let count = Rc::new(Cell::new(0));
    at_once(|_| {
        let (pool, count) = (pool.clone(), count.clone());
        async move {
            for _ in 0..4 {
                let one = one(pool.clone()).await.unwrap();
                count.set(count.get() + one);
            }
        }
    })
    .await;
    assert_eq!(count.get(), 32 * 4);
    assert!(pool.status().size <= 4, "{:?}", pool.status());
}

#[runtime::test(tokio)]
async fn a_pool_that_is_in_use_times_out() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let pool = pool(server, 1);
    let client = pool.get().await.unwrap();
    let limits = Timeouts {
        wait: Some(Duration::from_millis(20)),
        ..pool.timeouts()
    };
    let error = pool.timeout_get(&limits).await.unwrap_err();
    assert!(
        matches!(error, PoolError::Timeout(TimeoutType::Wait)),
        "{error}"
    );
    drop(client);
    assert_eq!(one(pool).await.unwrap(), 1);
}

#[runtime::test(tokio)]
async fn a_pool_replaces_its_connections_after_a_restart_of_the_server() {
    let Some(mut server) = postgres::start(None) else {
        return;
    };
    let pool = pool(&server, 2);
    at_once(|_| one(pool.clone())).await;
    let server = runtime::spawn_blocking(move || {
        server.stop();
        server
    });
    let mut server = server.await.unwrap();
    assert!(one(pool.clone()).await.is_err(), "the server is gone");
    let server = runtime::spawn_blocking(move || {
        server.start_again();
        server
    });
    let _server = server.await.unwrap();
    assert_eq!(until_ok(|| one(pool.clone())).await, 1);
    for result in at_once(|_| one(pool.clone())).await {
        assert_eq!(result.unwrap(), 1);
    }
}
