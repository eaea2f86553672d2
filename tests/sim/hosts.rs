//! Hosts: their starts, crashes and restarts.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use runtime::sim::{Builder, Crash, Event, World};
use runtime::task_local;
use runtime::time::sleep;

fn world(seed: u64) -> World {
    Builder::new().seed(seed).build()
}

/// Returns the host and text of each note in the trace.
fn notes(world: &World) -> Vec<(String, String)> {
    let trace = world.trace();
    let notes = trace
        .entries()
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Note(text) => Some((entry.host.to_string(), text.clone())),
            _ => None,
        });
    notes.collect()
}

#[test]
fn a_crash_drops_the_tasks_and_a_restart_begins_the_program_again() {
    struct Alive(Rc<Cell<i32>>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    let (starts, alive) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut world = world(1);
    let (started, living) = (starts.clone(), alive.clone());
    world.host("db", move || {
        started.set(started.get() + 1);
        let living = living.clone();
        async move {
            living.set(living.get() + 1);
            let guard = Alive(living);
            drop(runtime::spawn(async move {
                sleep(Duration::from_secs(1_000)).await;
                drop(guard);
            }));
            std::future::pending().await
        }
    });
    world.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!((starts.get(), alive.get(), world.is_up("db")), (1, 1, true));
    world.crash("db", Crash::Reset);
    assert_eq!((alive.get(), world.is_up("db")), (0, false));
    world.run_for(Duration::from_secs(1)).unwrap();
    world.restart("db");
    world.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!((starts.get(), alive.get(), world.is_up("db")), (2, 1, true));
}

#[test]
fn the_seed_decides_the_order_of_hosts_that_are_ready_together() {
    let order = |seed| {
        let mut world = world(seed);
        for name in ["a", "b", "c"] {
            world.client(name, async move {
                runtime::sim::note("runs");
                Ok(())
            });
        }
        world.run().unwrap();
        notes(&world)
    };
    assert_eq!(order(5), order(5));
    let orders: std::collections::BTreeSet<_> = (0..50).map(order).collect();
    assert_eq!(orders.len(), 6);
}

#[test]
fn the_seed_decides_the_order_of_tasks_branches_and_numbers_of_a_host() {
    let history = |seed| {
        let mut world = world(seed);
        world.client("client", async {
            let tasks: Vec<_> = (0..5)
                .map(|task| runtime::spawn(async move { runtime::sim::note(format!("{task}")) }))
                .collect();
            for task in tasks {
                task.await?;
            }
            for _ in 0..5 {
                runtime::select! {
                    () = async {} => runtime::sim::note("first"),
                    () = async {} => runtime::sim::note("second"),
                }
            }
            runtime::sim::note(format!("{}", runtime::rng().next_u64()));
            Ok(())
        });
        world.run().unwrap();
        notes(&world)
    };
    for seed in 0..20 {
        assert_eq!(history(seed), history(seed));
    }
    let histories: std::collections::BTreeSet<_> = (0..20).map(history).collect();
    assert_eq!(histories.len(), 20);
    let orders = histories.iter().map(|notes| notes[..5].to_vec());
    assert!(orders.collect::<std::collections::BTreeSet<_>>().len() > 10);
}

#[test]
fn hosts_have_their_own_tasks_and_task_locals() {
    task_local! { static NAME: &'static str; }
    let mut world = world(2);
    for name in ["a", "b"] {
        world.client(name, async move {
            NAME.scope(name, async move {
                for _ in 0..10 {
                    runtime::task::yield_now().await;
                    assert_eq!(NAME.get(), name);
                }
                assert_eq!(runtime::Handle::current().name(), Some(name));
                // The list has the tasks of this host alone.
                assert_eq!(runtime::task::all().tasks.len(), 1);
            })
            .await;
            Ok(())
        });
    }
    world.run().unwrap();
}

#[test]
fn blocking_jobs_run_on_the_thread_of_the_world() {
    let mut world = world(3);
    let thread = std::thread::current().id();
    world.client("client", async move {
        let job = runtime::spawn_blocking(move || std::thread::current().id());
        assert_eq!(job.await?, thread);
        // Files are real ones.
        let manifest = runtime::fs::read_to_string("Cargo.toml").await?;
        assert!(manifest.contains("[workspace]"));
        Ok(())
    });
    world.run().unwrap();
    assert_eq!(world.elapsed(), Duration::ZERO);
}

#[test]
fn the_seed_decides_the_order_of_blocking_jobs() {
    let order = |seed| {
        let mut world = world(seed);
        for name in ["a", "b"] {
            world.client(name, async {
                let job = |number| {
                    runtime::spawn_blocking(move || runtime::sim::note(format!("job {number}")))
                };
                for job in [1, 2, 3].map(job) {
                    job.await?;
                }
                Ok(())
            });
        }
        world.run().unwrap();
        notes(&world)
    };
    for seed in 0..20 {
        assert_eq!(order(seed), order(seed));
    }
    let orders: std::collections::BTreeSet<_> = (0..300).map(order).collect();
    let of_host = |name: &str| -> std::collections::BTreeSet<Vec<_>> {
        let of_name = |order: &Vec<(String, String)>| {
            let own = order.iter().filter(|(host, _)| host == name);
            own.map(|(_, job)| job.clone()).collect()
        };
        orders.iter().map(of_name).collect()
    };
    assert_eq!((of_host("a").len(), of_host("b").len()), (6, 6));
    assert!(orders.len() > 50, "{}", orders.len());
}

#[test]
fn a_channel_between_hosts_wakes_the_other_host() {
    let mut world = world(4);
    let (sender, receiver) = async_channel::bounded(1);
    world.client("sender", async move {
        sleep(Duration::from_secs(3)).await;
        sender.send(7).await?;
        Ok(())
    });
    world.client("receiver", async move {
        assert_eq!(receiver.recv().await?, 7);
        Ok(())
    });
    world.run().unwrap();
    assert_eq!(world.elapsed(), Duration::from_secs(3));
}

#[test]
fn a_note_is_in_the_trace_with_its_host_and_time() {
    let mut world = world(5);
    world.client("client", async {
        sleep(Duration::from_secs(2)).await;
        runtime::sim::note("here");
        Ok(())
    });
    world.run().unwrap();
    assert_eq!(notes(&world), [("client".to_owned(), "here".to_owned())]);
    let text = world.trace().last(2).to_string();
    assert!(text.contains("  2.000000000 client: here\n"), "{text}");
    assert!(text.ends_with("  2.000000000 client: finished\n"), "{text}");
}

#[test]
fn a_world_that_is_dropped_drops_its_hosts() {
    let dropped = Rc::new(RefCell::new(Vec::new()));
    struct Guard(&'static str, Rc<RefCell<Vec<&'static str>>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }
    let mut world = world(6);
    for name in ["a", "b"] {
        let guard = Guard(name, dropped.clone());
        world.client(name, async move {
            let _guard = guard;
            std::future::pending().await
        });
    }
    world.run_for(Duration::from_secs(1)).unwrap();
    drop(world);
    assert_eq!(*dropped.borrow(), ["a", "b"]);
}

#[test]
fn hosts_have_addresses_of_their_own() {
    let mut world = world(7);
    for number in 0..300 {
        world.host(&format!("host-{number}"), || async { Ok(()) });
    }
    let addrs: std::collections::BTreeSet<IpAddr> = (0..300)
        .map(|number| format!("host-{number}"))
        .flat_map(|name| -> [IpAddr; 2] {
            [world.ipv4_addr(&name).into(), world.ipv6_addr(&name).into()]
        })
        .collect();
    assert_eq!(addrs.len(), 600);
}

#[test]
#[should_panic(expected = "a host with the name \"db\" exists already: names are unique")]
fn a_name_that_is_taken_is_rejected() {
    let mut world = world(0);
    world.host("db", || async { Ok(()) });
    world.host("db", || async { Ok(()) });
}

#[test]
#[should_panic(expected = "no host has the name \"bd\": the hosts are [\"db\", \"web\"]")]
fn an_unknown_name_is_rejected_with_the_known_ones() {
    let mut world = world(0);
    world.host("db", || async { Ok(()) });
    world.host("web", || async { Ok(()) });
    world.partition("web", "bd");
}

#[test]
#[should_panic(expected = "the host \"db\" cannot crash: it is down already")]
fn a_host_that_is_down_cannot_crash() {
    let mut world = world(0);
    world.host("db", || async { Ok(()) });
    world.crash("db", Crash::Silent);
    world.crash("db", Crash::Silent);
}

#[test]
#[should_panic(expected = "the host \"db\" cannot be restarted: it is up")]
fn a_host_that_is_up_cannot_be_restarted() {
    let mut world = world(0);
    world.host("db", || async { Ok(()) });
    world.restart("db");
}

#[test]
#[should_panic(expected = "the client \"c\" cannot be restarted: its program runs once")]
fn a_client_cannot_be_restarted() {
    let mut world = world(0);
    world.client("c", async { Ok(()) });
    world.crash("c", Crash::Reset);
    world.restart("c");
}

#[test]
#[should_panic(expected = "the world has no client, so `run` would not end")]
fn run_needs_a_client() {
    let mut world = world(0);
    world.host("db", || async { Ok(()) });
    let _ = world.run();
}
