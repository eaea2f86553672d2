//! The executor of a simulated host: blocking jobs without threads, and panics that name the task.
#![cfg(feature = "sim")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use runtime_executor::internal::{run_blocking_job, spawn_mandatory_blocking};
use runtime_executor::{Config, Executor, JoinError, PanicPolicy};
use support::Loop;

fn threadless() -> Loop {
    Loop::with(Config::new().threadless_blocking(true))
}

/// Returns a job that writes a name down, with the thread that ran it.
fn note(order: &Arc<Mutex<Vec<&'static str>>>, name: &'static str) -> impl FnOnce() + Send + use<> {
    let (order, thread) = (order.clone(), thread::current().id());
    move || {
        assert_eq!(thread::current().id(), thread);
        order.lock().unwrap().push(name);
    }
}

#[test]
fn jobs_run_one_by_one_on_the_thread_that_asks_for_them() {
    let looped = threadless();
    let handle = looped.executor.handle().clone();
    let order = Arc::default();
    let first = handle.spawn_blocking(note(&order, "first"));
    let second = handle.spawn_blocking(note(&order, "second"));
    assert!(order.lock().unwrap().is_empty());
    assert!(run_blocking_job(&handle, |_| 0));
    assert_eq!(*order.lock().unwrap(), ["first"]);
    assert!(first.is_finished() && !second.is_finished());
    assert!(run_blocking_job(&handle, |_| 0));
    assert!(!run_blocking_job(&handle, |_| 0));
    looped.block_on(first).unwrap();
    looped.block_on(second).unwrap();
}

#[test]
fn the_caller_chooses_which_of_the_queued_jobs_runs() {
    let looped = threadless();
    let handle = looped.executor.handle().clone();
    let order = Arc::default();
    for name in ["first", "second", "third"] {
        drop(handle.spawn_blocking(note(&order, name)));
    }
    for (count, chosen) in [(3, 1), (2, 1), (1, 0)] {
        assert!(run_blocking_job(&handle, |queued| {
            assert_eq!(queued, count);
            chosen
        }));
    }
    assert!(!run_blocking_job(&handle, |_| unreachable!(
        "no job is queued"
    )));
    assert_eq!(*order.lock().unwrap(), ["second", "third", "first"]);
}

#[test]
fn a_job_that_panics_fails_alone() {
    let looped = threadless();
    let handle = looped.executor.handle().clone();
    let job = handle.spawn_blocking(|| panic!("a bad day"));
    assert!(run_blocking_job(&handle, |_| 0));
    let error = looped.block_on(job).unwrap_err();
    assert!(error.is_panic());
}

#[test]
fn a_mandatory_job_runs_at_the_latest_when_the_executor_is_dropped() {
    let order = Arc::default();
    let looped = threadless();
    let handle = looped.executor.handle().clone();
    drop(spawn_mandatory_blocking(
        &handle,
        "write",
        note(&order, "written"),
    ));
    drop(handle.spawn_blocking(note(&order, "canceled")));
    drop(looped);
    assert_eq!(*order.lock().unwrap(), ["written"]);
}

#[test]
fn a_task_that_awaits_a_job_is_woken_by_it() {
    let looped = threadless();
    let handle = looped.executor.handle().clone();
    let executor: &Executor = &looped.executor;
    let _entered = executor.enter();
    let job = handle.spawn_blocking(|| 6 * 7);
    let task = executor.spawn(async move { job.await.unwrap() });
    executor.run_ready();
    assert!(!task.is_finished());
    assert!(run_blocking_job(&handle, |_| 0));
    assert!(executor.has_ready_tasks());
    executor.run_ready();
    assert!(task.is_finished());
}

#[test]
fn the_panic_of_a_detached_task_names_the_task() {
    let config = Config::new().panic_policy(PanicPolicy::Propagate);
    let looped = Loop::with(config.panic_with_error(true));
    drop(looped.executor.spawn(async { panic!("a bad day") }));
    let ran = catch_unwind(AssertUnwindSafe(|| looped.executor.run_ready()));
    let error = ran.unwrap_err().downcast::<JoinError>().unwrap();
    let text = error.to_string();
    assert!(text.contains("simulated_host.rs"), "{text}");
    assert!(text.ends_with("panicked: a bad day"), "{text}");
}
