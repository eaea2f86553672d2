//! A replicated key-value store, and the search for its bug in simulated worlds.
//!
//! Three replicas keep versioned values, and a client is content with a majority. The code of
//! server and client uses sockets, timers and files as any program does. `explore` runs it in
//! simulated worlds with crashes and partitions, and checks that every acknowledged write is read
//! back. With `--bug` replicas acknowledge a write before it is on disk: a seed is found that loses
//! one, with the events before and the command that replays it.
//!
//! Run with:
//!
//!     cargo run --features sim --example sim_kv -- explore --seeds 1000 --threads 2
//!     cargo run --features sim --example sim_kv -- explore --bug
//!
//! and on real sockets, in several terminals:
//!
//!     cargo run --features sim --example sim_kv -- serve --listen 127.0.0.1:7001 --data one.log
//!     cargo run --features sim --example sim_kv -- put name 1 value --replicas 127.0.0.1:7001
//!     cargo run --features sim --example sim_kv -- get name --replicas 127.0.0.1:7001

mod common;
mod sim_kv {
    pub(crate) mod client;
    pub(crate) mod disk;
    pub(crate) mod server;
    pub(crate) mod simulate;
}

use std::process::ExitCode;

use common::{Arguments, print_line};
use runtime::io;
use sim_kv::client::Client;
use sim_kv::disk::Disk;
use sim_kv::server::Replica;
use sim_kv::simulate;

const USAGE: &str = "\
sim_kv explore [--seeds N] [--threads N] [--bug]
       sim_kv serve [--listen ADDR] [--data FILE] [--bug]
       sim_kv put KEY VERSION VALUE --replicas ADDR[,ADDR..]
       sim_kv get KEY --replicas ADDR[,ADDR..]";

fn main() -> ExitCode {
    let mut arguments = Arguments::new(USAGE);
    let result = match arguments.positional().as_deref() {
        Some("explore") => explore(arguments),
        Some("serve") => runtime::block_on(serve(arguments)),
        Some("put") => runtime::block_on(put(arguments)),
        Some("get") => runtime::block_on(get(arguments)),
        _ => arguments.usage_error("a command is missing"),
    };
    common::report("sim_kv", result)
}

fn explore(mut arguments: Arguments) -> io::Result<()> {
    let seeds = arguments.option("--seeds").unwrap_or(1_000);
    let threads = arguments.option("--threads").unwrap_or(1);
    let bug = arguments.flag("--bug");
    arguments.finish();
    let explored = simulate::explore(0..seeds, threads, bug).map_err(io::Error::other)?;
    print_line(format_args!("{} seeds, no failure", explored.seeds));
    Ok(())
}

async fn serve(mut arguments: Arguments) -> io::Result<()> {
    let address = arguments.address("--listen");
    let address = address.unwrap_or_else(|| "127.0.0.1:7001".to_owned());
    let data: Option<String> = arguments.option("--data");
    let bug = arguments.flag("--bug");
    arguments.finish();
    let disk = Disk::File(data.unwrap_or_else(|| "sim_kv.log".to_owned()).into());
    let replica = Replica::load(disk, bug).await?;
    replica.serve(common::listen(&address).await?).await
}

async fn put(mut arguments: Arguments) -> io::Result<()> {
    let client = client(&mut arguments);
    let key = required(&mut arguments, "KEY");
    let version = required(&mut arguments, "VERSION");
    let value = required(&mut arguments, "VALUE");
    let version = match version.parse() {
        Ok(version) => version,
        Err(e) => arguments.usage_error(format_args!("VERSION {version}: {e}")),
    };
    arguments.finish();
    client.put(&key, version, &value).await
}

async fn get(mut arguments: Arguments) -> io::Result<()> {
    let client = client(&mut arguments);
    let key = required(&mut arguments, "KEY");
    arguments.finish();
    let (version, value) = client.get(&key).await?;
    print_line(format_args!("{version} {value}"));
    Ok(())
}

fn client(arguments: &mut Arguments) -> Client {
    let replicas: Option<String> = arguments.option("--replicas");
    let Some(replicas) = replicas else {
        arguments.usage_error("--replicas is missing");
    };
    Client::new(&replicas.split(',').map(str::to_owned).collect::<Vec<_>>())
}

fn required(arguments: &mut Arguments, name: &str) -> String {
    match arguments.positional() {
        Some(word) => word,
        None => arguments.usage_error(format_args!("{name} is missing")),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use runtime::net::TcpListener;
    use runtime::sim::Event;

    use super::*;

    #[test]
    fn every_acknowledged_write_is_read_back_with_all_seeds() {
        simulate::explore(0..100, 2, false).unwrap();
    }

    #[test]
    fn the_planted_bug_is_found_and_its_seed_fails_in_the_same_way_again() {
        let failed = simulate::explore(0..500, 2, true).unwrap_err();
        assert!(
            failed.reason().contains("was acknowledged, but version"),
            "{failed}"
        );
        let seed = failed.seed();
        let again = simulate::explore(seed..seed + 1, 1, true).unwrap_err();
        assert_eq!(again.reason(), failed.reason());
        assert_eq!(again.trace().hash(), failed.trace().hash());
        // The same seed passes without the bug: it is the bug that fails.
        simulate::explore(seed..seed + 1, 1, false).unwrap();
    }

    #[test]
    fn one_seed_is_one_history() {
        let hash = || {
            let mut world = simulate::options().seed(3).build();
            simulate::simulate(&mut world, false).unwrap();
            world.trace().hash()
        };
        let first = hash();
        assert!((0..20).all(|_| hash() == first));
    }

    #[test]
    fn the_seeds_have_crashes_and_lost_packets() {
        let mut world = simulate::options().seed(1).build();
        simulate::simulate(&mut world, false).unwrap();
        let trace = world.trace();
        let lost = |event: &Event| matches!(event, Event::Dropped(..));
        assert!(trace.entries().iter().any(|entry| lost(&entry.event)));
        let crashes = (0..20).map(|seed| {
            let mut world = simulate::options().seed(seed).build();
            simulate::simulate(&mut world, false).unwrap();
            world
                .trace()
                .last(usize::MAX)
                .to_string()
                .matches(": crashed")
                .count()
        });
        assert!(crashes.sum::<usize>() > 5);
    }

    #[runtime::test]
    async fn the_same_code_serves_on_real_sockets() -> io::Result<()> {
        let mut addresses = Vec::new();
        for _ in 0..3 {
            let disk = Disk::Simulated(Rc::default());
            let replica = Replica::load(disk, false).await?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            addresses.push(listener.local_addr()?.to_string());
            drop(runtime::spawn(replica.serve(listener)));
        }
        let client = Client::new(&addresses);
        client.put("name", 1, "one value").await?;
        client.put("name", 2, "another").await?;
        assert_eq!(client.get("name").await?, (2, "another".to_owned()));
        assert_eq!(client.get("other").await?, (0, String::new()));
        Ok(())
    }
}
