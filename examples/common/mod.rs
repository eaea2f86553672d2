//! What every example does the same way: its command line, its listener, its last words.
#![allow(dead_code, unreachable_pub, reason = "no example uses all of it")]

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::{ExitCode, exit};
use std::str::FromStr;

use runtime::net::TcpListener;

/// The words of the command line that nobody has taken yet.
pub struct Arguments {
    usage: &'static str,
    words: Vec<String>,
}

impl Arguments {
    /// Those of this process; `usage` begins with its name. `--help` is answered at once.
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
            Err(word) => arguments.wrong(format_args!("{word:?} is not UTF-8")),
        };
        if words.iter().any(|word| word == "--help" || word == "-h") {
            println!("usage: {usage}");
            exit(0);
        }
        Arguments { usage, words }
    }

    /// Takes `--name VALUE`.
    pub fn option<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let at = self.words.iter().position(|word| word == name)?;
        self.words.remove(at);
        if at == self.words.len() {
            self.wrong(format_args!("{name} needs a value"));
        }
        let value = self.words.remove(at);
        match value.parse() {
            Ok(value) => Some(value),
            Err(e) => self.wrong(format_args!("{name} {value}: {e}")),
        }
    }

    /// Takes `--name HOST:PORT`.
    pub fn address(&mut self, name: &str) -> Option<String> {
        let address: String = self.option(name)?;
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) => Some(address),
            _ => self.wrong(format_args!("{name} {address}: write HOST:PORT")),
        }
    }

    /// Takes the first word that is left, unless it is a flag.
    pub fn word(&mut self) -> Option<String> {
        let first = self.words.first()?;
        (!first.starts_with('-')).then(|| self.words.remove(0))
    }

    /// Refuses what is left.
    pub fn finish(self) {
        if let Some(word) = self.words.first() {
            self.wrong(format_args!("what is {word:?}?"));
        }
    }

    /// Says what is wrong and how it is right, and ends the process with code 2.
    pub fn wrong(&self, what: impl Display) -> ! {
        let name = self.usage.split(' ').next().unwrap_or_default();
        eprintln!("{name}: {what}\nusage: {}", self.usage);
        exit(2)
    }
}

/// Binds a listener, and says where it listens: `address` may have port 0.
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    // Whoever started us may wait for this line, or for none at all.
    say(format_args!("listening on {}", listener.local_addr()?));
    Ok(listener)
}

/// Prints a line, whether anybody reads it or not: `println!` panics once they are gone.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Turns the result of `main` into an exit code. An error is one line for people, not the `{:?}`
/// that returning it would print.
pub fn report(name: &str, result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{name}: {e}");
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it, which some keep to themselves when they are printed.
pub fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
