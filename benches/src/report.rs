//! What is made of the figures: JSON, tables, `RESULTS.md`, plots.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::{peers, plot};

/// What one measurement gave, by name.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// One figure of one peer, over all rounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) row: String,
    pub(crate) figure: String,
    pub(crate) peer: String,
    /// `None` where a round failed.
    pub(crate) rounds: Vec<Option<f64>>,
}

/// All of one command.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) suite: String,
    pub(crate) machine: String,
    pub(crate) date: String,
    pub(crate) records: Vec<Record>,
}

/// Where the JSON goes: `target/bench`, whatever the build's target directory.
pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    let _ = fs::create_dir_all(&folder);
    folder
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |it| {
        it.trim_start_matches(['\t', ' ', ':'])
    });
    let cores = cpus
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    format!(
        "{cores} cores of {model}, {}, {}",
        output_of("uname", &["-sr"]),
        output_of("rustc", &["--version"]),
    )
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

impl Results {
    pub(crate) fn new(suite: &str) -> Results {
        Results {
            suite: suite.to_owned(),
            machine: machine(),
            date: output_of("date", &["+%F %R %Z"]),
            records: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, round: usize, row: &str, figure: &str, peer: &str, value: f64) {
        let found = self
            .records
            .iter()
            .position(|record| record.row == row && record.figure == figure && record.peer == peer);
        let at = found.unwrap_or_else(|| {
            self.records.push(Record {
                row: row.to_owned(),
                figure: figure.to_owned(),
                peer: peer.to_owned(),
                rounds: Vec::new(),
            });
            self.records.len() - 1
        });
        let rounds = &mut self.records[at].rounds;
        rounds.resize(rounds.len().max(round + 1), None);
        rounds[round] = Some(value);
    }

    pub(crate) fn save(&self) -> io::Result<()> {
        let path = folder().join(format!("{}.json", self.suite));
        fs::write(path, serde_json::to_string_pretty(self)?)
    }

    fn load(suite: &str) -> Option<Results> {
        let text = fs::read_to_string(folder().join(format!("{suite}.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn rounds(&self, row: &str, figure: &str, peer: &str) -> &[Option<f64>] {
        let record = self
            .records
            .iter()
            .find(|record| record.row == row && record.figure == figure && record.peer == peer);
        record.map_or(&[], |record| &record.rounds)
    }

    pub(crate) fn median(&self, row: &str, figure: &str, peer: &str) -> Option<f64> {
        median(self.rounds(row, figure, peer).iter().copied().flatten())
    }

    /// The median of what one peer took, as a share of what another took in the same round, with
    /// the least and the greatest.
    pub(crate) fn ratio(
        &self,
        row: &str,
        figure: &str,
        peer: &str,
        yardstick: &str,
    ) -> Option<(f64, f64, f64)> {
        let these = self.rounds(row, figure, peer).iter();
        let pairs = these.zip(self.rounds(row, figure, yardstick));
        let ratios: Vec<f64> = pairs
            .filter_map(|(a, b)| Some((*a)? / (*b)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        Some((
            median(ratios.iter().copied())?,
            ratios.iter().copied().fold(f64::INFINITY, f64::min),
            ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ))
    }

    /// The rows that have a figure, as they were measured.
    pub(crate) fn rows(&self, figure: &str) -> Vec<&str> {
        let mut rows = Vec::new();
        for record in self.records.iter().filter(|it| it.figure == figure) {
            if !rows.contains(&record.row.as_str()) {
                rows.push(&record.row);
            }
        }
        rows
    }

    pub(crate) fn peers(&self, figure: &str) -> Vec<&'static str> {
        let has = |peer: &&str| {
            let mut records = self.records.iter();
            records.any(|record| record.figure == figure && record.peer == *peer)
        };
        peers::ALL.into_iter().filter(has).collect()
    }

    /// Medians: rows by peers. The best of a row, the floor aside, is bold.
    fn medians(&self, figure: &str, least_is_best: bool) -> String {
        let peers = self.peers(figure);
        let mut table = head("", &peers);
        for row in self.rows(figure) {
            let values: Vec<_> = peers
                .iter()
                .map(|it| self.median(row, figure, it))
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

    /// Ratios of `runtime` to each peer.
    fn against(&self, figure: &str) -> String {
        let mut peers = self.peers(figure);
        peers.retain(|peer| *peer != "runtime");
        let mut table = head("runtime to", &peers);
        for row in self.rows(figure) {
            let _ = write!(table, "| {row} |");
            for peer in &peers {
                let _ = match self.ratio(row, figure, "runtime", peer) {
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
}

fn head(corner: &str, columns: &[&str]) -> String {
    let mut table = format!("| {corner} | {} |\n|---|", columns.join(" | "));
    table.push_str(&"---:|".repeat(columns.len()));
    table.push('\n');
    table
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => {
            let digits = format!("{:.0}", value);
            let (sign, digits) = match digits.strip_prefix('-') {
                Some(digits) => ("-", digits),
                None => ("", digits.as_str()),
            };
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            format!("{sign}{text}")
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A figure, what it is called, and whether ratios of it mean anything.
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

const SECTIONS: [Section; 21] = [
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
    section("servers", "p99_us", "Latency, 99 %, microseconds", false),
    section("servers", "p999_us", "Latency, 99.9 %, microseconds", false),
    Section {
        suite: "servers",
        figure: "rate",
        title: "Requests a second (the generator takes part in this as much as the server)",
        ratios: false,
        least_is_best: false,
    },
    section(
        "servers",
        "accept_us",
        "Opening: server CPU for accept, spawn, one request and the wait, microseconds a connection",
        true,
    ),
    section(
        "servers",
        "rss_per_connection",
        "Resident bytes a connection (each task holds a buffer of 4,096)",
        false,
    ),
    section(
        "servers",
        "idle_us_per_s",
        "Server CPU with all connections idle, microseconds a second",
        false,
    ),
    section(
        "micro",
        "ns",
        "Tasks and timers, CPU nanoseconds each",
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
        "Wake from another thread and back, CPU microseconds of both",
        true,
    ),
    section(
        "micro",
        "us",
        "spawn_blocking round trip on one core, microseconds",
        true,
    ),
    section("micro", "bytes", "Bytes a task beside its future", false),
    section("micro", "allocations", "Allocations a task", false),
    section("adopt", "kib", "Minimal echo server: stripped KiB", false),
    section(
        "adopt",
        "seconds",
        "Minimal echo server: clean build, seconds",
        false,
    ),
    section(
        "adopt",
        "crates",
        "Minimal echo server: crates beside itself",
        false,
    ),
];

fn text_of(section: &Section, results: &Results) -> Option<String> {
    if results.rows(section.figure).is_empty() {
        return None;
    }
    let mut text = format!("### {}\n\n", section.title);
    text.push_str(&results.medians(section.figure, section.least_is_best));
    if section.ratios {
        text.push_str("\nOurs as a share of theirs: median of the rounds (least-greatest).\n\n");
        text.push_str(&results.against(section.figure));
    }
    text.push('\n');
    Some(text)
}

/// Prints the tables of a suite.
pub(crate) fn print(results: &Results) {
    for section in SECTIONS.iter().filter(|it| it.suite == results.suite) {
        if let Some(text) = text_of(section, results) {
            println!("{text}");
        }
    }
}

const SUITES: [&str; 5] = ["servers", "calls", "instructions", "micro", "adopt"];

/// Writes `RESULTS.md` and the plots from what the last run of each suite left.
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
    Ok(())
}
