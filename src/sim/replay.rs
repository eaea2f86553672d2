//! The command that runs one seed again.

use std::env;
use std::path::PathBuf;
use std::thread;

/// The environment variable that names the only seed to be run.
pub(super) const SEED_VARIABLE: &str = "RUNTIME_SIM_SEED";

/// The command that started the process, and the test that the thread runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Started {
    executable: PathBuf,
    arguments: Vec<String>,
    /// The package whose tests cargo runs.
    package: Option<String>,
    /// The name of the thread, which is that of the test.
    thread: Option<String>,
}

impl Started {
    pub(super) fn here() -> Started {
        Started {
            executable: env::current_exe().unwrap_or_default(),
            arguments: env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            package: env::var("CARGO_PKG_NAME").ok(),
            thread: thread::current().name().map(str::to_owned),
        }
    }

    /// Returns true if cargo keeps the executable where it keeps those of tests.
    fn is_test(&self) -> bool {
        let folder = self
            .executable
            .parent()
            .and_then(|folder| folder.file_name());
        folder.is_some_and(|folder| folder == "deps")
    }
}

/// Returns the command that runs a seed alone.
pub(super) fn replay_command(seed: u64, started: &Started) -> String {
    let mut command = format!("{SEED_VARIABLE}={seed}");
    if !started.is_test() {
        for argument in &started.arguments {
            command.push(' ');
            command.push_str(&quoted(argument));
        }
        return command;
    }
    command.push_str(" cargo test");
    if let Some(package) = &started.package {
        command.push_str(" -p ");
        command.push_str(&quoted(package));
    }
    // With one thread the harness runs tests on the main one.
    if let Some(test) = started.thread.as_deref().filter(|name| *name != "main") {
        command.push_str(" -- --exact ");
        command.push_str(&quoted(test));
    }
    command
}

/// Returns a word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_replayed_by_cargo() {
        let started = Started {
            executable: "/home/me/target/debug/deps/store-0123456789abcdef".into(),
            arguments: vec!["store-0123456789abcdef".to_owned()],
            package: Some("store".to_owned()),
            thread: Some("faults::every_write_survives".to_owned()),
        };
        assert_eq!(
            replay_command(17, &started),
            "RUNTIME_SIM_SEED=17 cargo test -p store -- --exact faults::every_write_survives"
        );
    }

    #[test]
    fn a_test_on_the_main_thread_is_replayed_with_the_others() {
        let started = Started {
            executable: "target/debug/deps/store-0".into(),
            thread: Some("main".to_owned()),
            ..Started::default()
        };
        assert_eq!(replay_command(3, &started), "RUNTIME_SIM_SEED=3 cargo test");
    }

    #[test]
    fn a_program_is_replayed_by_its_command_line() {
        let started = Started {
            executable: "target/debug/examples/sim_kv".into(),
            arguments: ["target/debug/examples/sim_kv", "explore", "it's"]
                .map(str::to_owned)
                .to_vec(),
            package: Some("uniloop".to_owned()),
            thread: Some("main".to_owned()),
        };
        assert_eq!(
            replay_command(3, &started),
            r"RUNTIME_SIM_SEED=3 target/debug/examples/sim_kv explore 'it'\''s'"
        );
    }
}
