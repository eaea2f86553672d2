//! Runs that fail.

use std::future::pending;
use std::time::Duration;

use runtime::sim::{Builder, Failure, FailureKind, World};
use runtime::time::sleep;

fn world() -> World {
    Builder::new().seed(17).build()
}

fn fails(mut world: World, kind: FailureKind) -> Failure {
    let failure = world.run().unwrap_err();
    assert_eq!((failure.kind(), failure.seed()), (kind, 17), "{failure}");
    failure
}

#[test]
fn an_error_of_a_client_ends_the_run_and_names_host_and_time() {
    let mut world = world();
    world.client("web", async {
        sleep(Duration::from_secs(2)).await;
        Err("the write was lost")?;
        Ok(())
    });
    let failure = fails(world, FailureKind::Error);
    assert_eq!(
        (failure.host(), failure.at()),
        (Some("web"), Duration::from_secs(2))
    );
    assert_eq!(
        failure.to_string(),
        "seed 17, virtual time 2s: host \"web\": the write was lost"
    );
}

#[test]
fn a_panic_of_the_main_future_names_host_seed_and_message() {
    let mut world = world();
    world.client("web", async { panic!("a bad day") });
    let failure = fails(world, FailureKind::Panic);
    let text = failure.to_string();
    assert!(
        text.starts_with("seed 17, virtual time 0ns: host \"web\": task "),
        "{text}"
    );
    assert!(text.ends_with("panicked: a bad day"), "{text}");
}

#[test]
fn a_panic_of_a_detached_task_names_the_task() {
    let mut world = world();
    world.client("web", async { pending().await });
    world.host("db", || async {
        drop(runtime::spawn(async {
            sleep(Duration::from_secs(1)).await;
            panic!("a bad day");
        }));
        pending().await
    });
    let failure = fails(world, FailureKind::Panic);
    assert_eq!(failure.host(), Some("db"));
    let text = failure.to_string();
    assert!(
        text.contains("task ") && text.contains("tests/sim/failures.rs"),
        "{text}"
    );
    assert!(text.ends_with("panicked: a bad day"), "{text}");
}

#[test]
fn a_panic_that_a_handle_returns_is_the_programs_affair() {
    let mut world = world();
    world.client("web", async {
        let task: runtime::JoinHandle<()> = runtime::spawn(async { panic!("expected") });
        assert!(task.await.unwrap_err().is_panic());
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn a_world_in_which_nothing_is_left_to_wait_for_lists_the_tasks() {
    let mut world = world();
    world.client("web", async {
        runtime::spawn(pending::<()>()).await?;
        Ok(())
    });
    world.client("done", async { Ok(()) });
    let text = fails(world, FailureKind::Stuck).to_string();
    assert!(
        text.contains("nothing is left that a host waits for"),
        "{text}"
    );
    assert!(
        text.contains("host \"web\" (a client that has not finished):\n"),
        "{text}"
    );
    assert!(
        text.contains("host \"done\" (a client that has finished):\n"),
        "{text}"
    );
    assert!(text.contains("join of task"), "{text}");
}

#[test]
fn the_limit_of_virtual_time_ends_the_run_and_lists_the_tasks() {
    let mut world = Builder::new()
        .seed(17)
        .max_time(Duration::from_secs(60))
        .build();
    world.client("web", async {
        loop {
            sleep(Duration::from_secs(25)).await;
        }
    });
    let failure = fails(world, FailureKind::TimeLimit);
    assert_eq!(failure.at(), Duration::from_secs(50));
    let text = failure.to_string();
    assert!(text.contains("the limit of 60s is reached"), "{text}");
    assert!(text.contains("timer in 25"), "{text}");
}

#[test]
fn a_task_that_never_rests_ends_the_run_and_is_listed() {
    let mut world = Builder::new().seed(17).max_turns(1_000).build();
    world.client("web", async {
        loop {
            runtime::task::yield_now().await;
        }
    });
    world.client("idle", async { pending().await });
    let text = fails(world, FailureKind::NeverQuiet).to_string();
    assert!(
        text.contains("no rest after 1001 turns at one instant"),
        "{text}"
    );
    assert!(text.contains("scheduled"), "{text}");
}

#[test]
fn a_failed_run_also_ends_run_for_and_step() {
    let make = || {
        let mut world = world();
        world.host("db", || async { Err("no disk")? });
        world
    };
    let failure = make().run_for(Duration::from_secs(1)).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Error);
    assert_eq!(make().step().unwrap_err().host(), Some("db"));
}
