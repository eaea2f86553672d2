//! The table of costs in the README: some rows of the report.

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use crate::results::{Results, number};

/// The first line of the table.
const HEAD: &str = "| | runtime | tokio | smol | monoio (epoll) | a bare epoll loop |";
const RULE: &str = "|---|---:|---:|---:|---:|---:|";
const PEERS: [&str; 5] = ["runtime", "tokio", "smol", "monoio", "bare"];

/// A row: the suite, the row and the figures of the report whose medians it shows.
struct Row {
    title: &'static str,
    suite: &'static str,
    row: &'static str,
    figures: &'static [&'static str],
}

const fn row(
    title: &'static str,
    suite: &'static str,
    row: &'static str,
    figures: &'static [&'static str],
) -> Row {
    Row {
        title,
        suite,
        row,
        figures,
    }
}

const ROWS: [Row; 11] = [
    row(
        "user-space instructions for an echoed request, 64 connections",
        "instructions",
        "64 B x 64",
        &["instructions"],
    ),
    row(
        "atomic read-modify-writes for it",
        "instructions",
        "64 B x 64",
        &["atomics"],
    ),
    row("system calls for it", "calls", "64 B x 64", &["all"]),
    row(
        "system calls for a connection with one request",
        "calls",
        "churn",
        &["all"],
    ),
    row(
        "resident bytes a connection, 4,096 of them its buffer (the bare loop has none)",
        "servers",
        "100 busy of 9,500",
        &["rss_per_connection"],
    ),
    row(
        "spawn and join a task, one by one, ns",
        "micro",
        "spawn_one_by_one",
        &["ns"],
    ),
    row("wake two tasks in turn, ns", "micro", "ping_pong", &["ns"]),
    row(
        "arm and cancel a timer beside 100,000, ns",
        "micro",
        "timer_100000",
        &["ns"],
    ),
    row(
        "mean lateness of 100,000 timers, µs",
        "micro",
        "timers_firing",
        &["late_us"],
    ),
    row(
        "CPU for each of them, ns",
        "micro",
        "timers_firing",
        &["ns"],
    ),
    row(
        "minimal echo server, KiB / crates",
        "adopt",
        "minimal",
        &["kib", "crates"],
    ),
];

/// Formats the figures of a peer. An empty cell was not measured.
fn cell(results: &Results, row: &Row, peer: &str) -> String {
    let medians = row
        .figures
        .iter()
        .map(|figure| results.median(row.row, figure, peer));
    let texts: Option<Vec<_>> = medians
        .zip(row.figures)
        .map(|(median, figure)| {
            let is_whole = matches!(*figure, "kib" | "crates");
            median.map(|value| number(if is_whole { value.round() } else { value }))
        })
        .collect();
    let text = texts.unwrap_or_default().join(" / ");
    // Whole numbers below 100 are formatted with digits behind the point.
    if row.suite == "adopt" {
        return text.replace(".00", "").replace(".0", "");
    }
    text
}

/// Replaces the table by the last results. Changes nothing while a suite has none.
pub(crate) fn write(load: impl Fn(&str) -> Option<Results>) -> io::Result<()> {
    let mut table = format!("{HEAD}\n{RULE}\n");
    for row in &ROWS {
        let Some(results) = load(row.suite) else {
            return Ok(());
        };
        let _ = write!(table, "| {} |", row.title);
        for peer in PEERS {
            let text = cell(&results, row, peer);
            let space = if text.is_empty() { "" } else { " " };
            let _ = write!(table, "{space}{text} |");
        }
        table.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(&path)?;
    fs::write(&path, replaced(&text, &table).ok_or_else(missing)?)?;
    println!("written: {}", path.display());
    Ok(())
}

fn missing() -> io::Error {
    io::Error::other("the README has no table of costs")
}

/// Returns the text with another table of costs.
fn replaced(text: &str, table: &str) -> Option<String> {
    let start = text.find(HEAD)?;
    let end = start + text[start..].find("\n\n")? + 1;
    Some(format!("{}{table}{}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_of_costs_is_replaced() {
        let text = format!("before\n\n{HEAD}\n{RULE}\n| old | 1 |\n\nafter\n\n| other |\n");
        let replaced = replaced(&text, "| new |\n").unwrap();
        assert_eq!(replaced, "before\n\n| new |\n\nafter\n\n| other |\n");
    }
}
