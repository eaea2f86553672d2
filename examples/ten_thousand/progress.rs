//! Progress on standard error: a bar on a terminal, a few lines elsewhere.

use std::io::{IsTerminal, Write, stderr};

use crate::common::print_error;

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
            let bar = "#".repeat(step);
            let _ = write!(stderr(), "\r{what:>12} [{bar:<steps$}] {done}/{total}");
        } else {
            print_error(format_args!("{what}: {done} of {total}"));
        }
    }

    /// Ends the line of the bar, so that the next output begins a new one.
    pub(crate) fn finish(&mut self) {
        if self.on_terminal && !self.finished {
            print_error("");
        }
        self.finished = true;
    }
}
