//! tokio's context in the tasks of `runtime`, and `runtime` in tasks of tokio.

mod both_ways;
mod drop_order;
mod fairness;
mod observed;
mod refused;

use std::time::Duration;

/// A test that makes no progress for this long has lost a wake.
const TOO_LONG: Duration = Duration::from_secs(60);

/// Runs a future on a runtime with tokio's context, and panics if it does not end.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = runtime::Runtime::builder().tokio(true).build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(TOO_LONG, future).await })
        .expect("it ends")
}
