//! Virtual time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use runtime::sim::{Builder, World};
use runtime::time::{Instant, interval, sleep, timeout};

fn world() -> World {
    Builder::new().build()
}

#[test]
fn a_day_of_sleep_takes_no_real_time_and_is_exact() {
    let mut world = world();
    world.client("client", async {
        let start = Instant::now();
        for _ in 0..24 {
            sleep(Duration::from_secs(3600)).await;
        }
        assert_eq!(start.elapsed(), Duration::from_secs(24 * 3600));
        Ok(())
    });
    world.run().unwrap();
    assert_eq!(world.elapsed(), Duration::from_secs(24 * 3600));
}

#[test]
fn timers_of_all_hosts_fire_in_the_order_of_their_deadlines() {
    let order = Rc::new(Cell::new(Vec::new()));
    let mut world = world();
    for (name, millis) in [("a", 30), ("b", 10), ("c", 20)] {
        let order = order.clone();
        world.client(name, async move {
            sleep(Duration::from_millis(millis)).await;
            let mut seen = order.take();
            seen.push(name);
            order.set(seen);
            Ok(())
        });
    }
    world.run().unwrap();
    assert_eq!(order.take(), ["b", "c", "a"]);
}

#[test]
fn run_for_ends_at_its_time_and_the_next_call_continues() {
    let ticks = Rc::new(Cell::new(0));
    let mut world = world();
    let counted = ticks.clone();
    world.host("clock", move || {
        let ticks = counted.clone();
        async move {
            let mut interval = interval(Duration::from_secs(1));
            loop {
                interval.tick().await;
                ticks.set(ticks.get() + 1);
            }
        }
    });
    world.run_for(Duration::from_millis(3_500)).unwrap();
    assert_eq!(
        (ticks.get(), world.elapsed()),
        (4, Duration::from_millis(3_500))
    );
    world.run_for(Duration::from_millis(500)).unwrap();
    assert_eq!(ticks.get(), 5, "the tick at the end itself counts");
}

#[test]
fn a_step_ends_at_the_next_event_and_says_when_there_is_none() {
    let mut world = world();
    world.client("client", async {
        sleep(Duration::from_secs(1)).await;
        sleep(Duration::from_secs(2)).await;
        Ok(())
    });
    assert!(world.step().unwrap());
    assert_eq!(world.elapsed(), Duration::from_secs(1));
    assert!(world.step().unwrap());
    assert_eq!(world.elapsed(), Duration::from_secs(3));
    assert!(!world.step().unwrap());
    assert_eq!(world.elapsed(), Duration::from_secs(3));
}

#[test]
fn a_clock_that_gains_fires_early_and_one_that_is_ahead_is_ahead() {
    let ends = Rc::new(Cell::new((Duration::ZERO, Duration::ZERO)));
    let mut world = Builder::new()
        .clock_skew("fast", Duration::from_secs(100), 1_000)
        .build();
    let (fast, exact) = (ends.clone(), ends.clone());
    world.client("fast", async move {
        sleep(Duration::from_millis(1_001)).await;
        fast.set((runtime::sim::elapsed().unwrap(), fast.get().1));
        Ok(())
    });
    world.client("exact", async move {
        sleep(Duration::from_millis(1_001)).await;
        exact.set((exact.get().0, runtime::sim::elapsed().unwrap()));
        Ok(())
    });
    world.run().unwrap();
    assert_eq!(
        ends.get(),
        (Duration::from_secs(1), Duration::from_millis(1_001))
    );
}

#[test]
fn a_timeout_around_what_never_ends_is_exact() {
    let mut world = world();
    world.client("client", async {
        let pending = std::future::pending::<()>();
        assert!(timeout(Duration::from_secs(5), pending).await.is_err());
        Ok(())
    });
    world.run().unwrap();
    assert_eq!(world.elapsed(), Duration::from_secs(5));
}

#[test]
fn the_real_clock_is_back_after_each_call() {
    let mut world = world();
    world.client("client", async {
        sleep(Duration::from_secs(1_000_000)).await;
        Ok(())
    });
    let before = Instant::now();
    world.run_for(Duration::from_secs(500)).unwrap();
    assert!(before.elapsed() < Duration::from_secs(500));
    assert_eq!(runtime::sim::elapsed(), None);
}
