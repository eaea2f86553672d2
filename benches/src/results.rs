//! The figures of the benchmarks: collected over rounds, saved as JSON, summarized.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::peers;

/// The figures of one measurement, by name.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// One figure of one peer in all rounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) row: String,
    pub(crate) figure: String,
    pub(crate) peer: String,
    /// `None` for a round that failed.
    pub(crate) rounds: Vec<Option<f64>>,
}

/// The results of one suite.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) suite: String,
    pub(crate) machine: String,
    pub(crate) date: String,
    pub(crate) records: Vec<Record>,
}

/// Creates and returns the folder of the JSON files, `target/bench`.
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

/// Describes processor, kernel and compiler.
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

/// Returns the median, or `None` without a value.
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

    /// Adds a figure of one round.
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

    /// Saves the results as JSON.
    pub(crate) fn save(&self) -> io::Result<()> {
        let path = folder().join(format!("{}.json", self.suite));
        fs::write(path, serde_json::to_string_pretty(self)?)
    }

    /// Loads the results of the last run of a suite.
    pub(crate) fn load(suite: &str) -> Option<Results> {
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

    /// Returns the median of the rounds.
    pub(crate) fn median(&self, row: &str, figure: &str, peer: &str) -> Option<f64> {
        median(self.rounds(row, figure, peer).iter().copied().flatten())
    }

    /// Returns median, minimum and maximum of the ratio of two peers in the same round.
    pub(crate) fn ratio(
        &self,
        row: &str,
        figure: &str,
        peer: &str,
        baseline: &str,
    ) -> Option<(f64, f64, f64)> {
        let these = self.rounds(row, figure, peer).iter();
        let pairs = these.zip(self.rounds(row, figure, baseline));
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

    /// Returns the rows that have a figure, in the order of the measurements.
    pub(crate) fn rows(&self, figure: &str) -> Vec<&str> {
        let mut rows = Vec::new();
        for record in self.records.iter().filter(|it| it.figure == figure) {
            if !rows.contains(&record.row.as_str()) {
                rows.push(&record.row);
            }
        }
        rows
    }

    /// Returns the peers that have a figure, in the order of the tables: the runtimes, then the
    /// others in the order of the measurements.
    pub(crate) fn peers(&self, figure: &str) -> Vec<&str> {
        let records = self.records.iter().filter(|it| it.figure == figure);
        let mut measured: Vec<&str> = Vec::new();
        for record in records {
            if !measured.contains(&record.peer.as_str()) {
                measured.push(&record.peer);
            }
        }
        let place = |peer: &str| peers::ALL.iter().position(|it| *it == peer);
        measured.sort_by_key(|peer| place(peer).unwrap_or(peers::ALL.len()));
        measured
    }
}

/// Formats a figure for a table: three digits or more, with commas between thousands.
pub(crate) fn number(value: f64) -> String {
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
