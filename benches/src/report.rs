//! The report: tables on standard output, `RESULTS.md`, the table of the README, and plots.

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use crate::plot;
use crate::readme;
use crate::results::{Results, number};

/// Formats a table of medians: a row for each workload, a column for each peer. The best value of a
/// row, except that of `bare`, is bold.
fn medians(results: &Results, figure: &str, least_is_best: bool) -> String {
    let peers = results.peers(figure);
    let mut table = head("", &peers);
    for row in results.rows(figure) {
        let values: Vec<_> = peers
            .iter()
            .map(|it| results.median(row, figure, it))
            .collect();
        let rivals = peers
            .iter()
            .zip(&values)
            .filter(|(peer, _)| **peer != "bare");
        let rivals = rivals.filter_map(|(_, value)| *value);
        let best = rivals.reduce(if least_is_best { f64::min } else { f64::max });
        let _ = write!(table, "| {row} |");
        for (peer, value) in peers.iter().zip(values) {
            let _ = match value {
                None => write!(table, " |"),
                Some(it) if value == best && *peer != "bare" => {
                    write!(table, " **{}** |", number(it))
                }
                Some(it) => write!(table, " {} |", number(it)),
            };
        }
        table.push('\n');
    }
    table
}

/// Formats a table of the ratios of `runtime` to each peer.
fn ratios(results: &Results, figure: &str) -> String {
    let mut peers = results.peers(figure);
    peers.retain(|peer| *peer != "runtime");
    let mut table = head("runtime to", &peers);
    for row in results.rows(figure) {
        let _ = write!(table, "| {row} |");
        for peer in &peers {
            let _ = match results.ratio(row, figure, "runtime", peer) {
                None => write!(table, " |"),
                Some((middle, least, most)) => {
                    write!(table, " {middle:.2} ({least:.2}-{most:.2}) |")
                }
            };
        }
        table.push('\n');
    }
    table
}

fn head(corner: &str, columns: &[&str]) -> String {
    let mut table = format!("| {corner} | {} |\n|---|", columns.join(" | "));
    table.push_str(&"---:|".repeat(columns.len()));
    table.push('\n');
    table
}

/// A table of the report: a figure of a suite, its title, and whether a table of ratios follows.
struct Section {
    suite: &'static str,
    figure: &'static str,
    title: &'static str,
    ratios: bool,
    least_is_best: bool,
}

const fn section(
    suite: &'static str,
    figure: &'static str,
    title: &'static str,
    ratios: bool,
) -> Section {
    Section {
        suite,
        figure,
        title,
        ratios,
        least_is_best: true,
    }
}

const SECTIONS: [Section; 35] = [
    section(
        "servers",
        "cpu_us",
        "Server CPU a request, microseconds",
        true,
    ),
    section("calls", "all", "System calls a request", false),
    section(
        "calls",
        "churn",
        "System calls a connection in churn, by name",
        false,
    ),
    section(
        "instructions",
        "instructions",
        "User-space instructions a request (callgrind)",
        false,
    ),
    section(
        "instructions",
        "atomics",
        "Atomic read-modify-writes a request (callgrind)",
        false,
    ),
    section("servers", "p50_us", "Latency, median, microseconds", false),
    section(
        "servers",
        "p99_us",
        "Latency, 99th percentile, microseconds",
        false,
    ),
    section(
        "servers",
        "p999_us",
        "Latency, 99.9th percentile, microseconds",
        false,
    ),
    Section {
        suite: "servers",
        figure: "rate",
        title: "Requests a second (limited by the generator as much as by the server)",
        ratios: false,
        least_is_best: false,
    },
    section(
        "servers",
        "accept_us",
        "Opening a connection: server CPU for accept, spawn, a request and the wait, microseconds",
        true,
    ),
    section(
        "servers",
        "rss_per_connection",
        "Resident bytes a connection (each task holds a buffer of 4,096 bytes)",
        false,
    ),
    section(
        "servers",
        "idle_us_per_s",
        "Server CPU with all connections idle, microseconds a second",
        false,
    ),
    section(
        "latency",
        "p50_us",
        "One connection: latency, median, microseconds",
        true,
    ),
    section(
        "latency",
        "p99_us",
        "One connection: latency, 99th percentile, microseconds",
        false,
    ),
    section(
        "latency",
        "cpu_us",
        "One connection: server CPU a request, microseconds",
        false,
    ),
    section(
        "growth",
        "cpu_us",
        "Server CPU a request, microseconds, by the number of connections, 100 of them busy",
        true,
    ),
    section(
        "growth",
        "p99_us",
        "Latency, 99th percentile, microseconds",
        false,
    ),
    section(
        "growth",
        "rss_per_connection",
        "Resident bytes a connection (each task holds a buffer of 4,096 bytes)",
        false,
    ),
    section(
        "growth",
        "kernel_per_connection",
        "Kernel bytes a connection, of both ends",
        false,
    ),
    section(
        "growth",
        "accept_us",
        "Server CPU of a new connection and its first request, microseconds",
        false,
    ),
    section(
        "micro",
        "ns",
        "Tasks and timers, CPU nanoseconds for each",
        true,
    ),
    section(
        "micro",
        "late_us",
        "Timers: mean lateness, microseconds",
        false,
    ),
    section(
        "micro",
        "cpu_us",
        "Wake from another thread and back, CPU microseconds of both threads",
        true,
    ),
    section(
        "micro",
        "us",
        "spawn_blocking round trip on one core, microseconds",
        true,
    ),
    section(
        "micro",
        "bytes",
        "Bytes a task in addition to its future",
        false,
    ),
    section("micro", "allocations", "Allocations a task", false),
    section(
        "transfers",
        "relay_s",
        "Relay between two connections, CPU seconds a GiB",
        true,
    ),
    section(
        "transfers",
        "relay_us",
        "Relay of short messages, CPU microseconds for each, there and back",
        true,
    ),
    section(
        "transfers",
        "body_us",
        "HTTP bodies through hyper, CPU microseconds a request",
        true,
    ),
    section(
        "transfers",
        "quic_s",
        "QUIC through quinn, CPU seconds of client and server together",
        true,
    ),
    section(
        "files",
        "file_us",
        "Reading files: CPU microseconds for each file or piece, all threads together",
        true,
    ),
    section(
        "files",
        "static_us",
        "Files over HTTP (the example `http_server`): server CPU a request, microseconds",
        true,
    ),
    section(
        "adopt",
        "kib",
        "Minimal echo server: stripped size, KiB",
        false,
    ),
    section(
        "adopt",
        "seconds",
        "Minimal echo server: clean build, seconds",
        false,
    ),
    section(
        "adopt",
        "crates",
        "Minimal echo server: dependencies, crates",
        false,
    ),
];

fn text_of(section: &Section, results: &Results) -> Option<String> {
    if results.rows(section.figure).is_empty() {
        return None;
    }
    let mut text = format!("### {}\n\n", section.title);
    text.push_str(&medians(results, section.figure, section.least_is_best));
    if section.ratios {
        text.push_str(
            "\nRatio of `runtime` to each peer: median of the rounds (minimum-maximum).\n\n",
        );
        text.push_str(&ratios(results, section.figure));
    }
    text.push('\n');
    Some(text)
}

/// Prints the tables of a suite to standard output.
pub(crate) fn print(results: &Results) {
    for section in SECTIONS.iter().filter(|it| it.suite == results.suite) {
        if let Some(text) = text_of(section, results) {
            println!("{text}");
        }
    }
}

const SUITES: [&str; 9] = [
    "servers",
    "latency",
    "growth",
    "calls",
    "instructions",
    "micro",
    "transfers",
    "files",
    "adopt",
];

/// Writes `RESULTS.md`, the table of the README and the plots from the last results of each suite.
pub(crate) fn write() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::from(include_str!("../RESULTS.head.md"));
    for suite in SUITES {
        let Some(results) = Results::load(suite) else {
            continue;
        };
        let rounds = results
            .records
            .iter()
            .map(|record| record.rounds.len())
            .max();
        let _ = writeln!(
            text,
            "\n## {suite}\n\n{}; {}; rounds: {}.\n",
            results.machine,
            results.date,
            rounds.unwrap_or(0),
        );
        for section in SECTIONS.iter().filter(|it| it.suite == suite) {
            text.push_str(&text_of(section, &results).unwrap_or_default());
        }
        plot::draw(&results, &here.join("plots"))?;
    }
    let path = here.join("RESULTS.md");
    fs::write(&path, text.trim_end().to_owned() + "\n")?;
    println!("written: {}", path.display());
    readme::write(Results::load)
}
