use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{example, run, text};

#[test]
fn changes_of_a_file_are_printed_until_it_is_deleted() {
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
fn a_missing_file_is_reported_in_one_line_with_code_1() {
    let output = run("custom_fd", &["/nowhere/at/all"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("/nowhere/at/all"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
