//! Looking for an installed program.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the path of an installed program. `None`, after a line on standard error, if there is
/// none.
///
/// # Panics
/// Panics if the program is not installed and `RUNTIME_REQUIRE_SERVERS` is set.
pub fn find(program: &str) -> Option<PathBuf> {
    let found = folders()
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        report_missing(program);
    }
    found
}

/// Returns the path of a Python that has this module, under the same conditions as [`find`].
///
/// # Panics
/// Panics if there is none and `RUNTIME_REQUIRE_SERVERS` is set.
pub fn find_python_with(module: &str) -> Option<PathBuf> {
    // Debian's packages extend Debian's Python, which need not be the first one in `PATH`.
    let candidates = ["/usr/bin/python3", "python3"].map(PathBuf::from);
    let found = candidates.into_iter().find(|python| {
        let import = ["-c", &format!("import {module}")];
        let output = Command::new(python).args(import).output();
        output.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        report_missing(&format!("python3 with the module {module}"));
    }
    found
}

fn report_missing(program: &str) {
    let text = format!("{program} is not installed");
    assert!(env::var_os("RUNTIME_REQUIRE_SERVERS").is_none(), "{text}");
    report_skipped(&text);
}

/// Writes a line on standard error for tests that return early.
pub(super) fn report_skipped(text: &str) {
    // Not eprintln, whose output the test harness keeps to itself if the test passes.
    let line = format!("\nSKIPPED: {text}, so its tests check nothing\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The folders of `PATH`, and those of Debian's servers that are in no user's `PATH`.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.sort();
    folders.reverse();
    let path = env::var_os("PATH").unwrap_or_default();
    folders.extend(env::split_paths(&path));
    folders.push(Path::new("/usr/sbin").to_owned());
    folders
}
