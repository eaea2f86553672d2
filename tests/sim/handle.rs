//! Changes of a world by the tasks that run in it.

use std::cell::Cell;
use std::future::pending;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::sim::{Builder, Crash, Event, Handle, Latency, Link, Result, World, note};
use runtime::time::{Instant, sleep, timeout};

use super::support::{MS, echo, ping, world};

/// Returns the texts of the notes and of the events of hosts, with their hosts.
fn events_of(world: &World) -> Vec<String> {
    let trace = world.trace();
    let events = trace
        .entries()
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Note(text) | Event::Host(text) => Some(format!("{}: {text}", entry.host)),
            _ => None,
        });
    events.collect()
}

#[test]
fn a_client_partitions_and_heals_the_network_while_it_runs() {
    let mut world = world(23);
    world.host("server", echo);
    world.client("client", async {
        let world = Handle::current();
        let mut stream = TcpStream::connect("server:80").await?;
        world.partition("client", "server");
        let begin = Instant::now();
        let lost = timeout(Duration::from_secs(5), ping(&mut stream)).await;
        assert!(lost.is_err());
        world.heal("client", "server");
        // The byte is sent again.
        timeout(Duration::from_secs(60), stream.read_exact(&mut [0])).await??;
        assert!(begin.elapsed() > Duration::from_secs(5));
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn a_client_holds_packets_back() {
    let mut world = world(23);
    world.host("server", echo);
    world.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        let world = Handle::current();
        let begin = world.elapsed();
        world.hold("server", "client");
        drop(runtime::spawn(async {
            sleep(Duration::from_secs(3)).await;
            Handle::current().heal("server", "client");
        }));
        ping(&mut stream).await?;
        assert!(world.elapsed() - begin >= Duration::from_secs(3));
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn a_client_makes_a_link_slow() {
    let mut world = world(23);
    world.host("server", echo);
    world.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        let latency = Latency::Fixed(500 * MS);
        let link = Link {
            latency,
            ..Link::default()
        };
        Handle::current().set_link("client", "server", link);
        let begin = Instant::now();
        ping(&mut stream).await?;
        assert_eq!(begin.elapsed(), Duration::from_secs(1));
        Ok(())
    });
    world.run().unwrap();
    let changed = ["client: the link to server", "server: the link to client"];
    let changed = changed.map(|change| format!("{change} was replaced"));
    assert_eq!(events_of(&world)[..2], changed);
}

#[test]
fn a_client_crashes_a_server_and_restarts_it() {
    let (starts, mut world) = (Rc::new(Cell::new(0)), world(23));
    let started = starts.clone();
    world.host("server", move || {
        started.set(started.get() + 1);
        echo()
    });
    world.client("client", async move {
        let world = Handle::current();
        let mut stream = TcpStream::connect("server:80").await?;
        world.crash("server", Crash::Reset);
        assert!(!world.is_up("server"));
        let error = ping(&mut stream).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        world.restart("server");
        assert_eq!((world.is_up("server"), starts.get()), (true, 1));
        ping(&mut TcpStream::connect("server:80").await?).await?;
        assert_eq!(starts.get(), 2);
        Ok(())
    });
    world.run().unwrap();
    assert!(world.is_up("server"));
}

#[test]
fn no_task_of_a_host_runs_after_one_has_crashed_it() {
    struct Dropped;
    impl Drop for Dropped {
        fn drop(&mut self) {
            note("dropped");
        }
    }
    for seed in 0..20 {
        let mut world = Builder::new().seed(seed).build();
        world.client("observer", sleep_for(Duration::from_secs(10)));
        world.host("server", || async {
            let _dropped = Dropped;
            for _ in 0..5 {
                drop(runtime::spawn(async {
                    note("crashes");
                    Handle::current().crash("server", Crash::Reset);
                    // The task goes on until it waits.
                    note("goes on");
                    pending::<()>().await;
                }));
            }
            pending().await
        });
        world.run().unwrap();
        let expected = ["crashes", "crashed", "goes on", "dropped"];
        let expected: Vec<_> = expected.iter().map(|it| format!("server: {it}")).collect();
        let events = events_of(&world);
        assert_eq!(events[..4], expected, "seed {seed}");
        assert_eq!(events[4..], ["observer: finished"], "seed {seed}");
    }
}

async fn sleep_for(time: Duration) -> Result {
    sleep(time).await;
    Ok(())
}

#[test]
fn sockets_of_a_host_that_crashed_itself_fail_and_the_end_of_its_task_is_no_failure() {
    let ends: [fn() -> Result; 3] = [
        || Ok(()),
        || Err("an error after the crash")?,
        || panic!("a panic after the crash"),
    ];
    for end in ends {
        let mut world = world(23);
        world.host("server", echo);
        world.host("short-lived", move || async move {
            let mut stream = TcpStream::connect("server:80").await?;
            Handle::current().crash("short-lived", Crash::Reset);
            let error = stream.write_all(b"x").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            let error = TcpListener::bind("0.0.0.0:80").await.unwrap_err();
            assert!(error.to_string().contains("is down"), "{error}");
            end()
        });
        world.client("client", sleep_for(Duration::from_secs(1)));
        world.run().unwrap();
        assert!(!world.is_up("short-lived"));
    }
}

#[test]
fn a_host_restarts_itself() {
    let starts = Rc::new(Cell::new(0));
    let mut world = world(23);
    let started = starts.clone();
    world.host("server", move || {
        started.set(started.get() + 1);
        let is_first = started.get() == 1;
        async move {
            let _listener = TcpListener::bind("0.0.0.0:80").await?;
            if is_first {
                sleep(Duration::from_secs(1)).await;
                Handle::current().crash("server", Crash::Silent);
                Handle::current().restart("server");
            }
            pending().await
        }
    });
    world.client("client", sleep_for(Duration::from_secs(2)));
    world.run().unwrap();
    assert_eq!((starts.get(), world.is_up("server")), (2, true));
    let events = events_of(&world);
    assert_eq!(
        events[..2],
        ["server: crashed silently", "server: restarted"]
    );
}

#[test]
fn a_host_that_crashes_twice_in_one_poll_is_down() {
    let mut world = world(23);
    world.host("server", pending);
    world.client("client", async {
        let world = Handle::current();
        world.crash("server", Crash::Reset);
        world.restart("server");
        world.crash("server", Crash::Silent);
        let connect = TcpStream::connect("server:80");
        assert!(timeout(Duration::from_secs(1), connect).await.is_err());
        assert!(!world.is_up("server"));
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn a_client_that_crashes_itself_is_not_waited_for() {
    let mut world = world(23);
    world.client("short-lived", async {
        Handle::current().crash("short-lived", Crash::Reset);
        pending().await
    });
    world.client("client", sleep_for(Duration::from_secs(1)));
    world.run().unwrap();
    assert_eq!(world.elapsed(), Duration::from_secs(1));
}

#[test]
fn a_host_that_restarts_itself_for_ever_ends_the_run() {
    let mut world = Builder::new().max_turns(1_000).build();
    world.host("server", || async {
        Handle::current().crash("server", Crash::Reset);
        Handle::current().restart("server");
        Ok(())
    });
    world.client("client", sleep_for(Duration::from_secs(1)));
    let failure = world.run().unwrap_err();
    assert_eq!(failure.kind(), runtime::sim::FailureKind::NeverQuiet);
}

#[test]
fn a_blocking_job_crashes_a_host() {
    let mut world = world(23);
    world.host("server", pending);
    world.client("client", async {
        runtime::spawn_blocking(|| Handle::current().crash("server", Crash::Reset)).await?;
        assert!(!Handle::current().is_up("server"));
        Ok(())
    });
    world.run().unwrap();
    assert!(!world.is_up("server"));
}

#[test]
fn destructors_of_a_crashed_host_may_change_others() {
    struct CrashesNext;
    impl Drop for CrashesNext {
        fn drop(&mut self) {
            let world = Handle::current();
            if world.is_up("a") {
                world.crash("a", Crash::Reset);
            }
        }
    }
    let mut world = world(23);
    world.host("a", pending);
    world.host("b", || async {
        let _guard = CrashesNext;
        pending().await
    });
    world.client("client", async {
        Handle::current().crash("b", Crash::Reset);
        sleep(Duration::from_secs(1)).await;
        assert!(!Handle::current().is_up("a"));
        Ok(())
    });
    world.run().unwrap();
    let down = ["client: finished", "b: crashed", "a: crashed"];
    let events = events_of(&world);
    assert!(
        down.iter()
            .all(|it| events.iter().any(|events| events == it)),
        "{events:?}"
    );
}

#[test]
fn a_handle_of_the_world_changes_it_from_a_condition() {
    let mut world = world(23);
    world.host("server", pending);
    let handle = world.handle();
    let client = world.handle();
    world.client("client", async move {
        while client.is_up("server") {
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    });
    world
        .run_until(|world| {
            let is_time = world.elapsed() >= Duration::from_secs(3);
            if is_time {
                handle.crash("server", Crash::Reset);
            }
            is_time
        })
        .unwrap();
    assert!(!world.is_up("server"));
    world.run().unwrap();
    assert_eq!(
        world.elapsed(),
        Duration::from_secs(3) + Duration::from_secs(1)
    );
}

#[test]
fn each_world_has_a_handle_of_its_own() {
    let mut outer = world(23);
    outer.client("outer", async {
        assert_eq!(Handle::current().seed(), 23);
        Ok(())
    });
    let mut other = Builder::new().seed(24).build();
    other.client("other", async {
        assert_eq!(Handle::current().seed(), 24);
        Ok(())
    });
    outer.run().unwrap();
    other.run().unwrap();
    assert!(Handle::try_current().is_none());
}

#[test]
#[should_panic(
    expected = "this thread runs no simulated host: call `sim::Handle::current` in a \
                           task of a host, or `World::handle` outside"
)]
fn outside_a_simulation_there_is_no_current_world() {
    let _ = Handle::current();
}

#[test]
fn an_unknown_host_is_a_panic_of_the_task_that_names_the_known_ones() {
    let mut world = world(23);
    world.client("client", async {
        Handle::current().partition("client", "sever");
        Ok(())
    });
    let text = world.run().unwrap_err().to_string();
    let expected = "no host has the name \"sever\": the hosts are [\"client\"]";
    assert!(text.ends_with(expected), "{text}");
}
