//! The progress of a search: a bar on a terminal, some lines otherwise.

use std::io::{self, Write};

/// The width of the bar, in characters.
const WIDTH: u64 = 40;

/// The number of seeds that were run, shown on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    done: u64,
    total: Option<u64>,
    has_bar: bool,
}

impl Progress {
    pub(super) fn new(total: Option<u64>, is_terminal: bool) -> Progress {
        Progress {
            done: 0,
            total,
            has_bar: is_terminal,
        }
    }

    /// Counts a seed, and shows the progress if it has changed visibly.
    pub(super) fn advance(&mut self) {
        self.done += 1;
        let Some(text) = self.text() else {
            return;
        };
        if self.has_bar {
            // Not by a macro, whose output the test harness keeps to itself.
            let mut terminal = io::stderr().lock();
            let _ = write!(terminal, "\r{text}");
            let _ = terminal.flush();
        } else {
            eprintln!("{text}");
        }
    }

    /// Ends the line of the bar. Returns the number of seeds that were run.
    pub(super) fn finish(&self) -> u64 {
        if self.has_bar && self.done > 0 {
            let _ = writeln!(io::stderr().lock());
        }
        self.done
    }

    /// Returns the text to be shown after the current seed, if any.
    fn text(&self) -> Option<String> {
        let done = self.done;
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return (done % 100 == 0).then(|| format!("{done} seeds"));
        };
        let steps = if self.has_bar { 200 } else { 10 };
        let step = |done: u64| u128::from(done) * steps / u128::from(total);
        if step(done) == step(done - 1) || (total < steps as u64 && !self.has_bar && done < total) {
            return None;
        }
        if !self.has_bar {
            return Some(format!("{done} of {total} seeds"));
        }
        let filled = (u128::from(done) * u128::from(WIDTH) / u128::from(total)) as usize;
        let bar = format!(
            "{}{}",
            "#".repeat(filled),
            " ".repeat(WIDTH as usize - filled)
        );
        Some(format!("[{bar}] {done} of {total} seeds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(total: Option<u64>, has_bar: bool, seeds: u64) -> Vec<String> {
        let mut progress = Progress::new(total, has_bar);
        let mut shown = Vec::new();
        for _ in 0..seeds {
            progress.done += 1;
            shown.extend(progress.text());
        }
        shown
    }

    #[test]
    fn without_a_terminal_each_tenth_is_a_line() {
        let lines = shown(Some(1_000), false, 1_000);
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[0], "100 of 1000 seeds");
        assert_eq!(lines[9], "1000 of 1000 seeds");
    }

    #[test]
    fn few_seeds_are_one_line() {
        assert_eq!(shown(Some(3), false, 3), ["3 of 3 seeds"]);
    }

    #[test]
    fn the_bar_of_a_terminal_fills() {
        let bars = shown(Some(4), true, 4);
        assert_eq!(bars.len(), 4);
        assert!(bars[1].starts_with("[####################                    ] 2 of 4"));
        assert!(bars[3].starts_with(&format!("[{}] 4 of 4", "#".repeat(40))));
    }

    #[test]
    fn a_bar_is_not_drawn_more_often_than_it_changes() {
        assert_eq!(shown(Some(100_000), true, 100_000).len(), 200);
    }

    #[test]
    fn without_a_total_hundreds_are_counted() {
        assert_eq!(shown(None, false, 250), ["100 seeds", "200 seeds"]);
    }
}
