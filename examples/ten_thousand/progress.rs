//! How far something is: a bar on a terminal, a few lines elsewhere.

use std::io::{IsTerminal, stderr};

pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    on_terminal: bool,
    /// In tenths, or on a terminal in fortieths.
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

    /// `done` of the total. Writes only when there is something new to see.
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

    /// The bar stays, and what is printed next begins a line.
    pub(crate) fn finish(&mut self) {
        if self.on_terminal && !self.finished {
            eprintln!();
        }
        self.finished = true;
    }
}
