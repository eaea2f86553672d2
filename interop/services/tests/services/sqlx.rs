//! sqlx. Its features `runtime-tokio` and `runtime-async-std` are both on, and it takes tokio if it
//! finds tokio's context.

use std::time::Duration;

use futures_util::TryStreamExt;
use interop_services::servers::{Server, postgres};
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

use crate::{at_once, until_ok};

async fn pool(server: &Server) -> PgPool {
    let options = PgPoolOptions::new().max_connections(4);
    options.connect(&server.url()).await.unwrap()
}

async fn one(pool: PgPool) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT 1").fetch_one(&pool).await
}

async fn use_postgres(server: &Server) {
    let pool = pool(server).await;
    let doubled = at_once(|n| {
        let pool = pool.clone();
        async move {
            let query = sqlx::query_scalar::<_, i32>("SELECT $1 * 2").bind(n);
            query.fetch_one(&pool).await.unwrap()
        }
    });
    assert_eq!(doubled.await, (0..32).map(|n| n * 2).collect::<Vec<_>>());
    assert!(pool.size() <= 4);

    let count = sqlx::query_scalar::<_, i32>("SELECT generate_series(1, 100000)");
    let sum = count.fetch(&pool);
    let sum = sum.try_fold(0, async |sum, n| Ok(sum + i64::from(n)));
    assert_eq!(sum.await.unwrap(), 100_000 * 100_001 / 2);

    let mut transaction = pool.begin().await.unwrap();
    let create = "CREATE TEMPORARY TABLE numbers (n int)";
    sqlx::query(create)
        .execute(&mut *transaction)
        .await
        .unwrap();
    drop(transaction); // rolls back
    let missing = "SELECT to_regclass('pg_temp.numbers') IS NULL";
    let rolled_back = sqlx::query_scalar::<_, bool>(missing)
        .fetch_one(&pool)
        .await;
    assert!(rolled_back.unwrap());

    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("sqlx").await.unwrap();
    let notify = sqlx::query("NOTIFY sqlx, 'hello'");
    notify.execute(&pool).await.unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "hello");
    drop(listener);
    pool.close().await;
}

#[runtime::test(tokio)]
async fn postgres_works_with_the_context() {
    let Some(server) = postgres::shared() else {
        return;
    };
    use_postgres(server).await;
}

#[runtime::test]
async fn postgres_works_without_the_context_on_the_thread_of_async_std() {
    let Some(server) = postgres::shared() else {
        return;
    };
    use_postgres(server).await;
}

#[runtime::test(tokio)]
async fn a_pool_that_is_in_use_times_out() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let options = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(50));
    let pool = options.connect_lazy(&server.url()).unwrap();
    let acquired = until_ok(|| pool.acquire()).await;
    let error = pool.acquire().await.unwrap_err();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    drop(acquired);
}

#[runtime::test(tokio)]
async fn a_pool_replaces_its_connections_after_a_restart_of_the_server() {
    let Some(mut server) = postgres::start(None) else {
        return;
    };
    let pool = pool(&server).await;
    at_once(|_| one(pool.clone())).await;
    let restart = move || {
        server.stop();
        server.start_again();
        server
    };
    let _server = runtime::spawn_blocking(restart).await.unwrap();
    assert_eq!(until_ok(|| one(pool.clone())).await, 1);
    for result in at_once(|_| one(pool.clone())).await {
        assert_eq!(result.unwrap(), 1);
    }
}

/// A database in a folder that is removed when this is dropped.
struct Database(std::path::PathBuf);

impl Database {
    fn new(name: &str) -> Database {
        let name = format!("runtime-sqlite-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Database(folder)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(self.0.join("data"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(60))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn use_sqlite(name: &str) {
    let database = Database::new(name);
    let options = SqlitePoolOptions::new().max_connections(4);
    let pool: SqlitePool = options.connect_with(database.options()).await.unwrap();
    let create = "CREATE TABLE numbers (n INTEGER)";
    sqlx::query(create).execute(&pool).await.unwrap();
    at_once(|n| {
        let pool = pool.clone();
        async move {
            let insert = sqlx::query("INSERT INTO numbers VALUES (?)").bind(n);
            insert.execute(&pool).await.unwrap();
        }
    })
    .await;
    let sum = sqlx::query_scalar::<_, i64>("SELECT sum(n) FROM numbers");
    assert_eq!(sum.fetch_one(&pool).await.unwrap(), 31 * 32 / 2);
    pool.close().await;
}

#[runtime::test(tokio)]
async fn sqlite_works_with_the_context() {
    use_sqlite("tokio").await;
}

#[runtime::test]
async fn sqlite_works_without_the_context() {
    use_sqlite("async-std").await;
}

/// The threads of this process with this name.
fn threads(name: &str) -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok())
        .filter(|comm| comm.trim_end() == name)
        .count()
}

#[cfg(target_os = "linux")]
#[runtime::test(tokio)]
async fn each_connection_to_sqlite_has_a_thread_of_sqlx() {
    let database = Database::new("threads");
    let options = database.options().thread_name(|_| "sqlite-of-test".into());
    let pool = SqlitePoolOptions::new()
        .max_connections(3)
        .connect_lazy_with(options);
    assert_eq!(threads("sqlite-of-test"), 0);
    let first = pool.acquire().await.unwrap();
    assert_eq!(threads("sqlite-of-test"), 1);
    let second = pool.acquire().await.unwrap();
    assert_eq!(threads("sqlite-of-test"), 2);
    drop((first, second));
    pool.close().await;
}
