//! The store in simulated worlds: three replicas, two clients that check what they read, and
//! faults.

use std::rc::Rc;
use std::time::Duration;

use runtime::net::TcpListener;
use runtime::sim::{self, Builder, Explored, Explorer, FailedSeed, Faults, Latency, World};
use runtime::time::sleep;

use super::client::Client;
use super::disk::Disk;
use super::server::Replica;

const REPLICAS: [&str; 3] = ["kv-1", "kv-2", "kv-3"];
const CLIENTS: [&str; 2] = ["alice", "bob"];
/// The number of writes of each client.
const WRITES: u64 = 12;
/// The number of keys of each client.
const KEYS: u64 = 3;

/// Runs the store with many seeds.
pub(crate) fn explore(
    seeds: std::ops::Range<u64>,
    threads: usize,
    acknowledges_early: bool,
) -> Result<Explored, Box<FailedSeed>> {
    Explorer::new()
        .builder(options())
        .threads(threads)
        .run(seeds, |world| simulate(world, acknowledges_early))
}

/// Returns the options of the worlds: a slow network, crashes and partitions.
pub(crate) fn options() -> Builder {
    let latency = Latency::LongTail {
        typical: Duration::from_millis(4),
        max: Duration::from_millis(200),
    };
    let faults = Faults::default()
        .crashes(4)
        .partitions(3)
        .holds(2)
        .within(Duration::from_millis(50), Duration::from_secs(8))
        .lasting(Duration::from_millis(20)..=Duration::from_secs(2));
    Builder::new()
        .latency(latency)
        .loss(0.005)
        .faults(faults)
        .max_time(Duration::from_secs(600))
}

/// Runs the store in one world. Fails if an acknowledged write cannot be read.
pub(crate) fn simulate(world: &mut World, acknowledges_early: bool) -> sim::Result {
    for name in REPLICAS {
        let disk = Disk::Simulated(Rc::default()); // survives the crashes of the host
        world.host(name, move || {
            let disk = disk.clone();
            async move {
                let replica = Replica::load(disk, acknowledges_early).await?;
                replica
                    .serve(TcpListener::bind("0.0.0.0:7000").await?)
                    .await?;
                Ok(())
            }
        });
    }
    for name in CLIENTS {
        world.client(name, write_and_check(name));
    }
    world.run()?;
    Ok(())
}

/// Writes values, and reads each back after it was acknowledged: at once, and again at the end,
/// when all faults are over.
async fn write_and_check(name: &'static str) -> sim::Result {
    let addresses = REPLICAS.map(|replica| format!("{replica}:7000"));
    let client = Client::new(&addresses);
    for version in 1..=WRITES {
        let key = format!("{name}-{}", version % KEYS);
        let value = format!("value-{version}");
        client.put(&key, version, &value).await?;
        sim::note(format!("{key} = {value} is acknowledged"));
        sleep(Duration::from_millis(300)).await;
        check(&client, &key, version, &value).await?;
    }
    sleep(Duration::from_secs(10)).await;
    for version in WRITES - KEYS + 1..=WRITES {
        let key = format!("{name}-{}", version % KEYS);
        check(&client, &key, version, &format!("value-{version}")).await?;
    }
    Ok(())
}

/// Fails if the newest value is not the last one that was acknowledged.
async fn check(client: &Client, key: &str, version: u64, value: &str) -> sim::Result {
    let found = client.get(key).await?;
    if found != (version, value.to_owned()) {
        let (other, text) = found;
        Err(format!(
            "{key}: version {version} ({value}) was acknowledged, but version {other} ({text}) \
             was read"
        ))?;
    }
    Ok(())
}
