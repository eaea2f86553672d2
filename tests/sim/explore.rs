//! The search for seeds that fail, and the comparison of two runs.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime::net::{TcpListener, TcpStream};
use runtime::sim::{self, Builder, Explorer, Faults, Latency, World};
use runtime::time::{sleep, timeout};

/// A program that fails with one seed in ten.
fn fails_sometimes(world: &mut World) -> sim::Result {
    let is_bad = world.seed() % 10 == 7;
    world.client("client", async move {
        sim::note("begins");
        sleep(Duration::from_secs(1)).await;
        if is_bad { Err("a bad seed")? } else { Ok(()) }
    });
    world.run()?;
    Ok(())
}

#[test]
fn the_search_stops_at_the_first_failure_and_reports_it() {
    let failed = Explorer::new().run(0..1_000, fails_sometimes).unwrap_err();
    assert_eq!(failed.seed(), 7);
    assert_eq!(
        failed.reason(),
        "seed 7, virtual time 1s: host \"client\": a bad seed"
    );
    let text = failed.to_string();
    assert!(
        text.starts_with("seed 7 failed: seed 7, virtual time 1s"),
        "{text}"
    );
    assert!(text.contains("\n  0.000000000 client: begins\n"), "{text}");
    assert!(
        text.contains("\n  1.000000000 client: failed: a bad seed\n"),
        "{text}"
    );
    assert!(
        text.contains("\nreplay it with:\n  RUNTIME_SIM_SEED=7 cargo test"),
        "{text}"
    );
    // With one thread the harness runs tests on the main one, whose name is no test's.
    let name = "explore::the_search_stops_at_the_first_failure_and_reports_it";
    let is_named = std::thread::current().name() == Some(name);
    assert_eq!(
        text.ends_with(&format!(" -- --exact {name}")),
        is_named,
        "{text}"
    );
}

#[test]
fn several_threads_run_each_seed_once_and_find_the_same_failure() {
    let seen = Mutex::new(Vec::new());
    let explored = Explorer::new()
        .threads(3)
        .run(0..60, |world| {
            seen.lock().unwrap().push(world.seed());
            world.run_for(Duration::from_secs(1))?;
            Ok(())
        })
        .unwrap();
    assert_eq!(explored.seeds, 60);
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 60);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), (0..60).collect());
    let failed = Explorer::new()
        .threads(3)
        .run(7..8, fails_sometimes)
        .unwrap_err();
    let alone = Explorer::new().run(7..8, fails_sometimes).unwrap_err();
    assert_eq!(failed.trace().hash(), alone.trace().hash());
}

#[test]
fn a_panic_in_the_program_is_a_failure_with_its_message() {
    let failed = Explorer::new()
        .run(3..9, |_| panic!("not today"))
        .unwrap_err();
    assert_eq!((failed.seed(), failed.reason()), (3, "panicked: not today"));
}

#[test]
fn explore_panics_with_the_report() {
    let payload = catch_unwind(|| sim::explore(0..100, fails_sometimes)).unwrap_err();
    let text = payload.downcast::<String>().unwrap();
    assert!(text.starts_with("seed 7 failed"), "{text}");
    assert_eq!(sim::explore(10..17, fails_sometimes).seeds, 7);
}

#[test]
fn two_runs_of_a_deterministic_program_have_one_hash() {
    let program = |world: &mut World| {
        world.client("client", async {
            sim::note("begins");
            sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        world.run()?;
        Ok(())
    };
    assert_eq!(
        sim::check_determinism(1, program),
        sim::check_determinism(1, program)
    );
}

#[test]
fn a_program_that_depends_on_something_else_is_found_with_the_event() {
    let runs = AtomicU64::new(0);
    let payload = catch_unwind(|| {
        sim::check_determinism(4, |world| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            world.client("client", async move {
                sim::note("the same");
                sim::note(format!("run {run}"));
                Ok(())
            });
            world.run()?;
            Ok(())
        })
    })
    .unwrap_err();
    assert_eq!(
        *payload.downcast::<String>().unwrap(),
        "two runs with seed 4 differ: event 1 differs\n  \
         one run: 0.000000000 client: run 0\n  the other: 0.000000000 client: run 1"
    );
}

#[test]
fn a_configured_world_is_explored_and_checked() {
    let faults = Faults::default()
        .crashes(2)
        .partitions(2)
        .within(Duration::from_secs(1), Duration::from_secs(10));
    let latency = Latency::Fixed(Duration::from_millis(700));
    let builder = Builder::new().latency(latency).loss(0.2).faults(faults);
    let program = |world: &mut World| {
        world.host("server", || async {
            let _listener = TcpListener::bind("[::]:80").await?;
            std::future::pending().await
        });
        world.client("client", async {
            for _ in 0..20 {
                let connect = TcpStream::connect("server:80");
                let _ = timeout(Duration::from_secs(5), connect).await;
                sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        });
        world.run()?;
        // A round trip is the least that a single connect takes.
        assert!(world.elapsed() >= Duration::from_millis(20 * 100 + 1_400));
        Ok(())
    };
    let faulty = AtomicU64::new(0);
    let explored = builder.clone().explore(0..10, |world| {
        program(world)?;
        faulty.fetch_add(world.fault_plan().len() as u64, Ordering::Relaxed);
        Ok(())
    });
    assert_eq!(explored.seeds, 10);
    assert!(faulty.into_inner() > 0, "no seed had a fault");
    for seed in 0..5 {
        let builder = builder.clone().seed(seed);
        let hash = builder.clone().check_determinism(program);
        assert_eq!(hash, builder.check_determinism(program));
        assert_ne!(
            hash,
            Builder::new()
                .seed(seed)
                .loss(0.5)
                .latency(latency)
                .check_determinism(program)
        );
    }
}

#[test]
fn a_configured_world_that_differs_between_runs_is_found() {
    let runs = AtomicU64::new(0);
    let payload = catch_unwind(|| {
        Builder::new().seed(4).loss(0.1).check_determinism(|world| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            world.client("client", async move {
                sleep(Duration::from_secs(run)).await;
                Ok(())
            });
            world.run()?;
            Ok(())
        })
    })
    .unwrap_err();
    let text = payload.downcast::<String>().unwrap();
    assert!(
        text.starts_with("two runs with seed 4 differ: event 0"),
        "{text}"
    );
}

#[test]
fn planned_crashes_happen_and_all_hosts_are_up_at_the_end() {
    let faults = Faults::default()
        .crashes(5)
        .within(Duration::from_secs(1), Duration::from_secs(10))
        .lasting(Duration::from_secs(1)..=Duration::from_secs(2));
    let crashes = AtomicU64::new(0);
    Explorer::new()
        .builder(Builder::new().faults(faults))
        .run(0..50, |world| {
            for name in ["a", "b", "c"] {
                world.host(name, std::future::pending);
            }
            let planned = world.fault_plan().len() as u64;
            world.run_for(Duration::from_secs(11))?;
            let trace = world.trace().last(1_000).to_string();
            assert_eq!(
                trace.matches(": crashed").count() as u64,
                planned,
                "{trace}"
            );
            assert_eq!(
                trace.matches(": restarted").count() as u64,
                planned,
                "{trace}"
            );
            assert!(["a", "b", "c"].iter().all(|name| world.is_up(name)));
            crashes.fetch_add(planned, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
    assert!(crashes.into_inner() > 50);
}
