//! Clients of databases and other servers, used as their documentation says, on the tasks of
//! `runtime`, against servers of other makers. See `interop_services::servers`.

mod deadpool;
mod identity;
mod nats;
mod object_store;
mod redis;
mod sea_orm;
mod shutdown;
mod sqlx;
mod tokio_postgres;
mod tonic;
mod zbus;

use std::future::Future;

/// Runs 32 tasks at once, each with its number, and returns their outputs.
async fn at_once<F>(task: impl Fn(i32) -> F) -> Vec<F::Output>
where
    F: Future<Output: 'static> + 'static,
{
    let tasks: Vec<_> = (0..32).map(|n| runtime::spawn(task(n))).collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.unwrap());
    }
    outputs
}

/// Calls `operation` until it succeeds.
///
/// A client that reconnects does so some time after the server is back.
async fn until_ok<T, E, F: Future<Output = Result<T, E>>>(operation: impl Fn() -> F) -> T {
    loop {
        if let Ok(output) = operation().await {
            return output;
        }
        runtime::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
