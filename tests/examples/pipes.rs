use crate::support::{run, run_unread, text};

#[test]
fn lines_are_printed_in_order() {
    let output = run("pipes", &[]);
    assert_eq!(text(&output.stdout), "A - 1\nB - 2\nC - 3\nD - 4\n");
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn it_succeeds_without_a_reader_of_its_output() {
    let output = run_unread("pipes", &[]);
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());
}
