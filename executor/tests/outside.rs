//! The panics and errors of calls outside a runtime.

mod support;

use std::future::pending;

use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn};
use runtime_executor::{Builder, Executor, Handle, JoinSet, id, spawn, spawn_blocking, try_id};
use support::{Count, Loop, SharedCount, elsewhere, panic_of};

/// Asserts that a call panics at its own line, with its name and what to do.
macro_rules! says {
    ($name:literal, $call:expr) => {{
        let line = line!();
        let (said, place) = panic_of(|| drop($call));
        assert!(said.contains($name), "{said}");
        assert!(
            said.contains("outside a runtime") && said.contains("#[runtime::main]"),
            "{said}"
        );
        // A macro's argument has the line of the macro or its own.
        let near = (line..line + 4).any(|line| place.starts_with(&format!("{}:{line}:", file!())));
        assert!(near, "{place} instead of line {line}");
    }};
}

#[test]
fn every_call_outside_a_runtime_names_itself_its_location_and_the_remedy() {
    assert!(!Executor::is_entered());
    says!("spawn", spawn(async {}));
    says!("Builder::spawn", Builder::new().name("n").spawn(async {}));
    says!("spawn_blocking", spawn_blocking(|| ()));
    says!("Handle::current", Handle::current());
    says!("spawn", JoinSet::new().spawn(async {}));
    says!("spawn_blocking", JoinSet::new().spawn_blocking(|| ()));
    assert!(Handle::try_current().is_none());
}

#[test]
fn a_task_id_outside_a_task_is_none() {
    assert_eq!(try_id(), None);
    let (said, place) = panic_of(|| {
        id();
    });
    assert!(
        said.contains("task::id was called outside a task"),
        "{said}"
    );
    assert!(place.contains("outside.rs"), "{place}");
    Loop::new().block_on(async { assert_eq!(try_id(), None) });
}

#[test]
fn the_traits_of_futures_task_spawn_detached_tasks() {
    let looped = Loop::new();
    let remote = looped.executor.handle().clone();
    let ran = SharedCount::default();
    let counted = ran.clone();
    let future = FutureObj::new(Box::new(async move { counted.add() }));
    elsewhere(|| {
        remote.status().unwrap();
        remote.spawn_obj(future).unwrap();
        let local = LocalFutureObj::new(Box::new(pending::<()>()));
        assert!(remote.spawn_local_obj(local).unwrap_err().is_shutdown());
    });
    let here = Count::default();
    let counted = here.clone();
    looped.block_on(async {
        let future = LocalFutureObj::new(Box::new(async move { counted.add() }));
        Handle::current().spawn_local_obj(future).unwrap();
        let counted = ran.clone();
        let future = FutureObj::new(Box::new(async move { counted.add() }));
        Handle::current().spawn_obj(future).unwrap();
    });
    looped.settle();
    assert_eq!(
        (ran.get(), here.get(), looped.executor.task_count()),
        (2, 1, 0)
    );
    drop(looped);
    let future = FutureObj::new(Box::new(pending::<()>()));
    remote.spawn_obj(future).unwrap();
}
