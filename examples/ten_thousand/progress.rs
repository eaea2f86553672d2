//! Progress on standard error: a bar on a terminal, a few lines elsewhere.

use std::io::{IsTerminal, stderr};

pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    on_terminal: bool,
    /// The last step shown, in fortieths on a terminal and in tenths elsewhere.
    shown: usize,
    finished: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: usize) -> Progress {
        Progress {
            what,
            total,
            on_terminal: stderr().is_terminal(),
            shown: 0,
            finished: false,
        }
    }

    /// Shows `done` of the total. Prints only when the visible step changes.
    pub(crate) fn show(&mut self, done: usize) {
        let steps = if self.on_terminal { 40 } else { 10 };
        let step = done * steps / self.total;
        if step == self.shown {
            return;
        }
        self.shown = step;
        let Progress { what, total, .. } = self;
        if self.on_terminal {
            eprint!("\r{what:>12} [{:<steps$}] {done}/{total}", "#".repeat(step));
        } else {
            eprintln!("{what}: {done} of {total}");
        }
    }

    /// Ends the line of the bar, so that the next output begins a new one.
    pub(crate) fn finish(&mut self) {
        if self.on_terminal && !self.finished {
            eprintln!();
        }
        self.finished = true;
    }
}
