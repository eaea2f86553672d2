//! The snapshots of `insight` as JSON.

use std::future::pending;
use std::time::Duration;

use runtime::Runtime;

#[test]
fn the_snapshots_of_a_runtime_are_serialized() {
    let runtime = Runtime::builder()
        .name("json")
        .track_tasks(true)
        .build()
        .unwrap();
    let (tasks, metrics) = runtime.block_on(async {
        let task = runtime::task::Builder::new().name("waiting");
        drop(task.spawn(pending::<()>()));
        let timer = runtime::spawn(runtime::time::sleep(Duration::from_secs(600)));
        runtime::task::yield_now().await;
        let handle = runtime::Handle::current();
        drop(timer);
        (runtime::task::all(), handle.metrics().await.unwrap())
    });
    let tasks = serde_json::to_value(&tasks).unwrap();
    assert_eq!(tasks["runtime"], "json");
    assert_eq!(tasks["tasks"][0]["name"], "waiting");
    assert_eq!(tasks["tasks"][0]["state"], "Waiting");
    assert_eq!(tasks["tasks"][0]["waits"][0], "Other");
    let spawned_at = tasks["tasks"][0]["spawned_at"].as_str().unwrap();
    assert!(spawned_at.contains("serde.rs:"), "{spawned_at}");
    assert!(tasks["tasks"][0]["id"].as_str().unwrap().contains('.'));
    assert_eq!(
        tasks["tasks"][1]["waits"][0]["Timer"]["remaining"]["secs"],
        600
    );
    let metrics = serde_json::to_value(&metrics).unwrap();
    assert_eq!(metrics["tasks"], 2);
    assert!(metrics["tracked"]["poll_times"]["counts"].is_array());
    let report = runtime.shutdown(Duration::ZERO);
    let report = serde_json::to_value(&report).unwrap();
    assert_eq!(report["tasks"][0]["name"], "waiting");
    assert_eq!(report["jobs"].as_array().unwrap().len(), 0);
}
