use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{example, run, text};

#[test]
fn changes_of_a_file_are_told_until_it_is_gone() {
    let path = std::env::temp_dir().join(format!("runtime-watched-{}", std::process::id()));
    fs::write(&path, "").unwrap();
    let mut child = example("custom_fd")
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert_eq!(
        lines.next().unwrap(),
        format!("watching {}", path.display())
    );
    fs::write(&path, "news").unwrap();
    assert_eq!(lines.next().unwrap(), "modified");
    fs::remove_file(&path).unwrap();
    let last = lines.last();
    assert_eq!(last.as_deref(), Some("deleted"));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_file_that_is_not_there_is_one_clear_line_and_code_1() {
    let output = run("custom_fd", &["/nowhere/at/all"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/nowhere/at/all"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
