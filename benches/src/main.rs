//! Benchmarks of `runtime` and of other runtimes, side by side on one machine.
//!
//! Run with: `cargo run -p bench --release -- all`, or one of the suites `servers`, `latency`,
//! `growth`, `calls`, `instructions`, `micro`, `transfers`, `files` and `adopt`. `--rounds N` sets
//! the number of rounds, and `--mib N` the size of a slice of QUIC, of which a round has five.
//! `--only ROW` and `--peers A,B` select a part, whose results are printed but not saved.

#![allow(missing_docs, reason = "a program")]

mod adopt;
mod alloc;
mod callgrind;
mod files;
mod hello;
mod load;
mod micro;
mod peers;
mod plot;
mod quic;
mod readme;
mod report;
mod results;
mod servers;
mod static_files;
mod sys;
mod transfers;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use results::Results;

struct Options {
    rounds: usize,
    mib: usize,
    only: Option<String>,
    peers: Option<String>,
}

impl Options {
    fn wants(&self, row: &str, peer: &str) -> bool {
        let only = self.only.as_deref();
        let peers = self.peers.as_deref();
        only.is_none_or(|text| row.contains(text))
            && peers.is_none_or(|peers| peers.split(',').any(|it| it == peer))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // Internal commands: this program starts itself with them.
        ["serve", peer, service] => {
            servers::serve(peer, service);
            return ExitCode::FAILURE;
        }
        ["measure", peer, name] => {
            for (figure, value) in micro::measure(peer, name).unwrap_or_default() {
                println!("{figure} {value}");
            }
            return ExitCode::SUCCESS;
        }
        ["relay", by, target] => {
            transfers::serve_relay(by, target);
            return ExitCode::FAILURE;
        }
        ["bodies", by, _] => {
            transfers::serve_bodies(by);
            return ExitCode::FAILURE;
        }
        ["quic-server", by, _] => {
            quic::serve(by);
            return ExitCode::FAILURE;
        }
        ["quic-client", by, port] => {
            quic::request(by, port);
            return ExitCode::SUCCESS;
        }
        ["file", peer, name] => {
            for (figure, value) in files::measure(peer, name).unwrap_or_default() {
                println!("{figure} {value}");
            }
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let value_of = |flag: &str| {
        let at = words.iter().position(|word| *word == flag)?;
        words.get(at + 1).copied()
    };
    let number_of = |flag: &str| value_of(flag).and_then(|it| it.parse().ok());
    let options = Options {
        rounds: number_of("--rounds").unwrap_or(5),
        mib: number_of("--mib").unwrap_or(100),
        only: value_of("--only").map(str::to_owned),
        peers: value_of("--peers").map(str::to_owned),
    };
    let run: fn(&str, &Options) -> Results = |suite, options| match suite {
        "servers" => run_servers(options),
        "calls" => run_calls(options),
        "instructions" => run_instructions(options),
        "micro" => run_micro(options),
        "transfers" => transfers::run(options.rounds, options.mib, |row, peer| {
            options.wants(row, peer)
        }),
        "files" => run_files(options),
        "latency" => run_latency(options),
        "growth" => run_growth(options),
        _ => adopt::run(options.rounds.min(3)),
    };
    let suites: &[&str] = match words.first().copied() {
        Some("all") => &[
            "servers",
            "latency",
            "growth",
            "calls",
            "instructions",
            "micro",
            "transfers",
            "files",
            "adopt",
        ],
        Some("latency") => &["latency"],
        Some("growth") => &["growth"],
        Some("servers") => &["servers"],
        Some("calls") => &["calls"],
        Some("instructions") => &["instructions"],
        Some("micro") => &["micro"],
        Some("transfers") => &["transfers"],
        Some("files") => &["files"],
        Some("adopt") => &["adopt"],
        Some("report") => &[],
        _ => {
            eprintln!(
                "usage: bench all|servers|latency|growth|calls|instructions|micro|transfers|files|\
                 adopt|report \
                 [--rounds N] [--mib N] [--only ROW] [--peers A,B]"
            );
            return ExitCode::FAILURE;
        }
    };
    let limit = sys::raise_descriptor_limit();
    if limit < 10_000 {
        eprintln!("only {limit} descriptors are allowed: the largest workload will fail");
    }
    for suite in suites {
        let results = run(suite, &options);
        report::print(&results);
        // A part of a suite must not replace saved results.
        if options.only.is_none()
            && options.peers.is_none()
            && let Err(e) = results.save().and_then(|()| report::write())
        {
            eprintln!("the results could not be written: {e}");
            return ExitCode::FAILURE;
        }
    }
    if suites.is_empty()
        && let Err(e) = report::write()
    {
        eprintln!("the results could not be written: {e}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Returns the peers, rotated by the number of the round.
fn in_turn(round: usize) -> impl Iterator<Item = &'static str> {
    let peers = peers::ALL.len();
    (0..peers).map(move |at| peers::ALL[(at + round) % peers])
}

fn run_servers(options: &Options) -> Results {
    let mut results = Results::new("servers");
    for round in 0..options.rounds {
        for shape in &servers::SHAPES {
            eprintln!("servers {}/{}: {}", round + 1, options.rounds, shape.name);
            let peers: Vec<_> = in_turn(round)
                .filter(|peer| servers::has(peer, shape) && options.wants(shape.name, peer))
                .collect();
            for peers in peers.chunks(shape.side_by_side().min(peers.len().max(1))) {
                add_round(&mut results, round, shape, peers);
            }
        }
    }
    results
}

/// Measures the latency of one connection, also with a runtime that polls busily, and with blocking
/// calls.
fn run_latency(options: &Options) -> Results {
    const PEERS: [&str; 4] = ["runtime", "runtime-busy", "std", "tokio"];
    let shape = servers::LATENCY;
    let mut results = Results::new("latency");
    for round in 0..options.rounds {
        eprintln!("latency {}/{}", round + 1, options.rounds);
        // Not side by side: a server that polls uses the whole core.
        for peer in PEERS.iter().filter(|peer| options.wants(shape.name, peer)) {
            add_round(&mut results, round, &shape, &[peer]);
        }
    }
    results
}

/// Measures how cost grows with the number of connections, up to as many as the system allows.
fn run_growth(options: &Options) -> Results {
    const PEERS: [&str; 3] = ["runtime", "bare", "tokio"];
    // For listeners, epolls and the like.
    let limit = sys::raise_descriptor_limit().saturating_sub(100);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit < 100_000 {
        eprintln!("growth: only {limit} connections are possible (`ulimit -Hn`)");
    }
    let mut results = Results::new("growth");
    for round in 0..options.rounds {
        for shape in servers::growth(limit) {
            eprintln!("growth {}: {} connections", round + 1, shape.name);
            let wanted = PEERS.iter().filter(|peer| options.wants(shape.name, peer));
            for peer in wanted {
                add_round(&mut results, round, &shape, &[peer]);
            }
        }
    }
    results
}

/// Measures one round of servers side by side, and adds their figures.
fn add_round(results: &mut Results, round: usize, shape: &servers::Shape, peers: &[&'static str]) {
    sys::pin(sys::LOAD_CORE);
    for (peer, figures) in side_by_side(peers, shape) {
        for (figure, value) in figures {
            results.add(round, shape.name, figure, peer, value);
        }
    }
}

/// Measures servers side by side: each gets a slice of the requests in turn, so that disturbances
/// of the machine affect all of them. A server that fails is omitted.
fn side_by_side(
    peers: &[&'static str],
    shape: &servers::Shape,
) -> Vec<(&'static str, results::Figures)> {
    let or_report = |peer: &str, result: io::Result<_>| match result {
        Err(e) => {
            eprintln!("  {peer} failed: {e}");
            None
        }
        Ok(contender) => Some(contender),
    };
    let mut contenders: Vec<servers::Contender> = peers
        .iter()
        .filter_map(|peer| or_report(peer, servers::Contender::start(peer, shape)))
        .collect();
    for _ in 0..shape.slices() {
        contenders = contenders
            .into_iter()
            .filter_map(|mut it| or_report(it.peer, it.slice(shape).map(|()| it)))
            .collect();
        // Alternate the order, so that no server always follows the same one.
        contenders.reverse();
    }
    let figures = contenders.into_iter();
    figures.map(|it| (it.peer, it.figures())).collect()
}

fn has_program(name: &str, version: &str) -> bool {
    let mut command = Command::new(name);
    command
        .arg(version)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run_calls(options: &Options) -> Results {
    let mut results = Results::new("calls");
    if !has_program("perf", "--version") {
        eprintln!("SKIPPED: counting system calls needs perf, which is not installed");
        return results;
    }
    for shape in &servers::SHAPES {
        eprintln!("calls: {}", shape.name);
        for peer in in_turn(0) {
            if !servers::has(peer, shape) || !options.wants(shape.name, peer) {
                continue;
            }
            sys::pin(sys::LOAD_CORE);
            match servers::system_calls(peer, shape) {
                Err(e) => eprintln!("  {peer} failed: {e}"),
                Ok(counts) => {
                    for (call, count) in counts {
                        if call == "all" {
                            results.add(0, shape.name, "all", peer, count);
                        }
                        if shape.name == "churn" && call != "all" && count > 0.0005 {
                            results.add(0, &call, "churn", peer, count);
                        }
                    }
                }
            }
        }
    }
    results
}

fn run_instructions(options: &Options) -> Results {
    let mut results = Results::new("instructions");
    if !has_program("valgrind", "--version") {
        eprintln!("SKIPPED: counting instructions needs valgrind, which is not installed");
        return results;
    }
    for shape in &servers::SHAPES {
        const COUNTED: [&str; 5] = [
            "64 B x 1",
            "64 B x 64",
            "churn",
            "HTTP hello x 64",
            "HTTP header timer x 64",
        ];
        if !COUNTED.contains(&shape.name) {
            continue;
        }
        eprintln!("instructions: {}", shape.name);
        for peer in in_turn(0) {
            let is_uring = peer.ends_with("uring");
            if is_uring || !servers::has(peer, shape) || !options.wants(shape.name, peer) {
                continue;
            }
            sys::pin(sys::LOAD_CORE);
            match servers::instructions(peer, shape) {
                Err(e) => eprintln!("  {peer} failed: {e}"),
                Ok(figures) => {
                    for (figure, value) in figures {
                        results.add(0, shape.name, figure, peer, value);
                    }
                }
            }
        }
    }
    results
}

fn run_micro(options: &Options) -> Results {
    let mut results = Results::new("micro");
    for round in 0..options.rounds {
        for (name, has_floor) in micro::ALL {
            eprintln!("micro {}/{}: {name}", round + 1, options.rounds);
            for peer in in_turn(round) {
                if (peer == "bare" && !has_floor) || !options.wants(name, peer) {
                    continue;
                }
                match measure_apart("measure", peer, name) {
                    Err(e) => eprintln!("  {peer} failed: {e}"),
                    Ok(figures) => {
                        for (figure, value) in figures {
                            results.add(round, name, &figure, peer, value);
                        }
                    }
                }
            }
        }
    }
    results
}

fn run_files(options: &Options) -> Results {
    let mut results = Results::new("files");
    for round in 0..options.rounds {
        for name in files::ALL {
            eprintln!("files {}/{}: {name}", round + 1, options.rounds);
            for at in 0..files::PEERS.len() {
                let peer = files::PEERS[(at + round) % files::PEERS.len()];
                if !options.wants(name, peer) {
                    continue;
                }
                match measure_apart("file", peer, name) {
                    Err(e) => eprintln!("  {peer} failed: {e}"),
                    Ok(figures) => {
                        for (figure, value) in figures {
                            results.add(round, name, &figure, peer, value);
                        }
                    }
                }
            }
        }
    }
    if let Err(e) = run_static_files(options, &mut results) {
        eprintln!("files over HTTP: {e}");
    }
    results
}

fn run_static_files(options: &Options, results: &mut Results) -> io::Result<()> {
    let wants = |shape: &static_files::Shape, peer| options.wants(shape.name, peer);
    let is_wanted = |peer| static_files::SHAPES.iter().any(|shape| wants(shape, peer));
    let mut peers: Vec<_> = static_files::PEERS.into_iter().collect();
    peers.retain(|peer| is_wanted(peer));
    if peers.contains(&"nginx") && !has_program("nginx", "-v") {
        eprintln!("SKIPPED: comparing with nginx needs nginx, which is not installed");
        peers.retain(|peer| *peer != "nginx");
    }
    if peers.is_empty() {
        return Ok(());
    }
    static_files::prepare()?;
    sys::pin(sys::LOAD_CORE);
    let mut servers = Vec::new();
    for peer in peers {
        servers.push((peer, static_files::Server::start(peer)?));
    }
    for round in 0..options.rounds {
        for shape in &static_files::SHAPES {
            eprintln!("files {}/{}: {}", round + 1, options.rounds, shape.name);
            for (peer, server) in &servers {
                if !wants(shape, peer) {
                    continue;
                }
                for (figure, value) in server.measure(shape)? {
                    results.add(round, shape.name, figure, peer, value);
                }
            }
            servers.reverse();
        }
    }
    Ok(())
}

/// Runs a measurement in a child process, for at most 30 seconds.
fn measure_apart(command: &str, peer: &str, name: &str) -> io::Result<Vec<(String, f64)>> {
    let mut child = Command::new(env::current_exe()?)
        .args([command, peer, name])
        .stdout(Stdio::piped())
        .spawn()?;
    let until = Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    let text = io::read_to_string(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?)?;
    let figures = text.lines().filter_map(|line| {
        let (figure, value) = line.split_once(' ')?;
        Some((figure.to_owned(), value.parse().ok()?))
    });
    Ok(figures.collect())
}
