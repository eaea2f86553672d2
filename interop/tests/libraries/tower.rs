//! tower's middleware that waits: timeout, rate limit and buffer.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

#[runtime::test(tokio)]
async fn a_timeout_ends_a_slow_call_of_a_service_that_is_not_send() {
    let calls = std::rc::Rc::new(Cell::new(0));
    let counted = calls.clone();
    let slow = service_fn(move |limit: Duration| {
        counted.set(counted.get() + 1);
        async move {
            runtime::time::sleep(limit).await;
            Ok::<_, tower::BoxError>("done")
        }
    });
    let mut service = ServiceBuilder::new()
        .timeout(Duration::from_millis(50))
        .service(slow);
    let fast = service.ready().await.unwrap().call(Duration::ZERO).await;
    assert_eq!(fast.unwrap(), "done");
    let slow = service.ready().await.unwrap();
    let error = slow.call(Duration::from_secs(3600)).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>(), "{error}");
    assert_eq!(calls.get(), 2);
}

#[runtime::test(tokio)]
async fn a_rate_limit_delays_excess_requests() {
    let period = Duration::from_millis(20);
    let mut service = ServiceBuilder::new()
        .rate_limit(2, period)
        .service(service_fn(|()| async { Ok::<_, tower::BoxError>(()) }));
    let start = Instant::now();
    for _ in 0..5 {
        service.ready().await.unwrap().call(()).await.unwrap();
    }
    assert!(start.elapsed() >= 2 * period);
}

#[runtime::test(tokio)]
async fn a_buffer_shares_a_service_between_tasks_of_ours() {
    let mut next = 0;
    let service = service_fn(move |step: u32| {
        next += step;
        std::future::ready(Ok::<_, tower::BoxError>(next))
    });
    // Its worker is spawned by tokio.
    let service = ServiceBuilder::new().buffer(4).service(service);
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(runtime::spawn(service.clone().oneshot(1)));
    }
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap().unwrap());
    }
    results.sort_unstable();
    assert_eq!(results, (1..=20).collect::<Vec<_>>());
}
