//! Code shared by the examples: command line, listener and error reports.
#![allow(dead_code, unreachable_pub, reason = "no example uses every item")]

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::{ExitCode, exit};
use std::str::FromStr;

use runtime::net::TcpListener;

/// The arguments of the command line that have not been consumed yet.
pub struct Arguments {
    usage: &'static str,
    words: Vec<String>,
}

impl Arguments {
    /// Reads the arguments of this process. `usage` begins with the name of the program.
    ///
    /// Prints the usage and exits with code 0 if `--help` or `-h` is among them.
    pub fn new(usage: &'static str) -> Arguments {
        let words: Result<_, _> = std::env::args_os()
            .skip(1)
            .map(|word| word.into_string())
            .collect();
        let arguments = Arguments {
            usage,
            words: Vec::new(),
        };
        let words: Vec<String> = match words {
            Ok(words) => words,
            Err(word) => arguments.usage_error(format_args!("{word:?} is not UTF-8")),
        };
        if words.iter().any(|word| word == "--help" || word == "-h") {
            print_line(format_args!("usage: {usage}"));
            exit(0);
        }
        Arguments { usage, words }
    }

    /// Removes and returns the value of `--name VALUE`.
    pub fn option<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let at = self.words.iter().position(|word| word == name)?;
        self.words.remove(at);
        if at == self.words.len() {
            self.usage_error(format_args!("{name} needs a value"));
        }
        let value = self.words.remove(at);
        match value.parse() {
            Ok(value) => Some(value),
            Err(e) => self.usage_error(format_args!("{name} {value}: {e}")),
        }
    }

    /// Removes `--name`. Returns true if it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let at = self.words.iter().position(|word| word == name);
        at.map(|at| self.words.remove(at)).is_some()
    }

    /// Removes and returns the address of `--name HOST:PORT`.
    pub fn address(&mut self, name: &str) -> Option<String> {
        let address: String = self.option(name)?;
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) => Some(address),
            _ => self.usage_error(format_args!("{name} {address}: write HOST:PORT")),
        }
    }

    /// Removes and returns the first remaining argument, unless it begins with `-`.
    pub fn positional(&mut self) -> Option<String> {
        let first = self.words.first()?;
        (!first.starts_with('-')).then(|| self.words.remove(0))
    }

    /// Exits with a usage error if an argument is left.
    pub fn finish(self) {
        if let Some(word) = self.words.first() {
            self.usage_error(format_args!("unexpected argument {word:?}"));
        }
    }

    /// Prints the error and the usage to standard error and exits with code 2.
    pub fn usage_error(&self, what: impl Display) -> ! {
        let name = self.usage.split(' ').next().unwrap_or_default();
        print_error(format_args!("{name}: {what}\nusage: {}", self.usage));
        exit(2)
    }
}

/// Binds a listener and prints its address; with port 0 the system chooses the port.
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    // Tests wait for this line to learn the port. It is flushed at once, as stdout is
    // line-buffered.
    print_line(format_args!("listening on {}", listener.local_addr()?));
    Ok(listener)
}

/// Prints a line and ignores errors, unlike `println!`, which panics when stdout is a closed pipe.
pub fn print_line(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line to standard error and ignores errors, unlike `eprintln!`, which panics when
/// standard error is a closed pipe: a server must not end because nothing reads its reports.
pub fn print_error(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Converts the result of `main` to an exit code. An error is printed as one readable line, not in
/// the `Debug` form that returning it from `main` would print.
pub fn report(name: &str, result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            print_error(format_args!("{name}: {e}"));
            ExitCode::FAILURE
        }
    }
}

/// Formats an error together with its source, which many errors leave out of their own message.
pub fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
