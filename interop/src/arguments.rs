//! The command line of the examples.

use std::fmt::Display;
use std::process::exit;
use std::str::FromStr;

/// The arguments of the command line that have not been consumed yet.
#[derive(Debug)]
pub struct Arguments {
    usage: &'static str,
    words: Vec<String>,
}

impl Arguments {
    /// Reads the arguments of this process. `usage` begins with the name of the program.
    ///
    /// Prints the usage and exits if `--help` is among them.
    pub fn new(usage: &'static str) -> Arguments {
        let words: Vec<String> = std::env::args().skip(1).collect();
        if words.iter().any(|word| word == "--help") {
            println!("usage: {usage}");
            exit(0);
        }
        Arguments { usage, words }
    }

    /// Removes and returns the value of `--name VALUE`.
    pub fn option<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let at = self.words.iter().position(|word| word == name)?;
        self.words.remove(at);
        if at == self.words.len() {
            self.fail(format_args!("{name} needs a value"));
        }
        let value = self.words.remove(at);
        match value.parse() {
            Ok(value) => Some(value),
            Err(e) => self.fail(format_args!("{name} {value}: {e}")),
        }
    }

    /// Removes `--name`, and returns true if it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let at = self.words.iter().position(|word| word == name);
        at.is_some_and(|at| self.words.remove(at) == name)
    }

    /// Removes and returns the first remaining argument.
    pub fn positional(&mut self) -> String {
        if self.words.is_empty() {
            self.fail("an argument is missing");
        }
        self.words.remove(0)
    }

    /// Exits with a usage error if an argument is left.
    pub fn finish(self) {
        if let Some(word) = self.words.first() {
            self.fail(format_args!("unexpected argument {word:?}"));
        }
    }

    /// Prints the error and the usage, and exits.
    pub fn fail(&self, error: impl Display) -> ! {
        eprintln!("{error}\nusage: {}", self.usage);
        exit(2);
    }
}
