//! An observed runtime, and its end, with tokio's context.

use std::future::pending;
use std::sync::mpsc::channel;
use std::time::Duration;

use runtime::Runtime;
use runtime::insight::Stall;

#[test]
fn a_stall_in_a_hosted_runtime_is_reported_and_its_tasks_are_tracked() {
    let (sender, stalls) = channel();
    let callback = move |stall: &Stall| sender.send(stall.clone()).unwrap();
    let builder = Runtime::builder().tokio(true).track_tasks(true);
    let runtime = builder.on_stall(Duration::from_millis(20), callback);
    let runtime = runtime.build().unwrap();
    let stall = runtime.block_on(async {
        // The poll lasts until it was reported.
        let task = runtime::task::Builder::new().name("slow");
        let task = task.spawn(async move { stalls.recv().unwrap() });
        let stall = task.await.unwrap();
        let waiting = runtime::spawn(tokio::time::sleep(Duration::from_secs(600)));
        runtime::task::yield_now().await;
        let tasks = runtime::task::all();
        let found = tasks
            .tasks
            .iter()
            .find(|task| task.id == waiting.id())
            .unwrap();
        assert_eq!(found.polls, Some(1));
        assert_eq!(found.waits[0].to_string(), "channel or other waker");
        stall
    });
    assert_eq!(stall.name.as_deref(), Some("slow"));
    assert!(!stall.is_over);
}

#[test]
fn the_shutdown_of_a_hosted_runtime_waits_for_tasks_and_reports_the_others() {
    let runtime = Runtime::builder().tokio(true).build().unwrap();
    let (done, is_done) = channel();
    drop(runtime.spawn(async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        done.send(()).unwrap();
    }));
    assert!(runtime.shutdown(Duration::from_secs(600)).is_clean());
    is_done.recv().unwrap();

    let runtime = Runtime::builder().tokio(true).build().unwrap();
    drop(runtime.spawn(pending::<()>()));
    let report = runtime.shutdown(Duration::from_millis(20));
    assert_eq!(report.tasks.len(), 1);
}
